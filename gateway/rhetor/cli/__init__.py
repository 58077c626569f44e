"""The command `rhetor`: one module for each subcommand, which nobody waits for who wants another one."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from rhetor import __version__
from rhetor.config.problems import ConfigError

COMMANDS = {
    "serve": "serve",
    "up": "serve",
    "check": "check",
    "doctor": "doctor",
    "models": "models",
    "providers": "providers",
    "route": "route",
    "chat": "chat",
    "sessions": "sessions",
    "services": "services",
    "migrate": "migrate",
}
"""The module each of them is in, in the order in which they are listed."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; the exit code is 0 when it did what it promises, 1 when not, 2 for bad usage."""
    given = sys.argv[1:] if argv is None else argv
    parser = _parser(given)
    arguments = parser.parse_args(given)
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


def _parser(given: Sequence[str]) -> argparse.ArgumentParser:
    """With the subcommand that is given, or with all of them where it must be said what there is."""
    parser = argparse.ArgumentParser(
        prog="rhetor", description="One gateway in front of every model provider."
    )
    parser.add_argument("--version", action="version", version=f"rhetor {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND")
    first = given[0] if given else None
    needed = [COMMANDS[first]] if first in COMMANDS else [] if first == "--version" else COMMANDS.values()
    for module in dict.fromkeys(needed):
        importlib.import_module(f"{__name__}.{module}").add_to(commands)
    return parser
