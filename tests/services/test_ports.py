"""Ports are free when they are leased, and nobody's twice."""

from __future__ import annotations

import socket

from rhetor.services.ports import LOOPBACK, RESTING, Ports, is_free


def test_a_leased_port_can_be_bound() -> None:
    port = Ports().lease()
    assert is_free(port)
    with socket.socket() as server:
        server.bind((LOOPBACK, port))
        server.listen()
        assert not is_free(port)


def test_no_port_is_leased_twice_or_at_once_again() -> None:
    ports = Ports()
    leased = [ports.lease() for _ in range(50)]
    assert len(set(leased)) == 50
    for port in leased:
        ports.give_back(port)
    assert RESTING >= 50
    assert not {ports.lease() for _ in range(50)} & set(leased)


def test_giving_back_what_is_not_leased_does_nothing() -> None:
    ports = Ports()
    ports.give_back(1)
    assert ports.lease() != 1
