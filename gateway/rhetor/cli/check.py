"""`rhetor check`: is this configuration usable? Every problem at once, each with path, value and remedy."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from rhetor.app import App
from rhetor.cli.setting import add_config_option, furnish, source
from rhetor.config import environment, without_effect


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("check", help="check the configuration, all of it at once; asks nobody")
    add_config_option(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    app = furnish(arguments)
    for warning in warnings(app):
        print(f"! {warning}", file=sys.stderr)
    print(f"✓ {source(arguments)}")
    return 0


def warnings(app: App) -> Iterator[str]:
    """What is no problem, and yet not what somebody meant when they wrote it."""
    for id in app.config.providers:
        member = app.members.get(id)
        if member is not None and member.off is not None:
            yield f"providers.{id}: off: {member.off}"
    for problem in without_effect(environment()):
        yield str(problem)
