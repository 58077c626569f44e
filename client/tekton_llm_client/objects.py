"""Replies that are objects: a pydantic model → what is asked for, and text → the model."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from tekton_llm_client.exceptions import FormatError, JSONParsingError
from tekton_llm_client.models import CompletionResponse, Message, MessageRole
from tekton_llm_client.response_handlers.json_parser import parse_json

Model = TypeVar("Model", bound=BaseModel)

_NAME = re.compile(r"[^A-Za-z0-9_-]")
NAME_LIMIT = 64  # characters; OpenAI takes no more
PROBLEMS_LIMIT = 2_000  # characters of what was wrong: enough to mend it, whatever the reply was


def response_format(model: type[BaseModel]) -> dict[str, Any]:
    """What asks for such an object, in OpenAI's words."""
    schema = model.model_json_schema()
    name = _NAME.sub("_", model.__name__)[:NAME_LIMIT]
    strict = _closed(schema)
    return {"type": "json_schema", "json_schema": {"name": name, "schema": schema, "strict": strict}}


_STRICT_WORDS = {
    "$defs",
    "$ref",
    "additionalProperties",
    "anyOf",
    "const",
    "description",
    "enum",
    "items",
    "properties",
    "required",
    "title",
    "type",
}
"""What every provider takes in a schema that it promises to keep to; with others the reply is only checked.

https://platform.openai.com/docs/guides/structured-outputs#supported-schemas (read 2026-11-21).
"""


def _closed(schema: Any) -> bool:
    """Closes the schema's objects to what it does not name; whether a provider may promise to keep to it."""
    if not isinstance(schema, dict):
        return True
    strict = schema.keys() <= _STRICT_WORDS
    if "properties" in schema:
        strict &= schema.setdefault("additionalProperties", False) is False
        strict &= set(schema.get("required", ())) == schema["properties"].keys()
    elif schema.get("type") == "object":
        strict = False  # any key may stand there
    parts = [*schema.get("properties", {}).values(), *schema.get("$defs", {}).values()]
    parts += [*schema.get("anyOf", ()), schema.get("items")]
    closed = [_closed(part) for part in parts]  # each of them, whatever the first one is
    return strict and all(closed)


def read_object(reply: CompletionResponse, model: type[Model]) -> Model:
    """The object in a reply, with prose around it, in a fence, or with the usual slips.

    Raises:
        FormatError: the reply has no such object; says what is wrong with it.
    """
    cut_off = reply.finish_reason == "length"  # what is whole in it may be a part of what was meant
    try:
        return model.model_validate_json(reply.content if cut_off else _json(reply.content))
    except ValidationError as error:
        cut = ", and it was cut off at its greatest length" if cut_off else ""
        problems = f"{_problems(error)}{cut}"[:PROBLEMS_LIMIT]
        raise FormatError(f"the model's reply is no {model.__name__}: {problems}") from error


def _json(content: str) -> str:
    """The JSON in a text, or the text, which then is none."""
    try:
        return json.dumps(parse_json(content))
    except JSONParsingError:
        return content


def once_more(
    messages: list[Message | Mapping[str, Any]], reply: CompletionResponse, error: FormatError
) -> list[Message | Mapping[str, Any]]:
    """The conversation in which the model is told what was wrong with its reply."""
    request = f"{error}\n\nAnswer again, with nothing but the corrected JSON object."
    return [*messages, reply.message, Message(role=MessageRole.USER, content=request)]


def _problems(error: ValidationError) -> str:
    told = (
        (".".join(str(step) for step in problem["loc"]), problem["msg"])
        for problem in error.errors(include_url=False, include_input=False)
    )
    return "; ".join(f"{where}: {what}" if where else what for where, what in told)
