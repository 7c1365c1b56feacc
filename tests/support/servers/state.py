"""What a served application tells of itself."""

from dataclasses import dataclass

__all__ = ["Account", "Letter", "State"]


@dataclass
class Account:
    """What was done with the source of one stream."""

    begun: int = 0
    """How often it was started."""
    given: int = 0
    """How many elements it gave."""
    ended: int = 0
    """How often its generator was left."""
    closed: int = 0
    """How often the iterable around the generator was closed."""
    told: int | None = None
    """How many elements it had given when the server told the application that the client left."""
    burst: int = 0
    """How many events were sent, at most, in one turn of the event loop."""


@dataclass
class Letter:
    """What a stream is to send. It ends where there is no text."""

    stream: str
    text: str | None


@dataclass
class State:
    pid: int
    active: int
    """The metric: streams that are open."""
    sent: int
    """The metric: bytes of all streams that were handed to the server."""
    threads: list[str]
    """The names of all threads."""
    tasks: int
    """How many tasks the event loops have on which the application ran."""
    accounts: dict[str, Account]
    """Of all streams that were asked for, by the names that their requests gave them."""

    def own_threads(self) -> list[str]:
        """The names of those that are not the server's, but for the one that finds lost streams.

        That one there is in each process that has streamed.
        """
        own = (name for name in self.threads if name.startswith("streamkit"))
        return sorted(name for name in own if name != "streamkit-lost")
