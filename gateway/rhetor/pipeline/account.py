"""What a trip consumed: what providers reported, and where they could not, what we heard of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace

from rhetor.core.content import Part, Refusal, Text, Thinking, ToolResult, ToolUse
from rhetor.core.media import Draw, Make, Rank, Speak, Transcribe
from rhetor.core.request import Chat, Embed, Request
from rhetor.core.usage import Usage, estimate_tokens

CHARS_PER_TOKEN = 4
MEASURES = tuple(it.name for it in fields(Usage) if it.name != "source")


@dataclass(frozen=True, slots=True)
class Share:
    """What one answer consumed. Trips have more than one where a reply was continued by another target."""

    target: str
    usage: Usage
    cost_micros: int | None
    """None: the price is not known."""


def consumed(reported: Usage | None, chars: int, request: Request, whole: bool, guessed: bool) -> Usage:
    """The usage of one answer.

    Args:
        chars: what was heard of it.
        whole: it came to its end.
        guessed: the provider's own counts are estimates.
    """
    if reported is not None and guessed:
        reported = replace(reported, source="estimated")
    if reported is not None and whole:
        return reported
    heard = -(-chars // CHARS_PER_TOKEN)
    if reported is None:
        return Usage(estimate_input(request), heard, source="estimated")
    if reported.output_tokens < heard:  # told at the start of a reply that never came to its end
        return replace(reported, output_tokens=heard, source="estimated")
    return reported


def measured(usage: Usage, request: Request, media: int, duration_s: float | None) -> Usage:
    """With what is known of it and no provider needs to report.

    Args:
        media: how many were begun.
        duration_s: of the recording that was written down.
    """
    match request.input:
        case Speak(text=text) if not usage.characters:
            return replace(usage, characters=len(text))
        case Draw() if not usage.images:
            return replace(usage, images=media)
        case Transcribe() if not usage.audio_ms and duration_s:
            return replace(usage, audio_ms=round(duration_s * 1000))
    return usage


def total_usage(shares: Sequence[Share]) -> Usage:
    """All shares together; estimated as soon as one of them is."""
    if len(shares) == 1:
        return shares[0].usage
    total = Usage()
    for share in shares:
        used = share.usage
        total = Usage(
            **{name: getattr(total, name) + getattr(used, name) for name in MEASURES},
            source="estimated" if "estimated" in (total.source, used.source) else "provider",
        )
    return total


def total_cost_micros(shares: Iterable[Share]) -> int | None:
    """In micro-dollars; None as soon as one price is not known."""
    total = 0
    for share in shares:
        if share.cost_micros is None:
            return None
        total += share.cost_micros
    return total


def estimate_input(request: Request) -> int:
    """Tokens of a request, guessed from its texts."""
    match request.input:
        case Chat(messages=messages):
            return sum(estimate_tokens(text) for message in messages for text in _texts(message.parts))
        case Embed(inputs=inputs):
            return sum(estimate_tokens(it) if isinstance(it, str) else len(it) for it in inputs)
        case Draw(prompt=text) | Make(prompt=text) | Speak(text=text):
            return estimate_tokens(text)
        case Rank(query=query, documents=documents):
            return estimate_tokens(query) + sum(map(estimate_tokens, documents))
        case Transcribe():
            return 0  # what is heard is counted by its length


def _texts(parts: Iterable[Part]) -> Iterator[str]:
    for part in parts:
        match part:
            case Text(text) | Thinking(text) | Refusal(text):
                yield text
            case ToolUse(arguments=arguments):
                yield arguments
            case ToolResult(parts=inner):
                yield from _texts(inner)
