"""What is going to be streamed."""

from collections.abc import AsyncIterable, Iterable
from dataclasses import dataclass
from typing import Any

from streamkit.encoders import Encoder
from streamkit.feed import Subscribable
from streamkit.kind import Kind
from streamkit.source import Inline

__all__ = ["Plan"]


@dataclass(frozen=True, slots=True)
class Plan:
    """A source that was not started, how it is to be treated, and what makes bytes of its elements.

    Negotiation may put another plan in the place of this one: of a part of the same resource, or
    with another encoder. Only one of them is opened. The source of each closes what the call has
    opened, such as a file, so that one of them is to be closed, read or not.
    """

    kind: Kind
    source: Iterable[Any] | AsyncIterable[Any] | Inline[Any] | Subscribable
    encoder: Encoder
