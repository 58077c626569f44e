"""What the older callers ask for, in the many spellings of their servers → Request.

Two servers called Rhetor, an LLM adapter and a fork of the client came before
Tekton's dialect. They differ in how they call the same things, so one reader
takes all of it, as ckoons/Tekton on GitHub has it (read 2026-11-21):

    what is said     `message`, `prompt` or `messages`
    context          `context_id`, or `context` in frames
    settings         at the top level, in `options`, and in the `options` of those
    model            `model` or `model_id`, beside `provider` or `provider_id`

Everything else means what it means to Tekton's callers.
"""

from __future__ import annotations

from collections.abc import Collection

from rhetor.core.content import Json, JsonValue, Text
from rhetor.core.errors import BadRequest
from rhetor.core.request import Message, Original, Request, Role
from rhetor.wire import fields, lenient
from rhetor.wire.tekton.ask import messages_of, to_request

WIRE = "rhetor"
NO_PROVIDERS = ("claude", "gpt4")
"""What Athena's client puts beside a model's name: no providers, so that the model's name decides alone."""

_SPOKEN = ("message", "prompt")
_KEYS = ("provider", "component_id", "system_prompt", "message")
"""Some of these stand in every body of ours on paths that Ollama has too, which knows none of them."""
_QUOTED = tuple(f'"{key}"'.encode() for key in _KEYS)


def claims(body: bytes) -> bool:
    """Whether an older caller of ours sent this to a path that Ollama's callers use as well."""
    if not any(quoted in body for quoted in _QUOTED):
        return False  # as nearly all that Ollama's callers send, which is not parsed twice therefore
    said = lenient.parse(body)
    return said is not None and any(key in said for key in _KEYS)


def parse_body(body: bytes) -> Request:
    """The body of any of the older paths. Whether to stream is what it says; the path may overrule it.

    Raises:
        BadRequest: says which field is wrong and what was expected.
    """
    said = fields.parse_object(body)
    request = request_of(said, body)
    request.stream = fields.flag(said, "streaming") or fields.flag(said, "stream")
    return request


def request_of(said: Json, body: bytes, beside: Collection[str] = ()) -> Request:
    """The request that these fields make.

    Args:
        beside: fields that the caller of this function understands itself.
    """
    plain = _in_tektons_words(said)
    return to_request(plain, _conversation, Original(WIRE, body, plain), (*_SPOKEN, *beside))


def _in_tektons_words(said: Json) -> Json:
    plain: dict[str, JsonValue] = {key: value for key, value in said.items() if key != "context"}
    if plain.get("context_id") is None:
        plain["context_id"] = fields.optional_text(said, "context")
    if (options := fields.optional_mapping(said, "options")) is not None:
        inner = fields.optional_mapping(options, "options", "options") or {}
        plain["options"] = {**{key: value for key, value in options.items() if key != "options"}, **inner}
    if said.get("provider") in NO_PROVIDERS:
        del plain["provider"]
    return plain


def _conversation(said: Json, unsaid: list[str]) -> tuple[Message, ...]:
    if said.get("messages") is not None:
        return messages_of(said, unsaid)
    for key in _SPOKEN:
        if (text := fields.optional_text(said, key)) is not None:
            return (Message(Role.USER, (Text(text),)),)
    raise BadRequest("message is missing: expected it, or prompt, or messages", param="message")
