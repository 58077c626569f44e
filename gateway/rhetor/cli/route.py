"""`rhetor route explain MODEL`: who would be asked, in which order, and why the others would not."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Mapping
from urllib.parse import urlencode

from rhetor.cli.remote import Remote
from rhetor.cli.setting import add_config_option, furnish
from rhetor.cli.terminal import printable, printed
from rhetor.core.capability import Capability
from rhetor.core.content import JsonValue
from rhetor.core.errors import RhetorError
from rhetor.core.request import Chat, Request
from rhetor.routing.decision import explained
from rhetor.wire.wanted import KEY, read_wanted

LISTS = ("capabilities", "tags")
DEMANDS = (*LISTS, "prefer", "max_cost")
ASKERS = ("component", "task")


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("route", help="say how requests find their targets")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    explain = actions.add_parser("explain", help="who would be asked for a model, and why not the others")
    explain.add_argument("model", nargs="?", default="", help="a route, provider/model, or auto")
    explain.add_argument("--capability", default=Capability.CHAT.value, help="default: %(default)s")
    explain.add_argument("--capabilities", metavar="A,B", help="what auto must be able to do: tools,images")
    explain.add_argument("--tags", metavar="A,B", help="tags that its provider must have")
    explain.add_argument("--prefer", choices=("speed", "quality", "cost"), help="what auto goes by")
    explain.add_argument("--max-cost", type=float, metavar="DOLLARS", help="what the request may cost")
    explain.add_argument("--component", help="who asks, for the rules")
    explain.add_argument("--task", help="what it asks for, for the rules")
    add_config_option(explain)
    explain.add_argument("--url", help="ask this running gateway, which knows how its targets are doing")
    explain.add_argument("--token", help="default: RHETOR_AUTH_TOKEN")
    explain.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    return asyncio.run(_ask(arguments) if arguments.url else _work_out(arguments))


async def _ask(arguments: argparse.Namespace) -> int:
    """As a running gateway sees it."""
    remote = Remote(arguments.url, arguments.token)
    said = {name: getattr(arguments, name) for name in ("model", "capability", *ASKERS, *DEMANDS)}
    query = urlencode({name: value for name, value in said.items() if value is not None})
    try:
        _print(await remote.get(f"/api/v1/routes/explain?{query}"))
    except RhetorError as error:
        remote.complain(error)
        return 1
    finally:
        await remote.close()
    return 0


async def _work_out(arguments: argparse.Namespace) -> int:
    """As the configuration alone says it: nobody is asked, and everybody taken to be well."""
    app = furnish(arguments)
    await app.describe()
    try:
        _print(explained(app.house.pipeline.explain(_request(arguments))))
    except (RhetorError, ValueError) as error:
        print(f"✗ {printable(str(error))}", file=sys.stderr)
        return 1
    finally:
        await app.stop()
    return 0


def _request(arguments: argparse.Namespace) -> Request:
    said: dict[str, JsonValue] = {
        name: value.split(",") if name in LISTS else value
        for name in DEMANDS
        if (value := getattr(arguments, name)) is not None
    }
    return Request(
        id="explain",
        capability=Capability(arguments.capability),
        model=arguments.model,
        input=Chat(messages=()),
        component=arguments.component,
        task=arguments.task,
        wanted=read_wanted({KEY: said}) if said else None,
    )


def _print(plan: Mapping[str, JsonValue]) -> None:
    targets, left_out = _rows(plan["targets"]), _rows(plan["left_out"])
    width = max((len(name) for name, _ in (*targets, *left_out)), default=0)
    head = f"{plan['route']} ({plan['strategy']})"
    asked = [f"  {n}. {name:<{width}}  {reason}" for n, (name, reason) in enumerate(targets, 1)]
    others = [f"  ✗  {name:<{width}}  {reason}" for name, reason in left_out]
    print(printed([head, *asked, *others]))


def _rows(said: JsonValue) -> list[tuple[str, str]]:
    assert isinstance(said, list)
    rows = [row for row in said if isinstance(row, Mapping)]
    return [(f"{row['target']}{_key(row.get('key'))}", str(row["reason"])) for row in rows]


def _key(number: JsonValue) -> str:
    return f" key {number + 1}" if isinstance(number, int) else ""
