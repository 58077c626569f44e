"""How Codex is started for one session: its arguments, its environment, and what its thread is begun with.

Seen running, version 0.169.0, 2026-11-21. Of the folder that it works in it reads instructions alone: the
settings there could start programs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import Code, UpstreamError
from rhetor.services.process import Spec
from rhetor.sessions.backend import Permissions, Setup
from rhetor.sessions.codex.endings import NAME
from rhetor.sessions.program import Limits, around_proxies

ANY_MODEL = "auto"  # what the router calls the choice of whoever names no model
KEY = "RHETOR_SESSION_KEY"
PROVIDER = "rhetor"
INSTRUCTIONS = "AGENTS.md"
PRIVATE = 0o700
PATIENCE_MS = 86_400_000  # the gateway has the clocks
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)

FIXED: Mapping[str, str] = {
    # Nothing is told to anybody, fetched or updated.
    "analytics.enabled": "false",
    "feedback.enabled": "false",
    "check_for_update_on_startup": "false",
    "features.apps": "false",
    "features.plugins": "false",
    "features.remote_plugin": "false",
    # It asks this gateway, with the session's key, and keeps no other.
    "cli_auth_credentials_store": '"file"',
    # Hosted by its vendor, or drawn by whom the router does not know.
    "web_search": '"disabled"',
    "features.image_generation": "false",
    # No turn begins by itself, and nobody works unseen.
    "features.goals": "false",
    "agents.enabled": "false",
}

ASKS: Mapping[Permissions, tuple[str, str]] = {
    Permissions.ASK: ("untrusted", "danger-full-access"),
    Permissions.ACCEPT_EDITS: ("untrusted", "danger-full-access"),
    Permissions.PLAN: ("never", "read-only"),
    Permissions.DENY: ("never", "read-only"),
}
"""Its approval policy and its sandbox: where somebody is asked about every command, what was allowed must be
able to work; where nobody is asked, the sandbox decides."""


def spec(command: str, setup: Setup, inherited: Mapping[str, str]) -> Spec:
    return Spec(
        argv=(command, "app-server", *(each for name in FIXED for each in ("-c", f"{name}={FIXED[name]}"))),
        cwd=setup.home,  # what lies in the directory is not asked how to start
        env=environment(setup, inherited),
        label=f"{NAME} {setup.session_id}",
        stdin=True,
        stdout="lines",
    )


def environment(setup: Setup, inherited: Mapping[str, str]) -> dict[str, str]:
    """All that it gets to know."""
    return {
        **inherited,
        **setup.environment,
        **around_proxies(setup),
        KEY: setup.access.token,
        "HOME": str(setup.home),
        "CODEX_HOME": str(setup.home / ".codex"),
        "TMPDIR": str(setup.home / "tmp"),
    }


def furnish(setup: Setup) -> None:
    """Make its home as it needs it. Blocks.

    Instructions of the directory are read as the user's own.
    """
    for folder in (".codex", "tmp"):
        (setup.home / folder).mkdir(PRIVATE, parents=True, exist_ok=True)
    link, target = setup.home / ".codex" / INSTRUCTIONS, setup.directory / INSTRUCTIONS
    if not link.is_symlink() or link.readlink() != target:
        link.unlink(missing_ok=True)
        link.symlink_to(target)


def beginning(setup: Setup, limits: Limits) -> tuple[str, Json]:
    """The method and the parameters that begin its thread, or go on with one.

    Raises:
        RhetorError: not_found, its native id cannot be one of Codex's.
    """
    policy, sandbox = ASKS[setup.permissions]
    params: dict[str, JsonValue] = {
        "cwd": str(setup.directory),
        "model": setup.model or ANY_MODEL,
        "modelProvider": PROVIDER,
        "approvalPolicy": policy,
        "sandbox": sandbox,
        "config": _config(setup, limits),
    }
    if setup.system is not None:
        params["developerInstructions"] = setup.system
    if setup.native_id is None:
        return "thread/start", params
    if not UUID.fullmatch(setup.native_id):
        raise UpstreamError(f"{setup.native_id!r} is no thread of Codex's", Code.NOT_FOUND, origin=NAME)
    return "thread/resume", {**params, "threadId": setup.native_id, "excludeTurns": True}


def _config(setup: Setup, limits: Limits) -> dict[str, JsonValue]:
    """The keys are described at https://developers.openai.com/codex/config-reference.

    How long an answer may become, and its temperature, cannot be said to Codex.
    """
    provider: dict[str, JsonValue] = {
        "name": "Rhetor",
        "base_url": f"{setup.access.url}/v1",
        "env_key": KEY,
        "wire_api": "responses",
        "request_max_retries": 0,
        "stream_max_retries": 0,
        "stream_idle_timeout_ms": PATIENCE_MS,
    }
    config: dict[str, JsonValue] = {
        "model_provider": PROVIDER,
        "model_providers": {PROVIDER: provider},
        # Left out, it would be trusted, since everything is allowed to be asked for.
        "projects": {str(setup.directory): {"trust_level": "untrusted"}},
        # Commands get what the caller has set, whatever it is called, but never the key.
        "shell_environment_policy": {"inherit": "all", "ignore_default_excludes": True, "exclude": [KEY]},
    }
    if limits.context is not None:
        config["model_context_window"] = limits.context
    return config
