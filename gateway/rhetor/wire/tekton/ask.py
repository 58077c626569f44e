"""What a Tekton caller asks for: the body of `/api/v1/chat`, or a frame's fields → Request.

The Python and the JavaScript client differ, and both are right: nulls say
nothing, settings stand under `options` or at the top level (the top level
wins), stop sequences are called `stop` or `stop_sequences`, the model
`model_id` or `model`, and the system prompt travels as `system_prompt` or
inside `messages`.

How the model is named in `Request.model`, which the catalogue resolves:

    provider_id and model_id      "provider/model"
    model only                    as written: a route, "provider/model", or a bare id
    provider_id only              "provider/", the provider's default model
    neither                       "", the default

The stock client always names a provider; one that means a route names ours,
`rhetor` (or `auto`), and counts as naming none. Who names nobody may say what
it is about: the rules go by `component` and `task` (also `task_type`), the
demands of `requirements` by what the models can do.

`context_id` is a tag that comes back in the reply. Only who says `history`
besides has what was said in that context told to the model again.

Tools, their choice, formats of replies, the effort of thinking, and all that a
message may hold beside text have OpenAI's shape.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeAlias

from rhetor.core.capability import Capability
from rhetor.core.content import Json, Text
from rhetor.core.errors import BadRequest
from rhetor.core.request import Chat, Message, Original, Request, Role
from rhetor.wire import fields
from rhetor.wire.openai.conversation import ROLES, read_messages
from rhetor.wire.openai.request import SHAPED
from rhetor.wire.wanted import KEY, read_wanted

WIRE = "tekton"
OURSELVES = ("rhetor", "auto")  # provider ids that stand for whatever the gateway chooses
DEFAULT_CONTEXT = "default"
NAME_LIMIT = 1_000  # characters; names come back in every chunk of a stream, which must stay small
COMPONENT_HEADER = "x-component-id"
MOST_HISTORY = 1_000  # messages of a context that are looked at, however many there are

_MODEL = {"provider_id", "provider", "model_id", "model"}
_SAMPLING = {"temperature", "max_tokens", "top_p", "top_k", "presence_penalty", "frequency_penalty", "seed"}
_STEERING = {"stop", "stop_sequences", "timeout", "fallback_provider", "fallback_model"}
_KEPT = {"detach_s", "resume_s"}
_RULED = {"task", "task_type", KEY}
_HISTORY = "history"
_FOR_THE_CLIENT = {"streaming", "stream", "retry_count", "retry_delay"}
_EITHER_PLACE = _MODEL | _SAMPLING | _STEERING | _KEPT | _RULED | _FOR_THE_CLIENT | SHAPED.keys() | {_HISTORY}
_AT_THE_TOP = {"messages", "system_prompt", "context_id", "component", "component_id", "options"}

Conversation: TypeAlias = Callable[[Json, list[str]], tuple[Message, ...]]
"""Reads the messages from a caller's fields; what has no canonical form goes into the list."""
_At: TypeAlias = Callable[[str], tuple[Json, str, str]]
"""Where a setting stands: the object, its key, and the object's path, as readers of `fields` take them."""


def parse_chat(body: bytes, headers: Mapping[str, str]) -> Request:
    """The body of `/api/v1/chat` and `/api/v1/chat/stream`.

    Whether to stream is what the body says; the path may overrule it.

    Raises:
        BadRequest: says which field is wrong and what was expected.
    """
    return read_chat(fields.parse_object(body), body, headers)


def read_chat(said: Json, body: bytes, headers: Mapping[str, str]) -> Request:
    """The same of a body that is parsed already."""
    kept = {COMPONENT_HEADER: headers[COMPONENT_HEADER]} if COMPONENT_HEADER in headers else {}
    request = to_request(said, messages_of, Original(WIRE, body, said, kept))
    request.component = request.component or short_name(kept, COMPONENT_HEADER)
    request.stream = fields.flag(said, "streaming") or fields.flag(said, "stream")
    return request


def context_of(request: Request) -> str:
    """The tag that every message of the reply carries."""
    said = request.original.fields.get("context_id") if request.original is not None else None
    return said if isinstance(said, str) and said else request.component or DEFAULT_CONTEXT


def history_of(request: Request) -> int | None:
    """How many earlier messages of its context may be told with it; None: it asks for no history."""
    return _history(_settings(request.original.fields)) if request.original is not None else None


def messages_of(said: Json, unsaid: list[str]) -> tuple[Message, ...]:
    """The conversation, without the system prompt that may stand beside it. OpenAI's but for its roles,
    which are written in any case."""

    def role_of(message: Json, path: str) -> Role:
        word = fields.text(message, "role", path).lower()
        if word not in _ROLES:
            expected = ", ".join(_ROLES)
            raise BadRequest(f"{path}.role: expected one of {expected}, got {word!r}", param=f"{path}.role")
        if word == "function":
            unsaid.append(f"{path}.role: function")
        return _ROLES[word]

    return read_messages(said, unsaid, role_of)


_ROLES: Mapping[str, Role] = {**ROLES, "function": Role.USER}
"""The stock clients know results of functions, but no calls that they would answer: a user's words."""


def to_request(
    said: Json, conversation: Conversation, original: Original, beside: Collection[str] = ()
) -> Request:
    """The request that these fields make.

    Args:
        beside: fields that the caller of this function understands itself.
    """
    at = _settings(said)
    unsaid = _not_understood(said, beside)
    context_id = short_name(said, "context_id")
    if _history(at) is not None and context_id is None:
        raise fields.missing("context_id", "the context whose history is asked for")
    return Request(
        id="",
        capability=Capability.CHAT,
        model=_model(at),
        input=Chat(
            messages=_system_prompt(said) + conversation(said, unsaid),
            max_tokens=fields.optional_integer(*at("max_tokens"), least=1),
            temperature=fields.optional_number(*at("temperature")),
            top_p=fields.optional_number(*at("top_p")),
            top_k=fields.optional_integer(*at("top_k")),
            presence_penalty=fields.optional_number(*at("presence_penalty")),
            frequency_penalty=fields.optional_number(*at("frequency_penalty")),
            seed=fields.optional_integer(*at("seed")),
            stop=_stop(*at("stop")) or _stop(*at("stop_sequences")),
            **_shaped(said, at, unsaid),
        ),
        fallbacks=_fallbacks(at),
        timeout_s=_timeout_s(*at("timeout")),
        detach_s=fields.optional_number(*at("detach_s")),
        resume_s=fields.optional_number(*at("resume_s")),
        task=short_name(*at("task")) or short_name(*at("task_type")),
        wanted=read_wanted(*at(KEY)),
        component=short_name(said, "component") or short_name(said, "component_id"),
        original=original,
        unsaid=tuple(unsaid),
    )


def short_name(said: Json, key: str, path: str = "") -> str | None:
    """A name that the reply repeats; null and "" name nothing."""
    value = fields.optional_text(said, key, path)
    if value is not None and len(value) > NAME_LIMIT:
        where = fields.join(path, key)
        raise BadRequest(f"{where}: at most {NAME_LIMIT} characters, got {len(value)}", param=where)
    return value or None


def _settings(said: Json) -> _At:
    options = fields.optional_mapping(said, "options") or {}

    def at(key: str) -> tuple[Json, str, str]:
        return (options, key, "options") if said.get(key) is None else (said, key, "")

    return at


def _system_prompt(said: Json) -> tuple[Message, ...]:
    prompt = fields.optional_text(said, "system_prompt")
    return (Message(Role.SYSTEM, (Text(prompt),)),) if prompt else ()


def _model(at: _At) -> str:
    model_id, model = short_name(*at("model_id")), short_name(*at("model"))
    provider = short_name(*at("provider_id")) or short_name(*at("provider"))
    if model_id is None and model is not None and "/" in model:
        return model  # whole already; the provider beside it may only be the client's default
    return _qualified(provider, model_id or model)


def _history(at: _At) -> int | None:
    where, key, path = at(_HISTORY)
    value = where.get(key)
    if value is None or isinstance(value, bool):
        return MOST_HISTORY if value else None
    number = fields.as_integer(value)
    if number is None or number < 0:
        raise fields.wrong(fields.join(path, key), "true, false or a number of messages", value)
    return min(number, MOST_HISTORY)


def _fallbacks(at: _At) -> tuple[str, ...]:
    model = _qualified(short_name(*at("fallback_provider")), short_name(*at("fallback_model")))
    return (model,) if model else ()


def _qualified(provider: str | None, model: str | None) -> str:
    model = model or ""
    if provider is None or provider in OURSELVES or model.startswith(f"{provider}/"):
        return model
    return f"{provider}/{model}"


def _shaped(said: Json, at: _At, unsaid: list[str]) -> dict[str, Any]:
    """The settings that have OpenAI's shape, as fields of `Chat`."""
    options = fields.optional_mapping(said, "options") or {}
    asked = ((key, *SHAPED[key]) for key in SHAPED if key in said or key in options)
    return {field: value for key, field, read in asked if (value := read(*at(key), unsaid)) is not None}


def _stop(where: Json, key: str, path: str) -> tuple[str, ...]:
    value = where.get(key)
    sequences = (value,) if isinstance(value, str) else fields.texts(where, key, path)
    return tuple(sequence for sequence in sequences if sequence)


def _timeout_s(where: Json, key: str, path: str) -> float | None:
    seconds = fields.optional_number(where, key, path)
    if seconds is not None and seconds <= 0:
        place = fields.join(path, key)
        raise BadRequest(f"{place}: must be more than 0 seconds, got {seconds}", param=place)
    return seconds


def _not_understood(said: Json, beside: Collection[str]) -> list[str]:
    """What says something that nobody here understands; the reply's metadata names it."""
    options = fields.optional_mapping(said, "options") or {}
    known = _EITHER_PLACE | _AT_THE_TOP | set(beside)
    top = [key for key, value in said.items() if value is not None and key not in known]
    nested = [key for key, value in options.items() if value is not None and key not in _EITHER_PLACE]
    return top + [f"options.{key}" for key in nested]
