"""The beginning of an answer put into the model's mouth, so that it goes on from there."""

from __future__ import annotations

from dataclasses import replace

from rhetor.core.content import Text
from rhetor.core.request import Chat, Message, Original, Request, Role
from rhetor.core.usage import estimate_tokens
from rhetor.wire import fields
from rhetor.wire.base import Quirks


def prefilled(request: Request, text: str, model: str, quirks: Quirks) -> Request | None:
    """The request with an answer that begins so; None where this model takes no beginning.

    White space at its end must be left out by whoever asks: Claude refuses it. What the answer may still
    fill is lowered by an estimate of what it has filled; an answer that is full cannot go on.
    """
    chat = request.input
    if not isinstance(chat, Chat) or not quirks.prefill:
        return None
    if quirks.prefill_models and not any(part in model for part in quirks.prefill_models):
        return None
    if chat.reasoning is not None and chat.reasoning.enabled:
        return None  # an answer whose thoughts are missing is refused, or thought about anew
    said = estimate_tokens(text)
    if chat.max_tokens is not None and chat.max_tokens <= said:
        return None
    left = chat.max_tokens and chat.max_tokens - said
    messages = (*chat.messages, Message(Role.ASSISTANT, (Text(text),)))
    begun = replace(chat, messages=messages, max_tokens=left)
    original = request.original
    if original is not None:
        original = _with_message(original, text, said)
        if original is None:
            return None
    return replace(request, input=begun, original=original)


def _with_message(original: Original, text: str, said: int) -> Original | None:
    """The caller's body with one more message, which all languages that have messages write alike.

    What was said already counts against the caller's limit.
    """
    messages = original.fields.get("messages")
    if not isinstance(messages, list):
        return None
    body = {**original.fields, "messages": [*messages, {"role": "assistant", "content": text}]}
    for name in _LIMITS & body.keys():
        if isinstance(limit := body[name], int | float):
            body[name] = max(int(limit) - said, 1)
    return replace(original, body=fields.dump(body), fields=body)


_LIMITS = frozenset({"max_tokens", "max_completion_tokens"})
