"""Addresses at which no provider answers, for the phase before there is a connection."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

LOOPBACK = "127.0.0.1"
FILLING = 4  # a backlog of 0 takes one connection on Linux; the rest makes sure that it is full


@contextmanager
def refused() -> Iterator[str]:
    """A base URL where every connection is refused at once, and nobody else can listen meanwhile."""
    with socket.socket() as bound:
        bound.bind((LOOPBACK, 0))
        yield _base_url(bound)


@contextmanager
def unreachable() -> Iterator[str]:
    """A base URL where connecting never comes to an end, as behind a firewall that drops packets.

    It is a listener whose backlog is full, which Linux answers with silence.
    """
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((LOOPBACK, 0))
        listener.listen(0)
        for _ in range(FILLING):
            caller = stack.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(listener.getsockname())
        yield _base_url(listener)


def _base_url(bound: socket.socket) -> str:
    host, port = bound.getsockname()
    return f"http://{host}:{port}"
