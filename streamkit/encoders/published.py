"""Events that were encoded when they were published."""

from streamkit.encoders.sse import SSEEncoder

__all__ = ["PublishedEncoder"]


class PublishedEncoder(SSEEncoder):
    """Pieces of a ``text/event-stream``, which are sent as they are; comments as in any."""

    __slots__ = ()

    def __init__(self, *, blank_after_comments: bool = False) -> None:
        super().__init__(blank_after_comments=blank_after_comments)

    def encode_one(self, element: bytes) -> bytes:
        if b"\nretry: " in element or element.startswith(b"retry: "):
            self._has_own_retry = True
        return element

    def dropped(self, elements: int) -> bytes:
        # A gap told of them, where it belongs among the events.
        return b""
