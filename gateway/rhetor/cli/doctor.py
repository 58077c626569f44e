"""`rhetor doctor`: what is on and answers, what each missing key is called, which names resolve to what."""

from __future__ import annotations

import argparse
import asyncio
import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from rhetor.app import App
from rhetor.assembly import Member
from rhetor.cli.check import unguarded
from rhetor.cli.setting import add_config_option, furnish, source
from rhetor.cli.terminal import printed
from rhetor.config import earlier_names, environment, without_effect
from rhetor.core.capability import Capability
from rhetor.core.errors import RhetorError
from rhetor.core.request import Chat, Request
from rhetor.providers.offline import OFFLINE_ROW

WELL, ILL, MAYBE = "✓", "✗", "·"


@dataclass(frozen=True, slots=True)
class Finding:
    mark: str
    name: str
    text: str


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("doctor", help="say what is on and answers, and what is missing")
    add_config_option(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    app = furnish(arguments)
    asyncio.run(_examine(app))
    providers, names = list(providers_found(app)), list(_names(app))
    print(f"configuration  {source(arguments)}")
    print(f"listens on     {app.config.server.host}:{app.config.server.port}, {_tokens(app)}")
    for warning in unguarded(app.config):
        print(f"{ILL} {warning}")
    for stray in (*without_effect(environment()), *earlier_names(app.path, environment())):
        print(f"{ILL} {stray}")
    for title, findings in (
        ("providers", providers),
        ("who answers to a name", names),
        ("a key switches on", list(_keys(app))),
    ):
        # What a provider says may repeat the key that it was sent.
        print(f"\n{title}\n{app.redactor.text(printed(lines_of(findings)))}")
    print(f"\nOthers are named under `providers:` in rhetor.yaml: {', '.join(_local(app))}, or your own.")
    return 1 if any(finding.mark == ILL for finding in (*providers, *names)) else 0


async def _examine(app: App) -> None:
    """Ask everybody who is on for their models."""
    logging.getLogger().addHandler(logging.NullHandler())  # the findings say what there is to say
    try:
        await app.discover()
    finally:
        await app.stop()


def providers_found(app: App) -> Iterator[Finding]:
    """Who is on, and who should be: what the file names is never left out."""
    offers = Counter(offer.provider for offer in app.house.catalog.offers.values())
    for id, member in app.members.items():
        if member.off is not None and id not in app.config.providers and member.plugin is None:
            continue
        there = f"{member.row.base_url}{_key(app, member)}"
        match app.lists.get(id):
            case _ if member.off is not None and member.plugin is not None:
                yield Finding(MAYBE, id, member.off)
            case _ if member.off is not None:
                yield Finding(ILL, id, member.off)
            case _ if id == OFFLINE_ROW.id:
                yield Finding(WELL, id, "built in: an echo that asks no model")
            case str() | None if member.probed:
                yield Finding(MAYBE, id, f"on while it answers at {there}")
            case str(reason):
                # Whose models are known need not list them.
                yield Finding(ILL if member.models is None else MAYBE, id, f"{there}: {reason}")
            case None:
                yield Finding(WELL, id, there)
            case _:
                yield Finding(WELL, id, f"{there}, {_count(offers[id])}")


def _key(app: App, member: Member) -> str:
    """Where the key comes from."""
    if not member.secrets:
        signing = member.row.signing
        return f", signed with credentials of {signing.scheme}" if signing is not None else ""
    setting = app.config.providers.get(member.row.id)
    given = [setting.key, *setting.keys] if setting is not None else []
    references = [reference for reference in given if reference is not None]
    names = (name for name in member.row.key_env if environment().get(name, "").strip())
    return f", key from {', '.join(references) or next(names, '')}"


def _keys(app: App) -> Iterator[Finding]:
    """The variables that would switch on somebody else; who signs is switched on by its name in the file."""
    for id, member in app.members.items():
        row = member.row
        if member.off is None or id in app.config.providers or member.plugin is not None:
            continue
        if row.auth.required or row.signing is not None:
            signed = [f"providers.{id}"] if row.signing is not None else []
            first, *others = [*row.key_env, *signed]
            also = f" (or {', '.join(others)})" if others else ""
            place = "".join(f", with {variables[0]}" for variables in member.row.place.values() if variables)
            yield Finding(MAYBE, first, f"{id}{also}{place}")


def _local(app: App) -> Iterator[str]:
    """Servers of this machine that nobody looks for."""
    for id, member in app.members.items():
        if member.off is not None and not member.row.auth.required and member.plugin is None:
            yield id


def _names(app: App) -> Iterator[Finding]:
    """What the names of the file stand for, and who answers callers that name nobody."""
    for name in dict.fromkeys(["auto", *app.config.routes, *app.config.aliases]):
        request = Request(id="", capability=Capability.CHAT, model=name, input=Chat(messages=()))
        try:
            planned = app.house.pipeline.explain(request)
        except RhetorError as error:
            yield Finding(ILL, name, error.message)
            continue
        tried = " → ".join(target.name for target in planned.targets)
        left_out = "".join(f"; without {c.target.name}: {c.reason}" for c in planned.left_out)
        yield Finding(WELL, name, f"{tried}{left_out}")


def _tokens(app: App) -> str:
    names = ", ".join(app.config.server.tokens)
    return f"tokens of {names}" if names else "no token asked for"


def _count(models: int) -> str:
    return f"{models} model{'s' if models != 1 else ''}"


def lines_of(findings: list[Finding]) -> Iterator[str]:
    width = max((len(finding.name) for finding in findings), default=0)
    for finding in findings:
        yield f"  {finding.mark} {finding.name:<{width}}  {finding.text}"
