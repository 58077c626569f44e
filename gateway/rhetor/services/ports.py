"""Loopback ports for children to listen on: found free, remembered, given back."""

from __future__ import annotations

import socket
from collections import deque

LOOPBACK = "127.0.0.1"
RESTING = 64  # given back lately: somebody may still try to reach whoever had it
TRIES = 200


class Ports:
    """Nobody can promise that a port stays free until a child has bound it; these are at least never leased
    twice. A child that finds its port taken needs another one.
    """

    def __init__(self) -> None:
        self._leased: set[int] = set()
        self._resting: deque[int] = deque(maxlen=RESTING)

    def lease(self) -> int:
        """A port that is free now, until it is given back.

        Raises:
            OSError: the system has none.
        """
        for _ in range(TRIES):
            port = _free_port()
            if port not in self._leased and port not in self._resting:
                break
        self._leased.add(port)
        return port

    def give_back(self, port: int) -> None:
        if port in self._leased:
            self._leased.discard(port)
            self._resting.append(port)


def is_free(port: int) -> bool:
    """Whether nobody listens there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # closed connections do not count
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port
