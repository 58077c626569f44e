"""What is sent to the gateway, without any I/O."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict

import orjson
from pydantic import BaseModel, ValidationError

from tekton_llm_client.caller import FALLBACK, Caller, explicit, flag, options_of
from tekton_llm_client.exceptions import InvalidRequestError
from tekton_llm_client.models import CompletionOptions, Message
from tekton_llm_client.tools import tool_schema

if TYPE_CHECKING:
    from tekton_llm_client.images import Image

HEALTH_PATH = "/api/v1/health"
PROVIDERS_PATH = "/api/v1/providers"
CHAT_PATH = "/api/v1/chat"
STREAM_PATH = "/api/v1/chat/stream"
EMBEDDINGS_PATH = "/v1/embeddings"
GENERATIONS_PATH = "/v1/generations"

DEFAULT_TEMPERATURE = 0.7
FIRST_PAUSE_S = 0.5
SHOWN = 80  # characters of what was given, in an error
RESUME_S = 30  # how long the gateway waits for us when we were cut off

Messages: TypeAlias = Sequence[Message | Mapping[str, Any]]
Options: TypeAlias = Mapping[str, Any] | CompletionOptions
Tool: TypeAlias = Mapping[str, Any] | Callable[..., Any]


class Extras(TypedDict, total=False):
    """What a call may say beyond the classic arguments."""

    settings: object
    """Of the model, for this call: `LLMSettings`, or any object or mapping with such names."""
    tools: Sequence[Tool]
    """OpenAI's function objects, or Python functions with type hints and a docstring."""
    tool_choice: str | Mapping[str, Any]
    """`auto`, `none`, `required`, or the one tool to be called, in OpenAI's shape."""
    parallel_tool_calls: bool
    """Whether the model may call several tools at once."""
    response_format: Mapping[str, Any]
    """That the reply is JSON, or of which schema, in OpenAI's shape; see also `generate_object`."""
    reasoning_effort: str
    """How long to think: `low`, `medium`, `high`, or what else the model knows."""
    images: Sequence[Image] | Image
    """Files, bytes or URLs that go with the prompt, or with the last message of the user."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request for the gateway, and how much patience goes with it."""

    path: str
    body: bytes
    silence_s: float
    """How long the gateway may say nothing at all."""
    retries: int
    """How often to try again while nothing was said."""
    first_pause_s: float = FIRST_PAUSE_S
    headers: Mapping[str, str] = field(default_factory=dict)
    detached: bool = False
    """It shall go on without us."""


def chat_call(
    caller: Caller,
    messages: Messages,
    *,
    system_prompt: str | None = None,
    streaming: bool = False,
    context_id: str | None = None,
    options: Options | None = None,
    **extras: Any,
) -> Call:
    """The request for a reply to these messages.

    `options` may name `provider`, `model`, `timeout` (seconds), `retry_count`,
    `retry_delay` (milliseconds) and `use_fallback`, which are about this call;
    all others (`temperature`, `max_tokens`, `stop_sequences`, …) go to the gateway.

    Raises:
        InvalidRequestError: a message is neither a Message nor looks like one; a tool is none; or it cannot
            be said in JSON.
    """
    own, fields = chat_fields(caller, options, extras, {"temperature": DEFAULT_TEMPERATURE})
    said = enumerate(conversation(messages))
    fields["messages"] = [message_fields(index, message) for index, message in said]
    fields |= {
        "component_id": caller.component_id,
        "context_id": context_id or caller.context_id or caller.component_id,
        "streaming": streaming,
    }
    if system_prompt is not None:
        fields["system_prompt"] = system_prompt
    return Call(
        STREAM_PATH if streaming else CHAT_PATH,
        _encoded(fields),
        silence_s=_number(own, "timeout", caller.silence_s),
        retries=int(_number(own, "retry_count", caller.retries)),
        first_pause_s=_number(own, "retry_delay", FIRST_PAUSE_S * 1000) / 1000,
        headers={"x-rhetor-resume": str(RESUME_S)} if streaming else {},
        detached=bool(fields["options"].get("detach_s")),
    )


def chat_fields(
    caller: Caller, options: Options | None, extras: Mapping[str, Any], otherwise: Mapping[str, Any] = {}
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What concerns only this client, and the fields of a request beside its conversation."""
    if unknown := extras.keys() - Extras.__annotations__.keys():
        raise TypeError(f"unexpected keyword arguments: {', '.join(sorted(unknown))}")
    said = {
        **otherwise,
        **caller.options,
        **_settings(extras.get("settings")),
        **_options(options),
        **{name: extras[name] for name in _AT_THE_TOP if extras.get(name) is not None},
    }
    said = {_SENT_AS.get(name, name): value for name, value in said.items() if value is not None}
    if not _wants_fallback(said.get("use_fallback", caller.use_fallback)):
        said = {name: value for name, value in said.items() if name not in FALLBACK}
    own = {name: said.pop(name) for name in _OWN & said.keys()}
    fields = {name: said.pop(name) for name in _AT_THE_TOP if name in said}
    if "tools" in fields:
        fields["tools"] = [tool_schema(tool) for tool in _several("tools", fields["tools"])]
    provider, model = own.get("provider", caller.provider_id), own.get("model", caller.model_id)
    fields |= {name: value for name, value in (("provider_id", provider), ("model_id", model)) if value}
    return own, fields | {"options": said}


_OWN = frozenset({"provider", "model", "timeout", "retry_count", "retry_delay", "use_fallback"})
_AT_THE_TOP = ("tools", "tool_choice", "parallel_tool_calls", "response_format", "reasoning_effort")
_SENT_AS = {"stop_sequences": "stop"}


def conversation(messages: Messages) -> list[Message | Mapping[str, Any]]:
    """As it is now, whatever becomes of the sequence.

    Raises:
        InvalidRequestError: it is none.
    """
    return list(_several("messages", messages))


def _several(name: str, said: Any) -> Iterable[Any]:
    if isinstance(said, str | bytes | Mapping | BaseModel) or not isinstance(said, Iterable):
        raise InvalidRequestError(f"{name}: expected a list, got {_short(said)}")
    return said


def _settings(said: object) -> dict[str, Any]:
    try:
        return options_of(said)
    except (TypeError, ValueError) as error:
        raise InvalidRequestError(f"settings: expected an object with fields, got {_short(said)}") from error


def _options(said: Options | None) -> Mapping[str, Any]:
    if isinstance(said, BaseModel):
        return explicit(said)
    if said is not None and not isinstance(said, Mapping):
        raise InvalidRequestError(f"options: expected a dict, or an object for them, got {_short(said)}")
    if wrong := [name for name in said or {} if not isinstance(name, str)]:
        raise InvalidRequestError(f"options: expected names, got {_short(wrong[0])}")
    return said or {}


def _number(own: Mapping[str, Any], name: str, otherwise: float) -> float:
    said = own.get(name, otherwise)
    try:
        number = float(said)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not 0 <= number < math.inf:
        raise InvalidRequestError(f"{name}: expected a number that is not negative, got {_short(said)}")
    if number == 0 and name == "timeout":
        raise InvalidRequestError("timeout: expected more than 0 seconds")
    return number


def _wants_fallback(said: Any) -> bool:
    try:
        return flag("use_fallback", said)
    except ValueError as error:
        raise InvalidRequestError(str(error)) from error


def _short(said: object) -> str:
    shown = repr(said)
    return shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}…"


def message_fields(index: int, message: Message | Mapping[str, Any]) -> dict[str, Any]:
    """A message as it travels.

    Raises:
        InvalidRequestError: says what is wrong with which.
    """
    try:
        return Message.model_validate(message).model_dump(mode="json", exclude_none=True)
    except (ValueError, RecursionError) as error:  # it may hold itself
        raise InvalidRequestError(f"messages[{index}]: {first_problem(error)}") from error


def embeddings_call(caller: Caller, texts: Sequence[str], model: str | None) -> Call:
    """The request for vectors of these texts; without a model the gateway chooses."""
    body = {"model": model or "auto", "input": list(_several("texts", texts)), "encoding_format": "float"}
    return Call(
        EMBEDDINGS_PATH,
        _encoded(body),
        silence_s=caller.silence_s,
        retries=caller.retries,
        headers={"x-component-id": caller.component_id},
    )


def _encoded(body: Mapping[str, Any]) -> bytes:
    try:
        text = orjson.dumps(body)
    except TypeError as error:
        raise InvalidRequestError(f"this cannot be sent as JSON: {error}") from error
    if (where := _beyond_json(body)) is not None:  # which would be sent as null
        raise InvalidRequestError(f"this cannot be sent as JSON: {where} is not a finite number")
    return text


def _beyond_json(value: Any, where: str = "") -> str | None:
    """Where NaN or infinity stands. The value has been written as JSON, so it is not deep."""
    if isinstance(value, float):
        return None if math.isfinite(value) else where
    if isinstance(value, Mapping):
        inside: Iterable[tuple[Any, Any]] = value.items()
    elif isinstance(value, list | tuple):
        inside = enumerate(value)
    else:
        return None
    found = (_beyond_json(inner, f"{where}.{key}".lstrip(".")) for key, inner in inside)
    return next((place for place in found if place is not None), None)


def first_problem(error: Exception) -> str:
    """The first thing that is wrong, in one line."""
    if not isinstance(error, ValidationError):
        return str(error)
    problem = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(step) for step in problem["loc"])
    return f"{where}: {problem['msg']}" if where else problem["msg"]
