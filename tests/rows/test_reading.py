"""What a row may be: the same in every format."""

import json
import sqlite3
from collections import ChainMap, OrderedDict, UserDict, defaultdict, deque, namedtuple
from collections.abc import Callable
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
import pytest
from encoding import encoded, encoded_until_raised

from streamkit.encoders import CsvEncoder, JsonEncoder, NdjsonEncoder


class Pair(NamedTuple):
    a: int
    b: str


Keys = namedtuple("Keys", ["keys", "values"])


@dataclass
class Record:
    a: int
    b: str


@dataclass(slots=True)
class Partial:
    a: int
    b: str = field(init=False)


class Struct(msgspec.Struct):
    a: int
    b: str


class Renamed(msgspec.Struct, rename={"a_1": "a", "b_1": "b"}):
    a_1: int
    b_1: str


class Extended(dict[str, Any]):
    pass


def sqlite_rows(query: str) -> list[sqlite3.Row]:
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def attrs_rows() -> list[Any]:
    attrs = pytest.importorskip("attrs")
    kind = attrs.make_class("Attrs", ["a", "b"])
    return [kind(1, "x"), kind(2, "y")]


def pydantic_rows() -> list[Any]:
    pydantic = pytest.importorskip("pydantic")
    kind = pydantic.create_model("Model", a=int, b=str)
    return [kind(a=1, b="x"), kind(a=2, b="y")]


def sqlalchemy_rows() -> list[Any]:
    sqlalchemy = pytest.importorskip("sqlalchemy")
    engine = sqlalchemy.create_engine("sqlite://")
    query = sqlalchemy.text("SELECT 1 AS a, 'x' AS b UNION ALL SELECT 2, 'y'")
    with engine.connect() as connection:
        rows = list(connection.execute(query))
    engine.dispose()
    return rows


NAMED: dict[str, Callable[[], list[Any]]] = {
    "dict": lambda: [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}],
    "dict in another order": lambda: [{"a": 1, "b": "x"}, {"b": "y", "a": 2}],
    "dict subclass": lambda: [Extended(a=1, b="x"), Extended(a=2, b="y")],
    "OrderedDict": lambda: [OrderedDict(a=1, b="x"), OrderedDict(a=2, b="y")],
    "MappingProxyType": lambda: [
        MappingProxyType({"a": n, "b": s}) for n, s in [(1, "x"), (2, "y")]
    ],
    "UserDict": lambda: [UserDict(a=1, b="x"), UserDict(a=2, b="y")],
    "ChainMap": lambda: [
        ChainMap[str, Any]({"a": 1}, {"a": 0, "b": "x"}),
        ChainMap({"a": 2, "b": "y"}),
    ],
    "named tuple": lambda: [Pair(1, "x"), Pair(2, "y")],
    "dataclass": lambda: [Record(1, "x"), Record(2, "y")],
    "Struct": lambda: [Struct(1, "x"), Struct(2, "y")],
    "Struct with names for JSON": lambda: [Renamed(1, "x"), Renamed(2, "y")],
    "sqlite3.Row": lambda: sqlite_rows("SELECT 1 AS a, 'x' AS b UNION ALL SELECT 2, 'y'"),
    "attrs": attrs_rows,
    "pydantic": pydantic_rows,
    "SQLAlchemy": sqlalchemy_rows,
    "of many kinds": lambda: [{"a": 1, "b": "x"}, Pair(2, "y")],
}


@pytest.mark.parametrize("batched", [True, False], ids=["in one batch", "one by one"])
@pytest.mark.parametrize("make", NAMED.values(), ids=NAMED)
def test_rows_that_name_their_values_are_the_same_in_every_format(
    make: Callable[[], list[Any]], batched: bool
) -> None:
    rows = make()
    batches = [rows] if batched else [[row] for row in rows]
    expected = [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]
    lines = encoded(NdjsonEncoder(), *batches).splitlines()
    assert [json.loads(line) for line in lines] == expected
    assert json.loads(encoded(JsonEncoder(), *batches)) == expected
    assert encoded(CsvEncoder(), *batches) == b"a,b\r\n1,x\r\n2,y\r\n"


@pytest.mark.parametrize("batched", [True, False], ids=["in one batch", "one by one"])
@pytest.mark.parametrize("make", NAMED.values(), ids=NAMED)
def test_columns_that_are_chosen_are_in_their_order_under_their_titles(
    make: Callable[[], list[Any]], batched: bool
) -> None:
    rows = make()
    batches = [rows] if batched else [[row] for row in rows]
    chosen = {"b": "The \u2028 b", "a": "A"}
    assert encoded(NdjsonEncoder(chosen=chosen), *batches) == (
        b'{"The \\u2028 b":"x","A":1}\n{"The \\u2028 b":"y","A":2}\n'
    )
    array = json.loads(encoded(JsonEncoder(chosen={"b": "b"}), *batches))
    assert array == [{"b": "x"}, {"b": "y"}]
    assert encoded(CsvEncoder(chosen={"b": "B"}), *batches) == b"B\r\nx\r\ny\r\n"


SEQUENCES: dict[str, list[Any]] = {
    "tuple": [(1, "x"), (2, "y")],
    "list": [[1, "x"], [2, "y"]],
    "deque": [deque([1, "x"]), deque([2, "y"])],
    "tuple and list": [(1, "x"), [2, "y"]],
}


@pytest.mark.parametrize("rows", SEQUENCES.values(), ids=SEQUENCES)
def test_sequences_that_nothing_names_stay_sequences(rows: list[Any]) -> None:
    assert encoded(NdjsonEncoder(), rows) == b'[1,"x"]\n[2,"y"]\n'
    assert encoded(JsonEncoder(), rows) == b'[\n[1,"x"],\n[2,"y"]\n]\n'
    # The first one is the header.
    assert encoded(CsvEncoder(), rows) == b"1,x\r\n2,y\r\n"


@pytest.mark.parametrize(
    "rows",
    [
        *SEQUENCES.values(),
        # A cursor's rows may have had their names made fit for Python.
        [Pair(1, "x"), Pair(2, "y")],
        [Pair(1, "x"), (2, "y")],
        sqlite_rows("SELECT 1 AS a, 'x' AS b UNION ALL SELECT 2, 'y'"),
        [{"count(*)": 1, "b": "x"}, {"count(*)": 2, "b": "y"}],
    ],
)
def test_columns_that_the_source_knows_name_the_values(rows: list[Any]) -> None:
    columns = ["count(*)", "b"]
    assert encoded(NdjsonEncoder(columns=columns), rows) == (
        b'{"count(*)":1,"b":"x"}\n{"count(*)":2,"b":"y"}\n'
    )
    assert encoded(CsvEncoder(columns=columns), rows) == b"count(*),b\r\n1,x\r\n2,y\r\n"


def test_columns_of_the_same_name_are_all_in_csv_and_refused_where_one_would_be_lost() -> None:
    rows = sqlite_rows("SELECT 1 AS id, 2 AS n, 3 AS id")
    assert encoded(CsvEncoder(), rows) == b"id,n,id\r\n1,2,3\r\n"
    _, error = encoded_until_raised(NdjsonEncoder(), rows)
    assert str(error).startswith("row 1: rows have several columns that are called 'id'")
    with pytest.raises(ValueError, match="rows have several columns that are called 'id'"):
        NdjsonEncoder(columns=["id", "n", "id"])
    assert encoded(NdjsonEncoder(str, columns=["id", "id"]), [(1, 2)]) == b"(1, 2)\n"


def test_names_of_columns_are_escaped() -> None:
    columns = ['a"b', "c\nd", "\u00e9", "\ud800"]
    encoder = NdjsonEncoder(columns=columns)
    assert encoded(encoder, [(1, 2, 3, 4)]) == (
        '{"a\\"b":1,"c\\nd":2,"\u00e9":3,"\ufffd":4}\n'.encode()
    )
    assert encoder.repaired == 1
    assert encoded(CsvEncoder(columns=columns), [(1, 2, 3, 4)]) == (
        '"a""b","c\nd",\u00e9,\ufffd\r\n1,2,3,4\r\n'.encode()
    )


def test_fields_that_are_called_like_methods_are_read() -> None:
    assert encoded(CsvEncoder(), [Keys(1, 2), Keys(3, 4)]) == b"keys,values\r\n1,2\r\n3,4\r\n"
    assert encoded(NdjsonEncoder(), [Keys(1, 2)]) == b'{"keys":1,"values":2}\n'


def test_rows_of_two_queries_are_read_by_name() -> None:
    rows = [*sqlite_rows("SELECT 1 AS a, 2 AS b"), *sqlite_rows("SELECT 3 AS b, 4 AS a")]
    assert encoded(CsvEncoder(), rows) == b"a,b\r\n1,2\r\n4,3\r\n"
    assert encoded(NdjsonEncoder(), rows) == b'{"a":1,"b":2}\n{"b":3,"a":4}\n'


def test_a_named_tuple_after_dicts_is_an_object_too() -> None:
    rows = [{"a": 1, "b": "x"}] * 3 + [Pair(2, "y")]
    assert encoded(NdjsonEncoder(), rows).endswith(b'\n{"a":2,"b":"y"}\n')


def test_a_field_that_was_never_set_is_left_empty() -> None:
    assert encoded(NdjsonEncoder(), [Partial(1)]) == b'{"a":1}\n'
    assert encoded(CsvEncoder(), [Partial(1), Partial(2)]) == b"a,b\r\n1,\r\n2,\r\n"


def test_reading_a_row_does_not_change_it() -> None:
    row = defaultdict(int, a=1)
    encoded(CsvEncoder(columns=["a", "b"]), [row, row])
    assert row == {"a": 1}


LACKING: dict[str, list[Any]] = {
    "dict": [{"a": 1, "b": "x"}, {"b": "y"}, {}],
    "defaultdict": [defaultdict(int, a=1, b="x"), defaultdict(int, b="y"), defaultdict(int)],
    "sequence": [["a", "b"], [1, "x"], [None, "y"], []],
}


@pytest.mark.parametrize("rows", LACKING.values(), ids=LACKING)
def test_a_row_that_lacks_columns_leaves_them_empty(rows: list[Any]) -> None:
    body = b"a,b\r\n1,x\r\n,y\r\n,\r\n"
    assert encoded(CsvEncoder(), rows) == body
    assert encoded(CsvEncoder(), *([row] for row in rows)) == body


UNKNOWN: list[tuple[list[Any], str]] = [
    ([{"a": 1}, {"a": 2}, {"a": 3, "b": 4}], "row 3 has a column 'b' that is not in the header"),
    ([{"a": 1}, {"a": 2}, {"b": 4}], "row 3 has a column 'b' that is not in the header"),
    ([{"a": 1}, {"a": 2}, Pair(3, "x")], "row 3 has a column 'b' that is not in the header"),
    ([{"a": 1}, {"a": 2}, (3, "x")], "row 3 has 2 values for 1 columns"),
    ([["a"], [1], [2, 3]], "row 3 has 2 values for 1 columns"),
]


@pytest.mark.parametrize("batched", [True, False], ids=["in one batch", "one by one"])
@pytest.mark.parametrize(("rows", "message"), UNKNOWN)
def test_a_row_with_more_columns_breaks_csv_off(
    rows: list[Any], message: str, batched: bool
) -> None:
    batches = [rows] if batched else [[row] for row in rows]
    body, error = encoded_until_raised(CsvEncoder(), *batches)
    assert body.startswith(b"a\r\n1\r\n")
    assert isinstance(error, ValueError)
    assert str(error) == message


def test_a_sequence_longer_than_the_columns_breaks_json_off() -> None:
    encoder = NdjsonEncoder(columns=["a"])
    body, error = encoded_until_raised(encoder, [(1,), (), (2, 3)])
    assert body == b'{"a":1}\n{}\n'
    assert str(error) == "row 3 has 2 values for 1 columns"


@pytest.mark.parametrize("row", ["ab", b"ab", 1, None, object()])
def test_what_is_no_row_breaks_csv_off(row: Any) -> None:
    body, error = encoded_until_raised(CsvEncoder(), [{"a": 1}, row])
    assert body == b"a\r\n1\r\n"
    assert isinstance(error, TypeError)
    assert f"got {type(row).__name__}: yield a mapping" in str(error)
    assert encoded_until_raised(CsvEncoder(), [row])[0] == b""


@pytest.mark.parametrize("encoder", [CsvEncoder, JsonEncoder, NdjsonEncoder])
def test_rows_before_a_bad_one_are_sent(encoder: Callable[[], Any]) -> None:
    rows = [{"a": n} for n in range(100)]
    whole = encoded(encoder(), rows)
    body, error = encoded_until_raised(encoder(), [*rows, {"a": 1j}, {"a": 1}])
    assert body == whole.removesuffix(b"\n]\n")
    assert isinstance(error, TypeError)
    assert str(error) == (
        "row 101, column 'a': a value of type complex cannot be encoded: yield in its place "
        "what can, such as its str()"
    )


ENCODERS = pytest.mark.parametrize("encoder", [CsvEncoder, JsonEncoder, NdjsonEncoder])

IMAGINARY: Any = 1j

UNENCODABLE: list[tuple[list[Any], str]] = [
    ([{"a": 1, "b": 1j}], "row 1, column 'b'"),
    ([{"a": 1, "b": 1}, {"a": 1, "b": [{"c": 1j}]}], "row 2, column 'b'"),
    # A text that is only repaired is not the one to blame.
    ([{"a": "\ud800", "b": 1j}], "row 1, column 'b'"),
    ([Pair(IMAGINARY, "x")], "row 1, column 'a'"),
    ([Record(1, "x"), Record(IMAGINARY, "x")], "row 2, column 'a'"),
]


@ENCODERS
@pytest.mark.parametrize(("rows", "where"), UNENCODABLE, ids=str)
def test_the_error_of_a_value_that_has_no_form_names_its_row_and_column(
    encoder: Callable[[], Any], rows: list[Any], where: str
) -> None:
    for batches in ([rows], [[row] for row in rows]):
        _, error = encoded_until_raised(encoder(), *batches)
        assert isinstance(error, TypeError)
        assert str(error).startswith(f"{where}: a value of type complex cannot be encoded")


@ENCODERS
def test_columns_that_the_source_knows_name_the_values_of_sequences(encoder: Any) -> None:
    _, error = encoded_until_raised(encoder(columns=["a", "b"]), [(1, 2), (1, 1j)])
    assert str(error).startswith("row 2, column 'b': ")


@pytest.mark.parametrize("encoder", [JsonEncoder, NdjsonEncoder])
def test_values_without_names_are_told_by_their_place(encoder: Callable[[], Any]) -> None:
    _, error = encoded_until_raised(encoder(), [(1, 2), (1, 1j)])
    assert str(error).startswith("row 2, column 2: ")


@ENCODERS
def test_the_error_of_what_is_no_row_names_its_number(encoder: Callable[[], Any]) -> None:
    _, error = encoded_until_raised(encoder(), [{"a": 1}, object()])
    assert str(error).startswith("row 2: a ")
    _, error = encoded_until_raised(encoder(), [object()])
    assert str(error).startswith("row 1: a ")


@ENCODERS
def test_an_error_of_a_values_own_stays_what_it_is_and_is_told_where(
    encoder: Callable[[], Any],
) -> None:
    class Unspeakable(ValueError):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    class Dump:
        def model_dump(self) -> Any:
            raise raised

    for raised in (KeyError("mine"), ValueError("row 11 of the ledger is bad"), Unspeakable("a")):
        args = raised.args
        _, error = encoded_until_raised(encoder(), [{"a": 1, "b": 1}, {"a": 1, "b": Dump()}])
        assert error is raised
        assert error.args == args
        assert error.__notes__ == ["It was raised for row 2, column 'b' of the export."]
