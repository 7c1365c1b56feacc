import re
from array import array
from collections.abc import Sequence
from typing import Any

import pytest
from encoding import encoded, encoded_until_raised

from streamkit.encoders import OctetsEncoder
from streamkit.errors import SizeMismatch


@pytest.mark.parametrize(
    ("element", "piece"),
    [
        (b"ab", b"ab"),
        (bytearray(b"ab"), b"ab"),
        (memoryview(b"abcd")[::2], b"ac"),
        (array("H", [0x6161, 0x6262]), b"aabb"),
    ],
)
def test_a_piece_is_its_bytes(element: Any, piece: bytes) -> None:
    assert list(OctetsEncoder().encode([element])) == [piece]


def test_bytes_are_not_copied() -> None:
    element = bytes(100_000)
    (piece,) = OctetsEncoder().encode([element])
    assert piece is element


def test_empty_pieces_are_left_out() -> None:
    assert list(OctetsEncoder().encode([b"", b"a", bytearray(), b"b"])) == [b"a", b"b"]


@pytest.mark.parametrize("element", ["ab", 5, None, [1, 2]])
def test_an_element_without_bytes_is_an_error_after_what_came_before(element: Any) -> None:
    body, error = encoded_until_raised(OctetsEncoder(), [b"a", element, b"b"])
    assert body == b"a"
    assert isinstance(error, TypeError)
    assert str(error).endswith(f"must yield bytes-like objects, got {type(element).__name__}")


@pytest.mark.parametrize(
    "batches", [[[b"abc"]], [[b"a", b"bc"]], [[b"a"], [b"bc"]], [[b"abc", b""], [b""]]]
)
def test_pieces_of_the_declared_size_are_sent(batches: list[Sequence[bytes]]) -> None:
    assert encoded(OctetsEncoder(size=3), *batches) == b"abc"


def test_a_declared_size_of_zero_is_an_empty_body() -> None:
    assert encoded(OctetsEncoder(size=0)) == b""
    assert encoded(OctetsEncoder(size=0), [b""]) == b""


@pytest.mark.parametrize(
    ("batches", "sent", "numbers"),
    [
        ([], b"", "10 .* 0$"),
        ([[b"abc"]], b"abc", "10 .* 3$"),
        # Nothing that is too long has looked complete.
        ([[b"abcde", b"fghij", b"k"]], b"abcde", "10 .* 11 or more$"),
        ([[b"abcde", b"fghij"], [b"klm", b"n"]], b"abcde", "10 .* 13 or more$"),
        ([[b"abcdefghijk"]], b"", "10 .* 11 or more$"),
    ],
)
def test_pieces_of_another_size_break_off_and_both_sizes_are_named(
    batches: list[Sequence[bytes]], sent: bytes, numbers: str
) -> None:
    body, error = encoded_until_raised(OctetsEncoder(size=10), *batches)
    assert body == sent
    assert isinstance(error, SizeMismatch)
    assert re.search(numbers, str(error))
