"""Tools for models: Python functions → OpenAI's function objects."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, get_type_hints

from pydantic import BaseModel, Field, PydanticUserError, create_model
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaWarningKind

from tekton_llm_client.exceptions import InvalidRequestError

_SECTION = re.compile(r"^(?:Args|Arguments|Parameters):\s*$", re.MULTILINE)
_ENTRY = re.compile(r"^\s+(\w+)(?:\s*\([^)]*\))?:\s*(.+)$")


def tool_schema(tool: Mapping[str, Any] | Callable[..., Any]) -> Mapping[str, Any]:
    """A tool as it is sent; a function is described by its hints and its docstring.

    The docstring's first paragraph says what it is for, the lines of its
    section `Args:` say what the parameters are.

    Raises:
        InvalidRequestError: it is neither such an object nor a function whose parameters can be named.
    """
    if isinstance(tool, Mapping):
        return tool
    if not callable(tool):
        raise InvalidRequestError(f"tools: expected a function, or its description, got {tool!r}")
    name = getattr(tool, "__name__", type(tool).__name__)
    text = inspect.getdoc(tool) or ""
    function: dict[str, Any] = {"name": name, "parameters": _parameters(name, tool, _told(text))}
    if purpose := " ".join(text.split("\n\n")[0].split()):
        function["description"] = purpose
    return {"type": "function", "function": function}


class _Schema(GenerateJsonSchema):
    """Leaves out a default that JSON cannot say, without a warning."""

    ignored_warning_kinds: set[JsonSchemaWarningKind] = {  # noqa: RUF012  # so its base class declares it
        "skipped-choice",
        "non-serializable-default",
    }


def _parameters(name: str, tool: Callable[..., Any], told: Mapping[str, str]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    try:
        hints = get_type_hints(tool, include_extras=True)
        for n, parameter in enumerate(inspect.signature(tool).parameters.values()):
            if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                raise TypeError(f"{parameter} has no name that a model could use")
            default = ... if parameter.default is parameter.empty else parameter.default
            # Under a name of ours: pydantic has its own plans for `_x`, `schema`, `copy` and `model_x`.
            about: dict[str, Any] = {"alias": parameter.name, "validation_alias": parameter.name}
            if parameter.name in told:
                about["description"] = told[parameter.name]
            fields[f"p{n}"] = (hints.get(parameter.name, Any), Field(default, **about))
        described: type[BaseModel] = create_model(name, **fields)
        schema = described.model_json_schema(schema_generator=_Schema)
    except (TypeError, ValueError, NameError, AttributeError, PydanticUserError) as error:
        raise InvalidRequestError(f"tools: {name} cannot be described: {error}") from error
    schema.pop("title", None)
    for property in schema.get("properties", {}).values():
        property.pop("title", None)
    return {"properties": {}, **schema}


def _told(text: str) -> dict[str, str]:
    """What a docstring says of each parameter."""
    section = _SECTION.search(text)
    if section is None:
        return {}
    lines = text[section.end() :].lstrip("\n").split("\n\n")[0].splitlines()
    return {found[1]: found[2].strip() for line in lines if (found := _ENTRY.match(line))}
