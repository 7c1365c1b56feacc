"""Who comes first, and who last, of callers on any threads."""

__all__ = ["LastOf", "Once"]


class Once:
    """``once()`` is true for its first caller, and false for all others."""

    __slots__ = ("_answers",)

    def __init__(self) -> None:
        self._answers = [True]

    def __call__(self) -> bool:
        # To pop from a list is atomic, and no fork inherits it half done, as it might a lock.
        try:
            return self._answers.pop()
        except IndexError:
            return False


class LastOf(Once):
    """It is true for the last of so many ``callers``, each of whom calls it once."""

    __slots__ = ()

    def __init__(self, callers: int) -> None:
        self._answers = [True, *[False] * (callers - 1)]
