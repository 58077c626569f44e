"""What every subcommand that reads the configuration shares."""

from __future__ import annotations

import argparse
from pathlib import Path

from rhetor import config as configuration
from rhetor.app import App
from rhetor.assembly import load


def add_config_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config", metavar="FILE", help="default: RHETOR_CONFIG, else ./rhetor.yaml if there is one"
    )


def config_path(arguments: argparse.Namespace) -> Path | None:
    return configuration.find(arguments.config, configuration.environment(), Path.cwd())


def source(arguments: argparse.Namespace) -> str:
    """Where the configuration comes from, for people."""
    return str(config_path(arguments) or "no file: the defaults")


def furnish(arguments: argparse.Namespace) -> App:
    """The house that the arguments describe, not yet started.

    Raises:
        ConfigError: with every problem of the configuration.
    """
    environ = configuration.environment()
    path = config_path(arguments)
    return App(load(path, environ), path, environ)
