"""The shared board: what one visitor paints, all others see."""

import asyncio
import threading
from typing import Annotated, Any
from urllib.parse import parse_qsl

import msgspec

from streamkit import Channel, ServerSentEvent

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

    def __init__(self) -> None:
        self.channel = Channel("board")
        self._cells = [0] * (WIDTH * HEIGHT)
        self._lock = threading.Lock()

    def paint(self, query: str) -> None:
        """Paint the cell that a request asks for. Raises ValueError if there is none such."""
        painted = msgspec.convert(dict(parse_qsl(query)), Painted, strict=False)
        # So that two who paint the same cell are told of in the order in which they did.
        with self._lock:
            self._cells[painted.cell] = painted.colour
            self.channel.publish(ServerSentEvent(painted, event="painted", retry=RETRY))

    async def apaint(self, query: str) -> None:
        """The same on an event loop, which is not to wait for a lock."""
        await asyncio.to_thread(self.paint, query)

    def state(self) -> dict[str, Any]:
        """What is on the board, and from where on a page is to follow it."""
        # The position first: what is painted in between comes once more, and is not lost.
        return self._state(self.channel.last_event_id())

    async def astate(self) -> dict[str, Any]:
        """The same on an event loop."""
        return self._state(await self.channel.alast_event_id())

    def _state(self, position: str) -> dict[str, Any]:
        return {"position": position, "width": WIDTH, "cells": self._cells}
