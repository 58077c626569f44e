"""How Claude Code is started for one session: its arguments, its environment, and its home.

Seen running, version 2.1.197, 2026-11-21. Of the folder that it works in it reads instructions alone: the
settings there could start programs, and allow it what nobody was asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import orjson

from rhetor.core.errors import Code, UpstreamError
from rhetor.services.process import Spec
from rhetor.sessions.backend import Permissions, Setup
from rhetor.sessions.claude_code.endings import NAME
from rhetor.sessions.program import Limits, around_proxies

ANY_MODEL = "auto"  # what the router calls the choice of whoever names no model
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
INSTRUCTIONS = "CLAUDE.md"
PRIVATE = 0o700

MODES: Mapping[Permissions, str] = {
    Permissions.ASK: "default",
    Permissions.ACCEPT_EDITS: "acceptEdits",
    Permissions.PLAN: "plan",
    Permissions.DENY: "dontAsk",
}

FIXED: Mapping[str, str] = {
    # Nothing is told to anybody, fetched or updated.
    "DISABLE_TELEMETRY": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_UPDATES": "1",
    "DISABLE_BUG_COMMAND": "1",
    "DISABLE_FEEDBACK_COMMAND": "1",
    "DISABLE_GROWTHBOOK": "1",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "CLAUDE_CODE_DISABLE_FEEDBACK_SURVEY": "1",
    "CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL": "1",
    # The gateway retries, and goes on with broken streams; a second answer must not follow half of the first.
    "CLAUDE_CODE_MAX_RETRIES": "0",
    "CLAUDE_CODE_DISABLE_NONSTREAMING_FALLBACK": "1",
    "API_TIMEOUT_MS": "86400000",  # the gateway has the clocks
    # The router says which model answers, and no settings say where.
    "CLAUDE_CODE_DISABLE_LEGACY_MODEL_REMAP": "1",
    "CLAUDE_CODE_PROVIDER_MANAGED_BY_HOST": "1",
    "CLAUDE_CODE_ATTRIBUTION_HEADER": "0",  # a line of the system prompt that differs from call to call
    # A message is on disk before its turn begins, so that whoever dies meanwhile can go on.
    "CLAUDE_CODE_EAGER_FLUSH": "1",
    # No turn begins by itself.
    "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "1",
    "CLAUDE_CODE_DISABLE_CRON": "1",
    "CLAUDE_CODE_DISABLE_AUTO_MEMORY": "1",  # its home is of this session only
}
MODEL_VARIABLES = (
    "ANTHROPIC_MODEL",
    "ANTHROPIC_SMALL_FAST_MODEL",
    "ANTHROPIC_DEFAULT_HAIKU_MODEL",
    "ANTHROPIC_DEFAULT_SONNET_MODEL",
    "ANTHROPIC_DEFAULT_OPUS_MODEL",
    "ANTHROPIC_DEFAULT_FABLE_MODEL",
)
"""With the session's model in all of them subagents and whatever runs in the background use it too."""

SETTINGS = orjson.dumps({"skipWebFetchPreflight": True}).decode()
"""It would ask its vendor whether it may fetch an address, which is the caller's to say."""
FORBIDDEN = "ScheduleWakeup"  # a turn would begin by itself


def spec(command: str, setup: Setup, limits: Limits, inherited: Mapping[str, str]) -> Spec:
    """
    Args:
        inherited: of this gateway's own environment.

    Raises:
        RhetorError: not_found, its native id cannot be one of Claude Code's.
    """
    return Spec(
        argv=(command, *arguments(setup)),
        cwd=setup.directory,
        env=environment(setup, limits, inherited),
        label=f"{NAME} {setup.session_id}",
        stdin=True,
        stdout="lines",
    )


def arguments(setup: Setup) -> list[str]:
    """No word of the caller's is in them but the model's name: everybody on this machine may read them."""
    given = ["--print", "--verbose", "--include-partial-messages"]
    given += ["--input-format=stream-json", "--output-format=stream-json", "--permission-prompt-tool=stdio"]
    given += [f"--permission-mode={MODES[setup.permissions]}", f"--disallowedTools={FORBIDDEN}"]
    given += ["--setting-sources=user", "--strict-mcp-config", f"--settings={SETTINGS}"]
    given.append(f"--model={model(setup)}")
    if setup.max_turns is not None:
        given.append(f"--max-turns={setup.max_turns}")
    if setup.native_id is not None:
        if not UUID.fullmatch(setup.native_id):
            message = f"{setup.native_id!r} is no conversation of Claude Code's"
            raise UpstreamError(message, Code.NOT_FOUND, origin=NAME)
        given.append(f"--resume={setup.native_id}")
    return given


def model(setup: Setup) -> str:
    return setup.model or ANY_MODEL


def environment(setup: Setup, limits: Limits, inherited: Mapping[str, str]) -> dict[str, str]:
    """All that it gets to know."""
    return {
        **inherited,
        **setup.environment,
        **around_proxies(setup),
        **FIXED,
        **_limits(setup, limits),
        **dict.fromkeys(MODEL_VARIABLES, model(setup)),
        "ANTHROPIC_BASE_URL": setup.access.url,
        "ANTHROPIC_AUTH_TOKEN": setup.access.token,  # unlike a key it needs nobody's consent
        "HOME": str(setup.home),
        "TMPDIR": str(setup.home / "tmp"),
        "CLAUDE_CODE_TMPDIR": str(setup.home / "tmp"),
    }


def _limits(setup: Setup, limits: Limits) -> dict[str, str]:
    variables: dict[str, str] = {}
    if limits.context is not None:
        variables["CLAUDE_CODE_MAX_CONTEXT_TOKENS"] = str(limits.context)
    if (output := setup.max_tokens or limits.output) is not None:
        variables["CLAUDE_CODE_MAX_OUTPUT_TOKENS"] = str(output)
    if setup.temperature is not None:  # models that think refuse one
        body = orjson.dumps({"temperature": setup.temperature}).decode()
        variables |= {"CLAUDE_CODE_EXTRA_BODY": body, "CLAUDE_CODE_DISABLE_THINKING": "1"}
    return variables


def furnish(setup: Setup) -> None:
    """Make its home as it needs it. Blocks.

    Instructions of the directory are read as the user's own.
    """
    own, temporary = setup.home / ".claude", setup.home / "tmp"
    for folder in (own, temporary):
        folder.mkdir(PRIVATE, parents=True, exist_ok=True)
    path = str(setup.directory / INSTRUCTIONS).replace(" ", "\\ ")
    _write(own / INSTRUCTIONS, f"@{path}\n")


def _write(path: Path, text: str) -> None:
    try:
        if path.read_text() == text:
            return
    except (OSError, UnicodeDecodeError):
        pass
    path.write_text(text)
