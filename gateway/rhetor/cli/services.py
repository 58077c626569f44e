"""`rhetor services …`: the local servers of a running gateway."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import quote

from rhetor.cli.remote import Remote, add_gateway_options
from rhetor.cli.sessions import words
from rhetor.cli.terminal import printable, printed
from rhetor.core.content import Json
from rhetor.core.errors import RhetorError
from rhetor.wire import fields
from rhetor.wire.sse import SseSplitter

Command = Callable[[argparse.Namespace, Remote], Awaitable[int]]
Parser = argparse.ArgumentParser

ROOT = "/v1/services"
DOES = {
    "start": "start it, and wait until it is ready",
    "stop": "stop it; the next call that needs it starts it again",
    "restart": "stop it, and start it",
}
COLUMNS = ("service", "state", "port", "pid", "restarts", "for", "error")
ERROR_CHARS = 70


def add_to(commands: argparse._SubParsersAction[Parser]) -> None:
    parser = commands.add_parser("services", help="start, stop and watch the gateway's local servers")
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    def add(name: str, run: Command, help: str, named: bool = True) -> Parser:
        added = actions.add_parser(name, help=help, description=f"{help[0].upper()}{help[1:]}.")
        if named:
            added.add_argument("name", help="of the service, as in the section `services`")
        add_gateway_options(added)
        added.set_defaults(run=lambda arguments: asyncio.run(_run(arguments, run)))
        return added

    list_ = add("list", _list, "list all, with their states", named=False)
    status = add("status", _status, "tell what is known of one")
    for does, help in DOES.items():
        add(does, _doing(does), help)
    logs = add("logs", _logs, "print what one has written lately")
    logs.add_argument("-f", "--follow", action="store_true", help="and whatever comes, until Ctrl-C")
    logs.add_argument("-n", "--lines", type=int, default=200, help="default: %(default)s")
    add("cleanup", _cleanup, "remove what earlier gateways left, and containers that do not run", named=False)
    for shown in (list_, status):
        shown.add_argument("--json", action="store_true", help="as the gateway tells it")


async def _run(arguments: argparse.Namespace, command: Command) -> int:
    remote = Remote(arguments.url, arguments.token)
    try:
        return await command(arguments, remote)
    except RhetorError as error:
        remote.complain(error)
        return 1
    finally:
        await remote.close()


async def _list(arguments: argparse.Namespace, remote: Remote) -> int:
    found = await remote.get(ROOT)
    if arguments.json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
        return 0
    rows = [_row(it) for it, _ in fields.objects(found, "data")]
    _print_table([COLUMNS, *rows])
    if not rows:
        print("no services; see the section `services` of the configuration", file=sys.stderr)
    return 0


async def _status(arguments: argparse.Namespace, remote: Remote) -> int:
    told = await remote.get(_path(arguments.name))
    if arguments.json:
        print(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        _print(told)
    return 0


def _doing(does: str) -> Command:
    async def do(arguments: argparse.Namespace, remote: Remote) -> int:
        told = await remote.ask("POST", f"{_path(arguments.name)}/{does}")
        where = f" at {told['url']}" if told.get("url") else ""
        print(printable(f"{told['name']} is {told['state']}{where}"))
        return 0

    return do


async def _logs(arguments: argparse.Namespace, remote: Remote) -> int:
    path = f"{_path(arguments.name)}/logs?lines={arguments.lines}"
    if not arguments.follow:
        for line, _ in fields.objects(await remote.get(path), "data"):
            _print_line(line)
        return 0
    response = await remote.open("GET", f"{path}&follow=1")
    splitter = SseSplitter()
    try:
        async for data in response.chunks():
            for frame in splitter.feed(data):
                if frame.data:
                    _print_line(fields.parse_object(frame.data))
            sys.stdout.flush()
    finally:
        response.close()
    return 0


async def _cleanup(arguments: argparse.Namespace, remote: Remote) -> int:
    told = await remote.ask("POST", f"{ROOT}/cleanup")
    composed = ", ".join(fields.texts(told, "composed")) or "none"
    print(printable(f"{told['processes']} left processes ended; containers removed: {composed}"))
    errors = fields.texts(told, "errors")
    for error in errors:
        print(f"✗ {printable(error)}", file=sys.stderr)
    return 1 if errors else 0


def _path(name: str) -> str:
    return f"{ROOT}/{quote(name, safe='')}"


def _row(service: Json) -> Sequence[str]:
    state = str(service["state"]) + ("" if service["own"] else " (not ours)")
    error = service["error"] if service["state"] in ("failed", "starting") else None
    told = (service["name"], state, service["port"], service["pid"], service["restarts"])
    users = ", ".join(fields.texts(service, "providers"))
    return [
        *("" if it is None else str(it) for it in told),
        users,
        words.one_line(str(error or ""), ERROR_CHARS),
    ]


def _print(service: Json) -> None:
    told = {
        "service": service["name"],
        "state": service["state"],
        "since": service["since"],
        "url": service["url"],
        "pid": service["pid"],
        "started": "by this gateway" if service["own"] else "by somebody else: it is not stopped here",
        "providers": ", ".join(fields.texts(service, "providers")),
        "in use by": f"{service['needed_by']} calls",
        "restarts": service["restarts"],
        "failed": service["error"],
    }
    for name, text in told.items():
        if text not in (None, ""):
            print(f"{name:<12} {printable(str(text))}")
    marks = {True: "✓", False: "✗", None: "?"}
    for it, _ in fields.objects(service, "requirements"):
        mark = marks[fields.optional_flag(it, "met")]
        print(printed([f"{'needs':<12} {mark} {it['name']}: {it['wanted']} ({it['found']})"]))


def _print_line(line: Json) -> None:
    print(f"{'— ' if line.get('ours') else ''}{printable(str(line.get('text', '')))}")


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[n]) for row in rows) for n in range(len(COLUMNS))]
    cells = [[f"{text:<{width}}" for text, width in zip(row, widths, strict=True)] for row in rows]
    print(printed("  ".join(row).rstrip() for row in cells))
