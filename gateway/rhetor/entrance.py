"""Who may come in, as a configuration says, and what to do when the door cannot be opened."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping

from rhetor.config import Config, ConfigError, Problem, is_loopback, resolve_secret
from rhetor.conversing import Conversing
from rhetor.core.clock import Clock
from rhetor.http.chat.accounts import Accounts
from rhetor.http.chat.tokens import problem_of
from rhetor.http.house import Gatekeeping
from rhetor.http.passes import digest

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


def cannot_listen(host: str, port: int, error: OSError) -> Problem:
    """What to do when the address cannot be had."""
    number = error.errno or 0
    setting, remedy = {
        errno.EADDRINUSE: (
            "port",
            "another program listens there; stop it, or set server.port or RHETOR_PORT",
        ),
        errno.EACCES: ("port", "ports below 1024 are not for everybody; set server.port or RHETOR_PORT"),
    }.get(number, ("host", "it must be an address of this machine"))
    reason = os.strerror(number) if number > 0 else error.strerror
    return Problem(f"server.{setting}", f"cannot listen on {host}:{port}: {reason}: {remedy}")


def gatekeeping(config: Config, environ: Mapping[str, str]) -> Gatekeeping:
    server = config.server
    names = LOOPBACK_NAMES | {server.host.lower()} | {name.lower() for name in server.allowed_hosts}
    return Gatekeeping(
        tokens={digest(token): name for name, token in tokens(config, environ).items()},
        # Beyond loopback every request needs a token, which a rebound page does not have.
        hosts=frozenset(names) if is_loopback(server.host) or server.allowed_hosts else None,
        origins=frozenset(server.allowed_origins),
    )


def accounts(
    config: Config, environ: Mapping[str, str], conversing: Conversing, clock: Clock
) -> Accounts | None:
    """
    Raises:
        ConfigError: the secret is not there, or will not do.
    """
    setting = config.sessions
    if setting.jwt_secret is None:
        return None
    try:
        secret = resolve_secret(setting.jwt_secret, environ).encode()
    except LookupError as error:
        raise ConfigError([Problem("sessions.jwt_secret", str(error))]) from None
    if (problem := problem_of(secret)) is not None:
        raise ConfigError([Problem("sessions.jwt_secret", problem)])
    return Accounts(secret, conversing.documents, clock, registration=setting.registration)


def tokens(config: Config, environ: Mapping[str, str]) -> dict[str, str]:
    """Every token by its name.

    Raises:
        ConfigError: a file that was there a moment ago is gone.
    """
    tokens = {}
    for name, reference in config.server.tokens.items():
        try:
            tokens[name] = resolve_secret(reference, environ)
        except LookupError as error:
            raise ConfigError([Problem(f"server.tokens.{name}", str(error))]) from None
    return tokens
