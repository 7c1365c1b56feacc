"""A server that is told to end, or to load its application anew."""

import signal

from servers.harness import WAIT, Server

__all__ = ["Ending"]


class Ending(Server):
    """It needs no control port, the connections to which a fork would keep open."""

    def _listens(self) -> bool:
        assert self._process.poll() is None, f"the server ended:\n{self.errors()}"
        try:
            self.connect().close()
        except ConnectionRefusedError:
            return False
        return True

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self) -> None:
        """Raises TimeoutExpired if it does not end."""
        self._process.wait(WAIT)
