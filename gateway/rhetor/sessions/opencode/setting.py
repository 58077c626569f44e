"""How OpenCode is set up for one session: what it may, which model it asks, and where it keeps its things.

Everything comes through its environment, so that no file holds a secret. Of the folder that it works in it
reads instructions alone: an `opencode.json` there could start programs, and allow itself everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import orjson

from rhetor.core.content import JsonValue
from rhetor.core.value import value
from rhetor.sessions.backend import Permissions, Setup

PROVIDER = "rhetor"
ANY_MODEL = "auto"  # what the router calls the choice of whoever names no model
USER = "opencode"  # https://opencode.ai/docs/server (read 2026-11-21); only the password is ours to choose
INSTRUCTIONS = "AGENTS.md"

INHERITED = ("PATH", "LANG", "TZ", "TERM")
INHERITED_PREFIX = "LC_"
OWN_PREFIX = "OPENCODE_"  # among them are those that allow everything
LOOPBACK = "127.0.0.1,localhost,::1"
PROXIES = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"})

QUIET: Mapping[str, str] = {
    "OPENCODE_DISABLE_AUTOUPDATE": "1",
    "OPENCODE_DISABLE_MODELS_FETCH": "1",
    "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
    "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",
    "OPENCODE_DISABLE_SHARE": "1",
    "OPENCODE_DISABLE_PROJECT_CONFIG": "1",
    "OPENCODE_DISABLE_CLAUDE_CODE": "1",
    "OPENCODE_EXPERIMENTAL_DISABLE_FILEWATCHER": "1",
}
"""Nothing is fetched, told or watched behind our back. Version 1.18.33, seen running 2026-11-21."""

HARMLESS = ("read", "glob", "grep", "list", "todowrite", "skill", "task")
"""They look; a subagent that `task` starts is held to the same rules."""
CHANGING = ("bash", "edit", "webfetch", "websearch", "external_directory", "doom_loop")


@value
class Limits:
    """Of a model, in tokens. OpenCode sums a conversation up before it becomes longer."""

    context: int = 128_000
    output: int = 16_000


def allowed(permissions: Permissions) -> dict[str, JsonValue]:
    """Its rules, of which the last that matches counts; left to itself it runs commands without asking.

    Nobody answers its `question` tool, which asks for words instead of leave.
    """
    otherwise = "ask" if permissions in (Permissions.ASK, Permissions.ACCEPT_EDITS) else "deny"
    rules: dict[str, JsonValue] = {"*": otherwise}
    rules |= dict.fromkeys(HARMLESS, "allow")
    rules |= dict.fromkeys(CHANGING, otherwise)
    if otherwise == "deny":
        rules["read"] = {"*": "allow", "*.env": "deny", "*.env.*": "deny", "*.env.example": "allow"}
    if permissions is Permissions.ACCEPT_EDITS:
        rules["edit"] = "allow"
    if permissions is Permissions.PLAN:
        rules |= {"webfetch": "ask", "websearch": "ask"}
    rules["question"] = "deny"
    return rules


def agent(setup: Setup) -> str:
    """Which of its own agents is asked."""
    return "plan" if setup.permissions is Permissions.PLAN else "build"


def model(setup: Setup) -> str:
    return setup.model or ANY_MODEL


def config(setup: Setup, limits: Limits) -> dict[str, JsonValue]:
    """https://opencode.ai/docs/config (read 2026-11-21)."""
    name = model(setup)
    behaviour: dict[str, JsonValue] = {}
    if setup.temperature is not None:
        behaviour["temperature"] = setup.temperature
    if setup.max_turns is not None:
        behaviour["steps"] = setup.max_turns
    output = limits.output if setup.max_tokens is None else setup.max_tokens
    offered: dict[str, JsonValue] = {
        "name": name,
        "tool_call": True,
        "temperature": True,
        "limit": {"context": limits.context, "output": output},
    }
    return {
        "model": f"{PROVIDER}/{name}",
        "small_model": f"{PROVIDER}/{name}",
        "enabled_providers": [PROVIDER],
        "share": "disabled",
        "autoupdate": False,
        "snapshot": False,  # copies of the folder after each step: of no use without its own interface
        "instructions": [str(setup.directory / INSTRUCTIONS)],
        "permission": allowed(setup.permissions),
        "agent": {agent(setup): behaviour},
        "provider": {
            PROVIDER: {
                "npm": "@ai-sdk/openai-compatible",  # in the program itself, it is not fetched
                "name": "Rhetor",
                "options": {"baseURL": f"{setup.access.url}/v1", "apiKey": setup.access.token},
                "models": {name: offered},
            }
        },
    }


def environment(setup: Setup, limits: Limits, password: str, ours: Mapping[str, str]) -> dict[str, str]:
    """All that the program gets to know.

    Args:
        ours: this gateway's own environment, of which a few harmless variables are passed on.
    """
    home = setup.home
    inherited = {
        name: text for name, text in ours.items() if name in INHERITED or name.startswith(INHERITED_PREFIX)
    }
    wanted = {
        name: text
        for name, text in setup.environment.items()
        if name.upper() not in PROXIES and not name.startswith(OWN_PREFIX)
    }
    return {
        **inherited,
        **wanted,
        **QUIET,
        **folders(home),
        "NO_PROXY": LOOPBACK,
        "OPENCODE_SERVER_PASSWORD": password,
        "OPENCODE_CONFIG_CONTENT": orjson.dumps(config(setup, limits)).decode(),
    }


def folders(home: Path) -> dict[str, str]:
    """Where it keeps its things. What lies in its temporary folder it may read and write without asking."""
    return {
        "HOME": str(home),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_STATE_HOME": str(home / "state"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "TMPDIR": str(home / "tmp"),
    }
