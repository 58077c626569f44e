"""What a reply is made of, streamed or not: a sequence of events with a grammar.

    Started (content | usage)* (Finished | Failed)

Exactly one ending, nothing after it. `Grammar` checks it, `fold` turns the
events of one reply into the reply as a whole.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, TypeAlias

from rhetor.core.content import JsonValue, Opaque, Part, Refusal, Text, Thinking, ToolUse
from rhetor.core.errors import Code, RhetorError, UpstreamError
from rhetor.core.usage import Usage


class FinishReason(StrEnum):
    STOP = "stop"
    STOP_SEQUENCE = "stop_sequence"
    LENGTH = "length"
    TOOL_USE = "tool_use"
    REFUSAL = "refusal"
    """The model or the provider's filter would not go on."""
    PAUSE = "pause"
    """A long turn was suspended by the provider; sending it back continues it."""
    OTHER = "other"


@dataclass(slots=True)
class Started:
    """The provider began to answer. `model` is the name it gives itself."""

    id: str
    model: str


@dataclass(slots=True)
class TextDelta:
    text: str
    logprobs: list[JsonValue] | None = None
    """One entry a token, in OpenAI's shape, which the others copied."""


@dataclass(slots=True)
class RefusalDelta:
    text: str


@dataclass(slots=True)
class ThinkingDelta:
    text: str


@dataclass(slots=True)
class ThinkingSigned:
    """Ends the thought that was open, with the provider's proof."""

    signature: str


@dataclass(slots=True)
class ToolUseStarted:
    """A tool call opens. `index` counts the tool calls of this reply from 0."""

    index: int
    id: str
    name: str


@dataclass(slots=True)
class ToolUseDelta:
    """More of a call's arguments, as JSON text. Calls may be interleaved."""

    index: int
    arguments: str


@dataclass(slots=True)
class OpaquePart:
    """A whole part that only one wire understands."""

    part: Opaque


@dataclass(slots=True)
class Vector:
    """The embedding of input number `index`: numbers, or base64 of little-endian float32."""

    index: int
    values: list[float] | str


@dataclass(slots=True)
class MediumStarted:
    """A picture, a recording, a film opens. `index` counts those of this reply from 0."""

    index: int
    media_type: str
    prompt: str | None = None
    """What the provider made of the prompt, where it says so."""


@dataclass(slots=True)
class MediumDelta:
    """More of a medium, in order; media may be interleaved."""

    index: int
    data: bytes
    base64: bool = False
    """The data is base64 text: it is decoded by whoever needs the bytes, and by nobody else. Such a medium
    comes in pieces that are base64 each for itself."""


@dataclass(slots=True)
class MediumLink:
    """A medium that lies where everybody who knows the address may fetch it, for a while."""

    index: int
    url: str
    media_type: str | None = None
    prompt: str | None = None


@dataclass(slots=True)
class Timed:
    """When something of a transcript was said. The transcript itself is told in `TextDelta`s."""

    kind: Literal["segment", "word"]
    text: str
    start_s: float
    end_s: float
    speaker: str | None = None
    confidence: float | None = None
    """From 0 to 1."""


@dataclass(slots=True)
class Spoken:
    """What a transcript's recording is."""

    language: str | None = None
    """ISO 639-1 where the provider says so, else as it writes it."""
    duration_s: float | None = None


@dataclass(slots=True)
class Ranked:
    """How well document number `index` answers; told best first."""

    index: int
    score: float


@dataclass(slots=True)
class Progress:
    """The provider works on it and has nothing to show yet."""

    fraction: float | None = None
    """From 0 to 1; None: nobody knows."""
    note: str = ""
    """In the provider's own words: `queued`, `processing`."""


@dataclass(slots=True)
class UsageReport:
    """What was consumed so far; a later report replaces an earlier one."""

    usage: Usage


@dataclass(slots=True)
class Finished:
    reason: FinishReason
    stop_sequence: str | None = None


@dataclass(slots=True)
class Failed:
    error: RhetorError


Event: TypeAlias = (
    Started
    | TextDelta
    | RefusalDelta
    | ThinkingDelta
    | ThinkingSigned
    | ToolUseStarted
    | ToolUseDelta
    | OpaquePart
    | Vector
    | MediumStarted
    | MediumDelta
    | MediumLink
    | Timed
    | Spoken
    | Ranked
    | Progress
    | UsageReport
    | Finished
    | Failed
)

ENDINGS = (Finished, Failed)
BESIDES_CHAT = (Vector, MediumStarted, MediumDelta, MediumLink, Timed, Spoken, Ranked, Progress)
"""What no conversation is made of: its renderers have no words for it."""
SILENT = (Started, UsageReport, Progress)
"""Events that commit nobody: until another one arrives, falling back is free."""


class GrammarError(Exception):
    """A decoder broke the grammar: our bug, never the provider's."""


class Grammar:
    """Watches one reply's events; `see` raises at the first event out of order."""

    def __init__(self) -> None:
        self.started = False
        self.ended = False

    def see(self, event: Event) -> None:
        if self.ended:
            raise GrammarError(f"{type(event).__name__} after the ending")
        if isinstance(event, Started) == self.started:
            raise GrammarError(f"{type(event).__name__} {'again' if self.started else 'before Started'}")
        self.started = True
        self.ended = isinstance(event, ENDINGS)


@dataclass(slots=True)
class Medium:
    """A picture, a recording, a film as a whole, as it came: in pieces, as bytes or as base64."""

    media_type: str
    prompt: str | None = None
    pieces: list[MediumDelta] = field(default_factory=list)

    @property
    def data(self) -> bytes:
        """The bytes.

        Raises:
            UpstreamError: protocol_error, the provider's base64 is none.
        """
        try:
            return b"".join(b64decode(it.data, validate=True) if it.base64 else it.data for it in self.pieces)
        except ValueError as error:
            raise UpstreamError(f"the provider's medium is no base64: {error}", Code.PROTOCOL) from error

    @property
    def base64(self) -> str:
        """The same as text: untouched where it came as one."""
        if len(self.pieces) == 1 and self.pieces[0].base64:
            return self.pieces[0].data.decode("ascii", "replace")
        return b64encode(self.data).decode()


@dataclass(slots=True)
class Folded:
    """A reply as a whole."""

    id: str = ""
    model: str = ""
    parts: list[Part] = field(default_factory=list)
    logprobs: list[JsonValue] = field(default_factory=list)
    vectors: dict[int, list[float] | str] = field(default_factory=dict)
    media: dict[int, Medium | MediumLink] = field(default_factory=dict)
    timed: list[Timed] = field(default_factory=list)
    spoken: Spoken | None = None
    ranked: list[Ranked] = field(default_factory=list)
    usage: Usage | None = None
    finish: FinishReason | None = None
    stop_sequence: str | None = None
    error: RhetorError | None = None

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.parts if isinstance(part, Text))

    @property
    def thinking(self) -> str:
        return "".join(part.text for part in self.parts if isinstance(part, Thinking))

    @property
    def refusal(self) -> str:
        return "".join(part.text for part in self.parts if isinstance(part, Refusal))

    @property
    def tool_uses(self) -> list[ToolUse]:
        return [part for part in self.parts if isinstance(part, ToolUse)]


def fold(events: Iterable[Event]) -> Folded:
    """The reply that these events tell. A text that goes on after another part is a part of its own."""
    folder = Folder()
    for event in events:
        folder.add(event)
    return folder.result()


class Folder:
    """Collects events one by one; `result` may be asked at any time."""

    def __init__(self) -> None:
        self._folded = Folded()
        self._open: list[_OpenPart] = []
        self._tools: dict[int, _OpenPart] = {}

    def add(self, event: Event) -> None:
        folded = self._folded
        match event:
            case TextDelta(text, logprobs):
                self._extend(Text, text)
                folded.logprobs.extend(logprobs or ())
            case ToolUseDelta(index, arguments):
                self._tools[index].pieces.append(arguments)
            case ToolUseStarted(index, id, name):
                self._tools[index] = _OpenPart(ToolUse, id=id, name=name)
                self._open.append(self._tools[index])
            case ThinkingDelta(text):
                self._extend(Thinking, text)
            case ThinkingSigned(signature):
                self._sign(signature)
            case RefusalDelta(text):
                self._extend(Refusal, text)
            case OpaquePart(part):
                self._open.append(_OpenPart(Opaque, whole=part))
            case Vector(index, values):
                folded.vectors[index] = values
            case MediumDelta(index):
                medium = folded.media[index]
                assert isinstance(medium, Medium)
                medium.pieces.append(event)
            case MediumStarted(index, media_type, prompt):
                folded.media[index] = Medium(media_type, prompt)
            case MediumLink(index):
                folded.media[index] = event
            case Timed():
                folded.timed.append(event)
            case Spoken():
                folded.spoken = event
            case Ranked():
                folded.ranked.append(event)
            case UsageReport(usage):
                folded.usage = usage
            case Started(id, model):
                folded.id, folded.model = id, model
            case Finished(reason, stop_sequence):
                folded.finish, folded.stop_sequence = reason, stop_sequence
            case Failed(error):
                folded.error = error

    def result(self) -> Folded:
        self._folded.parts = [part.close() for part in self._open]
        return self._folded

    def _extend(self, kind: type[Text | Thinking | Refusal], text: str) -> None:
        last = self._open[-1] if self._open else None
        if last is None or last.kind is not kind or last.signature is not None:
            last = _OpenPart(kind)
            self._open.append(last)
        last.pieces.append(text)

    def _sign(self, signature: str) -> None:
        if not self._open or self._open[-1].kind is not Thinking or self._open[-1].signature is not None:
            self._open.append(_OpenPart(Thinking))
        self._open[-1].signature = signature


@dataclass(slots=True)
class _OpenPart:
    kind: type
    pieces: list[str] = field(default_factory=list)
    id: str = ""
    name: str = ""
    signature: str | None = None
    whole: Opaque | None = None

    def close(self) -> Part:
        text = "".join(self.pieces)
        if self.whole is not None:
            return self.whole
        if self.kind is ToolUse:
            return ToolUse(self.id, self.name, text)
        if self.kind is Thinking:
            return Thinking(text, self.signature)
        return Refusal(text) if self.kind is Refusal else Text(text)


def unfold(folded: Folded) -> list[Event]:
    """Events that fold to this reply: how a reply that arrived in one piece becomes a stream."""
    events: list[Event] = [Started(folded.id, folded.model)]
    tools = 0
    logprobs = folded.logprobs or None
    for part in folded.parts:
        match part:
            case Text(text):
                events.append(TextDelta(text, logprobs))
                logprobs = None
            case Refusal(text):
                events.append(RefusalDelta(text))
            case Thinking(text, signature):
                events.append(ThinkingDelta(text))
                if signature is not None:
                    events.append(ThinkingSigned(signature))
            case ToolUse(id, name, arguments):
                events += [ToolUseStarted(tools, id, name), ToolUseDelta(tools, arguments)]
                tools += 1
            case Opaque():
                events.append(OpaquePart(part))
    events += [Vector(index, values) for index, values in folded.vectors.items()]
    for index, medium in folded.media.items():
        if isinstance(medium, MediumLink):
            events.append(medium)
        else:
            events += [MediumStarted(index, medium.media_type, medium.prompt), *medium.pieces]
    events += [*folded.timed, *([folded.spoken] if folded.spoken is not None else ()), *folded.ranked]
    if folded.usage is not None:
        events.append(UsageReport(folded.usage))
    if folded.error is not None:
        events.append(Failed(folded.error))
    else:
        events.append(Finished(folded.finish or FinishReason.OTHER, folded.stop_sequence))
    return events
