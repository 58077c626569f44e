"""The response object: what it says of its request, and what it is made of.

https://platform.openai.com/docs/api-reference/responses/object (read 2026-11-21).
Everything in it follows from its arguments, ids included, so that whoever tells
a reply anew tells the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from rhetor.core.content import Json, JsonValue, Opaque, Part, Refusal, Text, Thinking, ToolUse
from rhetor.core.errors import Code, RhetorError
from rhetor.core.events import FinishReason
from rhetor.core.request import Request
from rhetor.core.usage import Usage
from rhetor.wire.base import ReplyInfo
from rhetor.wire.openai.responses.vocabulary import (
    INCOMPLETE,
    NAME,
    encrypted_of,
    response_id,
    write_usage,
)

REPEATED: Mapping[str, JsonValue] = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": None,
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": None,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""Fields of the request that the response repeats, and what OpenAI writes where the caller said nothing."""

_ERRORS: Mapping[Code, str] = {
    Code.RATE_LIMITED: "rate_limit_exceeded",
    Code.INVALID_REQUEST: "invalid_prompt",
    Code.CONTEXT_LENGTH: "invalid_prompt",
    Code.CONTENT_POLICY: "invalid_prompt",
}
"""A failed response's code is one of a closed list; what is not here is a `server_error`."""


class Outline:
    """A response as far as it does not depend on the reply.

    Args:
        told: fields that say something else than the request's body does, which was changed on its way here.
    """

    def __init__(self, request: Request, info: ReplyInfo, told: Json) -> None:
        original = request.original
        said = original.fields if original is not None and original.wire == NAME else {}
        self.id = response_id(info.id)
        self.model = info.model
        self._created_s = info.created_s
        given = {key: value for key in REPEATED if (value := said.get(key)) is not None}
        self._repeated: dict[str, JsonValue] = {**REPEATED, **given, **told}

    def on_started(self, id: str, model: str) -> None:
        """Somebody answers; a response that is begun in a provider's frames keeps its id."""
        self.id = response_id(id) if id.startswith(response_id("")) else self.id
        self.model = model or self.model

    def item_id(self, kind: str, index: int) -> str:
        return f"{_ITEM_PREFIXES.get(kind, kind)}_{self.id.removeprefix(response_id(''))}_{index}"

    def unfinished(self) -> dict[str, JsonValue]:
        return self._response("in_progress", [], None)

    def ended(
        self, output: list[JsonValue], usage: Usage | None, reason: FinishReason
    ) -> dict[str, JsonValue]:
        if (why := INCOMPLETE.get(reason)) is None:
            return self._response("completed", output, write_usage(usage))
        response = self._response("incomplete", output, write_usage(usage))
        return {**response, "incomplete_details": {"reason": why}}

    def failed(
        self, output: list[JsonValue], usage: Usage | None, error: RhetorError
    ) -> dict[str, JsonValue]:
        response = self._response("failed", output, write_usage(usage) if usage is not None else None)
        return {
            **response,
            "error": {"code": _ERRORS.get(error.code, "server_error"), "message": error.message},
        }

    def _response(self, status: str, output: list[JsonValue], usage: JsonValue) -> dict[str, JsonValue]:
        return {
            "id": self.id,
            "object": "response",
            "created_at": self._created_s,
            "status": status,
            "background": False,
            "conversation": None,
            "error": None,
            "incomplete_details": None,
            "model": self.model,
            "output": output,
            **self._repeated,
            "usage": usage,
        }


_ITEM_PREFIXES = {"message": "msg", "reasoning": "rs", "function_call": "fc"}


def output_of(parts: Iterable[Part], logprobs: list[JsonValue], outline: Outline, status: str) -> list[Json]:
    """The items of a whole reply.

    Args:
        logprobs: nobody knows any more to which of several texts they belong: the first one has them.
        status: of the last one; all before it are complete.
    """
    items: list[dict[str, JsonValue]] = []
    tokens = iter([logprobs])
    for kind, content in _grouped(parts):
        items.append(_item(kind, content, tokens, outline.item_id(kind, len(items))))
    if items and items[-1]["type"] in ("message", "function_call"):
        items[-1]["status"] = status
    return [*items]


def _grouped(parts: Iterable[Part]) -> Iterator[tuple[str, list[Part]]]:
    """What is one item each: texts and refusals that follow one another are one message."""
    said: list[Part] = []
    for part in parts:
        if isinstance(part, Text | Refusal):
            said.append(part)
            continue
        if said:
            yield "message", said
            said = []
        match part:
            case Thinking():
                yield "reasoning", [part]
            case ToolUse():
                yield "function_call", [part]
            case Opaque(wire) if wire == NAME:
                yield part.kind, [part]
    if said:
        yield "message", said


def _item(kind: str, parts: list[Part], logprobs: Iterator[list[JsonValue]], id: str) -> dict[str, JsonValue]:
    match parts[0]:
        case Thinking(text, signature):
            return reasoning_item(id, text, signature)
        case ToolUse(call_id, name, arguments):
            return call_item(id, call_id, name, arguments or "{}")
        case Opaque(_, data):
            return dict(data)
    return message_item(id, [_content(part, logprobs) for part in parts])


def _content(part: Part, logprobs: Iterator[list[JsonValue]]) -> JsonValue:
    if isinstance(part, Refusal):
        return refusal_part(part.text)
    assert isinstance(part, Text)
    return text_part(part.text, next(logprobs, []))


def message_item(id: str, content: list[JsonValue], status: str = "completed") -> dict[str, JsonValue]:
    return {"id": id, "type": "message", "status": status, "role": "assistant", "content": content}


def call_item(
    id: str, call_id: str, name: str, arguments: str, status: str = "completed"
) -> dict[str, JsonValue]:
    call = {"id": id, "type": "function_call", "status": status, "call_id": call_id, "name": name}
    return {**call, "arguments": arguments}


def reasoning_item(id: str, text: str, signature: str | None) -> dict[str, JsonValue]:
    item: dict[str, JsonValue] = {"id": id, "type": "reasoning"}
    item["summary"] = [summary_part(text)] if text else []
    if signature is not None:
        item["encrypted_content"] = encrypted_of(signature)
    return item


def summary_part(text: str) -> dict[str, JsonValue]:
    return {"type": "summary_text", "text": text}


def text_part(text: str, logprobs: list[JsonValue]) -> dict[str, JsonValue]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs}


def refusal_part(text: str) -> dict[str, JsonValue]:
    return {"type": "refusal", "refusal": text}


def complete_logprobs(logprobs: list[JsonValue] | None) -> list[JsonValue]:
    """Entries of chat completions with what may be missing there and is demanded here."""
    return [_complete(entry) for entry in logprobs or () if isinstance(entry, dict)]


def _complete(entry: Json) -> dict[str, JsonValue]:
    alternatives = entry.get("top_logprobs")
    alike = [it for it in alternatives if isinstance(it, dict)] if isinstance(alternatives, list) else []
    return {**_with_bytes(entry), "top_logprobs": [_with_bytes(it) for it in alike]}


def _with_bytes(entry: Json) -> dict[str, JsonValue]:
    token, raw = entry.get("token"), entry.get("bytes")
    if isinstance(raw, list):
        return dict(entry)
    return {**entry, "bytes": [*token.encode()] if isinstance(token, str) else []}
