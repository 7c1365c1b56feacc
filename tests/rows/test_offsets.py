"""Times keep their offset, with its seconds, wherever in a batch they are."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import example, given, settings
from hypothesis import strategies as st

from streamkit.rows.values import json_lines

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
"""Its offset was +00:19:32 until 1937."""


@dataclass
class Stay:
    a: Any
    b: Any


zones = st.sampled_from(
    [
        UTC,
        AMSTERDAM,
        timezone(timedelta(hours=2)),
        timezone(timedelta(hours=-5, minutes=-30)),
        timezone(timedelta(hours=-1, seconds=-40)),
    ]
)
times = st.builds(
    datetime, st.just(1936) | st.just(2024), st.just(1), st.just(2), tzinfo=zones
) | st.builds(time, st.just(1), tzinfo=zones.filter(lambda zone: zone is not AMSTERDAM))
values = (
    st.none()
    | times
    | st.sampled_from([1.5, "a", "x+02:00", "-01:01", datetime(2024, 1, 1)])
    | st.lists(times, max_size=2)
)
columns = st.sampled_from([times, st.none() | times, values])
tables = st.tuples(columns, columns).flatmap(
    lambda cells: st.lists(st.tuples(*cells), min_size=1, max_size=6)
)


def plainly(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [*map(plainly, value)]
    if isinstance(value, datetime | time):
        return value.isoformat().replace("+00:00", "Z")
    return value


@settings(derandomize=True, deadline=None)
@given(tables)
@example([(datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=1))), "+01:00"), (None, None)])
def test_a_time_keeps_its_offset(rows: list[tuple[Any, Any]]) -> None:
    expected = [plainly(row) for row in rows]
    assert [*map(json.loads, json_lines(rows).splitlines())] == expected
    objects = [dict(zip("ab", row, strict=True)) for row in expected]
    for made in ([{"a": a, "b": b} for a, b in rows], [Stay(*row) for row in rows]):
        assert [*map(json.loads, json_lines(made).splitlines())] == objects
    # Rows that are not like the first one.
    assert json.loads(json_lines([{"a": rows[0][0]}, *rows]).splitlines()[-1]) == expected[-1]
