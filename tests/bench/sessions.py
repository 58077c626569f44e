"""What do sessions cost? `python -m tests.bench.sessions`; with agents: `tests/alone .venv/bin/python -m …`.

Memory of a session, time to its first event, what the session adds to a call of its model, and what a choice
takes; for agents the same, cold and warm, where Claude Code is installed and there is no network.

The gateway has a core of its own for the chats, and all of them with the agents. Calls and turns are made in
turn, so that both see the same machine; each figure is the median of three repetitions.
"""

import argparse
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import orjson
import yaml

from tests.bench.build import ensure_programs
from tests.bench.exchange import ASSISTANT, CONTENT, Line
from tests.bench.machine import choose_cores, describe, process_cpu_s, process_tree, rss_bytes
from tests.bench.processes import free_port, running, wait_until_ready
from tests.bench.subjects import environment

T = TypeVar("T")
CLAUDE = Path(__file__).parents[1] / "agents" / "node_modules" / ".bin" / "claude"
MODEL = "bench/bench-model"
SAID = "[bench chunks=8] hello"
REPEATED = 3
PAIRS = 400
"""Calls, and as many turns, in a repetition."""
WARM_UP = 30
ROTATED = 40
"""Sessions that take turns, so that none of them gets long."""
IDLE = 2000
AGENTS = 20
ALONE = 5
"""Agents that are started one after the other."""
COOL_S = 40.0  # a chat is kept open for 30 s
WATCH_S = 10.0
MIB = 1 << 20


@dataclass(frozen=True)
class Row:
    what: str
    figure: str


@dataclass(frozen=True)
class Gateway:
    port: int
    pid: int

    def line(self) -> Line:
        return Line(self.port)

    @property
    def rss_bytes(self) -> int:
        return rss_bytes([self.pid])


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m tests.bench.sessions")
    options.add_argument("--idle", type=int, default=IDLE, help=f"idle chats (default: {IDLE})")
    options.add_argument("--agents", type=int, default=AGENTS, help=f"agents (default: {AGENTS}; 0: none)")
    options.add_argument("--repeat", type=int, default=REPEATED, help=f"repetitions (default: {REPEATED})")
    asked = options.parse_args()
    _raise_limit(2 * asked.idle + 500)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="rhetor-bench-") as folder:
        rows += _chats(Path(folder, "chats"), asked.idle, asked.repeat)
        if asked.agents and (reason := _why_no_agents()):
            print(f"no agents: {reason}", file=sys.stderr)
        elif asked.agents:
            rows += _agents(Path(folder, "agents"), asked.agents, asked.repeat)
    width = max(len(row.what) for row in rows)
    print("\n".join(f"| {row.what.ljust(width)} | {row.figure} |" for row in rows))
    print(describe(choose_cores()), f"load {os.getloadavg()[0]:.1f}")
    return 0


# --- chats


def _chats(folder: Path, idle: int, repeat: int) -> list[Row]:
    cores = choose_cores()
    os.sched_setaffinity(0, {cores.harness})
    with _house(folder, {}, cores.gateway) as gateway:
        line = gateway.line()
        rows = _overhead(gateway, line, repeat, "no other session")
        rows += _long_session(line)
        before = gateway.rss_bytes
        ids = [_begin(line) for _ in range(idle)]
        rows.append(_memory(f"{idle} chats that were begun", gateway.rss_bytes - before, idle))
        first = [_turn(line, id) for id in ids]
        rows.append(Row(f"first event of {idle} chats, each its first turn", _spread(first)))
        rows.append(_memory(f"{idle} chats, warm", gateway.rss_bytes - before, idle))
        rows += _overhead(gateway, line, repeat, f"{idle} warm or idle")
        time.sleep(COOL_S)
        rows.append(_memory(f"{idle} chats, idle", gateway.rss_bytes - before, idle))
        rows += _followed(gateway, ids)
        rows += _choice(line, repeat)
        line.close()
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    return rows


def _overhead(gateway: Gateway, line: Line, repeat: int, beside: str) -> list[Row]:
    """A call of a model, and the same as a session's turn, one after the other."""
    call = {"model": MODEL, "stream": True, "messages": [{"role": "user", "content": SAID}]}
    added, calls, turns, whole = [], [], [], []
    for _ in range(repeat):
        ids = [_begin(line) for _ in range(ROTATED)]
        called, turned, ended = [], [], []
        for n in range(WARM_UP + PAIRS):
            one = line.ask("POST", "/v1/chat/completions", call, CONTENT)
            other = line.ask("POST", f"/v1/sessions/{ids[n % ROTATED]}/messages", _said(), ASSISTANT)
            if n >= WARM_UP:
                called.append(one.first_s)
                turned.append(other.first_s)
                ended.append(other.whole_s)
        added.append(statistics.median(turned) - statistics.median(called))
        calls.append(statistics.median(called))
        turns += turned
        whole.append(statistics.median(ended))
        for id in ids:
            line.ask("DELETE", f"/v1/sessions/{id}?forget=true")
    return [
        Row(f"a call of the model until its first word, {beside}", _ms(statistics.median(calls))),
        Row(f"a turn until its first word, {beside}", _spread(turns)),
        Row(f"a turn until its end, {beside}", _ms(statistics.median(whole))),
        Row(
            f"what the session adds, {beside}",
            f"{_ms(statistics.median(added))} (of {', '.join(map(_ms, added))})",
        ),
    ]


def _long_session(line: Line) -> list[Row]:
    """One in which a lot was said: all of it is read for each turn."""
    id = _begin(line)
    first = [_turn(line, id) for _ in range(300)]
    line.ask("DELETE", f"/v1/sessions/{id}?forget=true")
    early, late = statistics.median(first[10:40]), statistics.median(first[-30:])
    return [
        Row("a turn until its first word, in a session of 300", f"{_ms(early)} at first, {_ms(late)} at last")
    ]


def _followed(gateway: Gateway, ids: Sequence[str]) -> list[Row]:
    """Somebody reads each of them."""
    before = gateway.rss_bytes
    lines = [gateway.line() for _ in ids]
    for line, id in zip(lines, ids, strict=True):
        line.follow(f"/v1/sessions/{id}/events?after=1")
    time.sleep(COOL_S / 4)
    began_s, used_s = time.monotonic(), process_cpu_s([gateway.pid])
    time.sleep(WATCH_S)
    percent = 100 * (process_cpu_s([gateway.pid]) - used_s) / (time.monotonic() - began_s)
    rows = [
        _memory(f"{len(ids)} readers of idle chats", gateway.rss_bytes - before, len(ids)),
        Row(f"{len(ids)} readers of idle chats, of a core", f"{percent:.1f} %"),
    ]
    for line in lines:
        line.close()
    return rows


def _choice(line: Line, repeat: int) -> list[Row]:
    wanted = {"capabilities": ["streaming"], "cost_optimization": True}
    took, bare = [], []
    for _ in range(repeat * 100):
        bare.append(line.ask("GET", "/ready").whole_s)
        took.append(line.ask("POST", "/v1/sessions/choose", wanted).whole_s)
    return [Row("choose, and GET /ready beside it", f"{_spread(took)}; {_ms(statistics.median(bare))}")]


# --- agents


def _agents(folder: Path, count: int, repeat: int) -> list[Row]:
    setting = {"claude_code": {"enabled": True, "command": str(CLAUDE), "max_sessions": count + ALONE}}
    cold, warm, cold_together, warm_together = [], [], [], []
    rows: list[Row] = []
    with _house(folder, setting, None) as gateway:
        line = gateway.line()
        _forget(line, [id for id, _ in [_agent(gateway)]])  # the first one loads the program from the disk
        before = gateway.rss_bytes
        for n in range(repeat):
            for _ in range(ALONE):
                id, took_s = _agent(gateway)
                cold.append(took_s)
                warm += [_turn(line, id) for _ in range(ALONE)]
                _forget(line, [id])
            begun = _together(lambda _: _agent(gateway), count)
            ids = [id for id, _ in begun]
            cold_together += [took_s for _, took_s in begun]
            warm_together += _together(lambda n, ids=ids: _turn(gateway.line(), ids[n]), count)  # type: ignore[misc]
            if n == repeat - 1:
                rows += _agents_memory(gateway, before, count)
            _forget(line, ids)
        line.close()
    return [
        Row("first word of an agent, cold, alone", _spread(cold)),
        Row("first word of an agent, warm, alone", _spread(warm)),
        Row(f"first word of {count} agents that begin together", _spread(cold_together)),
        Row(f"first word of {count} warm agents together", _spread(warm_together)),
        *rows,
    ]


def _agents_memory(gateway: Gateway, before: int, count: int) -> list[Row]:
    pids = [pid for pid in process_tree(gateway.pid)[1:] if b"stream-json" in _arguments(pid)]
    resident = [rss_bytes([pid]) for pid in pids]
    own = [_private_bytes(pid) for pid in pids]
    return [
        Row(f"{len(pids)} agents, resident each", _megabytes(resident)),
        Row(f"{len(pids)} agents, of their own each", _megabytes(own)),
        _memory(f"the gateway with {count} agents", gateway.rss_bytes - before, count),
    ]


def _agent(gateway: Gateway) -> tuple[str, float]:
    """One more, and how long it took until it said its first word."""
    line = gateway.line()
    id = _begin(line, "claude_code")
    took_s = _turn(line, id)
    line.close()
    return id, took_s


def _together(work: Callable[[int], T], count: int) -> list[T]:
    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(work, range(count)))


def _why_no_agents() -> str:
    if not CLAUDE.exists():
        return "claude is not installed: npm install in tests/agents"
    if {name for _, name in socket.if_nameindex()} != {"lo"}:
        return "only without a network: tests/alone"
    return ""


# --- what is asked


def _begin(line: Line, backend: str = "chat") -> str:
    body = line.ask("POST", "/v1/sessions", {"backend": backend, "model": MODEL}).body
    return str(orjson.loads(body)["id"])


def _said() -> dict[str, object]:
    return {"message": SAID, "stream": True}


def _turn(line: Line, id: str) -> float:
    """How long it took until the first word."""
    return line.ask("POST", f"/v1/sessions/{id}/messages", _said(), ASSISTANT).first_s


def _forget(line: Line, ids: Iterable[str]) -> None:
    for id in ids:
        line.ask("DELETE", f"/v1/sessions/{id}?forget=true")


@contextmanager
def _house(folder: Path, sessions: dict[str, object], core: int | None) -> Iterator[Gateway]:
    """A gateway in front of a provider that answers at once."""
    folder.mkdir()
    cores = choose_cores()
    with subprocess.Popen([str(ensure_programs().upstream)], stdout=subprocess.PIPE) as upstream:
        assert upstream.stdout is not None
        url = f"http://127.0.0.1:{int(upstream.stdout.readline())}"
        port = free_port()
        given = {
            "server": {"port": port},
            "discovery": {"enabled": False, "local": False},
            "logs": {"level": "warning"},
            "store": {"folder": str(folder / "store")},
            "providers": {
                "bench": {"wire": "openai", "base_url": f"{url}/v1", "key": "env:BENCH_KEY"},
            },
            "sessions": sessions,
        }
        (folder / "rhetor.yaml").write_text(yaml.safe_dump(given))
        command = [sys.executable, "-m", "rhetor", "serve", "--config", str(folder / "rhetor.yaml")]
        with running(command, cores.gateway if core is None else core, folder, environment()) as process:
            if core is None:  # its agents need all of them
                os.sched_setaffinity(process.pid, range(os.cpu_count() or 1))
            wait_until_ready(process, port, folder)
            yield Gateway(port, process.pid)
        upstream.kill()


# --- figures


def _memory(what: str, bytes: int, count: int) -> Row:
    return Row(what, f"{bytes / MIB:.1f} MiB, {bytes / count / 1024:.1f} KiB each")


def _megabytes(sizes: Sequence[int]) -> str:
    return f"median {statistics.median(sizes) / MIB:.0f} MiB, at most {max(sizes) / MIB:.0f}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.2f} ms"


def _spread(seconds: Sequence[float]) -> str:
    percentiles = statistics.quantiles(seconds, n=100, method="inclusive")
    return f"p50 {_ms(percentiles[49])}, p99 {_ms(percentiles[98])}"


def _private_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))


def _arguments(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _raise_limit(files: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, files), hard), hard))


if __name__ == "__main__":
    sys.exit(main())
