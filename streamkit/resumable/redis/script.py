"""How an answer is kept in Redis: a stream of its entries, and a lease of who makes it.

An entry of the stream has the id ``epoch-number``, and one field: the letter ``d`` and blocks of
events, or the letter ``e`` and how it ended, which is the last. The one of number 0 is empty, and
says that the answer has begun. The lease is a key that holds the token of who may write, and runs
out by itself. Both have the same hash tag. A message is the id of an entry, a space, and its field,
or nothing where that is large.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

from streamkit.channels.redis.reader import own_channel
from streamkit.channels.redis.server import Command, known_script, scripts
from streamkit.resumable.log import Ending, Name
from streamkit.resumable.memory import KEEP_FOR

__all__ = [
    "LAST_RENEWAL",
    "LEASE",
    "RENEWAL",
    "append",
    "blocks_from",
    "channel_of",
    "claim",
    "ending_from",
    "fail",
    "id_from",
    "keys_of",
    "look",
    "packed",
    "renew",
    "stop",
]

LEASE: Final = 15.0
"""Seconds after which an answer is interrupted whose process does not say that it lives."""

RENEWAL: Final = 5.0
"""Seconds between two times that it says so."""

LAST_LEASE: Final = 3.0
LAST_RENEWAL: Final = 1.0
"""The same once the process is told to end. A server may wait for so long that it is killed in the
end, and does not come to say anything."""

MAX_MESSAGE: Final = 64 * 1024
"""Bytes of what is sent to who follows; what is larger is read by them. Many large messages at a
time would have a server close the connection (``client-output-buffer-limit pubsub``)."""

SCRIPT: Final = b"""
-- KEYS: the stream, the lease. ARGV: what is to be done, the token, milliseconds that a lease lasts
-- and that the stream is kept, where messages go.
local log, lease = KEYS[1], KEYS[2]
local task, token, ms, ttl, channel = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]

local function top()
  local entry = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
  if entry then return entry[1], entry[2][2] or '' end
  return nil, ''
end

local function is_end(field)
  return string.sub(field, 1, 1) == 'e'
end

local function add(id, field, message)
  redis.call('XADD', log, id, 'f', field)
  redis.call('PUBLISH', channel, id .. ' ' .. message)
end

-- The end of an answer that whoever made it has not written.
local function finish(id, ending)
  local epoch, number = string.match(id, '^(%d+)-(%d+)$')
  add(string.format('%s-%.0f', epoch, tonumber(number) + 1), 'e' .. ending, 'e' .. ending)
  redis.call('DEL', lease)
  redis.call('PEXPIRE', log, ttl)
end

-- What is told who may not write: how it ended. One that nobody may write has ended by now.
local function refusal(id, field)
  if not id or is_end(field) then return field end
  if redis.call('EXISTS', lease) == 1 then return '' end
  finish(id, 'interrupted')
  return 'einterrupted'
end

if task == 'claim' then
  if redis.call('EXISTS', log) == 1 then return false end
  if not redis.call('SET', lease, token, 'NX', 'PX', ms) then return false end
  local now = redis.call('TIME')
  local epoch = string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000))
  redis.call('XADD', log, epoch .. '-0', 'f', '')
  redis.call('PEXPIRE', log, ttl)
  return epoch
end

if task == 'append' then
  -- ARGV: its id, its field, whether it is to go into the message.
  local id, field = ARGV[6], ARGV[7]
  -- An earlier try, whose answer was lost, may have written it.
  local known = redis.call('XRANGE', log, id, id)[1]
  if known and known[2][2] == field then return 1 end
  local length = redis.call('XLEN', log)
  if known or redis.call('GET', lease) ~= token or length == 0 then return refusal(top()) end
  -- Of some that are asked for at once, one may have been refused, by a server that was busy, say.
  -- What stands behind it would leave a hole. There is one more than the number of the last.
  if length < tonumber(string.match(id, '%d+$')) then
    return redis.error_reply('ERR the entry before it is not there')
  end
  add(id, field, ARGV[8] == '1' and field or '')
  if is_end(field) then
    redis.call('DEL', lease)
    redis.call('PEXPIRE', log, ttl)
  end
  return 1
end

local id, kept = top()

if task == 'renew' then
  if not id or redis.call('GET', lease) ~= token then return refusal(id, kept) end
  -- Who follows looks again when the lease it knows of has run out: that is to be earlier now.
  if redis.call('PTTL', lease) > tonumber(ms) then redis.call('PUBLISH', channel, '') end
  redis.call('PEXPIRE', lease, ms)
  redis.call('PEXPIRE', log, ttl)
  return 1
end

if not id then return false end
local has_ended = is_end(kept)

if task == 'fail' then
  if redis.call('GET', lease) == token then finish(id, 'failed') end
  return 1
end

if task == 'look' then
  local left = -1
  if not has_ended then
    left = redis.call('PTTL', lease)
    if left < 0 then
      finish(id, 'interrupted')
      id = top()
    end
  end
  return {id, left}
end

-- 'stop'
if has_ended then return false end
local owner = redis.call('GET', lease)
if not owner then
  finish(id, 'interrupted')
  return false
end
finish(id, 'stopped')
redis.call('PUBLISH', ARGV[6] .. string.match(owner, '^[^:]*'), 'stop ' .. log)
return 1
"""

DIGEST: Final = known_script(SCRIPT)

_LEASE: Final = b"%d" % (LEASE * 1000)
_LAST_LEASE: Final = b"%d" % (LAST_LEASE * 1000)
_TTL: Final = b"%d" % (KEEP_FOR * 1000)
_ID: Final = re.compile(rb"([0-9]{1,15})-([0-9]{1,15})")

# What ``Blocks`` makes of events, with a blank line between two. Lines once taken are not given
# back, or what is none would be tried in as many ways as lines can be divided.
_BLOCKS: Final = re.compile(
    rb"(?:(?:(?:event: [^\r\n]*|retry: [0-9]+|: [^\r\n]*|data: [^\r\n]*)\n)++\n?)++"
)


def keys_of(name: Name) -> tuple[bytes, bytes]:
    """The keys of the stream and of the lease."""
    resumable, key = name
    tag = f"streamkit:answer:{{{len(resumable)}:{resumable}:{key}}}".encode()
    return tag + b":log", tag + b":lease"


def channel_of(name: Name, database: int) -> bytes:
    """Where its messages go: pub/sub has one space of names for all databases of a server."""
    return b"%b:%d" % (keys_of(name)[0], database)


def claim(name: Name, token: bytes, database: int) -> Command:
    """Asks to make it: the reply is the epoch, or nothing where there is one already."""
    return _command(b"claim", name, token, database)


def append(
    name: Name, token: bytes, database: int, epoch: int, number: int, field: bytes
) -> Command:
    """Adds an entry, at its place, once: the reply is 1, or the last field where it may not."""
    event_id = b"%d-%d" % (epoch, number)
    is_told = b"1" if len(field) <= MAX_MESSAGE else b"0"
    return _command(b"append", name, token, database, event_id, field, is_told)


def renew(name: Name, token: bytes, database: int, *, is_last: bool) -> Command:
    """Lets the lease last: the reply is 1, or the last field where it has run out.

    For less long where it ``is_last``, the process being told to end.
    """
    return _command(b"renew", name, token, database, lease=_LAST_LEASE if is_last else None)


def fail(name: Name, token: bytes, database: int) -> Command:
    """Ends it, whatever was written of it."""
    return _command(b"fail", name, token, database)


def look(name: Name, database: int) -> Command:
    """Asks for the last entry: the reply is its id, and how many milliseconds the lease has left.

    Or nothing where there is no such answer. One whose lease has run out has ended by then.
    """
    return _command(b"look", name, b"", database)


def stop(name: Name, database: int) -> Command:
    """Ends it, and tells its process: the reply is 1, or nothing where it is not running."""
    return _command(b"stop", name, b"", database, own_channel(b""))


def _command(
    task: bytes, name: Name, token: bytes, database: int, *more: bytes, lease: bytes | None = None
) -> Command:
    channel = channel_of(name, database)
    arguments = (b"2", *keys_of(name), task, token, lease or _LEASE, _TTL, channel, *more)
    return scripts([arguments], DIGEST)[0]


def packed(blocks: Sequence[bytes]) -> bytes:
    """The field of an entry that has these events."""
    return b"d" + b"\n".join(blocks)


def blocks_from(field: Any) -> list[bytes] | None:
    """What ``packed`` made this of; None for anything else, an end or what a stranger wrote."""
    if not isinstance(field, bytes) or not field.startswith(b"d"):
        return None
    lines = field[1:]
    if not _BLOCKS.fullmatch(lines) or lines.endswith(b"\n\n"):
        return None
    return [block + b"\n" for block in lines[:-1].split(b"\n\n")]


def ending_from(field: Any) -> Ending | None:
    """The end that stands in a field, if one does."""
    if isinstance(field, bytes) and field.startswith(b"e"):
        for ending in Ending:
            if field[1:] == ending.value.encode():
                return ending
    return None


def id_from(entry_id: Any) -> tuple[int, int] | None:
    """The epoch and the number of an entry; None for an id that is not ours."""
    match = _ID.fullmatch(entry_id) if isinstance(entry_id, bytes) else None
    return (int(match[1]), int(match[2])) if match else None
