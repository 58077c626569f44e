"""The command as a whole: help, version, exit codes, broken pipes."""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
from pathlib import Path

import pytest

from rhetor import __version__
from rhetor.cli import COMMANDS, main
from rhetor.testing import Upstream
from tests.cli.conftest import PATIENCE_S, Rhetor, Start
from tests.conftest import MakeGateway, settings


async def test_python_m_rhetor_is_the_command(rhetor: Rhetor) -> None:
    finished = await rhetor("--version")
    assert (finished.code, finished.out) == (0, f"rhetor {__version__}\n")


@pytest.mark.skipif(
    shutil.which("rhetor", path=str(Path(sys.executable).parent)) is None, reason="rhetor is not installed"
)
async def test_the_command_is_installed() -> None:
    command = shutil.which("rhetor", path=str(Path(sys.executable).parent))
    assert command is not None
    process = await asyncio.create_subprocess_exec(command, "--version", stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert (process.returncode, out.decode()) == (0, f"rhetor {__version__}\n")


async def test_without_a_command_there_is_help(rhetor: Rhetor) -> None:
    finished = await rhetor()
    assert finished.code == 2
    for command in COMMANDS:
        assert re.search(rf"\n    {command}\s", finished.out)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    assert command in capsys.readouterr().out


def test_bad_usage_is_exit_code_two(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["dance"])
    assert caught.value.code == 2
    assert "invalid choice: 'dance'" in capsys.readouterr().err


async def test_no_help_shows_a_secret(rhetor: Rhetor) -> None:
    finished = await rhetor("chat", "--help", environ={"RHETOR_AUTH_TOKEN": "canary"})
    assert "canary" not in finished.out


async def test_a_broken_pipe_is_no_error(start: Start, make_gateway: MakeGateway, upstream: Upstream) -> None:
    """`rhetor models | head -1`: more lines than a pipe holds, and nobody who reads them."""
    models = [f"model-{n:05}-with-quite-a-long-name" for n in range(5000)]
    lab = {"wire": "openai", "base_url": upstream.base_url, "models": models}
    gateway = await make_gateway(settings(providers={"lab": lab}))
    process = await start("models", "--url", gateway.url)
    assert process.stdout is not None
    assert process.stderr is not None
    async with asyncio.timeout(PATIENCE_S):
        await process.stdout.readline()
        process.stdout._transport.close()  # type: ignore[attr-defined]  # as head does; asyncio has no word for it
        assert await process.stderr.read() == b""
        assert await process.wait() == 0
