"""What is noted of a conversation's messages: one note for each, in OpenAI's shape, with what is known of it.

{"message": {"role": "user", "content": "hi"}, "metadata": {"generation_id": …}}
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rhetor.core.content import Json, JsonValue, Part, Refusal, Text, ToolResult, ToolUse
from rhetor.core.request import Message, Role
from rhetor.core.usage import estimate_tokens
from rhetor.wire import fields
from rhetor.wire.base import PLAIN
from rhetor.wire.openai.content import Dropped
from rhetor.wire.openai.conversation import read_messages, write_messages

ESTIMATED_PART_TOKENS = 1_000  # of an image, a sound or a document: nobody says how many it will be


def notes(messages: Sequence[Message], metadata: Json) -> list[Json]:
    """What to note of these messages: thoughts are not, and each result of a tool has a note of its own.

    Raises:
        BadRequest: unsupported, a message holds what cannot be noted.
    """
    written = write_messages(messages, PLAIN, Dropped())
    return [{"message": message, "metadata": metadata} for message in written]


def reply_of(parts: Iterable[Part]) -> Message:
    """A reply as a message of the conversation."""
    said = (part for part in parts if isinstance(part, Text | Refusal | ToolUse))
    return Message(Role.ASSISTANT, tuple(said))


def noted(told: Sequence[Json]) -> tuple[Message, ...]:
    """The conversation that these notes are of."""
    said: list[JsonValue] = [note["message"] for note in told]
    return read_messages({"messages": said}, []) if said else ()


def text_of(note: Json) -> str:
    """All that can be read in a note."""
    return "\n".join(text for message in noted([note]) for text in _texts(message.parts))


def transcript(messages: Iterable[Message]) -> str:
    """A conversation as a text to be read: a paragraph for each message, who says it first."""
    return "\n\n".join(f"{it.role}: {' '.join(_read_aloud(it.parts))}" for it in messages)


def tokens_of(message: Message) -> int:
    """About how long a message is."""
    return sum(map(_tokens, message.parts))


def shown(note: Json, metadata: bool) -> dict[str, JsonValue]:
    """A note as readers of contexts get it. `content` is always text; what has parts has `parts` besides."""
    message = fields.mapping(note, "message")
    said: dict[str, JsonValue] = {"role": message.get("role"), "content": text_of(note)}
    said |= {key: value for key, value in message.items() if key not in said}
    if isinstance(message.get("content"), list):
        said["parts"] = message["content"]
    if metadata:
        said["metadata"] = note.get("metadata") or {}
    return said


def _read_aloud(parts: Iterable[Part]) -> Iterable[str]:
    for part in parts:
        match part:
            case Text(text) | Refusal(text):
                yield text
            case ToolUse(name=name, arguments=arguments):
                yield f"[calls {name}: {arguments}]"
            case ToolResult(parts=inner):
                yield from _read_aloud(inner)
            case _:
                yield f"[{type(part).__name__.lower()}]"


def _texts(parts: Iterable[Part]) -> Iterable[str]:
    for part in parts:
        match part:
            case Text(text) | Refusal(text):
                yield text
            case ToolResult(parts=inner):
                yield from _texts(inner)


def _tokens(part: Part) -> int:
    match part:
        case Text(text) | Refusal(text) | ToolUse(arguments=text):
            return estimate_tokens(text)
        case ToolResult(parts=inner):
            return sum(map(_tokens, inner))
    return ESTIMATED_PART_TOKENS
