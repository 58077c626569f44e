#!/usr/bin/env python3
"""A program that behaves as `docker compose` does, as far as services use it, without an engine.

What it prints follows https://docs.docker.com/reference/cli/docker/compose/ps/ and
https://github.com/docker/compose/issues/11784 (read 2026-11-21): one object a line since 2.21.0, before that
one array, which it prints where a file `array` stands beside the compose file. A file `no-engine` there makes
it say what the real one says when no engine runs. "Containers" are processes of their own.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

SERVER = Path(__file__).with_name("server.py")
NO_ENGINE = (
    "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?\n"
)
NO_COMPOSE = "unknown shorthand flag: 'f' in -f\nSee 'docker --help'.\n"


def main(words: list[str]) -> int:
    folder = Path(words[words.index("--file") + 1]).parent
    with (folder / "asked").open("a") as file:
        file.write(" ".join(words) + "\n")
    for flag, said in (("no-engine", NO_ENGINE), ("no-compose", NO_COMPOSE)):
        if (folder / flag).exists():
            sys.stderr.write(said)
            return 1
    verbs = {"up": up, "ps": ps, "logs": logs, "stop": stop, "down": down}
    verb = next(word for word in words if word in verbs)
    return verbs[verb](folder, words)


def up(folder: Path, words: list[str]) -> int:
    sys.stderr.write(" Container lab-whisper-1  Starting\n Container lab-whisper-1  Started\n")
    if any(is_up(it) for it in containers(folder)):
        return 0
    text = (folder / "compose.yaml").read_text()
    found = re.search(r'"\$\{(\w+):-(\d+)\}:(\d+)"', text)
    assert found is not None
    wanted = int(os.environ.get(found[1]) or found[2])
    port = wanted or free_port()
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-u", str(SERVER), str(port), "--folder", str(folder)],
            env={"PATH": "/usr/bin:/bin"},
            start_new_session=True,
            stdout=log,
            stderr=log,
        )
    (folder / "container").write_text(json.dumps({"pid": process.pid, "port": port, "inside": int(found[3])}))
    return 0


def ps(folder: Path, words: list[str]) -> int:
    entries = [described(it) for it in containers(folder)]
    if (folder / "array").exists():
        say(json.dumps(entries))
    else:
        say("\n".join(map(json.dumps, entries)))
    return 0


def described(container: dict[str, Any]) -> dict[str, Any]:
    up = is_up(container)
    publisher = {"URL": "0.0.0.0", "TargetPort": container["inside"], "PublishedPort": container["port"]}
    unpublished = {"URL": "", "TargetPort": 9999, "PublishedPort": 0, "Protocol": "tcp"}
    return {
        "ID": "f02a4efaabb6",
        "Name": "lab-whisper-1",
        "Project": "lab",
        "Service": "whisper",
        "State": "running" if up else "exited",
        "Health": "",
        "ExitCode": 0 if up else 137,
        "Publishers": [unpublished, {**publisher, "Protocol": "tcp"}] if up else None,
    }


def logs(folder: Path, words: list[str]) -> int:
    with (folder / "log").open() as file:
        while True:
            text = file.read()
            if text:
                sys.stdout.write(text)
                sys.stdout.flush()
            elif "--follow" not in words:
                return 0
            time.sleep(0.02)


def stop(folder: Path, words: list[str]) -> int:
    for container in containers(folder):
        with suppress(ProcessLookupError):
            os.kill(container["pid"], signal.SIGTERM)
        while is_up(container):
            time.sleep(0.01)
    return 0


def down(folder: Path, words: list[str]) -> int:
    stop(folder, words)
    (folder / "container").unlink(missing_ok=True)
    return 0


def containers(folder: Path) -> list[dict[str, Any]]:
    path = folder / "container"
    return [json.loads(path.read_text())] if path.exists() else []


def is_up(container: dict[str, Any]) -> bool:
    try:
        return Path(f"/proc/{container['pid']}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n" if text else "")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
