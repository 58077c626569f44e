"""The command `rhetor`: one module for each subcommand."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from rhetor import __version__
from rhetor.cli import chat, check, doctor, migrate, models, providers, route, serve, services, sessions
from rhetor.config import ConfigError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; the exit code is 0 when it did what it promises, 1 when not, 2 for bad usage."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if "run" not in arguments:
        parser.print_help()
        return 2
    try:
        code: int = arguments.run(arguments)
        sys.stdout.flush()
        return code
    except ConfigError as error:
        for problem in error.problems:
            print(f"✗ {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `rhetor models | head`: what is still in the buffer has nowhere to go
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rhetor", description="One gateway in front of every model provider."
    )
    parser.add_argument("--version", action="version", version=f"rhetor {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND")
    for module in (serve, check, doctor, models, providers, route, chat, sessions, services, migrate):
        module.add_to(commands)
    return parser
