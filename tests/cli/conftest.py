"""The command in a process of its own, as people start it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

PATIENCE_S = 20.0  # a process starts in half a second on an idle machine


@dataclass(frozen=True, slots=True)
class Finished:
    """A command that has ended."""

    code: int
    out: str
    err: str


Rhetor = Callable[..., Awaitable[Finished]]
Start = Callable[..., Awaitable[asyncio.subprocess.Process]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Start `rhetor …` in an empty folder and environment; it is ended with the test."""
    running: list[asyncio.subprocess.Process] = []

    async def begin(*arguments: str, environ: Mapping[str, str] | None = None) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        given = {"XDG_STATE_HOME": str(tmp_path / "state"), **(environ or {})}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "rhetor", *arguments,
            cwd=tmp_path, env=clean_environment(given), stdin=pipe, stdout=pipe, stderr=pipe,
        )  # fmt: skip
        running.append(process)
        return process

    yield begin
    for process in running:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.fixture
async def rhetor(start: Start) -> Rhetor:
    """Run `rhetor …` to its end."""

    async def run(
        *arguments: str, environ: Mapping[str, str] | None = None, stdin: str | None = None
    ) -> Finished:
        process = await start(*arguments, environ=environ)
        async with asyncio.timeout(PATIENCE_S):
            out, err = await process.communicate(None if stdin is None else stdin.encode())
        assert process.returncode is not None
        return Finished(process.returncode, out.decode(), err.decode())

    return run


def clean_environment(environ: Mapping[str, str] | None) -> dict[str, str]:
    """Nothing of this machine but what a process needs to start."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "PYTHONPATH") if name in os.environ}
    return {**kept, "OLLAMA_HOST": "127.0.0.1:9", **(environ or {})}
