"""`RHETOR_<SECTION>_<SETTING>`: variables that change a setting of the file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, TypeAlias

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from rhetor.config.problems import Problem, problem_of, suggestion
from rhetor.config.sections import SECTIONS, ProviderConfig, Section

Setting: TypeAlias = tuple[str, ...]
"""The way to it: `("sessions", "claude_code", "enabled")`."""

COMPAT = "RHETOR_COMPAT"
"""Which earlier system's names without a prefix of its own are taken, see `earlier.py`."""
_SHORT = {"RHETOR_SERVER_HOST": "RHETOR_HOST", "RHETOR_SERVER_PORT": "RHETOR_PORT"}
_CLIENTS = (
    "RHETOR_CONFIG",
    "RHETOR_URL",
    "RHETOR_AUTH_TOKEN",
    "RHETOR_DEFAULT_PROVIDER",
    "RHETOR_DEFAULT_MODEL",
    "RHETOR_TIMEOUT",
    "RHETOR_MAX_RETRIES",
)
_ANNOUNCED = re.compile(r"RHETOR_(SERVICE_|PORT_\d+_)")
"""What Kubernetes sets in every container for a service called rhetor; so is RHETOR_PORT=tcp://…"""


def variables() -> list[str]:
    """The variables that change a setting, `RHETOR_<SECTION>_<SETTING>`; scalars only."""
    return [variable_of(setting) for setting, info in _settings() if _is_scalar(info)]


def variable_of(setting: Setting) -> str:
    return "_".join(("rhetor", *setting)).upper()


def set_by(setting: Setting, environ: Mapping[str, str]) -> str | None:
    """The variable of ours that sets this; None: none does."""
    name = variable_of(setting)
    variable = next((v for v in (name, _SHORT.get(name)) if v and environ.get(v)), None)
    return None if variable is None or environ[variable].startswith("tcp://") else variable


def without_effect(environ: Mapping[str, str]) -> list[Problem]:
    """Variables that look like ours, and are nobody's: a warning, since the environment has many masters."""
    ours = variables()
    strays = [
        name
        for name in sorted(environ)
        if name.startswith("RHETOR_")
        and name not in (*ours, *_CLIENTS, *_SHORT.values(), COMPAT)
        and not _ANNOUNCED.match(name)
    ]
    in_file = {variable_of(setting): ".".join(setting) for setting, _ in _settings()}
    return [
        Problem(name, f"has no effect; set {in_file[name]} in the file")
        if name in in_file
        else Problem(name, f"has no effect{suggestion(name, ours, cutoff=0.8)}")
        for name in strays
    ]


def _settings() -> Iterator[tuple[Setting, FieldInfo]]:
    for section, model in SECTIONS.items():
        yield from _below((section,), model)


def _below(way: Setting, model: type[Section]) -> Iterator[tuple[Setting, FieldInfo]]:
    for name, info in model.model_fields.items():
        if isinstance(info.default, Section):
            yield from _below((*way, name), type(info.default))
        else:
            yield (*way, name), info


def _is_scalar(info: FieldInfo) -> bool:
    return info.default_factory is None and info.default != ()


def override(given: dict[str, Any], environ: Mapping[str, str]) -> list[Problem]:
    """Put `RHETOR_<SECTION>_<SETTING>` into the raw configuration. An empty variable is none."""
    problems: list[Problem] = []
    for setting, info in _settings():
        variable = set_by(setting, environ) if _is_scalar(info) else None
        if variable is None:
            continue
        value = parsed(setting, environ[variable], variable)
        if isinstance(value, Problem):
            problems.append(value)
        else:
            put(given, setting, value)
    return problems


def parsed(setting: Setting, said: object, where: str) -> Any:
    """A value for this setting, out of text or JSON; else a problem of whoever said it."""
    fields = dict(_settings())
    info = fields[setting] if setting in fields else ProviderConfig.model_fields[setting[-1]]
    adapter: TypeAdapter[Any] = TypeAdapter(Annotated[info.annotation, info])  # type: ignore[arg-type]
    try:
        return adapter.validate_strings(said) if isinstance(said, str) else adapter.validate_python(said)
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        problem = problem_of({**detail, "loc": (*setting, *detail["loc"])})
        return Problem(where, problem.message, problem.value)


def has(given: Mapping[str, Any], setting: Setting) -> bool:
    inside: Any = given
    for name in setting:
        if not isinstance(inside, dict) or name not in inside:
            return False
        inside = inside[name]
    return True


def put(given: dict[str, Any], setting: Setting, value: object) -> None:
    """Unless what it belongs to is no section at all, which others complain of."""
    *way, name = setting
    inside = given
    for each in way:
        below = inside.setdefault(each, {})
        if not isinstance(below, dict):
            return
        inside[each] = inside = dict(below)
    inside[name] = value


def environment() -> Mapping[str, str]:
    """The process' environment, read at one place."""
    return os.environ
