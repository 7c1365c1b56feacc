"""Rows that are objects of SQLAlchemy's ORM: their columns, as far as they are loaded."""

from collections.abc import Iterator
from typing import Any

import pytest
from encoding import encoded
from sqlalchemy import (
    Column,
    Engine,
    ForeignKey,
    Integer,
    String,
    Table,
    create_engine,
    event,
    insert,
    select,
)
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    MappedAsDataclass,
    Session,
    column_property,
    load_only,
    mapped_column,
    relationship,
)

from streamkit.encoders import CsvEncoder, JsonEncoder, NdjsonEncoder


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customer"
    id: Mapped[int] = mapped_column(primary_key=True)


class Order(Base):
    __tablename__ = "order"
    id: Mapped[int] = mapped_column(primary_key=True)
    note: Mapped[str | None] = mapped_column("comment")
    customer_id: Mapped[int | None] = mapped_column(ForeignKey(Customer.id))
    customer: Mapped[Customer | None] = relationship()
    double: Mapped[int] = column_property(id * 2)


class Record(MappedAsDataclass, Base):
    __tablename__ = "record"
    id: Mapped[int] = mapped_column(primary_key=True)
    note: Mapped[str | None]
    customer_id: Mapped[int | None] = mapped_column(ForeignKey(Customer.id))
    customer: Mapped[Customer | None] = relationship()


class Plain:
    id: int


plain = Table(
    "plain", Base.metadata, Column("id", Integer, primary_key=True), Column("note", String)
)
Base.registry.map_imperatively(Plain, plain)


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(insert(Customer), {"id": 7})
        rows: list[dict[str, Any]] = [{"id": 1, "customer_id": 7}, {"id": 2, "customer_id": None}]
        for name in ("order", "record"):
            connection.execute(insert(Base.metadata.tables[name]), rows)
        connection.execute(insert(plain), [{"id": 1, "note": "x"}, {"id": 2, "note": None}])
    yield engine
    engine.dispose()


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    with Session(engine) as session:
        yield session


def no_query(*args: Any) -> None:
    raise AssertionError("the export asked for what was not loaded")


def encoded_alike(rows: list[Any]) -> tuple[bytes, bytes]:
    """The rows in csv and ndjson, the same in one batch and row by row, without any query."""
    event.listen(Engine, "before_cursor_execute", no_query)
    try:
        batch, single = [rows], [[row] for row in rows]
        table, lines = encoded(CsvEncoder(), *batch), encoded(NdjsonEncoder(), *batch)
        assert encoded(CsvEncoder(), *single) == table
        assert encoded(NdjsonEncoder(), *single) == lines
        array = b"[\n" + lines[:-1].replace(b"\n", b",\n") + b"\n]\n"
        assert encoded(JsonEncoder(), *batch) == array
    finally:
        event.remove(Engine, "before_cursor_execute", no_query)
    return table, lines


WHOLE: list[tuple[Any, bytes, bytes]] = [
    (
        Order,
        b"double,id,note,customer_id\r\n2,1,,7\r\n4,2,,\r\n",
        # In SQLAlchemy's own order.
        b'{"double":2,"id":1,"note":null,"customer_id":7}\n'
        b'{"double":4,"id":2,"note":null,"customer_id":null}\n',
    ),
    (
        Record,
        b"id,note,customer_id\r\n1,,7\r\n2,,\r\n",
        b'{"id":1,"note":null,"customer_id":7}\n{"id":2,"note":null,"customer_id":null}\n',
    ),
    (Plain, b"id,note\r\n1,x\r\n2,\r\n", b'{"id":1,"note":"x"}\n{"id":2,"note":null}\n'),
]


@pytest.mark.parametrize(("kind", "table", "lines"), WHOLE, ids=["Order", "Record", "Plain"])
def test_a_mapped_row_has_its_columns_and_no_relationship(
    session: Session, kind: Any, table: bytes, lines: bytes
) -> None:
    """Whether it has been loaded or not."""
    rows = session.scalars(select(kind)).all()
    assert {*encoded_alike([*rows])} == {table, lines}
    for row in rows:
        getattr(row, "customer", None)
    assert {*encoded_alike([*rows])} == {table, lines}


def test_a_deferred_column_is_left_out(session: Session) -> None:
    rows = session.scalars(select(Order).options(load_only(Order.customer_id))).all()
    table, lines = encoded_alike([*rows])
    assert table == b"id,customer_id\r\n1,7\r\n2,\r\n"
    assert lines == b'{"id":1,"customer_id":7}\n{"id":2,"customer_id":null}\n'


def test_a_column_that_has_expired_is_left_empty(session: Session) -> None:
    rows = session.scalars(select(Order)).all()
    session.expire(rows[1], ["customer_id"])
    table, lines = encoded_alike([*rows])
    assert table == b"double,id,note,customer_id\r\n2,1,,7\r\n4,2,,\r\n"
    assert lines.splitlines()[1] == b'{"double":4,"id":2,"note":null}'


@pytest.mark.parametrize("encoder", [CsvEncoder, JsonEncoder, NdjsonEncoder])
def test_a_row_that_has_expired_as_a_whole_breaks_off(session: Session, encoder: Any) -> None:
    rows = session.scalars(select(Order)).all()
    session.commit()
    with pytest.raises(ValueError, match="Order has none of its columns loaded.*expire_on_commit"):
        encoded(encoder(), [*rows])


def test_a_mapped_object_inside_of_a_row_is_an_object(session: Session) -> None:
    """As it is when an entity is selected and not its scalars."""
    rows = session.execute(select(Plain, plain.c.note)).all()
    assert encoded(NdjsonEncoder(), rows).splitlines()[0] == (
        b'{"Plain":{"id":1,"note":"x"},"note":"x"}'
    )
