"""`rhetor serve` and `rhetor up`: the gateway in a process, with and without a greeting."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
from pathlib import Path

import aiohttp
import pytest
import yaml

from rhetor.testing import Upstream
from tests.cli.conftest import PATIENCE_S, Rhetor, Start
from tests.conftest import free_port, settings


async def read_until(stream: asyncio.StreamReader | None, text: str) -> str:
    assert stream is not None
    read = b""
    async with asyncio.timeout(PATIENCE_S):
        while text.encode() not in read:
            line = await stream.readline()
            assert line, read.decode()
            read += line
    return read.decode()


async def end(process: asyncio.subprocess.Process, number: int) -> int:
    process.send_signal(number)
    async with asyncio.timeout(PATIENCE_S):
        await process.communicate()
    assert process.returncode is not None
    return process.returncode


async def test_up_greets_and_stays(start: Start) -> None:
    """A newcomer sees where it listens, who is on, a first generation, and how to point an SDK here."""
    port = free_port()
    process = await start("up", environ={"RHETOR_PORT": str(port)})
    greeting = await read_until(process.stdout, "Anthropic SDK")
    url = f"http://127.0.0.1:{port}"
    assert (
        greeting
        == f"""
Rhetor listens on {url}

  · ollama   on while it answers at http://127.0.0.1:9
  ✓ offline  built in: an echo that asks no model

A vendor's key switches it on: OPENAI_API_KEY, ANTHROPIC_API_KEY, …; see `rhetor doctor`.

A first generation, through {url}/v1/chat/completions:

  > Say hello in one short sentence.
  This is Rhetor's offline echo: no model was asked. You said: Say hello in one short sentence.

  answered by offline/echo

Page           {url}/
OpenAI SDK     base_url={url}/v1
Anthropic SDK  base_url={url}
"""
    )
    async with aiohttp.ClientSession() as session, session.get(f"{url}/ready") as reply:
        assert reply.status == 200
    assert await end(process, signal.SIGINT) == 0


async def test_up_lets_a_local_ollama_answer(start: Start, upstream: Upstream) -> None:
    """It is waited for, shortly, since it is who a newcomer wants to hear."""
    upstream.lists("llama3.2:1b")
    upstream.says("Hello from a model.")
    process = await start("up", environ={"RHETOR_PORT": "0", "OLLAMA_HOST": upstream.base_url})
    greeting = await read_until(process.stdout, "Anthropic SDK")
    assert f"✓ ollama   {upstream.base_url}, 1 model\n" in greeting
    assert "  Hello from a model.\n\n  answered by ollama/llama3.2:1b\n" in greeting
    assert await end(process, signal.SIGTERM) == 0


async def test_up_greets_with_its_own_token(start: Start, tmp_path: Path) -> None:
    (tmp_path / "rhetor.yaml").write_text("server: {port: 0, tokens: {me: env:T}}")
    process = await start("up", environ={"T": "t0ken-canary"})
    greeting = await read_until(process.stdout, "Anthropic SDK")
    assert "answered by offline/echo" in greeting
    assert "canary" not in greeting


async def test_serve_says_nothing_but_logs(start: Start, tmp_path: Path) -> None:
    (tmp_path / "rhetor.yaml").write_text(yaml.safe_dump(settings(logs={"level": "info", "format": "json"})))
    process = await start("serve")
    line = await read_until(process.stderr, "\n")
    assert '"event":"listening"' in line
    assert re.search(r'"url":"http://127\.0\.0\.1:\d+"', line)
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(PATIENCE_S):
        out, _ = await process.communicate()
    assert (process.returncode, out) == (0, b"")


@pytest.mark.parametrize("command", ["serve", "up"])
async def test_a_port_that_is_taken(rhetor: Rhetor, command: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        finished = await rhetor(command, environ={"RHETOR_PORT": str(port)})
    assert (finished.code, finished.out) == (1, "")
    assert f"✗ server.port: cannot listen on 127.0.0.1:{port}: Address already in use: " in finished.err
    assert "Traceback" not in finished.err


@pytest.mark.parametrize("command", ["serve", "up"])
async def test_a_broken_file_starts_nothing(rhetor: Rhetor, tmp_path: Path, command: str) -> None:
    (tmp_path / "rhetor.yaml").write_text("server: {host: 0.0.0.0}")
    finished = await rhetor(command)
    assert (finished.code, finished.out) == (1, "")
    assert finished.err.startswith("✗ server.host: listening beyond this machine needs server.tokens")
