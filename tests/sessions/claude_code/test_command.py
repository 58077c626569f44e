"""How it is started: what it is told, what it is not, and what is kept from whoever looks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rhetor.core.errors import Code, RhetorError
from rhetor.sessions.backend import Permissions, Setup
from rhetor.sessions.claude_code.command import (
    FIXED,
    MODEL_VARIABLES,
    arguments,
    environment,
    furnish,
    spec,
)
from rhetor.sessions.program import Limits
from tests.sessions.conformance import make_setup

TOKEN = "sk-session-canary-7d41"
ID = "059169fa-41bb-49d1-88a3-4a4b0b9d2c94"


@pytest.fixture
def setup(tmp_path: Path) -> Any:
    def make(**given: object) -> Setup:
        return make_setup(tmp_path, "http://127.0.0.1:8003", **given)

    return make


@pytest.mark.parametrize(
    ("permissions", "mode"),
    [
        (Permissions.ASK, "default"),
        (Permissions.ACCEPT_EDITS, "acceptEdits"),
        (Permissions.PLAN, "plan"),
        (Permissions.DENY, "dontAsk"),
    ],
)
def test_permissions(setup: Any, permissions: Permissions, mode: str) -> None:
    given = arguments(setup(permissions=permissions))
    assert f"--permission-mode={mode}" in given
    assert not any("bypass" in each or "dangerously" in each for each in given)


def test_nothing_that_was_said_is_in_its_arguments(setup: Any) -> None:
    """Everybody on the machine can read them."""
    told = setup(system="SECRET-WORDS", environment={"A_KEY": "SECRET-WORDS"})
    wanted = spec("claude", told, Limits(), {})
    assert "SECRET" not in " ".join(wanted.argv)
    assert TOKEN not in " ".join(wanted.argv)
    assert TOKEN not in repr(wanted.argv)


def test_of_the_folder_no_settings_are_read(setup: Any) -> None:
    given = arguments(setup())
    assert "--setting-sources=user" in given
    assert "--strict-mcp-config" in given


def test_turns_and_conversations(setup: Any) -> None:
    assert not any(each.startswith(("--max-turns", "--resume", "--continue")) for each in arguments(setup()))
    given = arguments(setup(max_turns=7, native_id=ID))
    assert {"--max-turns=7", f"--resume={ID}"} <= set(given)


@pytest.mark.parametrize("native_id", ["", "latest", "--continue", f"{ID}\n", f"{ID} x"])
def test_what_is_no_id_is_not_found(setup: Any, native_id: str) -> None:
    with pytest.raises(RhetorError) as raised:
        arguments(setup(native_id=native_id))
    assert raised.value.code is Code.NOT_FOUND


@pytest.mark.parametrize(
    ("model", "name"), [("ant/small", "ant/small"), ("", "auto"), ("-x", "-x"), ("a b", "a b")]
)
def test_every_model_call_is_for_the_session_s_model(setup: Any, model: str, name: str) -> None:
    given = setup(model=model)
    assert f"--model={name}" in arguments(given)
    variables = environment(given, Limits(), {})
    assert {variables[each] for each in MODEL_VARIABLES} == {name}


def test_it_asks_this_gateway_with_the_session_s_key(setup: Any) -> None:
    variables = environment(setup(), Limits(), {"PATH": "/bin"})
    assert variables["PATH"] == "/bin"
    assert variables["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:8003"
    assert variables["ANTHROPIC_AUTH_TOKEN"] == TOKEN
    assert "ANTHROPIC_API_KEY" not in variables


def test_what_the_caller_sets_does_not_undo_what_we_set(setup: Any) -> None:
    wanted = {"MINE": "1", "HOME": "/", "ANTHROPIC_BASE_URL": "http://evil", "CLAUDE_CODE_MAX_RETRIES": "9"}
    variables = environment(setup(environment=wanted), Limits(), {})
    assert variables["MINE"] == "1"
    assert variables["HOME"] == str(setup().home)
    assert variables["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:8003"
    assert {name: variables[name] for name in FIXED} == dict(FIXED)


def test_the_gateway_is_asked_around_proxies(setup: Any) -> None:
    wanted = {"HTTPS_PROXY": "http://proxy:3128"}
    assert environment(setup(environment=wanted), Limits(), {})["NO_PROXY"] == "127.0.0.1"


@pytest.mark.parametrize(
    ("limits", "max_tokens", "variables"),
    [
        (Limits(), None, {}),
        (Limits(8192, 1024), None, {"CONTEXT_TOKENS": "8192", "OUTPUT_TOKENS": "1024"}),
        (Limits(8192, 1024), 99, {"CONTEXT_TOKENS": "8192", "OUTPUT_TOKENS": "99"}),
    ],
)
def test_limits(setup: Any, limits: Limits, max_tokens: int | None, variables: dict[str, str]) -> None:
    found = environment(setup(max_tokens=max_tokens), limits, {})
    prefix = "CLAUDE_CODE_MAX_"
    told = {name.removeprefix(prefix): text for name, text in found.items() if name.startswith(prefix)}
    assert {name: text for name, text in told.items() if name.endswith("_TOKENS")} == variables


def test_a_temperature_is_told_with_every_call(setup: Any) -> None:
    variables = environment(setup(temperature=0.0), Limits(), {})
    assert json.loads(variables["CLAUDE_CODE_EXTRA_BODY"]) == {"temperature": 0.0}
    assert "CLAUDE_CODE_EXTRA_BODY" not in environment(setup(), Limits(), {})


def test_its_home_is_its_own(setup: Any) -> None:
    given = setup()
    furnish(given)
    furnish(given)
    assert (given.home / "tmp").stat().st_mode & 0o077 == 0
    assert (given.home / ".claude" / "CLAUDE.md").read_text() == f"@{given.directory}/CLAUDE.md\n"


def test_spaces_in_the_directory_are_escaped(tmp_path: Path) -> None:
    given = make_setup(tmp_path / "a b", "http://x")
    furnish(given)
    assert "a\\ b/work/CLAUDE.md" in (given.home / ".claude" / "CLAUDE.md").read_text()
