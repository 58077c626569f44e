"""Jelmore's variables (`JELMORE_*`) and its JSON file (`JELMORE_CONFIG_FILE`), in our words.

A variable wins over the file. In the file, what is below `providers` wins over
the same at its top, where one version of it looked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from rhetor.config.earlier import Found
from rhetor.config.file import read_file
from rhetor.config.problems import ConfigError, Problem, suggestion

PREFIX = "JELMORE_"
CONFIG_FILE = "JELMORE_CONFIG_FILE"
CLIENTS = frozenset({"JELMORE_URL", "JELMORE_API_KEY", CONFIG_FILE})
"""Names that are no settings: what clients of the earlier server read, and where its file is."""
TURN = "sessions.turn_s"


class Row(NamedTuple):
    variable: str | None
    """None: it could be set in the file only."""
    key: str
    """In the file, below `providers`, where there is a dot in it."""
    setting: str | None
    remark: str = ""

    @property
    def names(self) -> bool:
        """Whether it is a list of models."""
        return self.key.endswith(".models")


Written: TypeAlias = Mapping[str, tuple[str, Any]]
"""What a file says, by key: where in it, and what."""

_ASKED = "callers ask for it in their `requirements`; remove it"
_NAMES = "a route, `provider/model`, or a model that one provider has; one that is gone needs an alias"
_ALL = "it holds for every backend, and is enforced now: a turn that takes longer is ended"
_OWN_SERVER = "the gateway starts its own OpenCode server; remove it"


def _backend(prefix: str, old: str, new: str) -> tuple[Row, ...]:
    """What was said of each of the two agents."""
    return (
        Row(f"{prefix}_ENABLED", f"{old}.enabled", f"{new}.enabled"),
        Row(f"{prefix}_BIN", f"{old}.{old}_bin", f"{new}.command"),
        Row(f"{prefix}_DEFAULT_MODEL", f"{old}.default_model", f"{new}.default_model", _NAMES),
        Row(f"{prefix}_MAX_SESSIONS", f"{old}.max_concurrent_sessions", f"{new}.max_sessions"),
        Row(f"{prefix}_TIMEOUT", f"{old}.timeout_seconds", TURN, _ALL),
        Row(None, f"{old}.max_turns", f"{new}.max_turns"),
        Row(None, f"{old}.models", f"{new}.models", _NAMES),
        Row(None, f"{old}.temperature", None, "callers set `temperature` with a session; remove it"),
    )


DEFAULT = Row(
    "JELMORE_DEFAULT_PROVIDER",
    "default_provider",
    None,
    "who names no provider gets Claude Code where it is on, else OpenCode",
)
ROWS: tuple[Row, ...] = (
    Row("JELMORE_AUTO_SELECTION", "auto_selection", None, _ASKED),
    Row("JELMORE_LOAD_BALANCING", "load_balancing", None, _ASKED),
    Row("JELMORE_COST_OPTIMIZATION", "cost_optimization", None, _ASKED),
    Row("JELMORE_MAX_TOTAL_SESSIONS", "max_total_sessions", "sessions.max_live", "it is enforced now"),
    Row(None, "health_check_interval", None, "backends are checked when somebody asks; remove it"),
    Row(None, "session_cleanup_interval", None, "set sessions.expire_s, after which sessions are forgotten"),
    *_backend("JELMORE_CLAUDE", "claude", "sessions.claude_code"),
    *_backend("JELMORE_OPENCODE", "opencode", "sessions.opencode"),
    Row("JELMORE_OPENCODE_API_ENDPOINT", "opencode.api_endpoint", None, _OWN_SERVER),
    Row(
        "JELMORE_OPENCODE_API_KEY",
        "opencode.api_key",
        None,
        "agents reach models through the gateway: give the key to a provider, under `providers`",
    ),
)

AGENTS = {"claude": ("Claude Code", "sessions.claude_code"), "opencode": ("OpenCode", "sessions.opencode")}
ON = frozenset({"claude"})
"""Was on unless said otherwise."""
SAME = {f"{agent}.{other}": f"{agent}.{agent}_bin" for agent in AGENTS for other in ("bin", "binary")}


def find(environ: Mapping[str, str]) -> tuple[list[Found], list[Problem]]:
    """What is set under Jelmore's names, the strongest first, and what is wrong with its file."""
    try:
        written, problems = _file(environ), []
    except ConfigError as error:
        remedy = "mend it, or remove this variable"
        written, problems = {}, [Problem(CONFIG_FILE, f"{p}; {remedy}") for p in error.problems]
    return [*_found(environ, written), *_strangers(environ, written)], problems


def _file(environ: Mapping[str, str]) -> Written:
    """
    Raises:
        ConfigError: it cannot be read.
    """
    if not environ.get(CONFIG_FILE):
        return {}
    path = Path(environ[CONFIG_FILE]).expanduser()
    given = read_file(path)
    nested = given.pop("providers", {})
    if not isinstance(nested, dict):
        raise ConfigError([Problem(f"{path}: providers", "must hold settings, each by its name")])
    written: dict[str, tuple[str, Any]] = {}
    for where, settings in (("", given), ("providers.", nested)):
        for name, value in settings.items():
            if not isinstance(value, dict):
                written[name] = (f"{path}: {where}{name}", value)
                continue
            for inner, deep in value.items():
                key = SAME.get(f"{name}.{inner}", f"{name}.{inner}")
                written[key] = (f"{path}: {where}{name}.{inner}", deep)
    return {key: said for key, said in written.items() if said[1] is not None and said[1] != ""}


def _found(environ: Mapping[str, str], written: Written) -> Iterator[Found]:
    turns: list[Found] = []
    for row in ROWS:
        said = _said(row, environ, written)
        for where, value in said[:1]:
            found = Found(where, _names(value) if row.names else value, row.setting, row.remark)
            if row.setting == TURN:
                turns.append(found)
            else:
                yield found
        for where, value in said[1:]:
            yield Found(where, value, None, f"{said[0][0]} says it as well; remove it")
    # There was a time for each agent; the longer one ends nobody's turn sooner than before.
    yield from sorted(turns, key=_length, reverse=True)
    yield from _switched_on(environ, written)


def _said(row: Row, environ: Mapping[str, str], written: Written) -> list[tuple[str, Any]]:
    """Where it is said, and what; the strongest first."""
    said: list[tuple[str, Any]] = []
    if row.variable is not None and environ.get(row.variable):
        said.append((row.variable, environ[row.variable]))
    if row.key in written:
        said.append(written[row.key])
    return said


def _names(models: object) -> object:
    """They were listed by name, or with more about each."""
    if not isinstance(models, list):
        return models
    return [model.get("name", model) if isinstance(model, dict) else model for model in models]


def _length(turn: Found) -> float:
    try:
        return float(turn.value)
    except (TypeError, ValueError):
        return float("inf")  # first of all it is a problem


def _switched_on(environ: Mapping[str, str], written: Written) -> Iterator[Found]:
    """Agents that were on although nobody said so in as many words: the default, and Claude Code."""
    by_key = {row.key: _said(row, environ, written) for row in (DEFAULT, *ROWS)}
    unsaid = [agent for agent in AGENTS if not by_key[f"{agent}.enabled"]]
    mentions = {
        agent: [said[0][0] for key, said in by_key.items() if key.startswith(f"{agent}.") and said]
        for agent in unsaid
    }
    for where, value in by_key[DEFAULT.key][:1]:
        if value in unsaid:
            mentions.pop(value)
            yield _on(value, where, f"; {DEFAULT.remark}")
        else:
            yield Found(where, value, None, DEFAULT.remark)
    for agent, places in mentions.items():
        if places and agent in ON:
            yield _on(agent, places[0])


def _on(agent: str, where: str, remark: str = "") -> Found:
    name, setting = AGENTS[agent]
    return Found(where, True, f"{setting}.enabled", means=f"switches {name} on, as it did before{remark}")


def _strangers(environ: Mapping[str, str], written: Written) -> Iterator[Found]:
    """What looks like Jelmore's, and is nobody's."""
    variables = [row.variable for row in (DEFAULT, *ROWS) if row.variable is not None]
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in (*variables, *CLIENTS):
            yield Found(name, None, None, f"nobody knows it{suggestion(name, variables, cutoff=0.8)}")
    keys = [row.key for row in (DEFAULT, *ROWS)]
    for key, (where, _) in written.items():
        if key not in keys:
            yield Found(where, None, None, f"nobody knows it{suggestion(key, keys, cutoff=0.8)}")
