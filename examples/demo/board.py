"""The shared board: what one visitor paints, all others see."""

from typing import Annotated, Any
from urllib.parse import parse_qsl

import msgspec

from streamkit import Channel, ServerSentEvent

from .cells import Cells

WIDTH = 24
HEIGHT = 10
COLOURS = 6
"""Colour 0 is that of an empty cell."""

RETRY = 1000
"""Milliseconds after which a page comes back that has lost its connection."""


class Painted(msgspec.Struct):
    """A cell, counted from the upper left, and its new colour."""

    cell: Annotated[int, msgspec.Meta(ge=0, lt=WIDTH * HEIGHT)]
    colour: Annotated[int, msgspec.Meta(ge=0, lt=COLOURS)]


class Board:
    """What is on it, and the channel that tells of each change."""

    def __init__(self, cells: Cells) -> None:
        self.channel = Channel("board")
        self._cells = cells

    def paint(self, query: str) -> None:
        """Paint the cell that a request asks for.

        Raises ValueError if there is none such, and ConnectionError where Redis is away.
        """
        painted = msgspec.convert(dict(parse_qsl(query)), Painted, strict=False)
        # So that two who paint the same cell are told of in the order in which they did.
        with self._cells.lock:
            self._cells.write(painted.cell, painted.colour)
            self.channel.publish(ServerSentEvent(painted, event="painted", retry=RETRY))

    def state(self) -> dict[str, Any]:
        """What is on the board, and from where on a page is to follow it."""
        # The position first: what is painted in between comes once more, and is not lost.
        position = self.channel.last_event_id()
        return {"position": position, "width": WIDTH, "cells": self._cells.read(WIDTH * HEIGHT)}
