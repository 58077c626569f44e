"""Reads a session's events into a file.

    python -m tests.faults.kills.reader URL SESSION FILE

It speaks server-sent events by itself. Killed and started again, it asks for what follows the last event in
its file, as a browser does; it leaves when the session has ended and all of it was told. A refusal is its
last line.
"""

from __future__ import annotations

import http.client
import os
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import orjson

from tests.faults.kills.journal import Journal

TOKEN = "KILLS_TOKEN"
SILENT_S = 10.0  # the gateway says every second that it is there
PAUSE_S = 0.02
PASSING = (502, 503)
NOTHING_FOLLOWS = 204


def main(url: str, session: str, file: str) -> int:
    journal = Journal(Path(file))
    while True:
        try:
            status, said = _follow(url, session, journal)
        except (OSError, http.client.HTTPException):
            time.sleep(PAUSE_S)
            continue
        if status == NOTHING_FOLLOWS:
            return 0
        if status != 200 and status not in PASSING:
            journal.add(refused=status, said=said)
            return 1
        time.sleep(PAUSE_S)


def _follow(url: str, session: str, journal: Journal) -> tuple[int, str]:
    """Read until nothing more comes. The status, and what was said instead of events."""
    at = urlsplit(url)
    connection = http.client.HTTPConnection(str(at.hostname), at.port, timeout=SILENT_S)
    try:
        headers = {"accept": "text/event-stream", "authorization": f"Bearer {os.environ[TOKEN]}"}
        if journal.lines:
            headers["last-event-id"] = str(journal.lines[-1]["seq"])
        connection.request("GET", f"/v1/sessions/{session}/events", headers=headers)
        reply = connection.getresponse()
        if reply.status != 200:
            return reply.status, reply.read().decode(errors="replace")
        fields: dict[bytes, bytes] = {}
        while (line := reply.readline()).endswith(b"\n"):
            name, _, value = line.rstrip(b"\n").partition(b": ")
            if name:
                fields[name] = value
            elif b"data" in fields:
                _keep(fields, journal)
                fields = {}
        return 200, ""
    finally:
        connection.close()


def _keep(fields: dict[bytes, bytes], journal: Journal) -> None:
    event = orjson.loads(fields[b"data"])
    if int(fields[b"id"]) != event["seq"] or fields[b"event"].decode() != event["type"]:
        raise SystemExit(f"a frame that contradicts itself: {fields}")
    journal.add(**event)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
