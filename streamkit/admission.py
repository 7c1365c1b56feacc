"""How many streams may be open at a time."""

from contextvars import ContextVar
from typing import Final

__all__ = ["Admission", "Limits", "limits"]


class Admission:
    """Lets ``max_streams`` streams in, and another for each place that is given back.

    Raises TypeError or ValueError if that is no positive int.
    """

    def __init__(self, max_streams: int) -> None:
        if not isinstance(max_streams, int) or isinstance(max_streams, bool):
            kind = type(max_streams).__name__
            raise TypeError(f"max_streams must be an int or None, got {kind}")
        if max_streams < 1:
            raise ValueError(f"max_streams must be at least 1, got {max_streams}")
        self.max_streams = max_streams
        # A list has an item for each free place. To pop from it is atomic, and needs no lock, which
        # a fork could inherit while it is held.
        self._places = [None] * max_streams

    def enter(self) -> bool:
        """Let another stream in if there is room; true if so. Then ``give_back`` is to follow."""
        try:
            self._places.pop()
        except IndexError:
            return False
        return True

    def give_back(self) -> None:
        """A stream that was let in is over: its place is free. Called once for each."""
        self._places.append(None)


class Limits:
    """The admissions of all middlewares that a request came through, the outermost first."""

    def __init__(self, *admissions: Admission) -> None:
        self._admissions = admissions

    def within(self, admission: Admission) -> "Limits":
        """These, and one more, which counts once though a request passes it twice."""
        if admission in self._admissions:
            return self
        return Limits(*self._admissions, admission)

    @property
    def max_streams(self) -> int | None:
        """How many streams may be open at a time; None without a limit."""
        return min((each.max_streams for each in self._admissions), default=None)

    def enter(self) -> bool:
        """Let another stream in if all have room; true if so. Then ``give_back`` is to follow."""
        for entered, admission in enumerate(self._admissions):
            if not admission.enter():
                for other in self._admissions[:entered]:
                    other.give_back()
                return False
        return True

    def give_back(self) -> None:
        """A stream that was let in is over: it leaves a place in each. Called once for each."""
        for admission in self._admissions:
            admission.give_back()


_NO_LIMITS: Final = Limits()

limits: ContextVar[Limits] = ContextVar("streamkit.limits", default=_NO_LIMITS)
"""The limits of the middlewares around a request. Without one, all streams are let in."""
