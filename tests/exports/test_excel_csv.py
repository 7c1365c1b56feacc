"""Values of frames and of Arrow, as Excel reads them in csv."""

from typing import Any

import pandas
import pyarrow
import pytest
from encoding import encoded

from streamkit.encoders import DecimalCommaCsvEncoder, ExcelCsvEncoder

CELLS: list[tuple[Any, str, str]] = [
    # a value, and its cell in either format
    (pyarrow.scalar(1.5), "1.5", "1,5"),
    (pyarrow.scalar(None), "", ""),
    (pandas.Timestamp(2024, 2, 29, 1), "2024-02-29 01:00:00", "2024-02-29 01:00:00"),
    (pandas.NaT, "", ""),
]


@pytest.mark.parametrize(("value", "point", "comma"), CELLS)
def test_a_value_has_a_cell(value: Any, point: str, comma: str) -> None:
    rows = [{"n": 1, "v": value}]
    assert encoded(ExcelCsvEncoder(), rows).decode().endswith(f"\r\n1,{point}\r\n")
    assert encoded(DecimalCommaCsvEncoder(), rows).decode().endswith(f"\r\n1;{comma}\r\n")
