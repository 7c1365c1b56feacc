"""What another encoder makes of the elements, compressed."""

from collections.abc import Iterator, Sequence
from typing import Any

from streamkit.encoders.base import Encoder
from streamkit.encoders.coding import Compressor

__all__ = ["CompressedEncoder"]


class CompressedEncoder(Encoder):
    """Compresses what ``encoder`` returns, and sends with each batch all that was compressed."""

    def __init__(self, encoder: Encoder, compressor: Compressor) -> None:
        super().__init__()
        self._encoder = encoder
        self._compressor = compressor
        self.refused = encoder.refused

    def begin(self) -> bytes:
        return self._compressor.compress(self._encoder.begin())

    def encode(self, batch: Sequence[Any]) -> Iterator[bytes]:
        compress, flush, _ = self._compressor
        sent = False
        try:
            for piece in self._encoder.encode(batch):
                sent = True
                yield compress(piece)
        except Exception:
            # What came before the failure is flushed. If that is nothing, nothing is sent, so that
            # the response can still be a 500.
            if sent:
                yield flush()
            raise
        finally:
            self.repaired = self._encoder.repaired
        yield flush()

    def end(self) -> bytes:
        return self._compressor.compress(self._encoder.end()) + self._compressor.finish()
