"""`rhetor check`: is this configuration usable? Every problem at once, each with path, value and remedy."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from rhetor.app import App
from rhetor.cli.setting import add_config_option, furnish, source
from rhetor.config import Config, earlier_names, environment, without_effect


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
    for plugin in app.guests.book.loaded.plugins:
        if plugin.reason:
            yield f"plugin {plugin.id}: {plugin.status}: {plugin.reason}"
    yield from unguarded(app.config)
    for problem in (*without_effect(environment()), *earlier_names(app.path, environment())):
        yield str(problem)


def unguarded(config: Config) -> Iterator[str]:
    """Agents that could leave their key out, and so do what the key does not open."""
    sessions = config.sessions
    agents = {"claude_code": sessions.claude_code, "opencode": sessions.opencode, "codex": sessions.codex}
    on = [f"sessions.{name}" for name, agent in agents.items() if agent.enabled]
    if on and not config.server.tokens:
        yield (
            f"{', '.join(on)}: on, while nobody is asked for a token: whoever reaches the port can have "
            "programs run here, and an agent that leaves its key out can approve its own requests; "
            "set server.tokens"
        )
