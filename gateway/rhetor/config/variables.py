"""`RHETOR_<SECTION>_<SETTING>`: variables that change a setting of the file."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import TypeAdapter, ValidationError

from rhetor.config.problems import Problem, problem_of, suggestion
from rhetor.config.sections import SECTIONS

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
    return [name for section in SECTIONS for name in _variables(section)]


def without_effect(environ: Mapping[str, str]) -> list[Problem]:
    """Variables that look like ours, and are nobody's: a warning, since the environment has many masters."""
    ours = variables()
    strays = [
        name
        for name in sorted(environ)
        if name.startswith("RHETOR_")
        and name not in (*ours, *_CLIENTS, *_SHORT.values())
        and not _ANNOUNCED.match(name)
    ]
    in_file = {
        f"RHETOR_{s}_{n}".upper(): f"{s}.{n}" for s, model in SECTIONS.items() for n in model.model_fields
    }
    return [
        Problem(name, f"has no effect; set {in_file[name]} in the file")
        if name in in_file
        else Problem(name, f"has no effect{suggestion(name, ours, cutoff=0.8)}")
        for name in strays
    ]


def _variables(section: str) -> dict[str, str]:
    """The variables of a section, each with the setting it changes."""
    model = SECTIONS[section]
    scalars = [n for n, f in model.model_fields.items() if f.default_factory is None and f.default != ()]
    return {f"RHETOR_{section}_{setting}".upper(): setting for setting in scalars}


def override(given: dict[str, Any], environ: Mapping[str, str]) -> list[Problem]:
    """Put `RHETOR_<SECTION>_<SETTING>` into the raw configuration. An empty variable is none."""
    problems: list[Problem] = []
    for section, model in SECTIONS.items():
        for name, setting in _variables(section).items():
            variable = next((v for v in (name, _SHORT.get(name)) if v and environ.get(v)), None)
            if variable is None or environ[variable].startswith("tcp://"):
                continue
            info = model.model_fields[setting]
            try:
                adapter: TypeAdapter[Any] = TypeAdapter(Annotated[info.annotation, info])  # type: ignore[arg-type]
                value = adapter.validate_strings(environ[variable])
            except ValidationError as error:
                problem = problem_of(error.errors(include_url=False)[0])
                problems.append(Problem(variable, problem.message, problem.value))
                continue
            if isinstance(given.setdefault(section, {}), dict):
                given[section] = {**given[section], setting: value}
    return problems


def environment() -> Mapping[str, str]:
    """The process' environment, read at one place."""
    return os.environ
