"""`rhetor providers new` and `rhetor providers check`: for those who write providers."""

from __future__ import annotations

import argparse
import asyncio
import logging
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from rhetor.cli.setting import add_config_option, config_path, furnish
from rhetor.cli.terminal import printable, printed
from rhetor.config import environment
from rhetor.core.capability import Capability
from rhetor.core.errors import BadRequest, RhetorError
from rhetor.plugins.sources import Kind as SourceKind
from rhetor.plugins.sources import parse_source
from rhetor.telemetry.logs import Redactor

if TYPE_CHECKING:
    from rhetor.kit.scaffold import Kind

STDOUT = "-"
CAPABILITIES = [each.value for each in Capability]


def add_to(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    _add_new(actions)
    _add_check(actions)


def _add_new(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    new = actions.add_parser("new", help="a plugin to begin with, which works at once")
    new.add_argument("name", help="its id: small letters, digits, _ and -")
    new.add_argument("url", nargs="?", help="of a data provider: where it answers, such as https://host/v1")
    new.add_argument(
        "--kind",
        choices=("data", "python", "javascript"),
        help="data: a row, for a vendor or server that speaks a known language (the default where there is a "
        "URL); python, javascript: a program that answers itself",
    )
    new.add_argument("--into", type=Path, metavar="FOLDER", help="default: ./NAME")
    new.add_argument(
        "--capability",
        action="append",
        choices=CAPABILITIES,
        metavar="NAME",
        help="what it offers; may be said more than once; default: text-to-text",
    )
    new.add_argument(
        "--wire", default="openai", help="of a data provider: its language (default: %(default)s)"
    )
    new.set_defaults(run=_new)


def _add_check(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    check = actions.add_parser(
        "check",
        help="try a plugin, added or not: does it do what it claims?",
        epilog="Exit codes: 0 nothing failed; 1 something did; 2 bad usage.",
    )
    check.add_argument("what", help="a folder or another source, a plugin that was added, or a provider")
    check.add_argument("--json", metavar="FILE", help="write the report for programs; - is standard output")
    check.add_argument("--html", metavar="FILE", help="write the report as a page")
    check.add_argument("--key", metavar="env:NAME", help="the variable with the key that it gets")
    check.add_argument(
        "--offline", action="store_true", help="rows against the shipped test upstream: needs no key"
    )
    check.add_argument("--thorough", action="store_true", help="also ask vendors twice for what is dear")
    check.add_argument(
        "--capability", action="append", choices=CAPABILITIES, metavar="NAME", help="only this one"
    )
    check.add_argument(
        "--grant", action="append", default=[], metavar="NAME", help="let it have this variable of others"
    )
    add_config_option(check)
    check.set_defaults(run=_check)


def _new(arguments: argparse.Namespace) -> int:
    from rhetor.kit.scaffold import draft, write

    folder: Path = arguments.into or Path(arguments.name)
    kind: Kind | None = arguments.kind or ("data" if arguments.url else None)
    if kind is None:
        return _fail("--kind is needed: data, python or javascript", 2)
    if arguments.url and kind != "data":
        return _fail("a URL is of a data provider; a program has none", 2)
    capabilities = tuple(dict.fromkeys(Capability(each) for each in arguments.capability or ["text-to-text"]))
    try:
        made = draft(arguments.name, kind, capabilities, arguments.url, arguments.wire)
        write(made, folder)
    except RhetorError as error:
        return _fail(error.message)
    print(f"✓ {folder}")
    for name in sorted(made):
        print(f"    {name}")
    print(f"  try it: rhetor providers check {folder}{' --offline' if kind == 'data' else ''}")
    return 0


def _check(arguments: argparse.Namespace) -> int:
    if arguments.key is not None and not re.fullmatch(r"env:\w+", arguments.key):
        return _fail("--key takes the name of a variable: env:NAME", 2)
    if arguments.key is not None and not environment().get(arguments.key.removeprefix("env:")):
        return _fail(f"{arguments.key.removeprefix('env:')} is not set", 2)
    try:
        return asyncio.run(_checked(arguments))
    except RhetorError as error:
        return _fail(Redactor().text(error.message))


async def _checked(arguments: argparse.Namespace) -> int:
    from rhetor.assembly import load
    from rhetor.kit.check import Wishes, check_known, check_source, exit_code
    from rhetor.kit.page import page
    from rhetor.kit.report import Checked, Report, Step
    from rhetor.kit.table import Table, ending

    logging.getLogger("rhetor").addHandler(logging.NullHandler())  # what went wrong is a step of the report
    table, quiet = Table(), arguments.json == STDOUT

    def tell(provider: Checked | None, step: Step) -> None:
        if not quiet:
            print(printed(table.lines(provider, step)), flush=True)

    wishes = Wishes(
        only=frozenset(Capability(each) for each in arguments.capability or ()),
        offline=arguments.offline,
        thorough=arguments.thorough,
        granted=tuple(arguments.grant),
        key=arguments.key,
    )
    report: Report
    if _is_source(arguments.what):
        config = load(config_path(arguments), environment())
        report = await check_source(_place(arguments.what), config, environment(), wishes, tell)
    else:
        app = furnish(arguments)
        try:
            report = await check_known(app, arguments.what, wishes, tell)
        finally:
            await app.stop()
    if not quiet:
        print(printed(ending(report)))
    if arguments.json is not None:
        _write(arguments.json, orjson.dumps(report.as_json(), option=orjson.OPT_INDENT_2).decode() + "\n")
    if arguments.html is not None:
        _write(arguments.html, page(report))
    return exit_code(report)


def _write(file: str, text: str) -> None:
    if file == STDOUT:
        print(text, end="")
        return
    try:
        Path(file).write_text(text, "utf-8")
    except OSError as error:
        raise BadRequest(f"{file} cannot be written: {error.strerror}") from error


def _is_source(said: str) -> bool:
    """Whether it leads somewhere; else it is somebody's name."""
    return any(mark in said for mark in (":", "/", "@")) or said.startswith((".", "~")) or Path(said).is_dir()


def _place(said: str) -> str:
    """A folder is where we stand."""
    source = parse_source(said)
    return str(Path(source.place).absolute()) if source.kind is SourceKind.FOLDER else source.said


def _fail(reason: str, code: int = 1) -> int:
    print(f"✗ {printable(reason)}", file=sys.stderr)
    return code
