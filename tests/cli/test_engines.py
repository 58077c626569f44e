"""`rhetor up --with …`; that speech is heard, and all else of the engines, is in tests/engines."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
import yaml

from rhetor.cli.engines import WISHES, engine, engines
from tests.cli.conftest import Rhetor, Start
from tests.conftest import settings

PATIENCE_S = 120.0  # a package is installed


async def read_until(stream: asyncio.StreamReader | None, text: str) -> str:
    assert stream is not None
    read = b""
    async with asyncio.timeout(PATIENCE_S):
        while text.encode() not in read:
            line = await stream.readline()
            assert line, read.decode()
            read += line
    return read.decode()


def configure(tmp_path: Path) -> None:
    given = settings(store={"folder": str(tmp_path / "store")}, plugins={"sandbox": "best"})
    (tmp_path / "rhetor.yaml").write_text(yaml.safe_dump(given))


def test_every_wish_can_be_met() -> None:
    assert {name for names, _ in WISHES.values() for name in names} <= set(engines())
    assert [engine(name) for name in ("../espeak", "unheard-of", "")] == [None, None, None]


@pytest.mark.skipif(sys.platform != "linux", reason="programs of plugins run on Linux")
async def test_a_cow_speaks_to_a_newcomer(start: Start, tmp_path: Path) -> None:
    """After the greeting; it is there the next time, too."""
    configure(tmp_path)
    installers = {name: it for name, it in os.environ.items() if name.startswith(("PIP_", "SSL_CERT"))}
    for said in ("✓ cowsay 1.0, until `rhetor providers remove cowsay`", "✓ cowsay is there"):
        process = await start("up", "--with", "text", environ=installers)
        greeting = await read_until(process.stdout, "| Nobody asked a model. |")
        assert "A first generation" in greeting
        assert said in greeting
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE_S):
            await process.communicate()
    assert (tmp_path / "store").stat().st_mode & 0o077 == 0  # whoever made it first


@pytest.mark.skipif(sys.platform != "linux", reason="programs of plugins run on Linux")
async def test_what_is_missing_is_named(start: Start, tmp_path: Path) -> None:
    """And how one gets it; the gateway serves nevertheless."""
    configure(tmp_path)
    process = await start("up", "--with", "speech", environ={"PATH": str(tmp_path)})
    greeting = await read_until(process.stdout, "✗")
    assert "apt install espeak-ng" in greeting
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(PATIENCE_S):
        await process.communicate()
    assert process.returncode == 0


async def test_a_wish_that_nobody_can_meet(rhetor: Rhetor) -> None:
    finished = await rhetor("up", "--with", "smells")
    assert finished.code == 2
    assert "choose from 'speech', 'pictures', 'text'" in finished.err
