"""How many tokens a text takes, and how to stay within a number of them.

With `pip install 'tekton-llm-client[tokens]'` models are counted in their own
vocabulary where it is published, without any network. Otherwise, and for
models that publish none (Claude), the number is an estimate; `token_count`
says which it was.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from tekton_llm_client.utils.vocabularies import NEAREST, counter, vocabulary_of

M = TypeVar("M")

DEFAULT_MODEL = "gpt-4"
PER_MESSAGE = 4  # what stands around a message: its role, its beginning and its end
PER_REPLY = 3  # the beginning of the answer counts as well
BYTES_PER_TOKEN = 4  # English has a token each 4 letters; others less, but with 2 or 3 bytes a letter


class TokenCount(NamedTuple):
    tokens: int
    exact: bool
    """Counted in the model's own vocabulary."""
    vocabulary: str | None
    """In which one it was counted; None for an estimate by length."""


def token_count(text: str, model: str = DEFAULT_MODEL) -> TokenCount:
    """How many tokens the text takes, and how well that is known."""
    text = text.encode("utf-8", "replace").decode()  # half a surrogate pair is no text to a tokenizer
    own = vocabulary_of(model)
    for vocabulary in (own, NEAREST):
        if vocabulary is not None and (count := counter(vocabulary)) is not None:
            return TokenCount(count(text), exact=vocabulary == own, vocabulary=vocabulary)
    return TokenCount(-(-len(text.encode()) // BYTES_PER_TOKEN), exact=False, vocabulary=None)


def count_tokens(text: str, model: str = DEFAULT_MODEL) -> int:
    return token_count(text, model).tokens


def count_message_tokens(messages: Sequence[Any], model: str = DEFAULT_MODEL) -> dict[str, int]:
    """What a conversation takes, as `prompt_tokens` and `total_tokens`. Images are not counted."""
    tokens = PER_REPLY + sum(_cost(message, model) for message in messages)
    return {"prompt_tokens": tokens, "total_tokens": tokens}


def truncate_text_to_token_limit(text: str, max_tokens: int, model: str = DEFAULT_MODEL) -> str:
    """The beginning of the text, as much of it as fits."""
    if max_tokens < 1:
        return ""
    if count_tokens(text, model) <= max_tokens:
        return text
    fits, too_long = 0, len(text)
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if count_tokens(text[:middle], model) <= max_tokens:
            fits = middle
        else:
            too_long = middle
    return text[:fits]


def optimize_messages_for_token_limit(
    messages: Sequence[M], max_tokens: int, model: str = DEFAULT_MODEL, keep_system_prompt: bool = True
) -> list[M]:
    """The newest messages that fit, in their order, and all system messages unless told otherwise.

    Where not even the newest message fits, it is cut, and so is a system prompt that takes more than all
    there is. Messages are dicts or `Message`s, and are not changed.
    """
    left = max_tokens - PER_REPLY
    kept: dict[int, M] = {}
    for index, message in enumerate(messages):
        if keep_system_prompt and _role(message) == "system":
            left -= _keep(kept, index, message, left, model)
    newest_first = [index for index in reversed(range(len(messages))) if index not in kept]
    for index in newest_first:
        cost = _cost(messages[index], model)
        if cost > left:
            if index == newest_first[0]:
                _keep(kept, index, messages[index], left, model)
            break
        kept[index] = messages[index]
        left -= cost
    return _without_orphans([kept[index] for index in sorted(kept)])


def _keep(kept: dict[int, M], index: int, message: M, left: int, model: str) -> int:
    """Keep as much of a message as fits, if anything does; what it costs."""
    if _cost(message, model) > left:
        fits = truncate_text_to_token_limit(_text(message), left - PER_MESSAGE, model)
        if not fits:
            return 0
        message = _saying(message, fits)
    kept[index] = message
    return _cost(message, model)


def _without_orphans(messages: list[M]) -> list[M]:
    """A result without the call that asked for it is refused by every provider."""
    answered = [message for message in messages if _role(message) != "system"]
    while len(answered) > 1 and _role(answered[0]) == "tool":
        orphan = answered.pop(0)
        messages = [message for message in messages if message is not orphan]
    return messages


def _cost(message: object, model: str) -> int:
    calls = _field(message, "tool_calls")
    called = json.dumps(calls, default=lambda call: call.model_dump()) if calls else ""
    return PER_MESSAGE + count_tokens(_text(message), model) + count_tokens(called, model)


def _role(message: object) -> str:
    return str(_field(message, "role")).lower()


def _text(message: object) -> str:
    """What it says; of several parts the texts."""
    content = _field(message, "content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, Sequence) else ()
    return "\n".join(str(part["text"]) for part in parts if isinstance(part, Mapping) and "text" in part)


def _saying(message: M, text: str) -> M:
    """The same message with this text, and without images, since it was cut before them."""
    changed: Any
    if isinstance(message, Mapping):
        changed = {**message, "content": text}
    else:
        changed = message.model_copy(update={"content": text})  # type: ignore[attr-defined]  # a Message
    return changed  # type: ignore[no-any-return]


def _field(message: object, name: str) -> Any:
    return message.get(name) if isinstance(message, Mapping) else getattr(message, name, None)
