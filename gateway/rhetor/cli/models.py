"""`rhetor models`: what the running gateway offers."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

from rhetor.cli.remote import Remote, add_gateway_options
from rhetor.cli.terminal import show
from rhetor.core.errors import RhetorError
from rhetor.providers.discovery import list_models
from rhetor.wire.base import ModelEntry


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("models", help="list what the running gateway offers")
    parser.add_argument("filter", nargs="?", default="", help="only names that contain this")
    add_gateway_options(parser)
    parser.set_defaults(run=lambda arguments: asyncio.run(_list(arguments)))


async def _list(arguments: argparse.Namespace) -> int:
    remote = Remote(arguments.url, arguments.token)
    try:
        entries = await list_models(remote.provider) or ()
    except RhetorError as error:
        remote.complain(error)
        return 1
    finally:
        await remote.close()
    fitting = [entry for entry in entries if arguments.filter in entry.id]
    _print(fitting)
    if not fitting:
        print(f"✗ no model's name contains {arguments.filter!r}", file=sys.stderr)
    return 0 if fitting else 1


def _print(entries: Sequence[ModelEntry]) -> None:
    width = max((len(entry.id) for entry in entries), default=0)
    for entry in entries:
        context = f"{entry.context_tokens:>10,} tokens" if entry.context_tokens else ""
        show(f"{entry.id:<{width}}  {context}".rstrip() + "\n")
