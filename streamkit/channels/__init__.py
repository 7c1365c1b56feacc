"""Channels: publish once, encode once, any number of subscribers."""

from streamkit.channels.channel import Channel, Merged, merge
from streamkit.channels.engine import use

__all__ = ["Channel", "Merged", "merge", "use"]
