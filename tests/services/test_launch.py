"""A program is started on its own port, and nobody else is taken for it."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from rhetor.services import listening
from rhetor.services.launch import Program
from rhetor.services.ports import LOOPBACK, Ports
from rhetor.services.probing import ANY, answers_at, takes_connections
from rhetor.services.process import Spec
from rhetor.services.supervisor import Plan, Service
from tests.services.children import HOUSE
from tests.services.conftest import PATIENCE_S, command

pytestmark = [
    pytest.mark.usefixtures("no_leaks"),
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]


class Well(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(204 if self.path == "/health" else 500)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


class Robbed(Ports):
    """The first port that it leases is taken at once, by somebody who is in good health."""

    thief: ThreadingHTTPServer | None = None

    def lease(self) -> int:
        port = super().lease()
        if self.thief is None:
            self.thief = ThreadingHTTPServer((LOOPBACK, port), Well)
            threading.Thread(target=self.thief.serve_forever, daemon=True).start()
        return port

    def close(self) -> None:
        assert self.thief is not None
        self.thief.shutdown()
        self.thief.server_close()


async def test_a_thief_who_answers_in_its_place_is_not_taken_for_it(tmp_path: Path) -> None:
    """It is found out by whose the listening socket is, and another port is tried."""
    spec = Spec(argv=command(), cwd=tmp_path, env={"PATH": os.environ["PATH"]}, label="s")
    ports = Robbed()
    plan = Plan(label="s", ready=answers_at("/health", 5.0), start_s=PATIENCE_S, grace_s=1.0)
    service = Service(plan, Program(spec, HOUSE, ports, mark="m"))
    try:
        port = await service.ensure_ready(PATIENCE_S)
        assert ports.thief is not None
        assert port != ports.thief.server_port
        assert len((tmp_path / "starts").read_text().split()) == 2
    finally:
        await service.stop()
        await asyncio.to_thread(ports.close)


async def test_whose_a_port_is(tmp_path: Path) -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
        assert listening.is_held(port, lambda pid: pid == os.getpid()) is True
        assert listening.is_held(port, lambda pid: pid == 1) is False
        assert await takes_connections(1.0)(f"http://{LOOPBACK}:{port}")
        assert not await answers_at("/", 0.1)(f"http://{LOOPBACK}:{port}")  # it says nothing
        assert not await answers_at("/", 0.1, ANY)(f"http://{LOOPBACK}:{port}")
    assert listening.is_held(port, lambda pid: True) is None
    assert not await takes_connections(1.0)(f"http://{LOOPBACK}:{port}")
