"""The store on disk: it survives us, belongs to one gateway, and says what is wrong with it."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from rhetor.core.errors import Code, RhetorError
from rhetor.store.sql.folder import DATABASE, Folder, usual_folder
from rhetor.store.sql.opening import SqlStore, open_store
from rhetor.store.sql.tables import VERSION
from rhetor.store.sql.worker import MOST_TOGETHER, Worker
from rhetor.tasks import spawn
from tests.store.crashing import SESSIONS, content, together
from tests.store.test_sessions import began, grown, said, session

ROUNDS = 24
WITHIN_S = 20.0
CANARY = "canary-7f3a9c"
SCRIPT = Path(__file__).parent / "crashing.py"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    made = open_store(tmp_path / "state")
    yield made
    await made.sessions.close()


def refused(folder: Path) -> RhetorError:
    with pytest.raises(RhetorError) as caught:
        open_store(folder)
    assert caught.value.code is Code.UNAVAILABLE
    assert str(folder) in caught.value.message
    return caught.value


# It is there after us.


async def test_what_was_stored_is_there_the_next_time(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    row = await began(store.sessions, "a", "b")
    await store.documents.save("account", "", "ann", {"hash": "x"})
    await store.sessions.close()
    store = open_store(tmp_path)
    assert await store.sessions.find("ses_1") == row
    assert await said(store.sessions) == ["a", "b"]
    assert await store.documents.load("account", "", "ann") == {"hash": "x"}
    await store.sessions.close()


async def test_in_memory_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    one, other = open_store(None), open_store(None)
    await began(one.sessions, "a")
    assert await other.sessions.find("ses_1") is None
    await one.sessions.close()
    await other.sessions.close()
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
async def crashing(tmp_path: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.store.crashing",
        cwd=SCRIPT.parents[2], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    yield process
    assert process.stdin is not None
    process.stdin.close()
    await process.wait()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
async def test_killed_at_any_moment_it_has_what_it_promised(
    crashing: asyncio.subprocess.Process, tmp_path: Path
) -> None:
    """kill -9, again and again: whole steps, none lost that was promised, none twice, in order."""
    assert crashing.stdin is not None
    assert crashing.stdout is not None
    chance = random.Random(5)
    promised: dict[str, int] = {}
    for _ in range(ROUNDS):
        crashing.stdin.write(f"{tmp_path}\n".encode())
        async with asyncio.timeout(WITHIN_S):
            _, pid = (await crashing.stdout.readline()).split()
            patience = chance.choice([0, 1, 2, chance.randrange(200)])
            while (line := (await crashing.stdout.readline()).split())[0] != b"dead":
                if patience == 0:
                    os.kill(int(pid), signal.SIGKILL)
                patience -= 1
                if len(line) == 2 and line[1].isdigit():  # the last one may be cut off
                    promised[line[0].decode()] = int(line[1])
        assert int(line[1]) == -signal.SIGKILL
        await everything_is_right(tmp_path, promised)
    assert len(promised) == SESSIONS


async def everything_is_right(folder: Path, promised: dict[str, int]) -> None:
    store = open_store(folder)  # at once: who died holds no lock
    for row in await store.sessions.list(None):
        log = await store.sessions.read(row.id, 0, 1_000_000)
        assert row.last_seq >= promised.get(row.id, 0)
        assert [event.seq for event in log] == list(range(1, row.last_seq + 1))
        assert [event.content for event in log] == [content(row.id, event.seq) for event in log]
        assert row.document.get("last", 0) == row.last_seq
        ends = [0]
        while ends[-1] < row.last_seq:
            ends.append(ends[-1] + together(ends[-1]))
        assert ends[-1] == row.last_seq, "half a step was stored"
    await store.sessions.close()
    file = sqlite3.connect(folder / DATABASE)
    assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    file.close()


# It belongs to one.


@pytest.fixture
def another(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the folder."""
    program = (
        "import sys; from pathlib import Path; from rhetor.store.sql.folder import Folder\n"
        "folder = Folder.take(Path(sys.argv[1])); print('taken', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "state")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "taken\n"
        yield process
        process.kill()


async def test_a_folder_belongs_to_one_process(another: subprocess.Popen[str], tmp_path: Path) -> None:
    message = refused(tmp_path / "state").message
    assert f"process {another.pid}" in message
    assert "store.folder" in message
    assert not (tmp_path / "state" / DATABASE).exists()
    another.kill()
    another.wait()
    store = open_store(tmp_path / "state")
    await store.sessions.close()


async def test_within_a_process_it_belongs_to_one_as_well(store: SqlStore, tmp_path: Path) -> None:
    assert f"process {os.getpid()}" in refused(tmp_path / "state").message
    await store.sessions.close()
    again = open_store(tmp_path / "state")
    await again.sessions.close()


async def test_a_folder_that_could_not_be_opened_is_free_again(tmp_path: Path) -> None:
    (tmp_path / DATABASE).write_bytes(b"not a database, whatever its name says" * 100)
    refused(tmp_path)
    (tmp_path / DATABASE).unlink()
    store = open_store(tmp_path)
    await store.sessions.close()


def test_nobody_else_may_look_into_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = open_store(tmp_path / "some" / "state")
        asyncio.run(began(store.sessions, "a"))
        rights = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "some" / "state").iterdir()}
    finally:
        os.umask(before)
    assert (tmp_path / "some" / "state").stat().st_mode & 0o777 == 0o700
    assert rights == dict.fromkeys(["lock", DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm"], 0o600)
    asyncio.run(store.sessions.close())


def test_a_folder_that_others_may_enter_is_left_so_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tmp_path.chmod(0o755)
    with caplog.at_level(logging.WARNING):
        Folder.take(tmp_path).release()
    assert [record.message for record in caplog.records] == ["folder open to everybody"]
    assert tmp_path.stat().st_mode & 0o777 == 0o755


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "store.folder" in refused(tmp_path / "file").message
    assert "store.folder" in refused(tmp_path / "file" / "below").message


def test_where_it_is_unless_told_otherwise() -> None:
    assert usual_folder({"XDG_STATE_HOME": "/var/state", "HOME": "/home/ann"}) == Path("/var/state/rhetor")
    home = Path("/home/ann/.local/state/rhetor")
    assert usual_folder({"XDG_STATE_HOME": "", "HOME": "/home/ann"}) == home
    assert usual_folder({"XDG_STATE_HOME": "relative", "HOME": "/home/ann"}) == home
    assert usual_folder({}).is_absolute()


# What is wrong with it.


def test_garbage_is_called_damaged_and_stays(tmp_path: Path) -> None:
    garbage = b"not a database, whatever its name says" * 100
    (tmp_path / DATABASE).write_bytes(garbage)
    message = refused(tmp_path).message
    assert DATABASE in message
    assert "damaged" in message
    assert (tmp_path / DATABASE).read_bytes() == garbage


async def test_damage_that_shows_later_is_told_as_well(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    for n in range(40):
        await began(store.sessions, "x" * 2_000, id=f"ses_{n}")
    await store.sessions.close()
    file = tmp_path / DATABASE
    whole = file.read_bytes()
    file.write_bytes(whole[:8_192] + b"\xff" * (len(whole) - 8_192))
    store = open_store(tmp_path)
    with pytest.raises(RhetorError) as caught:
        await asyncio.gather(*(store.sessions.read(f"ses_{n}", 0, 10) for n in range(40)))
    assert caught.value.code is Code.UNAVAILABLE
    assert f"{file} cannot be used: it is damaged" in caught.value.message
    await store.sessions.close()


def sql(folder: Path, *statements: str) -> None:
    with sqlite3.connect(folder / DATABASE) as file:
        for statement in statements:
            file.execute(statement)
    file.close()


async def test_a_newer_versions_database_is_left_alone(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    await began(store.sessions, "a")
    await store.sessions.close()
    sql(tmp_path, f"PRAGMA user_version={VERSION + 1}", "CREATE TABLE news (x)")
    before = (tmp_path / DATABASE).read_bytes()
    message = refused(tmp_path).message
    assert f"version {VERSION + 1}" in message
    assert "newer" in message
    assert (tmp_path / DATABASE).read_bytes() == before


@pytest.mark.parametrize("statement", ["CREATE TABLE theirs (x)", "PRAGMA user_version=1"])
def test_another_programs_database_is_left_alone(tmp_path: Path, statement: str) -> None:
    sql(tmp_path, statement)
    before = (tmp_path / DATABASE).read_bytes()
    assert "another program" in refused(tmp_path).message
    assert (tmp_path / DATABASE).read_bytes() == before


async def test_an_empty_file_becomes_a_database(tmp_path: Path) -> None:
    (tmp_path / DATABASE).touch()
    store = open_store(tmp_path)
    await began(store.sessions, "a")
    await store.sessions.close()


async def test_who_cannot_write_is_told_and_goes_on_later(store: SqlStore, tmp_path: Path) -> None:
    """Here the database may not grow any more, as on a full disk; whoever needs no room is not hurt."""
    rows = [await began(store.sessions, "a", id=f"ses_{n}") for n in range(3)]
    pages = await store.sessions._worker.read(lambda on: on.execute(text("PRAGMA page_count")).scalar_one())
    await limit(store, pages)
    outcomes = await asyncio.gather(
        store.sessions.append(*grown(rows[0], "b")),
        store.sessions.append(*grown(rows[1], f"{CANARY} " * 100_000)),
        store.sessions.append(*grown(rows[2], "b")),
        return_exceptions=True,
    )
    assert outcomes[0] is None
    assert outcomes[2] is None
    assert isinstance(outcomes[1], RhetorError)
    assert outcomes[1].code is Code.UNAVAILABLE
    assert "full" in outcomes[1].message
    assert "make room" in outcomes[1].message
    assert CANARY not in f"{outcomes[1]} {outcomes[1].__cause__} {outcomes[1].__cause__!r}"
    assert await said(store.sessions, "ses_1") == ["a"]
    await limit(store, 1_000_000)
    await store.sessions.append(*grown(rows[1], "b" * 100_000))


async def limit(store: SqlStore, pages: int) -> None:
    pragma = text(f"PRAGMA max_page_count={pages}")
    await store.sessions._worker.read(lambda on: on.execute(pragma).scalar_one())


# The thread.


class Gate:
    """Work that holds the thread up until it is opened."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self.reached = threading.Event()

    def __call__(self, on: Connection) -> None:
        self.reached.set()
        assert self._open.wait(WITHIN_S)

    def open(self) -> None:
        self._open.set()


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[Worker]:
    worker = Worker(Folder.take(tmp_path))
    yield worker
    await worker.close()


async def held(worker: Worker) -> tuple[Gate, asyncio.Task[None]]:
    """The thread is busy from now on, until the gate is opened."""
    gate = Gate()
    waiting = spawn(worker.read(gate), "gate")
    await asyncio.to_thread(gate.reached.wait, WITHIN_S)
    return gate, waiting


async def test_what_waits_together_is_stored_together(worker: Worker, tmp_path: Path) -> None:
    def stored() -> int:
        """As another connection sees it."""
        file = sqlite3.connect(tmp_path / DATABASE)
        (count,) = file.execute("SELECT count(*) FROM documents").fetchone()
        file.close()
        assert isinstance(count, int)
        return count

    def save(id: int, on: Connection) -> int:
        on.execute(text("INSERT INTO documents VALUES ('k', 'o', :id, '{}')"), {"id": str(id)})
        return stored()

    gate, waiting = await held(worker)
    writes = asyncio.gather(*(worker.write(partial(save, id)) for id in range(20)))
    await asyncio.sleep(0)  # now they wait
    gate.open()
    assert await writes == [0] * 20
    assert stored() == 20
    await waiting


async def test_nobody_waits_for_everybody(worker: Worker) -> None:
    """However many wait, the first are told before the last have their turn."""
    gate, waiting = await held(worker)
    first = spawn(worker.write(lambda on: None), "asking")
    others = [spawn(worker.write(lambda on: None), "asking") for _ in range(MOST_TOGETHER)]
    last = Gate()
    behind = spawn(worker.write(last), "asking")
    await asyncio.sleep(0)  # now they wait
    gate.open()
    async with asyncio.timeout(WITHIN_S):
        await first
        assert not behind.done()
        last.open()
        await asyncio.gather(*others, behind, waiting)


async def test_who_fails_fails_alone(worker: Worker) -> None:
    def fail(on: Connection) -> None:
        on.execute(text("INSERT INTO documents VALUES ('k', 'o', 'half', '{}')"))
        raise ZeroDivisionError

    def count(on: Connection) -> object:
        return on.execute(text("SELECT count(*) FROM documents")).scalar_one()

    gate, waiting = await held(worker)
    outcomes = asyncio.gather(
        worker.write(fail), worker.read(count), worker.write(fail), worker.read(count), return_exceptions=True
    )
    await asyncio.sleep(0)  # now they wait
    gate.open()
    failed, none, failed_too, still_none = await outcomes
    assert isinstance(failed, ZeroDivisionError)
    assert isinstance(failed_too, ZeroDivisionError)
    assert (none, still_none) == (0, 0)
    await waiting


async def test_a_read_that_nobody_waits_for_is_not_done(worker: Worker) -> None:
    done: list[str] = []
    gate, waiting = await held(worker)
    reading = spawn(worker.read(lambda on: done.append("read")), "asking")
    writing = spawn(worker.write(lambda on: done.append("written")), "asking")
    await asyncio.sleep(0)  # now they wait
    reading.cancel()
    writing.cancel()
    gate.open()
    await waiting
    assert await worker.read(lambda on: list(done)) == ["written"]


async def test_somebody_elses_lock_is_waited_for_and_told(
    worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await worker.read(lambda on: on.execute(text("PRAGMA busy_timeout=1")).scalar_one())
    file = sqlite3.connect(tmp_path / DATABASE, isolation_level=None)
    file.execute("BEGIN IMMEDIATE")
    gate, waiting = await held(worker)
    writes = asyncio.gather(*(worker.write(lambda on: None) for _ in range(3)), return_exceptions=True)
    await asyncio.sleep(0)  # now they wait
    gate.open()
    for outcome in await writes:
        assert isinstance(outcome, RhetorError)
        assert outcome.code is Code.UNAVAILABLE
        assert "locked" in outcome.message
    file.execute("ROLLBACK")
    file.close()
    await worker.write(lambda on: None)
    await waiting


def test_a_loop_that_is_gone_harms_nobody(tmp_path: Path) -> None:
    worker = Worker(Folder.take(tmp_path))
    gate = Gate()

    async def ask() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(0):
                await worker.write(gate)

    asyncio.run(ask())
    gate.open()
    asyncio.run(worker.close())


def test_sqlalchemy_is_loaded_with_the_store_only() -> None:
    program = (
        "import sys, rhetor.app, rhetor.store.sql.folder\n"
        "assert 'sqlalchemy' not in sys.modules\n"
        "import rhetor.store.sql.opening\n"
        "assert 'sqlalchemy.orm' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=WITHIN_S)


async def test_a_session_is_found_among_many(store: SqlStore) -> None:
    """No question needs to look at every session."""
    await store.sessions.begin(session())
    plans = await store.sessions._worker.read(
        lambda on: [
            str(row)
            for question in (
                "SELECT * FROM sessions WHERE owner = 'ann' ORDER BY updated_at DESC, id LIMIT 9",
                "SELECT * FROM sessions WHERE updated_at <= 5 ORDER BY updated_at, id LIMIT 9",
                "SELECT * FROM events WHERE session_id = 'x' AND seq > 5 ORDER BY seq LIMIT 9",
            )
            for row in on.execute(text(f"EXPLAIN QUERY PLAN {question}"))
        ]
    )
    assert not [plan for plan in plans if "SCAN" in plan], plans


async def test_rows_are_replaced_whole(store: SqlStore) -> None:
    row = await began(store.sessions, "a")
    changed = replace(row, owner="bob", backend="codex", state="failed", turn=9, document={"x": 1})
    await store.sessions.append(changed, [])
    assert await store.sessions.find("ses_1") == changed
