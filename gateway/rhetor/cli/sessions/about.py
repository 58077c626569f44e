"""The subcommands that ask once: what there is, and what shall become of it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rhetor.cli.sessions import words
from rhetor.cli.sessions.calls import Calls
from rhetor.cli.terminal import printable
from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import BadRequest
from rhetor.wire import fields

STATE_STYLES = {
    "active": "green",
    "initializing": "green",
    "waiting_input": "yellow",
    "failed": "red",
    "terminated": "dim",
    "suspended": "cyan",
}
PRIVATE = 0o600


async def list_(arguments: argparse.Namespace, calls: Calls) -> int:
    found = await calls.sessions(arguments.state, arguments.backend, arguments.limit)
    rows = _rows(found)
    if arguments.json:
        _print_json(found)
        return 0
    table = [
        [
            str(row["id"]),
            str(row["state"]),
            words.name_of(row),
            str(row.get("turn") or 0),
            words.cost(_usage(row).get("cost_micros")) if _usage(row).get("calls") else "",
            words.ago(row.get("updated_at")),
            words.one_line(str(row.get("title") or ""), 60),
        ]
        for row in rows
    ]
    _print_table(("session", "state", "with", "turns", "cost", "changed", "title"), table)
    if found.get("has_more"):
        print(f"… of {found.get('total')}: see --limit", file=sys.stderr)
    elif not rows:
        print("no sessions; `rhetor sessions new` begins one", file=sys.stderr)
    return 0


async def show(arguments: argparse.Namespace, calls: Calls) -> int:
    session = await calls.get(await calls.resolve(arguments.id))
    if arguments.json:
        _print_json(session)
        return 0
    told = {
        "session": session["id"],
        "title": session.get("title"),
        "state": session["state"],
        "backend": session["backend"],
        "model": session.get("model"),
        "directory": session.get("current_directory") or session.get("directory"),
        "permissions": session.get("permissions"),
        "turns": session.get("turn"),
        "events": session.get("last_seq"),
        "used": words.used(session.get("usage")),
        "begun": f"{session.get('created_at')}",
        "changed": f"{words.ago(session.get('updated_at'))} ago",
    }
    for name, value in told.items():
        if value not in (None, ""):
            print(f"{name:<12} {printable(str(value))}")
    for request in _waiting(session):
        print(f"{'asks':<12} {words.question(request)}  ({request.get('request_id')})")
    return 0


async def approve(arguments: argparse.Namespace, calls: Calls) -> int:
    return await _answer(
        arguments, calls, {"decision": "allow", **({"always": True} if arguments.always else {})}
    )


async def deny(arguments: argparse.Namespace, calls: Calls) -> int:
    said = {"message": arguments.message} if arguments.message else {}
    return await _answer(arguments, calls, {"decision": "deny", **said})


async def interrupt(arguments: argparse.Namespace, calls: Calls) -> int:
    await calls.interrupt(await calls.resolve(arguments.id))
    return 0


async def suspend(arguments: argparse.Namespace, calls: Calls) -> int:
    state = json.dumps(await calls.suspend(await calls.resolve(arguments.id)), indent=2, ensure_ascii=False)
    _put(f"{state}\n", arguments.output)
    return 0


async def resume(arguments: argparse.Namespace, calls: Calls) -> int:
    state = None
    if arguments.state is not None:
        state = fields.parse_object(_get(arguments.state))
    session = await calls.resume(await calls.resolve(arguments.id), state)
    print(session["state"])
    return 0


async def remove(arguments: argparse.Namespace, calls: Calls) -> int:
    for typed in arguments.ids:
        id = await calls.resolve(typed)
        await (calls.terminate(id) if arguments.keep else calls.forget(id))
        print(id)
    return 0


async def export(arguments: argparse.Namespace, calls: Calls) -> int:
    text = (await calls.export(await calls.resolve(arguments.id), arguments.format)).decode(errors="replace")
    _put(text if text.endswith("\n") else f"{text}\n", arguments.output)
    return 0


async def backends(arguments: argparse.Namespace, calls: Calls) -> int:
    found = await calls.backends()
    if arguments.json:
        _print_json(found)
        return 0
    table = [
        [
            str(row["name"]),
            "✓ well" if row.get("healthy") else f"✗ {row.get('error') or 'not well'}",
            str(row.get("version") or ""),
            f"{row.get('live')}/{row.get('max_sessions')}",
            str(row.get("default_model") or ""),
            ", ".join(map(str, _list(row.get("abilities")))),
        ]
        for row in _rows(found)
    ]
    _print_table(("backend", "condition", "version", "live", "model", "can"), table)
    return 0


async def _answer(arguments: argparse.Namespace, calls: Calls, verdict: Json) -> int:
    id = await calls.resolve(arguments.id)
    request_id = arguments.request or _only_request(await calls.get(id))
    await calls.answer(id, request_id, verdict)
    return 0


def _only_request(session: Json) -> str:
    waiting = _waiting(session)
    if not waiting:
        raise BadRequest(f"the session is {session['state']}: it asks nothing")
    if len(waiting) > 1:
        ids = ", ".join(str(request.get("request_id")) for request in waiting)
        raise BadRequest(f"it asks several things; name one: {ids}")
    return str(waiting[0].get("request_id"))


def _waiting(session: Json) -> Sequence[Json]:
    return [request for request in _list(session.get("waiting_for")) if isinstance(request, Mapping)]


def _usage(session: Json) -> Json:
    usage = session.get("usage")
    return usage if isinstance(usage, Mapping) else {}


def _rows(found: Json) -> list[Json]:
    return [row for row in _list(found.get("data")) if isinstance(row, Mapping)]


def _list(value: JsonValue) -> Sequence[JsonValue]:
    return value if isinstance(value, list) else ()


def _get(file: str) -> bytes:
    return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()


def _put(text: str, file: str | None) -> None:
    """To the file, which is its owner's alone, or to standard output."""
    if file is None:
        sys.stdout.write(text)
        return
    path = Path(file)
    path.touch(PRIVATE)
    path.write_text(text, "utf-8")


def _print_json(value: Json) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


def _print_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """For people a table, for programs a line each, with tabs between."""
    if not sys.stdout.isatty():
        for row in rows:
            print("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in head:
        table.add_column(name, no_wrap=name in ("session", "state"), overflow="ellipsis")
    for row in rows:
        table.add_row(*(Text(printable(cell), STATE_STYLES.get(cell, "")) for cell in row))
    Console().print(table)
