"""What a row is: the names of its columns and its values, whatever library it comes from."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from functools import lru_cache
from itertools import starmap
from operator import attrgetter, countOf, itemgetter
from typing import Any, TypeVar

import msgspec

from streamkit.rows.annotations import examples_of_class
from streamkit.rows.header import Header

__all__ = ["Columns", "declares", "getters", "read"]

T = TypeVar("T")

Names = tuple[Any, ...]
"""The names of columns, which need not be text, nor differ from each other."""


def read(row: Any) -> tuple[Names | None, Sequence[Any]]:
    """The column names that ``row`` carries, None for a plain sequence, and its values.

    A row is a mapping, a dataclass, an attrs, msgspec or pydantic object, an instance that Django
    or SQLAlchemy maps to a table, a named tuple, a row of SQLAlchemy or ``sqlite3``, or any other
    sequence but text and bytes.

    Raises TypeError for anything else, and ValueError for a mapped instance that has expired.
    """
    kind: Any = type(row)
    if issubclass(kind, Mapping):
        return tuple(row), tuple(row.values())
    mapped = _mapped(kind)
    if mapped is not None:
        loaded = vars(row)
        names = tuple(name for name in mapped if name in loaded)
        if not names:
            raise ValueError(
                f"a row of type {kind.__name__} has none of its columns loaded: export it before "
                "its session commits, or with expire_on_commit=False"
            )
        return names, [loaded[name] for name in names]
    if hasattr(kind, "model_dump"):
        return read(row.model_dump())
    attributes = _attributes(kind)
    if attributes is not None:
        return tuple(attributes), [getattr(row, name, None) for name in attributes.values()]
    naming = _naming(kind)
    if naming:
        return naming(row), row
    raise TypeError(
        "a row must be a mapping, a sequence or an object that declares its fields, "
        f"got {kind.__name__}: yield a mapping or a tuple of what is to be exported of it"
    )


def getters(row: Any) -> list[Callable[[Any], Any]]:
    """What gets each value of a row that is like ``row``, in C; none if it cannot be told."""
    kind: Any = type(row)
    if kind is dict:
        return [*map(itemgetter, row)]
    if kind is tuple or kind is list:
        return [*map(itemgetter, range(len(row)))]
    return [*map(attrgetter, (_attributes(kind) or {}).values())]


@lru_cache
def _mapped(kind: Any) -> tuple[str, ...] | None:
    """The columns of a class that Django or SQLAlchemy maps to a table.

    ``vars`` of an instance has those that are loaded: to ask for another would be a query.
    """
    if hasattr(kind, "__mapper__"):
        return tuple(kind.__mapper__.column_attrs.keys())
    if hasattr(getattr(kind, "_meta", None), "concrete_fields"):
        return tuple(field.attname for field in kind._meta.concrete_fields)
    return None


@lru_cache
def _attributes(kind: Any) -> dict[str, str] | None:
    """The columns of a class that declares its fields, each with its attribute."""
    if _mapped(kind) is not None:
        return None
    if issubclass(kind, msgspec.Struct):
        return dict(zip(kind.__struct_encode_fields__, kind.__struct_fields__, strict=True))
    if dataclasses.is_dataclass(kind):
        return {field.name: field.name for field in dataclasses.fields(kind)}
    if hasattr(kind, "__attrs_attrs__"):
        # Private attributes are left out, as msgspec leaves them out of an attrs object's JSON.
        names = [field.name for field in kind.__attrs_attrs__]
        return {name: name for name in names if not name.startswith("_")}
    return None


@lru_cache
def _naming(kind: Any) -> Callable[[Any], Names | None] | None:
    """How to tell the names of a sequence's values; None if rows of ``kind`` are no sequences."""
    if issubclass(kind, Mapping | str | bytes | bytearray | memoryview):
        return None
    if _attributes(kind) is not None:
        return None
    if hasattr(kind, "_fields"):
        return attrgetter("_fields")
    if hasattr(kind, "keys"):
        return lambda row: tuple(row.keys())
    if hasattr(kind, "cursor_description"):
        # A row of pyodbc.
        return lambda row: tuple(column[0] for column in row.cursor_description)
    if hasattr(kind, "dtype"):
        # A row of an array of numpy: a record, which has names, or an array itself.
        return lambda row: row.dtype.names
    return _nameless if _is_sequence(kind) else None


def _is_sequence(kind: Any) -> bool:
    """Whether ``kind`` is a sequence in all but its registration, as many drivers' rows are."""
    return issubclass(kind, Sequence) or (
        all(hasattr(kind, name) for name in ("__len__", "__getitem__", "__iter__"))
        and not issubclass(kind, Set)
    )


@lru_cache
def declares(kind: Any) -> bool:
    """Whether a value of ``kind`` says of itself what it is made of: it is registered as a mapping
    or sequence, or has fields or names.

    A row may be less: there it is known that there are values in it.
    """
    if issubclass(kind, Mapping | Sequence) or hasattr(kind, "model_dump"):
        return not issubclass(kind, str | bytes | bytearray | memoryview)
    if _mapped(kind) is not None or _attributes(kind) is not None:
        return True
    return any(hasattr(kind, name) for name in ("_fields", "keys", "cursor_description"))


# What tells the names of a plain sequence's values: there are none.
def _nameless(row: object) -> None:
    return None


@lru_cache
def _record_type(names: Names) -> Callable[..., object] | None:
    """A type that encodes as an object with these ``names``, faster than a dict; None for some."""
    fields = [f"_{index}" for index in range(len(names))]
    try:
        return msgspec.defstruct("Row", fields, rename=dict(zip(fields, names, strict=True)))
    except (TypeError, ValueError):
        # msgspec takes no name that is not a str, is there twice, or would have to be escaped.
        return None


class Columns:
    """The columns of one export, and its rows under them.

    ``names`` are those that the source knows; None if it knows none, until they are learned from
    its first row. A source that knows them yields sequences in their order, whatever names these
    carry themselves. ``chosen`` are the names of those that are exported, in this order, each with
    its title; None for all of them, under their names. Where they are ``distinct`` no two may have
    one name.

    Rows of one type are read by functions written in C, without a step of Python's for each value.

    Raises ValueError if one is chosen that the source does not have, or has twice, and for a name
    that is there twice where they are to be distinct.
    """

    def __init__(
        self,
        names: Sequence[str] | None = None,
        chosen: Mapping[str, str] | None = None,
        *,
        distinct: bool = False,
    ) -> None:
        self._distinct = distinct
        self.names: Names | None = None if names is None else tuple(names)
        self._from_source = names is not None
        self._header = names if isinstance(names, Header) else None
        self._first_class: Any = None
        self.chosen: Names | None = None if chosen is None else tuple(chosen)
        self._titles: Names | None = None if chosen is None else tuple(chosen.values())
        if names is not None:
            self._check_chosen(names, "columns must be among those of rows, got {!r}: {}")
            self._check_distinct(names)

    @property
    def titles(self) -> Names | None:
        """What the columns are called in the export; None as long as that is not known."""
        return self.names if self._titles is None else self._titles

    @property
    def examples(self) -> list[Any]:
        """A value of each column that is exported, or None, as the source or the class of the
        first row declares it: see ``Header``."""
        names = self.names
        if names is None:
            return [None for _ in self.chosen or ()]
        if self._header is not None:
            return self.pick([*self._header.examples])
        declared = {} if self._first_class is None else examples_of_class(self._first_class)
        attributes = (declared and _attributes(self._first_class)) or {}
        return self.pick([declared.get(str(attributes.get(name, name))) for name in names])

    def learn(self, row: Any) -> bool:
        """Take the names of the first row. Whether it has any, or they were chosen.

        If not, the row itself is taken for the names. Raises what ``read`` raises, and ValueError
        if a column is chosen that the row does not have.
        """
        names, values = read(row)
        if names is not None:
            self._check_chosen(names, "row 1 has no column {!r}, as columns have: it has {}")
            self._first_class = type(row)
        self.names = names if names is not None else self.chosen or tuple(values)
        self._check_distinct(self.names)
        return names is not None or self.chosen is not None

    def _check_chosen(self, names: Sequence[Any], message: str) -> None:
        for name, title in zip(self.chosen or (), self._titles or (), strict=True):
            if name not in names:
                swapped = title in names and ": columns maps names to titles, not titles to names"
                known = ", ".join(map(repr, names))
                raise ValueError(f"{message.format(name, known)}{swapped or ''}")
            if countOf(names, name) > 1:
                raise ValueError(
                    f"columns must be of one name each, and rows have several that are called "
                    f"{name!r}: rename them at the source (AS, in a query)"
                )

    def _check_distinct(self, names: Sequence[Any]) -> None:
        if self._distinct and self.chosen is None and len({*map(str, names)}) < len(names):
            texts = [*map(str, names)]
            twice = next(text for text in texts if texts.count(text) > 1)
            raise ValueError(
                f"rows have several columns that are called {twice!r}, of which this format would "
                "keep one: rename them at the source (AS, in a query), or choose others by columns="
            )

    def records(self, rows: Sequence[Any], number: int) -> Sequence[Any]:
        """``rows`` as msgspec takes them: a sequence whose values have names as one object.

        The first row has this ``number``. Raises ValueError if one is longer than the columns.
        """
        if self._titles is not None:
            if self.names is None:
                self.learn(rows[0])
            return self.objects(self.values(rows, number))
        kind: Any = type(rows[0])
        if countOf(map(type, rows), kind) == len(rows):
            records = self._uniform_records(kind, rows)
            if records is not None:
                return records
        return [self._record(row, index) for index, row in enumerate(rows, number)]

    def values(self, rows: Sequence[Any], number: int) -> list[Sequence[Any]]:
        """The values of ``rows`` column by column, None where a row lacks a column.

        The first row has this ``number``. Raises ValueError if one has a column that is not among
        ``names`` or is longer than they are, and TypeError if one is no row. Where columns were
        chosen, others are left out.
        """
        kind: Any = type(rows[0])
        if countOf(map(type, rows), kind) == len(rows):
            columns = self._uniform_values(kind, rows)
            if columns is not None:
                return columns
        values = [self._row_values(row, index) for index, row in enumerate(rows, number)]
        return [*zip(*values, strict=True)]

    def pick(self, columns: list[T]) -> list[T]:
        """Those of all ``columns`` of the source that were chosen, in their order."""
        if self.chosen is None:
            return columns
        places = {name: place for place, name in enumerate(self.names or ())}
        return [columns[places[name]] for name in self.chosen]

    def objects(self, columns: Sequence[Sequence[Any]]) -> Sequence[Any]:
        """The rows of ``columns``, which are those that are exported, as msgspec takes them."""
        return _records(self.titles or (), zip(*columns, strict=True))

    def cells(self, row: Any, number: int) -> Iterator[tuple[str, Any]]:
        """What each column of ``row`` is called in an error, and its value."""
        names, values = self.read(row, number)
        if names is None:
            yield from ((str(index), value) for index, value in enumerate(values, 1))
        for name, value in zip(names or (), values, strict=False):
            if self.chosen is None or name in self.chosen:
                yield repr(name), value

    def _uniform_records(self, kind: Any, rows: Sequence[Any]) -> Sequence[Any] | None:
        """``records`` of rows of one ``kind`` if all have the same names, else None."""
        mapped = _mapped(kind)
        if mapped:
            record = _record_type(mapped)
            try:
                return record and [*starmap(record, zip(*_loaded(mapped, rows), strict=True))]
            except KeyError:
                return None
        naming = _naming(kind)
        carried = self._carried(naming, rows) if naming else {None}
        if carried == {None}:
            return rows
        names = carried.pop()
        if carried or not names or not _all_of_length(rows, len(names)):
            return None
        record = _record_type(names)
        return record and [*starmap(record, rows)]

    def _uniform_values(self, kind: Any, rows: Sequence[Any]) -> list[Sequence[Any]] | None:
        """``values`` of rows of one ``kind`` that have all columns, else None.

        Also None for rows that have others, unless columns were chosen.
        """
        names = self.names or ()
        chosen = self.chosen
        wanted = names if chosen is None else chosen
        mapped, attributes, naming = _mapped(kind), _attributes(kind), _naming(kind)
        try:
            if mapped and (chosen or mapped == names):
                return _loaded(wanted, rows)
            if attributes and (chosen or tuple(attributes) == names):
                getters = [attrgetter(attributes[name]) for name in wanted]
                return [[*map(getter, rows)] for getter in getters]
            if kind is dict and (chosen or _all_of_length(rows, len(names))):
                return [[*map(itemgetter(name), rows)] for name in wanted]
        except (AttributeError, KeyError):
            return None
        if (
            naming
            and self._carried(naming, rows) <= {None, names}
            and _all_of_length(rows, len(names))
        ):
            return self.pick([*zip(*rows, strict=True)])
        return None

    def _carried(
        self, naming: Callable[[Any], Names | None], rows: Sequence[Any]
    ) -> set[Names | None]:
        """The different names that ``rows`` are to be read with."""
        if self._from_source:
            return {self.names}
        return {None} if naming is _nameless else {*map(naming, rows)}

    def _record(self, row: Any, number: int) -> Any:
        kind: Any = type(row)
        if not _naming(kind) and not _mapped(kind):
            return row
        names, values = self.read(row, number)
        self._check_distinct(names or ())
        return row if names is None else dict(zip(names, values, strict=False))

    def _row_values(self, row: Any, number: int) -> Sequence[Any]:
        names, values = self.read(row, number)
        columns = self.names or ()
        if self.chosen is not None:
            record = dict(zip(names or (), values, strict=False))
            return [*map(record.get, self.chosen)]
        if names == columns:
            return [*values, *[None] * (len(columns) - len(values))]
        record = dict(zip(names or (), values, strict=True))
        unknown = record.keys() - columns
        for name in record:
            if name in unknown:
                raise ValueError(f"row {number} has a column {name!r} that is not in the header")
        return [*map(record.get, columns)]

    def read(self, row: Any, number: int) -> tuple[Names | None, Sequence[Any]]:
        """What ``read`` returns, but a sequence in the order of the columns has their names.

        Raises ValueError if it is longer than they are.
        """
        names, values = read(row)
        if values is row and (names is None or self._from_source):
            names = self.names
            if names is not None and len(values) > len(names):
                raise ValueError(f"row {number} has {len(values)} values for {len(names)} columns")
        return names, values


def _records(names: Names, rows: Iterable[Sequence[Any]]) -> list[Any]:
    """``rows`` of one value a name as msgspec takes them."""
    record = _record_type(names)
    if record is not None:
        return [*starmap(record, rows)]
    return [dict(zip(names, row, strict=True)) for row in rows]


def _loaded(mapped: Names, rows: Sequence[Any]) -> list[Sequence[Any]]:
    """The columns of rows of a mapped class. Raises KeyError if one is not loaded everywhere."""
    states = [*map(vars, rows)]
    return [[*map(itemgetter(name), states)] for name in mapped]


def _all_of_length(rows: Sequence[Any], length: int) -> bool:
    return countOf(map(len, rows), length) == len(rows)
