"""The errors of the kit's own."""

__all__ = ["SizeMismatch"]


class SizeMismatch(ValueError):
    """A download yielded more or fewer bytes than its ``size`` declared."""
