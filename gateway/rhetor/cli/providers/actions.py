"""What can be done with plugins from a terminal: list, add, show, update, remove."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeAlias

import orjson

from rhetor.cli.engines import engine, engines
from rhetor.cli.providers import authors
from rhetor.cli.providers.place import Place, find_place
from rhetor.cli.providers.words import about, change, health, listing
from rhetor.cli.remote import add_gateway_options
from rhetor.cli.setting import add_config_option
from rhetor.cli.terminal import printable, printed
from rhetor.core.content import Json
from rhetor.core.errors import Code, RhetorError
from rhetor.plugins.desk import Wish
from rhetor.plugins.sources import Kind, parse_source
from rhetor.telemetry.logs import Redactor

Act: TypeAlias = Callable[[Place, argparse.Namespace], Coroutine[Any, Any, int]]


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("providers", help="providers from outside: add, list, check them, write one")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    for name, help, act, arguments in ACTIONS:
        action = actions.add_parser(name, help=help)
        arguments(action)
        action.add_argument("--json", action="store_true", help="for programs")
        add_config_option(action)
        add_gateway_options(action)
        action.set_defaults(run=lambda given, act=act: asyncio.run(_run(act, given)))
    authors.add_to(actions)


async def _run(act: Act, arguments: argparse.Namespace) -> int:
    place = None
    try:
        place = await find_place(arguments)
        return await act(place, arguments)
    except RhetorError as error:
        _refuse(error, arguments)
        if place is not None and (remedy := place.remedy(error)) is not None:
            print(f"  {remedy}", file=sys.stderr)
        return 1
    finally:
        if place is not None:
            await place.close()


async def _list(place: Place, arguments: argparse.Namespace) -> int:
    told = await place.all()
    reports = await place.health() if arguments.check else []
    if arguments.json:
        _dump({**told, "health": list(reports)} if arguments.check else told)
    else:
        _say(listing(told, place.where))
        if arguments.check:
            _say(["", "how providers are doing", *health(reports)])
    plugins = told["data"]
    assert isinstance(plugins, list)
    well = all(isinstance(each, dict) and each["status"] in ("loaded", "off") for each in plugins)
    return (
        0 if well and not told.get("trouble") and not any(r["status"] == "unhealthy" for r in reports) else 1
    )


async def _add(place: Place, arguments: argparse.Namespace) -> int:
    said, granted = _source(arguments.source), tuple(arguments.grant)
    if arguments.dry_run:
        return _show_report(await place.look(said, granted), arguments, "could be added")
    return _show_report(await place.add(said, granted), arguments, "added")


async def _show(place: Place, arguments: argparse.Namespace) -> int:
    try:
        report = await place.one(arguments.name)
    except RhetorError as error:
        if error.code is not Code.NOT_FOUND or not _looks_like_a_source(arguments.name):
            raise
        return _show_report(await place.look(_source(arguments.name), ()), arguments, "could be added")
    if arguments.json:
        _dump(report)
    else:
        _say(about(report))
    return 0 if report["status"] in ("loaded", "off") else 1


async def _update(place: Place, arguments: argparse.Namespace) -> int:
    """Those that are named, or all; one that is refused does not keep the others from it."""
    plugins = (await place.all())["data"]
    assert isinstance(plugins, list)
    ids = arguments.id or [str(each["id"]) for each in plugins if isinstance(each, dict)]
    if arguments.ref is not None and len(ids) != 1:
        print("✗ --ref is for one plugin: name it", file=sys.stderr)
        return 2
    wish = Wish(
        ref=arguments.ref,
        granted=tuple(arguments.grant),
        accept_moved=arguments.accept_moved,
        dry_run=arguments.dry_run,
    )
    worst = 0
    for id in ids:
        try:
            report = await place.update(id, wish)
        except RhetorError as error:
            _refuse(error, arguments)
            worst = 1
        else:
            news = "updated" if report.get("changed") else "is what it was"
            worst = max(worst, _show_report(report, arguments, f"would be {news}" if wish.dry_run else news))
    return worst


async def _remove(place: Place, arguments: argparse.Namespace) -> int:
    for id in arguments.id:
        report = await place.remove(id)
        if arguments.json:
            _dump(report)
        else:
            print(f"✓ {id} removed")
    return 0


def _show_report(report: Json, arguments: argparse.Namespace, news: str) -> int:
    if arguments.json:
        _dump(report)
    else:
        _say(change(report, news))
    return 1 if report.get("troubles") else 0


def _refuse(error: RhetorError, arguments: argparse.Namespace) -> None:
    message = Redactor().text(error.message)
    if arguments.json:
        _dump({"error": {"code": error.code.value, "message": message}})
    print(f"✗ {printable(message)}", file=sys.stderr)


def _source(said: str) -> str:
    """A folder is where we stand, wherever the gateway stands; engines that come along have names."""
    if (folder := engine(said)) is not None and not Path(said).exists():
        return str(folder)
    source = parse_source(said)
    return os.path.abspath(source.place) if source.kind is Kind.FOLDER else source.said


def _looks_like_a_source(said: str) -> bool:
    return ":" in said or "/" in said or said.startswith(("@", ".", "~")) or Path(said).is_dir()


def _say(lines: list[str]) -> None:
    print(printed(lines))


def _dump(value: Json) -> None:
    print(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


def _list_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--check", action="store_true", help="ask every provider how it is, too")


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source",
        help="github:owner/repo@ref, git+https://…@ref, a folder, python:package, npm:package@version, "
        f"or an engine that comes along: {', '.join(engines())}",
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what it is; nothing is executed")
    _grant_argument(parser)


def _show_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="a plugin, or a source to look at; nothing of it is executed")


def _update_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", nargs="*", help="default: all of them")
    parser.add_argument("--ref", help="take this commit, tag, branch or version instead")
    parser.add_argument("--accept-moved", action="store_true", help="although its tag is not what it was")
    parser.add_argument("--dry-run", action="store_true", help="only say what would come")
    _grant_argument(parser)


def _remove_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", nargs="+")


def _grant_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--grant",
        metavar="NAME",
        action="append",
        default=[],
        help="let it have this variable of somebody else's",
    )


ACTIONS: tuple[tuple[str, str, Act, Callable[[argparse.ArgumentParser], None]], ...] = (
    ("list", "every plugin and its status", _list, _list_arguments),
    ("add", "add a plugin; it can be asked at once", _add, _add_arguments),
    ("show", "all that is known of a plugin, or of one that is not added yet", _show, _show_arguments),
    ("update", "fetch plugins again", _update, _update_arguments),
    ("remove", "remove plugins", _remove, _remove_arguments),
)
"""What can be done, in the order of its help."""
