"""A child is heard, written to and ended, whatever it does; and nothing that it started is left."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import uvloop

from rhetor.core.errors import Code, RhetorError
from rhetor.services import minder
from rhetor.services.process import Child, Spec, start
from rhetor.tasks import spawn
from tests.services.children import (
    DAEMON,
    FOLDER,
    HOUSE,
    PATH,
    STUBBORN,
    is_alive,
    open_descriptors,
    python,
    read_pid,
    shell,
    until,
    with_variable,
)

pytestmark = [
    pytest.mark.usefixtures("no_leaks"),
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]

Run = Callable[[Spec], Awaitable[Child]]


@pytest.fixture
async def run() -> AsyncIterator[Run]:
    """Start children that are stopped with the test."""
    children: list[Child] = []

    async def one(spec: Spec) -> Child:
        children.append(await start(spec, HOUSE, mark="a test"))
        return children[-1]

    yield one
    for child in children:
        await child.stop(0.0)


async def test_lines_come_whole_and_in_order(run: Run, tmp_path: Path) -> None:
    child = await run(shell("echo one; printf 'two\\r\\n'; printf three", tmp_path, stdout="lines"))
    assert [line async for line in child.lines()] == [b"one", b"two", b"three"]
    assert await child.wait() == 0


async def test_what_is_written_arrives(run: Run, tmp_path: Path) -> None:
    child = await run(shell("cat", tmp_path, stdin=True, stdout="lines"))
    data = b"x" * 3_000_000 + b"\n"
    lines = child.lines()
    async with asyncio.TaskGroup() as group:
        group.create_task(child.write(data, 5.0))
        assert await anext(lines) == data[:-1]
    child.close_stdin()
    assert [line async for line in lines] == []
    assert await child.wait() == 0


async def test_nothing_is_inherited_but_what_the_spec_says(run: Run, tmp_path: Path) -> None:
    child = await run(shell("env; pwd", tmp_path, stdout="lines"))
    lines = {line.decode() async for line in child.lines()}
    names = {line.partition("=")[0] for line in lines if "=" in line}
    assert names - {"PWD", "SHLVL", "_", "OLDPWD"} == {"PATH", minder.HOUSE, minder.MARK, minder.CHILD}
    assert f"{minder.HOUSE}={HOUSE}" in lines
    assert f"{minder.MARK}=a test" in lines
    assert str(tmp_path) in lines


async def test_a_flood_on_stderr_blocks_nobody_and_its_end_is_kept(run: Run, tmp_path: Path) -> None:
    program = "import sys; [sys.stderr.write('x' * 9999 + '\\n') for _ in range(3000)]; print('done')"
    child = await run(python(program + "; sys.stderr.write('the end')", tmp_path, stdout="lines"))
    assert [line async for line in child.lines()] == [b"done"]
    await child.wait()
    await until(lambda: child.said().endswith("the end"))
    assert len(child.said()) <= 64 * 1024


async def test_what_nobody_fetches_is_not_read(run: Run, tmp_path: Path) -> None:
    """Backpressure: a child that writes without end waits for its reader."""
    program = """
import os, sys
n = 0
os.set_blocking(1, False)
while True:
    try:
        os.write(1, b'x' * 999 + b'\\n'); n += 1
    except BlockingIOError:
        sys.stderr.write(f'blocked {n}'); os.set_blocking(1, True)
"""
    child = await run(python(program, tmp_path, stdout="lines"))
    await until(lambda: "blocked" in child.said())
    assert int(child.said().split()[1]) < 2000, "two megabytes were read for nobody"
    lines = child.lines()
    for _ in range(3000):
        assert len(await anext(lines)) == 999


async def test_a_line_without_end_is_refused(run: Run, tmp_path: Path) -> None:
    program = "import os\nos.write(1, b'short\\n')\nwhile True: os.write(1, b'x' * 65536)"
    child = await run(python(program, tmp_path, stdout="lines", max_line_bytes=1_000_000))
    lines = child.lines()
    assert await anext(lines) == b"short"
    with pytest.raises(RhetorError, match="a line of more than 1000000 bytes") as raised:
        await anext(lines)
    assert raised.value.code is Code.PROTOCOL


async def test_garbage_is_no_harm(run: Run, tmp_path: Path) -> None:
    child = await run(python("import os; os.write(1, bytes(range(256)))", tmp_path))
    await child.wait()
    await until(lambda: "abc" in child.said())
    assert "\ufffd" in child.said()


async def test_writing_to_a_child_that_does_not_read_has_an_end(run: Run, tmp_path: Path) -> None:
    child = await run(shell("exec sleep 600", tmp_path, stdin=True))
    with pytest.raises(RhetorError, match=r"does not read its input: gave up after 0\.1 s") as raised:
        await child.write(b"x" * 1_000_000, 0.1)
    assert raised.value.code is Code.UNAVAILABLE
    with pytest.raises(RhetorError, match="takes no more input"):  # it was told half a line
        await child.write(b"more\n", 0.1)


async def test_writing_to_a_child_that_has_ended_fails(run: Run, tmp_path: Path) -> None:
    child = await run(shell("exec 0<&-; exit 4", tmp_path, stdin=True))
    assert await child.wait() == 4
    with pytest.raises(RhetorError, match="has ended"):
        await child.write(b"hello\n", 1.0)


async def test_a_child_that_obeys_is_asked_only_once(run: Run, tmp_path: Path) -> None:
    child = await run(
        shell("trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.05; done", tmp_path)
    )
    await until(lambda: "ready" in child.said())
    assert await child.stop(5.0) == 7
    assert await child.stop() == 7
    assert child.returncode == 7


async def test_a_child_that_ignores_sigterm_is_killed(run: Run, tmp_path: Path) -> None:
    child = await run(python(STUBBORN, tmp_path))
    await until(lambda: "ready" in child.said())
    begun = time.monotonic()
    assert await child.stop(0.2) == -signal.SIGKILL
    assert time.monotonic() - begun < 3.0
    assert not is_alive(child.pid)


async def test_stopping_goes_on_when_its_caller_is_cancelled(run: Run, tmp_path: Path) -> None:
    child = await run(python(STUBBORN, tmp_path))
    await until(lambda: "ready" in child.said())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await child.stop(0.1)
    assert await child.stop() == -signal.SIGKILL


async def test_the_whole_group_ends(run: Run, tmp_path: Path) -> None:
    """Also when the child itself has ended before."""
    child = await run(shell("sleep 600 & echo $! >pid; exit 3", tmp_path))
    assert await child.wait() == 3
    pid = read_pid(tmp_path / "pid")
    assert pid is not None
    assert is_alive(pid)
    assert await child.stop(0.2) == 3
    assert not is_alive(pid)


async def test_grandchildren_that_left_the_group_end(run: Run, tmp_path: Path) -> None:
    spec = python(DAEMON + "\ntime.sleep(600)", tmp_path)
    child = await run(Spec(argv=(*spec.argv, "pid"), cwd=tmp_path, env=spec.env, label="child"))
    await until(lambda: read_pid(tmp_path / "pid") is not None)
    pid = read_pid(tmp_path / "pid")
    assert pid is not None
    assert minder.session_of(pid) != child.pid
    await child.stop(1.0)
    assert not is_alive(pid)


async def test_one_child_s_end_is_not_another_s(run: Run, tmp_path: Path) -> None:
    """Two children of one session, such as an agent that is replaced."""
    first = await run(shell("exec sleep 600", tmp_path))
    second = await run(shell("exec sleep 600", tmp_path))
    await first.stop(1.0)
    assert is_alive(second.pid)


async def test_a_dead_child_s_output_ends_though_its_children_hold_the_pipe(run: Run, tmp_path: Path) -> None:
    child = await run(shell("echo last; sleep 600 & exit 0", tmp_path, stdout="lines"))
    async with asyncio.timeout(5.0):
        assert [line async for line in child.lines()] == [b"last"]


async def test_stopping_ends_the_lines(run: Run, tmp_path: Path) -> None:
    child = await run(shell("echo one; sleep 600", tmp_path, stdout="lines"))
    lines = child.lines()
    assert await anext(lines) == b"one"
    await child.stop(0.5)
    assert [line async for line in lines] == []


async def test_signals_reach_the_group(run: Run, tmp_path: Path) -> None:
    child = await run(shell("trap 'exit 9' INT; echo ready; while :; do sleep 0.05; done", tmp_path))
    await until(lambda: "ready" in child.said())
    child.signal(signal.SIGINT)
    assert await child.wait() == 9
    await child.stop()
    child.signal(signal.SIGINT)  # its number may be another one's by now


@pytest.mark.parametrize(
    ("argv", "cwd", "said"),
    [
        (("no-such-program",), ".", "no program 'no-such-program'"),
        (("./script",), ".", "'./script' may not be run"),
        (("./nothing",), ".", "Exec format error"),
        (("sh",), "gone", "no folder"),
        (("sh", "-c", "a\0b"), ".", "null byte"),
    ],
)
async def test_what_cannot_be_started_says_why(
    argv: tuple[str, ...], cwd: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "script").write_text("#!/bin/sh\n")
    (tmp_path / "nothing").write_bytes(b"\0\0\0")
    (tmp_path / "nothing").chmod(0o700)
    before = open_descriptors()
    with pytest.raises(RhetorError, match=said) as raised:
        await start(Spec(argv=argv, cwd=tmp_path / cwd, env={"PATH": PATH}, label="it"), HOUSE, mark="m")
    assert raised.value.code is Code.UNAVAILABLE
    assert open_descriptors() == before


async def test_nothing_is_left_open(tmp_path: Path) -> None:
    child = await start(shell("true", tmp_path, stdin=True), HOUSE, mark="m")
    await child.stop()
    before = open_descriptors()
    for _ in range(5):
        child = await start(shell("echo hi", tmp_path, stdin=True, stdout="lines"), HOUSE, mark="m")
        await child.stop()
    assert open_descriptors() == before


async def test_a_start_that_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    house = f"{FOLDER}.given_up"
    before = open_descriptors()
    for _ in range(5):
        starting = spawn(start(shell("exec sleep 600", tmp_path), house, mark="m"), "start")
        await asyncio.sleep(0)  # into the thread
        starting.cancel()
        await asyncio.wait([starting])
        assert starting.cancelled()
    await until(lambda: open_descriptors() <= before and not with_variable(minder.HOUSE, house))


def test_it_is_the_same_under_uvloop(tmp_path: Path) -> None:
    async def main() -> tuple[list[bytes], int, int]:
        child = await start(
            shell("read x; echo $x; exit 5", tmp_path, stdin=True, stdout="lines"), HOUSE, mark="m"
        )
        await child.write(b"hello\n", 1.0)
        lines = [line async for line in child.lines()]
        stubborn = await start(python(STUBBORN, tmp_path), HOUSE, mark="m")
        await until(lambda: "ready" in stubborn.said())
        return lines, await child.stop(), await stubborn.stop(0.1)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(main()) == ([b"hello"], 5, -signal.SIGKILL)
