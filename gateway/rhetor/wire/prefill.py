"""The beginning of an answer put into the model's mouth, so that it goes on from there."""

from __future__ import annotations

from dataclasses import replace

from rhetor.core.content import Text
from rhetor.core.request import Chat, Message, Original, Request, Role
from rhetor.wire import fields
from rhetor.wire.base import Quirks


def prefilled(request: Request, text: str, model: str, quirks: Quirks) -> Request | None:
    """The request with an answer that begins so; None where this model takes no beginning.

    White space at its end must be left out by whoever asks: Claude refuses it.
    """
    chat = request.input
    if not isinstance(chat, Chat) or not quirks.prefill:
        return None
    if quirks.prefill_models and not any(part in model for part in quirks.prefill_models):
        return None
    if chat.reasoning is not None and chat.reasoning.enabled:
        return None  # an answer whose thoughts are missing is refused, or thought about anew
    begun = replace(chat, messages=(*chat.messages, Message(Role.ASSISTANT, (Text(text),))))
    original = request.original
    if original is not None:
        original = _with_message(original, text)
        if original is None:
            return None
    return replace(request, input=begun, original=original)


def _with_message(original: Original, text: str) -> Original | None:
    """The caller's body with one more message, which all languages that have messages write alike."""
    messages = original.fields.get("messages")
    if not isinstance(messages, list):
        return None
    body = {**original.fields, "messages": [*messages, {"role": "assistant", "content": text}]}
    return replace(original, body=fields.dump(body), fields=body)
