"""How a channel is kept in Redis: a stream of its events, and a message that tells of each.

An entry of the stream has the id that the event has on its way to clients, ``epoch-number``. It
holds one field, the frame: one letter that says whether the data is text or JSON, and the encoded
lines. The message is the id, a space, and the same frame. Before the first event of an epoch there
is an entry of number 0 without a frame.
"""

import re
from collections.abc import Sequence
from hashlib import sha1
from typing import Any, Final

import msgspec

from streamkit.channels.frame import MAX_EVENT_BYTES, Frame
from streamkit.channels.position import Position
from streamkit.channels.ring import MAX_BYTES, MAX_EVENTS, MIN_EVENTS

__all__ = [
    "KEEP_FOR",
    "MAX_NUMBER",
    "SCRIPT",
    "SHA",
    "channel_of",
    "frame_from",
    "key_of",
    "look",
    "packed",
    "position_from",
    "publication",
]

KEEP_FOR: Final = 3 * 3600 + 600
"""Seconds that a history is kept after the last event or listener.

More than two ages of a stream, as in memory; and as much longer as those who listen wait between
two times that they say so.
"""

MAX_NUMBER: Final = 10**15 - 1
"""Of an event, at the most: one with more digits is not read, as Lua could not count it."""

SCRIPT: Final = b"""
-- KEYS: the stream. ARGV: milliseconds that it is kept, the highest id that the caller has seen,
-- then, where an event is published, its frame, how many entries are kept, and who is woken.
local key, ttl, seen, frame = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local epoch, number, is_new = 0, 0, true

-- Longer numbers are not ours, and more than Lua can count.
local function parsed(id)
  local ms, seq = string.match(id, '^(%d+)-(%d+)$')
  if ms and #ms <= 15 and #seq <= 15 then return tonumber(ms), tonumber(seq) end
end

local top = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
if top then
  local ms, seq = parsed(top[1])
  if ms then epoch, number, is_new = ms, seq, false end
end
-- The caller has seen what is not here: a server that lost its newest entries is to give no number
-- twice.
local ms, seq = parsed(seen)
if ms and (epoch < ms or (epoch == ms and number < seq)) then epoch, is_new = ms, true end
if is_new then
  local now = redis.call('TIME')
  epoch = math.max(now[1] * 1000 + math.floor(now[2] / 1000), epoch + 1)
  number = 0
  redis.call('DEL', key)
  redis.call('XADD', key, string.format('%.0f-0', epoch), 'f', '')
end
if not frame then
  redis.call('PEXPIRE', key, ttl)
  return string.format('%.0f-%.0f', epoch, number)
end
local next = string.format('%.0f-*', epoch)
local id = redis.call('XADD', key, 'MAXLEN', '~', ARGV[4], next, 'f', frame)
redis.call('PEXPIRE', key, ttl)
redis.call('PUBLISH', ARGV[5], id .. ' ' .. frame)
return id
"""

SHA: Final = sha1(SCRIPT).hexdigest().encode()

_TTL: Final = b"%d" % (KEEP_FOR * 1000)

_ID: Final = re.compile(rb"([0-9]{1,15})-([0-9]{1,15})")

# What ``frame_of`` makes: no event without data, no id, no blank line, no line end but LF.
_LINES: Final = re.compile(
    rb"(?:(?:event: [^\r\n\0]*|retry: [0-9]{1,19}|: [^\r\n]*|data: [^\r\n]*)\n)+"
)


def key_of(name: str) -> bytes:
    """The key of the stream of a channel."""
    return b"streamkit:channel:" + name.encode()


def channel_of(name: str, database: int) -> bytes:
    """Where its messages go: pub/sub has one space of names for all databases of a server."""
    return b"streamkit:%d:channel:%b" % (database, name.encode())


def packed(frame: Frame) -> bytes:
    """As it is kept."""
    lines, is_text = frame
    return (b"t" if is_text else b"j") + lines


def frame_from(kept: bytes) -> Frame | None:
    """What ``packed`` made this of; None for anything else, which a stranger wrote."""
    if not isinstance(kept, bytes) or len(kept) > MAX_EVENT_BYTES + 1:
        return None
    is_text = kept.startswith(b"t")
    lines = kept[1:]
    if not (is_text or kept.startswith(b"j")) or not _LINES.fullmatch(lines):
        return None
    try:
        lines.decode()
        if is_text:
            return (lines, True) if b"data: " in b"\n" + lines else None
        data = b"\n".join(line[6:] for line in lines.split(b"\n") if line.startswith(b"data: "))
        msgspec.json.decode(data, type=msgspec.Raw)
    except (UnicodeDecodeError, msgspec.DecodeError):
        return None
    return lines, False


def position_from(event_id: Any) -> Position | None:
    """What stands in the id of an entry; None for one that is not ours."""
    match = _ID.fullmatch(event_id) if isinstance(event_id, bytes) else None
    return Position(int(match[1]), int(match[2])) if match else None


def look(name: str, seen: Position | None) -> Sequence[bytes]:
    """The arguments of the script that gives the position of a channel, and begins it if need be.

    ``seen`` is the highest that the caller has seen.
    """
    return (b"1", key_of(name), _TTL, b"" if seen is None else str(seen).encode())


def publication(name: str, frame: Frame, seen: Position | None, database: int) -> Sequence[bytes]:
    """The arguments of the script that publishes an event, and returns its id."""
    kept = packed(frame)
    # A stream counts its entries, and not their bytes.
    entries = max(MIN_EVENTS, min(MAX_BYTES // len(kept), MAX_EVENTS))
    return (*look(name, seen), kept, b"%d" % entries, channel_of(name, database))
