"""Jelmore's settings count under their old names, and a warning says the new ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from rhetor.config import Config, ConfigError, earlier_names, load, without_effect
from rhetor.config.jelmore import DEFAULT, ROWS

CANARY = "sk-canary-0123456789abcdef"

Environ = Mapping[str, str]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """An earlier configuration file, still to be written."""
    return tmp_path / "providers.json"


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    return tmp_path / "rhetor.yaml"


def written(file: Path, **settings: Any) -> Environ:
    """An environment that names a file with these settings."""
    file.write_text(json.dumps(settings))
    return {"JELMORE_CONFIG_FILE": str(file)}


def setting(config: Config, path: str) -> object:
    found: object = config
    for name in path.split("."):
        found = getattr(found, name)
    return found


def warnings(environ: Environ, ours: Path | None = None) -> dict[str, str]:
    """What is told, by the place that it is about; the first for each."""
    return {problem.path: problem.message for problem in reversed(earlier_names(ours, environ))}


def problems(environ: Environ, ours: Path | None = None) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        load(ours, environ)
    return {problem.path: str(problem) for problem in caught.value.problems}


# Variables.


@pytest.mark.promise("J10")
@pytest.mark.parametrize(
    ("variable", "value", "path", "meant"),
    [
        ("JELMORE_CLAUDE_ENABLED", "true", "sessions.claude_code.enabled", True),
        ("JELMORE_CLAUDE_ENABLED", "0", "sessions.claude_code.enabled", False),
        ("JELMORE_CLAUDE_BIN", "/opt/claude", "sessions.claude_code.command", "/opt/claude"),
        ("JELMORE_CLAUDE_DEFAULT_MODEL", "m", "sessions.claude_code.default_model", "m"),
        ("JELMORE_CLAUDE_MAX_SESSIONS", "7", "sessions.claude_code.max_sessions", 7),
        ("JELMORE_CLAUDE_TIMEOUT", "300", "sessions.turn_s", 300.0),
        ("JELMORE_OPENCODE_ENABLED", "yes", "sessions.opencode.enabled", True),
        ("JELMORE_OPENCODE_BIN", "/opt/opencode", "sessions.opencode.command", "/opt/opencode"),
        ("JELMORE_OPENCODE_DEFAULT_MODEL", "deepseek-v3", "sessions.opencode.default_model", "deepseek-v3"),
        ("JELMORE_OPENCODE_MAX_SESSIONS", "9", "sessions.opencode.max_sessions", 9),
        ("JELMORE_OPENCODE_TIMEOUT", "60", "sessions.turn_s", 60.0),
        ("JELMORE_MAX_TOTAL_SESSIONS", "50", "sessions.max_live", 50),
    ],
)
def test_a_variable_counts_and_is_told(variable: str, value: str, path: str, meant: object) -> None:
    environ = {variable: value}
    assert setting(load(None, environ), path) == meant
    ours = f"RHETOR_{path}".upper().replace(".", "_")
    assert warnings(environ)[variable].startswith(
        f"is called {path} now: set that in rhetor.yaml, or {ours}, and remove this"
    )
    assert without_effect({ours: value}) == []
    assert setting(load(None, {ours: value}), path) == meant


@pytest.mark.parametrize(
    "variable",
    [
        "JELMORE_AUTO_SELECTION",
        "JELMORE_LOAD_BALANCING",
        "JELMORE_COST_OPTIMIZATION",
        "JELMORE_OPENCODE_API_ENDPOINT",
        "JELMORE_OPENCODE_API_KEY",
    ],
)
def test_what_is_no_setting_any_more_is_told_without_its_value(variable: str) -> None:
    assert load(None, {variable: CANARY}) == Config()
    (told,) = earlier_names(None, {variable: CANARY})
    assert told.message.startswith("has no effect: ")
    assert CANARY not in str(told)


def test_an_empty_variable_is_none() -> None:
    environ = {row.variable: "" for row in (DEFAULT, *ROWS) if row.variable}
    assert load(None, {**environ, "JELMORE_CONFIG_FILE": ""}) == Config()
    assert earlier_names(None, environ) == []


def test_a_variable_that_was_not_set_changes_nothing(file: Path) -> None:
    """Unset ones once overwrote the file with False and defaults."""
    config = load(None, written(file, providers={"claude": {"enabled": True, "claude_bin": "/opt/claude"}}))
    assert config.sessions.claude_code.enabled
    assert config.sessions.claude_code.command == "/opt/claude"


def test_a_variable_that_nobody_knows_is_told() -> None:
    assert warnings({"JELMORE_CLAUD_BIN": "x", "JELMORE_URL": "http://old:8000"}) == {
        "JELMORE_CLAUD_BIN": "has no effect: nobody knows it; did you mean JELMORE_CLAUDE_BIN?"
    }


def test_bad_values_are_problems_under_the_name_that_was_used(ours: Path) -> None:
    ours.write_text("logs: {format: xml}")
    environ = {
        "JELMORE_CLAUDE_MAX_SESSIONS": "many",
        "JELMORE_CLAUDE_ENABLED": "perhaps",
        "JELMORE_OPENCODE_TIMEOUT": "0",
    }
    assert problems(environ, ours) == {
        "JELMORE_CLAUDE_MAX_SESSIONS": "JELMORE_CLAUDE_MAX_SESSIONS: must be a whole number; "
        "it is now sessions.claude_code.max_sessions (is 'many')",
        "JELMORE_CLAUDE_ENABLED": "JELMORE_CLAUDE_ENABLED: must be true or false; "
        "it is now sessions.claude_code.enabled (is 'perhaps')",
        "JELMORE_OPENCODE_TIMEOUT": "JELMORE_OPENCODE_TIMEOUT: must be more than 0; "
        "it is now sessions.turn_s (is '0')",
        "logs.format": "logs.format: must be 'console' or 'json' (is 'xml')",
    }


# Who was on.


@pytest.mark.parametrize(
    ("environ", "claude", "opencode"),
    [
        ({}, False, False),
        ({"JELMORE_CLAUDE_BIN": "claude"}, True, False),
        ({"JELMORE_OPENCODE_BIN": "opencode"}, False, False),
        ({"JELMORE_DEFAULT_PROVIDER": "claude"}, True, False),
        ({"JELMORE_DEFAULT_PROVIDER": "opencode"}, False, True),
        ({"JELMORE_DEFAULT_PROVIDER": "opencode", "JELMORE_CLAUDE_BIN": "claude"}, True, True),
        ({"JELMORE_DEFAULT_PROVIDER": "nobody"}, False, False),
        ({"JELMORE_DEFAULT_PROVIDER": "claude", "JELMORE_CLAUDE_ENABLED": "false"}, False, False),
        ({"JELMORE_CLAUDE_BIN": "claude", "RHETOR_SESSIONS_CLAUDE_CODE_ENABLED": "false"}, False, False),
        ({"JELMORE_LOAD_BALANCING": "true"}, False, False),
    ],
)
def test_claude_was_on_unless_said_otherwise(environ: Environ, claude: bool, opencode: bool) -> None:
    sessions = load(None, environ).sessions
    assert (sessions.claude_code.enabled, sessions.opencode.enabled) == (claude, opencode)


def test_who_is_switched_on_is_told() -> None:
    assert warnings({"JELMORE_DEFAULT_PROVIDER": "claude"}) == {
        "JELMORE_DEFAULT_PROVIDER": "switches Claude Code on, as it did before; "
        "who names no provider gets Claude Code where it is on, else OpenCode; "
        "better say sessions.claude_code.enabled: true in rhetor.yaml"
    }


def test_our_file_keeps_an_agent_off(ours: Path) -> None:
    ours.write_text("sessions: {claude_code: {enabled: false}}")
    environ = {"JELMORE_DEFAULT_PROVIDER": "claude"}
    assert not load(ours, environ).sessions.claude_code.enabled
    assert warnings(environ, ours) == {}


# The file.


@pytest.mark.promise("J11")
@pytest.mark.parametrize("nested", [True, False], ids=["below providers", "at its top"])
def test_the_file_counts_however_it_is_nested(file: Path, nested: bool) -> None:
    agents = {
        "claude": {
            "claude_bin": "/opt/claude",
            "default_model": "claude-3-5-sonnet-20241022",
            "max_concurrent_sessions": 7,
            "max_turns": 12,
            "timeout_seconds": 300,
            "models": ["a", {"name": "b", "context_length": 200_000}],
        },
        "opencode": {"enabled": True, "opencode_bin": "/opt/opencode", "timeout_seconds": 600},
    }
    environ = written(file, max_total_sessions=50, **({"providers": agents} if nested else agents))
    sessions = load(None, environ).sessions
    assert sessions.max_live == 50
    assert sessions.turn_s == 600
    assert sessions.claude_code == Config().sessions.claude_code.model_copy(
        update={
            "enabled": True,
            "command": "/opt/claude",
            "default_model": "claude-3-5-sonnet-20241022",
            "max_sessions": 7,
            "max_turns": 12,
            "models": ("a", "b"),
        }
    )
    assert sessions.opencode.enabled
    assert sessions.opencode.command == "/opt/opencode"
    before = "providers." if nested else ""
    told = warnings(environ)
    assert "sessions.claude_code.max_turns now" in told[f"{file}: {before}claude.max_turns"]
    assert "RHETOR_" not in told[f"{file}: {before}claude.models"]  # lists have no variable
    assert told[f"{file}: {before}claude.timeout_seconds"].startswith("has no effect beside")


def test_what_is_nested_wins_over_the_top(file: Path) -> None:
    environ = written(
        file,
        claude={"max_turns": 1, "claude_bin": "top"},
        providers={"claude": {"max_turns": 2}},
    )
    claude = load(None, environ).sessions.claude_code
    assert (claude.max_turns, claude.command) == (2, "top")


@pytest.mark.promise("J11", "J12")
def test_the_example_of_the_earlier_guide_counts(file: Path) -> None:
    environ = written(
        file,
        default_provider="claude",
        providers={
            "claude": {"claude_bin": "claude", "default_model": "claude-3-5-sonnet-20241022"},
            "opencode": {"enabled": True, "api_endpoint": "http://localhost:8080"},
        },
    )
    sessions = load(None, environ).sessions
    assert sessions.claude_code.enabled
    assert sessions.opencode.enabled
    assert sessions.claude_code.default_model == "claude-3-5-sonnet-20241022"
    assert warnings(environ)[f"{file}: providers.opencode.api_endpoint"] == (
        "has no effect: the gateway starts its own OpenCode server; remove it"
    )


def test_what_nobody_knows_in_the_file_is_told_without_its_value(file: Path) -> None:
    environ = written(file, providers={"claude": {"max_turn": CANARY}, "other": {"x": 1}}, speed=1, note=None)
    assert load(None, environ).sessions.max_live == Config().sessions.max_live
    told = warnings(environ)
    assert told[f"{file}: providers.claude.max_turn"] == (
        "has no effect: nobody knows it; did you mean claude.max_turns?"
    )
    assert set(told) >= {f"{file}: providers.other.x", f"{file}: speed"}
    assert f"{file}: note" not in told
    assert CANARY not in str(told)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read"),
        ("{", "not valid JSON"),
        ("[1]", "must hold sections"),
        ('{"providers": ["claude"]}', "providers: must hold settings"),
    ],
)
def test_a_file_that_cannot_be_used_is_a_problem(file: Path, text: str | None, said: str) -> None:
    if text is not None:
        file.write_text(text)
    environ = {"JELMORE_CONFIG_FILE": str(file), "RHETOR_PORT": "many"}
    found = problems(environ)
    assert said in found["JELMORE_CONFIG_FILE"]
    assert str(file) in found["JELMORE_CONFIG_FILE"]
    assert "RHETOR_PORT" in found  # all at once


def test_a_bad_value_in_the_file_is_a_problem_with_its_place(file: Path) -> None:
    found = problems(written(file, providers={"claude": {"max_turns": "many", "models": "all"}}))
    turns, models = f"{file}: providers.claude.max_turns", f"{file}: providers.claude.models"
    assert found == {
        turns: f"{turns}: must be a whole number; it is now sessions.claude_code.max_turns (is 'many')",
        models: f"{models}: must be a list: [one, another]; it is now sessions.claude_code.models (is 'all')",
    }


# Who wins.


def test_each_wins_over_the_one_before(file: Path, ours: Path) -> None:
    """Default, earlier file, earlier variable, our file, our variable."""
    ours.touch()

    def turns(environ: Environ) -> object:
        return load(ours, environ).sessions.claude_code.max_sessions

    environ = dict(written(file))
    assert turns(environ) == 10
    environ |= written(file, providers={"claude": {"max_concurrent_sessions": 2}})
    assert turns(environ) == 2
    environ["JELMORE_CLAUDE_MAX_SESSIONS"] = "3"
    assert turns(environ) == 3
    ours.write_text("sessions: {claude_code: {max_sessions: 4}}")
    assert turns(environ) == 4
    ours_wins = "has no effect beside sessions.claude_code.max_sessions in rhetor.yaml; remove it"
    variable_wins = "has no effect: JELMORE_CLAUDE_MAX_SESSIONS says it as well; remove it"
    told = warnings(environ, ours)
    assert told["JELMORE_CLAUDE_MAX_SESSIONS"] == ours_wins
    assert told[f"{file}: providers.claude.max_concurrent_sessions"] == variable_wins
    environ["RHETOR_SESSIONS_CLAUDE_CODE_MAX_SESSIONS"] = "5"
    assert turns(environ) == 5


def test_our_setting_is_named_where_it_wins(ours: Path) -> None:
    environ = {"JELMORE_MAX_TOTAL_SESSIONS": "many", "RHETOR_SESSIONS_MAX_LIVE": "5"}
    assert load(None, environ).sessions.max_live == 5
    assert warnings(environ) == {
        "JELMORE_MAX_TOTAL_SESSIONS": "has no effect beside RHETOR_SESSIONS_MAX_LIVE; remove it"
    }
    ours.write_text("sessions: {max_live: 6}")
    assert load(ours, {"JELMORE_MAX_TOTAL_SESSIONS": "many"}).sessions.max_live == 6
    assert warnings({"JELMORE_MAX_TOTAL_SESSIONS": "many"}, ours) == {
        "JELMORE_MAX_TOTAL_SESSIONS": "has no effect beside sessions.max_live in rhetor.yaml; remove it"
    }


def test_the_longer_of_two_times_counts() -> None:
    environ = {"JELMORE_CLAUDE_TIMEOUT": "300", "JELMORE_OPENCODE_TIMEOUT": "600"}
    assert load(None, environ).sessions.turn_s == 600
    told = warnings(environ)["JELMORE_CLAUDE_TIMEOUT"]
    assert told == "has no effect beside JELMORE_OPENCODE_TIMEOUT; remove it"


def test_other_settings_of_our_file_stay(file: Path, ours: Path) -> None:
    ours.write_text("sessions: {warm_s: 5, claude_code: {permissions: plan}}\nlogs: {level: error}")
    config = load(ours, {"JELMORE_CLAUDE_BIN": "x"})
    assert (config.sessions.warm_s, config.logs.level) == (5, "error")
    assert (config.sessions.claude_code.permissions, config.sessions.claude_code.command) == ("plan", "x")


def test_a_file_of_ours_that_cannot_be_read_leaves_no_warnings(ours: Path) -> None:
    ours.write_text("{")
    assert earlier_names(ours, {"JELMORE_CLAUDE_BIN": "x"}) == []


def test_sections_that_are_none_are_complained_of_once(ours: Path) -> None:
    ours.write_text("sessions: {claude_code: 5}")
    found = problems({"JELMORE_CLAUDE_BIN": "x"}, ours)
    assert list(found) == ["sessions.claude_code"]
