"""Who comes first, and who last, of callers on any threads."""

__all__ = ["LastOf", "Once"]


class _Answers(list[bool]):
    """Gives each caller another answer, the last one first, and false after them."""

    __slots__ = ()

    def __call__(self) -> bool:
        # To pop from a list is atomic, and no fork inherits it half done, as it might a lock.
        try:
            return self.pop()
        except IndexError:
            return False


class Once(_Answers):
    """``once()`` is true for its first caller, and false for all others."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__((True,))


class LastOf(_Answers):
    """``is_last()`` is true for the last of so many ``callers``, each of whom calls it once."""

    __slots__ = ()

    def __init__(self, callers: int) -> None:
        super().__init__((True, *[False] * (callers - 1)))
