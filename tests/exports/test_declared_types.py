"""Types of columns that have no value in their first rows, as their source declares them."""

import asyncio
import enum
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, NamedTuple

import msgspec
import psycopg
import pyarrow
import pyarrow.parquet
import pydantic
import pytest
import sqlalchemy
from postgresql import postgresql
from psycopg import rows
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import StaticPool

from streamkit import StreamingService
from streamkit.encoders.columnar import ArrowEncoder, ParquetEncoder

FORMATS = pytest.mark.parametrize("format", ["arrow", "parquet"])

GROUP = 10
"""Rows of a group here, by the first of which the types of columns are settled."""

FIRST = 300
"""Rows that have no value: more than a batch and a group."""


@pytest.fixture(autouse=True)
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    for encoder in (ArrowEncoder, ParquetEncoder):
        monkeypatch.setattr(encoder, "group_rows", GROUP)


def read(octets: bytes) -> pyarrow.Table:
    if octets.startswith(b"PAR1"):
        return pyarrow.parquet.read_table(io.BytesIO(octets))
    return pyarrow.ipc.open_stream(octets).read_all()


def exported(source: Any, format: Any, **arguments: Any) -> pyarrow.Table:
    return read(b"".join(StreamingService.export("e", source, format, **arguments)))


def types_of(table: pyarrow.Table) -> list[str]:
    return [str(kind).replace("element:", "item:") for kind in table.schema.types]


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    with postgresql() as host:
        yield host


VALUES: list[tuple[str, str, str]] = [
    # a text, its type in PostgreSQL, the type of the column
    ("true", "boolean", "bool"),
    ("1", "smallint", "int64"),
    ("1", "integer", "int64"),
    ("1", "bigint", "int64"),
    ("0.5", "real", "double"),
    ("0.5", "float8", "double"),
    ("1.10", "numeric(12, 2)", "decimal128(38, 2)"),
    ("a", "text", "string"),
    ("a", "varchar(5)", "string"),
    ("a", "char(1)", "string"),
    (r"\xff", "bytea", "binary"),
    ("2024-02-29", "date", "date32[day]"),
    ("01:02:03", "time", "time64[us]"),
    ("2024-02-29 01:02:03", "timestamp", "timestamp[us]"),
    ("2024-02-29 01:02:03+00", "timestamptz", "timestamp[us, tz=UTC]"),
    ("1 day", "interval", "duration[us]"),
    ("00000000-0000-0000-0000-000000000005", "uuid", "string"),
    ("10.0.0.1", "inet", "string"),
    ("10.0.0.0/8", "cidr", "string"),
    ("[1,5)", "int4range", "string"),
    ("[2024-01-01,2024-02-01)", "daterange", "string"),
    ("{1,2}", "integer[]", "list<item: int64>"),
    ("{a}", "text[]", "list<item: string>"),
]
COLUMNS = ", ".join(
    f"(CASE WHEN n > {FIRST} THEN '{text}' END)::{kind}" for text, kind, _ in VALUES
)
NAMES = ", ".join(f"v{index}" for index in range(len(VALUES)))
QUERY = f"SELECT * FROM (SELECT {COLUMNS} FROM generate_series(1, {FIRST + 1}) n) AS q({NAMES})"
EMPTY = f"{QUERY} WHERE 1 = 0"


def of_psycopg(connection: Any, query: str) -> Any:
    return connection.execute(query)


def of_the_server(connection: Any, query: str) -> Any:
    return connection.cursor("of_the_server").execute(query)


def of_dicts(connection: Any, query: str) -> Any:
    return connection.cursor(row_factory=rows.dict_row).execute(query)


def of_sqlalchemy(connection: Any, query: str) -> Any:
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://", creator=lambda: connection, pool_reset_on_return=None
    )
    return engine.connect().execute(sqlalchemy.text(query.replace(":", r"\:")))


@FORMATS
@pytest.mark.parametrize("query", [QUERY, EMPTY], ids=["rows", "no rows"])
@pytest.mark.parametrize("cursor", [of_psycopg, of_the_server, of_dicts, of_sqlalchemy])
def test_a_cursor_of_psycopg_tells_types(
    cursor: Callable[..., Any], query: str, format: str, host: str
) -> None:
    with psycopg.connect(host=host, user="postgres") as connection:
        table = exported(cursor(connection, query), format)
    assert types_of(table) == [kind for _, _, kind in VALUES]
    if query == QUERY:
        assert None not in table.slice(FIRST).to_pylist()[0].values()


def test_an_async_cursor_of_psycopg_tells_types(host: str) -> None:
    async def main() -> bytes:
        connection = await psycopg.AsyncConnection.connect(host=host, user="postgres")
        async with connection, connection.cursor("of_the_server") as cursor:
            export = StreamingService.export("e", await cursor.execute(QUERY), "parquet")
            return b"".join([chunk async for chunk in export])

    assert types_of(read(asyncio.run(main()))) == [kind for _, _, kind in VALUES]


@FORMATS
def test_the_places_of_a_decimal_are_those_of_its_column(format: str, host: str) -> None:
    """And not those of the first rows, where there may have been fewer."""
    query = f"SELECT (CASE WHEN n > {FIRST} THEN 1.25 ELSE 1.5 END)::numeric(9, 2) AS v"
    with psycopg.connect(host=host, user="postgres") as connection:
        source = connection.execute(f"{query} FROM generate_series(1, {FIRST + 1}) n".encode())
        assert types_of(exported(source, format)) == ["decimal128(38, 2)"]


class Base(DeclarativeBase):
    pass


class Status(enum.Enum):
    OPEN = "open"
    PAID = "paid"


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    note: Mapped[str | None]
    share: Mapped[float | None]
    total: Mapped[Decimal | None] = mapped_column(sqlalchemy.Numeric(12, 2))
    day: Mapped[date | None]
    at: Mapped[datetime | None]
    paid: Mapped[bool | None]
    octets: Mapped[bytes | None]
    status: Mapped[Status | None]


ORDER_TYPES = [
    *("int64", "string", "double", "decimal128(38, 2)", "date32[day]", "timestamp[us]", "bool"),
    *("binary", "string"),
]


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    # A source is read on a thread of its own.
    anywhere = {"check_same_thread": False}
    engine = sqlalchemy.create_engine("sqlite://", connect_args=anywhere, poolclass=StaticPool)
    with Session(engine) as session:
        Base.metadata.create_all(session.connection())
        session.add_all(Order(id=n) for n in range(FIRST))
        session.add(
            Order(
                id=FIRST,
                note="a",
                share=0.5,
                total=Decimal("1.10"),
                day=date(2024, 2, 29),
                at=datetime(2024, 2, 29, 1),
                paid=True,
                octets=b"\xff",
                status=Status.OPEN,
            )
        )
        session.commit()
        yield session
    engine.dispose()


SELECTS: dict[str, Callable[[Session], Any]] = {
    "core": lambda session: session.connection().execute(sqlalchemy.select(Order.__table__)),
    "mappings": lambda session: session.execute(sqlalchemy.select(Order.__table__)).mappings(),
    "orm columns": lambda session: session.execute(
        sqlalchemy.select(*Order.__table__.columns).execution_options(yield_per=3)
    ),
    "entities": lambda session: session.execute(sqlalchemy.select(Order).order_by(Order.id)),
    "scalars": lambda session: session.scalars(sqlalchemy.select(Order).order_by(Order.id)),
    "generator": lambda session: iter(session.query(Order).order_by(Order.id)),
}


@FORMATS
@pytest.mark.parametrize("select", SELECTS)
def test_columns_of_sqlalchemy_tell_types(select: str, format: str, session: Session) -> None:
    table = exported(SELECTS[select](session), format)
    assert types_of(table) == ORDER_TYPES
    assert None not in table.slice(FIRST).to_pylist()[0].values()
    if select != "generator":
        titles = {"total": "Amount", "id": "Order"}
        chosen = exported(SELECTS[select](session), format, columns=titles)
        assert types_of(chosen) == ["decimal128(38, 2)", "int64"]
        assert chosen.column_names == ["Amount", "Order"]


def test_expressions_of_sqlalchemy_tell_types_and_decorated_ones_do_not(session: Session) -> None:
    class Reversed(sqlalchemy.TypeDecorator[Any]):
        impl = sqlalchemy.Integer
        cache_ok = True

        def process_result_value(self, value: Any, dialect: Any) -> Any:
            return None if value is None else str(value)

    columns: list[Any] = [
        sqlalchemy.func.max(Order.share).label("most"),
        sqlalchemy.func.count().label("count"),
        sqlalchemy.type_coerce(Order.id, Reversed).label("decorated"),
    ]
    query = sqlalchemy.select(*columns).where(Order.id < 0).group_by(Order.id)
    assert types_of(exported(session.execute(query), "arrow")) == ["double", "int64", "null"]


@dataclass
class Plain:
    n: int | None = None
    s: str | None = None
    many: list[float] | None = None
    status: Annotated[Status | None, "of an order"] = None
    other: int | str | None = None


class Struct(msgspec.Struct, rename="upper"):
    n: int | None = None
    s: str | None = None
    many: list[float] | None = None
    status: Status | None = None
    other: int | str | None = None


class Named(NamedTuple):
    n: int | None = None
    s: str | None = None
    many: list[float] | None = None
    status: Status | None = None
    other: int | str | None = None


class Model(pydantic.BaseModel):
    n: int | None = None
    s: str | None = None
    many: list[float] | None = None
    status: Status | None = None
    other: int | str | None = None


@FORMATS
@pytest.mark.parametrize("kind", [Plain, Struct, Named, Model])
def test_the_class_of_a_row_tells_types(kind: Any, format: str) -> None:
    rows = [kind() for _ in range(FIRST)]
    table = exported(
        [*rows, kind(1, "a", [0.5], Status.PAID) if kind is not Model else kind(n=1)], format
    )
    assert types_of(table) == ["int64", "string", "list<item: double>", "string", "null"]


@FORMATS
def test_values_count_for_more_than_what_was_declared(format: str) -> None:
    """Nothing keeps SQLite's columns, and the attributes of a dataclass, to their types."""
    rows: list[Any] = [Plain(n="one", s=2, many=["a"]) for _ in range(FIRST + 1)]  # type: ignore[arg-type,list-item]
    table = exported(rows, format)
    assert types_of(table) == ["string", "int64", "list<item: string>", "string", "null"]


@FORMATS
def test_a_value_of_another_type_than_was_declared_is_refused_by_row_and_column(
    format: str,
) -> None:
    rows: list[Any] = [*(Plain() for _ in range(FIRST)), Plain(n="one")]  # type: ignore[arg-type]
    message = f"^row {FIRST + 1}, column 'n': a column has one type, and this one has int64 and"
    with pytest.raises(TypeError, match=message):
        exported(rows, format)
