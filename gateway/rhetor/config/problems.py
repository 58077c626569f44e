"""What is wrong with a configuration, in words that say where and what to do; never with a secret in them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from rhetor.config.sections import (
    ALIAS,
    NAME,
    PAIR,
    PROVIDER_ID,
    SECTIONS,
    WORD,
    Config,
    ProviderConfig,
    RouteConfig,
    RouteTimeouts,
    Section,
    TargetConfig,
)
from rhetor.config.services import ServiceConfig
from rhetor.providers.spec import AuthSpec, QuirkSpec
from rhetor.telemetry.logs import Redactor


@dataclass(frozen=True, slots=True)
class Problem:
    path: str
    """Where: `routes.fast.targets[0]`."""
    message: str
    """What is wrong, and what to do."""
    value: str | None = None

    def __str__(self) -> str:
        shown = f" (is {self.value})" if self.value is not None else ""
        return f"{self.path}: {self.message}{shown}"


class ConfigError(Exception):
    """The configuration cannot be used; `problems` says all that is wrong with it.

    Args:
        rest: the configuration without the settings at fault, for finding what else is
            wrong with it; never to be run.
    """

    def __init__(self, problems: list[Problem], rest: Config | None = None) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems
        self.rest = rest


_PATTERNS = {
    NAME: "must begin with a letter or digit, and go on with letters, digits and . _ : -",
    ALIAS: "must begin with a letter or digit, and go on with letters, digits and . _ : - /",
    PROVIDER_ID: "must begin with a small letter, and go on with small letters, digits, _ and -",
    WORD: "must be one word, without a slash",
    PAIR: "must be a component and a task: ergon/code",
}
SECRETIVE = r"\.(keys?|tokens|headers|env|jwt_secret)\b"
_SETTINGS = "must hold settings, each as `name: value`"
_LIST = "must be a list: [one, another]"
_INTEGER = "must be a whole number"
_NUMBER = "must be a number"
_BOOLEAN = "must be true or false"
_MESSAGES = {
    "missing": "is required",
    "string_type": "must be text; put it in quotes",
    "model_type": _SETTINGS,
    "dict_type": _SETTINGS,
    "tuple_type": _LIST,
    "frozen_set_type": _LIST,
    "int_type": _INTEGER,
    "int_parsing": _INTEGER,
    "int_from_float": _INTEGER,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "bool_type": _BOOLEAN,
    "bool_parsing": _BOOLEAN,
    "too_short": "must not be empty",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "greater_than": "must be more than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than_equal": "must be at most {le:g}",
    "value_error": "{error}",
}


def problem_of(detail: Mapping[str, Any]) -> Problem:
    """A problem in our words, out of one of pydantic's."""
    kind, location, context = detail["type"], detail["loc"], detail.get("ctx", {})
    path = _path(location)
    if kind == "extra_forbidden":
        hint = suggestion(str(location[-1]), _settings_at(location[:-1]))
        return Problem(path, f"no such setting here{hint or '; see docs/configuration.md'}")
    if kind == "string_pattern_mismatch":
        message = _PATTERNS.get(context["pattern"], detail["msg"])
    else:
        message = _MESSAGES.get(kind, "{msg}").format(msg=detail["msg"], **context)
    told = kind == "missing" or (kind == "value_error" and isinstance(detail["input"], dict))
    return Problem(path, message, None if told else _shown(path, detail["input"]))


def _settings_at(location: tuple[int | str, ...]) -> Iterable[str]:
    """What may be set at a location."""
    match location:
        case ():
            return Config.model_fields
        case ("providers", _):
            return ProviderConfig.model_fields
        case ("providers", _, "auth"):
            return AuthSpec.model_fields
        case ("providers", _, "quirks"):
            return QuirkSpec.model_fields
        case ("services", _):
            return ServiceConfig.model_fields
        case ("routes", _):
            return RouteConfig.model_fields
        case ("routes", _, "targets", _):
            return TargetConfig.model_fields
        case ("routes", _, "timeouts"):
            return RouteTimeouts.model_fields
        case (str(section), *inside) if section in SECTIONS:
            return _settings_below(SECTIONS[section], inside)
    return ()


def _settings_below(model: type[Section], location: Sequence[int | str]) -> Iterable[str]:
    for name in location:
        info = model.model_fields.get(str(name))
        if info is None or not isinstance(info.default, Section):
            return ()
        model = type(info.default)
    return model.model_fields


def suggestion(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    near = get_close_matches(name, known, n=1, cutoff=cutoff)
    return f"; did you mean {near[0]}?" if near else ""


def _path(location: tuple[int | str, ...]) -> str:
    parts = [p for p in location if p != "[key]"]
    path = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in parts).lstrip(".") or "(file)"
    return Redactor().text(path)  # somebody may have put a token where its name belongs


def _shown(path: str, value: object) -> str | None:
    """A value as a problem shows it; what may be a secret in clear is not shown back."""
    if value is None:
        return "empty"
    if isinstance(value, dict | list):
        return "a list" if isinstance(value, list) else "settings"
    secretive = re.search(SECRETIVE, path) or re.fullmatch(r"providers\.[^.]+", path)
    if secretive or "@" in str(value):
        return None
    return Redactor().text(repr(value))[:80]
