"""What the encoders of binary formats have in common."""

from collections.abc import Mapping, Sequence
from typing import Any

from streamkit.encoders.row import RowEncoder
from streamkit.rows.values import json_of, repaired, repaired_text

__all__ = ["TypedEncoder"]


class TypedEncoder(RowEncoder):
    """Encodes the values of columns with their types, which are no text, and compressed by itself.

    So there is no ``serialize``, whose text would be a row's own.
    """

    is_compressed = True

    def __init__(
        self, columns: Sequence[str] | None = None, chosen: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(None, columns, chosen)

    def _read(self, rows: Sequence[Any]) -> Sequence[Any]:
        return self._columns.values(rows, self._number)

    def _repair(self, values: Sequence[Any]) -> Sequence[Any]:
        return [[*map(_repaired, column)] for column in values]

    def _frame(self, text: bytes) -> bytes:
        # Nothing asks for it without a serialize.
        raise NotImplementedError("there are no rows of text in a binary format")


def _repaired(value: Any) -> Any:
    """``value`` without a lone surrogate; as it is, with its type, if it has none."""
    if isinstance(value, str):
        return repaired_text(value)
    try:
        json_of(value)
    except UnicodeEncodeError:
        return repaired(value)
    return value
