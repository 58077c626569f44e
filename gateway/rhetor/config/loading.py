"""From a file and variables to a configuration, or to everything that is wrong with them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rhetor.config import chat_platform, jelmore
from rhetor.config.earlier import adopt
from rhetor.config.file import read_file
from rhetor.config.problems import ConfigError, Problem, problem_of
from rhetor.config.secrets import resolve_secret
from rhetor.config.sections import Config, ServerConfig, SessionsConfig
from rhetor.config.variables import override

SECRET_BYTES = 32  # of the key that signs tokens: RFC 7518, 3.2, wants as many as its hash has
FILE_NAMES = ("rhetor.yaml", "rhetor.yml", "rhetor.json")


def load(path: Path | None, environ: Mapping[str, str]) -> Config:
    """The configuration from a file (None: none) and `RHETOR_*` variables.

    Raises:
        ConfigError: with every problem found.
    """
    given = read_file(path) if path is not None else {}
    problems, _ = _take_earlier(given, environ)
    problems += override(given, environ)
    try:
        config = Config.model_validate(given)
    except ValidationError as error:
        details = error.errors(include_url=False)
        problems += map(problem_of, details)
        config = Config.model_validate(_without(given, [detail["loc"] for detail in details]))
    no_tokens = not config.server.tokens and not any(p.path.startswith("server.tokens") for p in problems)
    problems += [
        *_check_server(config.server, no_tokens, environ),
        *_check_sessions(config.sessions, environ),
        *_check_aliases(config),
    ]
    if problems:
        raise ConfigError(problems, config)
    return config


def earlier_names(path: Path | None, environ: Mapping[str, str]) -> list[Problem]:
    """What is set under the name of an earlier system, and what it is called now: warnings."""
    try:
        given = read_file(path) if path is not None else {}
    except ConfigError:  # which is told when it is loaded
        return []
    return _take_earlier(given, environ)[1]


def _take_earlier(given: dict[str, Any], environ: Mapping[str, str]) -> tuple[list[Problem], list[Problem]]:
    found, problems = jelmore.find(environ)
    more, warnings = adopt(given, [*found, *chat_platform.find(environ)], environ)
    return [*problems, *more], warnings


def find(named: str | None, environ: Mapping[str, str], folder: Path) -> Path | None:
    """The file to load: the named one, `RHETOR_CONFIG`, or `rhetor.yaml` in the folder, if any."""
    chosen = named or environ.get("RHETOR_CONFIG")
    if chosen:
        return Path(chosen)
    return next((folder / name for name in FILE_NAMES if (folder / name).is_file()), None)


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _without(given: Mapping[Any, Any], locations: Iterable[tuple[int | str, ...]]) -> dict[Any, Any]:
    """A copy without the settings at these locations; a provider loses one setting, a route all of them."""
    kept = {section: dict(value) if isinstance(value, dict) else value for section, value in given.items()}
    for section, *inside in locations:
        settings = kept.get(section)
        if not inside or not isinstance(settings, dict):
            kept.pop(section, None)
        elif section != "providers" or inside[-1] == "[key]":
            settings.pop(inside[0], None)
        else:
            provider = settings.get(inside[0])
            fine = provider.items() if isinstance(provider, dict) and len(inside) > 1 else ()
            settings[inside[0]] = {name: value for name, value in fine if name != inside[1]}
    return kept


def _check_server(server: ServerConfig, no_tokens: bool, environ: Mapping[str, str]) -> Iterator[Problem]:
    if no_tokens and not is_loopback(server.host):
        yield Problem(
            "server.host",
            "listening beyond this machine needs server.tokens, or strangers spend your keys; "
            "set them, or listen on 127.0.0.1",
            server.host,
        )
    for name, reference in server.tokens.items():
        try:
            resolve_secret(reference, environ)
        except LookupError as error:
            yield Problem(f"server.tokens.{name}", f"{error}; set it, or remove this line", reference)


def _check_sessions(sessions: SessionsConfig, environ: Mapping[str, str]) -> Iterator[Problem]:
    if sessions.jwt_secret is None:
        return
    try:
        size_bytes = len(resolve_secret(sessions.jwt_secret, environ).encode())
    except LookupError as error:
        yield Problem("sessions.jwt_secret", f"{error}; set it, or remove this line")
    else:
        if size_bytes < SECRET_BYTES:
            yield Problem(
                "sessions.jwt_secret",
                f"a secret of {size_bytes} bytes can be guessed: take {SECRET_BYTES} or more, "
                "from `openssl rand -hex 32` for example",
            )


def _check_aliases(config: Config) -> Iterator[Problem]:
    for name, meant in config.aliases.items():
        if name in config.routes:
            yield Problem(f"aliases.{name}", "is a route's name already; rename one of them")
        if meant in config.aliases:
            yield Problem(f"aliases.{name}", "must name a route or a model, not an alias", meant)
