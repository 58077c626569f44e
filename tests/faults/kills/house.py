"""A gateway that is killed and started again on the same folder, and what it leaves behind."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import yaml

from rhetor.services import minder
from rhetor.services.house import folder_id
from tests.conftest import KEY, free_port
from tests.faults.kills.reader import TOKEN
from tests.faults.kills.speaker import VARIABLE

ROOT = Path(__file__).parents[3]
GATEWAY_TOKEN = "token-canary-8b1f4d20e7"
SECRET = "environment-canary-5c9a7e13"
SESSION_KEY = "sk-rhetor-session-"
EXITS_S = 10.0
LOOK_S = 0.02
SHOWN_CHARS = 3000


@dataclass(frozen=True)
class StoredEvent:
    seq: int
    turn: int
    type: str
    content: str
    data: Any


@dataclass(frozen=True)
class Stored:
    """A session as its store has it."""

    state: str
    last_seq: int
    title: str | None
    events: Sequence[StoredEvent]


class House:
    """
    Args:
        given: the configuration, without server and store.
    """

    def __init__(self, folder: Path, given: Mapping[str, Any]) -> None:
        self.folder = folder
        self.store = folder / "store"
        self.store.mkdir(mode=0o700)
        self.log = folder / "gateway.log"
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        self._config = folder / "rhetor.yaml"
        server = {"port": port, "keepalive_s": 1, "tokens": {"ann": "env:GATEWAY_TOKEN"}}
        self._config.write_text(
            yaml.safe_dump(
                {
                    "server": server,
                    "discovery": {"enabled": False, "local": False},
                    "logs": {"level": "debug"},
                    "store": {"folder": str(self.store)},
                    **given,
                }
            )
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._copies = 0
        self._prefix = f"{folder_id(self.store)}."
        self.keys: set[str] = set()
        """Of sessions, as their agents were seen to have them."""

    # The gateway.

    def start(self) -> None:
        variables = {"PATH": "/usr/local/bin:/usr/bin:/bin", "TEST_KEY": KEY, "GATEWAY_TOKEN": GATEWAY_TOKEN}
        command = [sys.executable, "-m", "rhetor", "serve", "--config", str(self._config)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, env=variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def kill(self) -> None:
        assert self._process is not None
        assert self._process.poll() is None, f"the gateway ended by itself: {self.log_end()}"
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """In order."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait(60)

    def end(self) -> None:
        """Whatever still runs, when a test has failed."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        minder.end_those(lambda pid: self._house_of(pid) != "", 0.0, EXITS_S)

    def log_end(self) -> str:
        return self.log.read_text()[-SHOWN_CHARS:]

    # Its children.

    def agents(self, session: str | None = None) -> list[int]:
        """The agents that the gateway has; of one session, or of all."""
        assert self._process is not None
        found = []
        for pid in _children(self._process.pid):
            told = minder.environment_of(pid)
            mark = told.get(minder.MARK, "")
            if mark == session or (session is None and mark.startswith("ses_")):
                found.append(pid)
                if key := told.get("ANTHROPIC_AUTH_TOKEN"):
                    self.keys.add(key)
        return found

    def of_start(self, pid: int) -> set[int]:
        """All processes that come from the same start as this one."""
        start = minder.environment_of(pid).get(minder.CHILD)
        return {
            each for each in minder.pids() if start and minder.environment_of(each).get(minder.CHILD) == start
        }

    def minders(self) -> dict[int, str]:
        """Those that wait for a gateway of this folder, and for which house."""
        found = {pid: minder.environment_of(pid).get(minder.MINDS, "") for pid in minder.pids()}
        return {pid: house for pid, house in found.items() if house.startswith(self._prefix)}

    def houses(self) -> set[str]:
        """Gateways of this folder that have processes, dead or alive."""
        return {self._house_of(pid) for pid in minder.pids()} - {""} | set(self.minders().values())

    def left_of(self, houses: Collection[str]) -> set[int]:
        return {pid for pid in minder.pids() if self._house_of(pid) in houses}

    def described(self, pids: Collection[int]) -> list[str]:
        return [f"{pid} {Path(f'/proc/{pid}/cmdline').read_text()!r}" for pid in pids]

    def _house_of(self, pid: int) -> str:
        house = minder.environment_of(pid).get(minder.HOUSE, "")
        return house if house.startswith(self._prefix) else ""

    # Its store.

    def stored(self) -> dict[str, Stored]:
        """What is in the store at this moment: read from a copy, so that nothing there is touched."""
        self._copies += 1
        copy = self.folder / f"copy-{self._copies}"
        copy.mkdir()
        for file in self.store.glob("rhetor.db*"):
            if not file.name.endswith("-shm"):
                shutil.copy(file, copy)
        with closing(sqlite3.connect(copy / "rhetor.db")) as database:
            found = _sessions(database)
        shutil.rmtree(copy)
        return found

    def secrets_in(self, folder: Path) -> list[str]:
        """Files with a secret in them, and which."""
        secrets = {KEY, GATEWAY_TOKEN, SECRET, SESSION_KEY, *self.keys}
        return [
            f"{file}: {secret}"
            for file in folder.rglob("*")
            if file.is_file()
            for secret in secrets
            if secret.encode() in file.read_bytes()
        ]


class Client:
    """A program of ours that talks to the gateway, and can be killed and started again."""

    def __init__(self, name: str, *arguments: str | Path, log: Path, secret: bool = False) -> None:
        self.name = name
        self.arguments = arguments
        self._log = log
        self._variables = {TOKEN: GATEWAY_TOKEN, "PATH": os.defpath} | ({VARIABLE: SECRET} if secret else {})
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        module = f"tests.faults.kills.{self.name}"
        command = [sys.executable, "-m", module, *map(str, self.arguments)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=self._variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def kill(self) -> None:
        assert self._process is not None
        code = self._process.poll()
        assert code is None, f"{self.name} ended by itself with {code}: {self.log_end()}"
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def left(self, within_s: float) -> int:
        """Its exit code, once it has left by itself."""
        assert self._process is not None
        return self._process.wait(within_s)

    def writing_to(self, file: Path) -> Client:
        """The same, which begins anew with another file, its last argument."""
        return Client(self.name, *self.arguments[:-1], file, log=self._log)

    def log_end(self) -> str:
        return self._log.read_text()[-SHOWN_CHARS:]


def _children(parent: int) -> list[int]:
    found = []
    for pid in minder.pids():
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == parent:
                found.append(pid)
    return found


def until(done: Callable[[], bool], within_s: float) -> bool:
    """Look until it is so. Whether it was, before the time was over."""
    end_s = time.monotonic() + within_s
    while not (is_so := done()) and time.monotonic() < end_s:
        time.sleep(LOOK_S)
    return is_so


def _sessions(database: sqlite3.Connection) -> dict[str, Stored]:
    events: dict[str, list[StoredEvent]] = {}
    for id, seq, turn, type, content, data in database.execute(
        "SELECT session_id, seq, turn, type, content, data FROM events ORDER BY session_id, seq"
    ):
        events.setdefault(id, []).append(StoredEvent(seq, turn, type, content, orjson.loads(data)))
    return {
        id: Stored(state, last_seq, orjson.loads(document).get("title"), events.get(id, []))
        for id, state, last_seq, document in database.execute(
            "SELECT id, state, last_seq, document FROM sessions"
        )
    }
