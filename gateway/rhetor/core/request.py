"""What a caller wants: a request, free of any dialect."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, TypeAlias

from rhetor.core.capability import Capability, Feature
from rhetor.core.content import Audio, CacheTtl, File, Image, Json, JsonValue, Part, ToolResult
from rhetor.core.errors import BadRequest
from rhetor.core.media import Draw, Make, Rank, Speak, Transcribe
from rhetor.core.value import value


class Role(StrEnum):
    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"
    """Carries ToolResult parts only."""


@value
class Message:
    role: Role
    parts: tuple[Part, ...]
    name: str | None = None


@value
class Tool:
    """A function that the model may ask the caller to run."""

    name: str
    description: str | None = None
    schema: Json = field(default_factory=dict)
    """JSON Schema of the arguments."""
    strict: bool | None = None
    cache: CacheTtl | None = None


@value
class ToolChoice:
    mode: Literal["auto", "none", "required", "named"]
    name: str | None = None
    """The one tool to call; set exactly when the mode is `named`."""


@value
class ResponseFormat:
    kind: Literal["text", "json", "json_schema"]
    name: str | None = None
    description: str | None = None
    schema: Json | None = None
    strict: bool | None = None


@value
class Reasoning:
    """How much the model may think before it answers. Providers take an effort or a budget."""

    effort: str | None = None
    budget_tokens: int | None = None
    enabled: bool = True


@value(kw_only=True)
class Chat:
    """A conversation to be continued."""

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    reasoning: Reasoning | None = None
    logprobs: bool = False
    top_logprobs: int | None = None
    end_user: str | None = None
    """Whom the caller acts for; providers use it to tell abusers apart."""
    choices: int = 1
    """How many answers; more than one is possible only between speakers of the same wire."""


@value(kw_only=True)
class Embed:
    """Texts, or lists of token ids, to be turned into vectors, in order."""

    inputs: tuple[str | tuple[int, ...], ...]
    dimensions: int | None = None
    encoding: Literal["float", "base64"] = "float"
    end_user: str | None = None


Input: TypeAlias = Chat | Embed | Draw | Speak | Transcribe | Rank | Make


@value
class Original:
    """What the caller sent, kept so that a provider of the same wire gets it untouched."""

    wire: str
    body: bytes
    fields: Mapping[str, JsonValue]
    """The parsed body: nothing is parsed twice."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """The caller's headers that mean something to the wire, lower case."""

    def pieces(self) -> Iterator[bytes]:
        """What makes it the same request as another one, however each was packed."""
        yield self.body


@value(kw_only=True)
class Wanted:
    """What a caller demands of whoever answers, instead of naming a model."""

    features: frozenset[Feature] = frozenset()
    max_cost_micros: int | None = None
    """For this one request, in micro-dollars; models without a known price are not asked."""
    prefer: Literal["speed", "quality", "cost"] | None = None
    tags: frozenset[str] = frozenset()
    """Of the provider, as the configuration gives them: a region, say; or of the model, as its list does."""
    strengths: frozenset[str] = frozenset()
    """What it should be good at, or is to be used for: who is known for that comes first."""
    price_class: Literal["free", "cheap", "premium"] | None = None
    """Of those whose price is known."""
    balance: Literal["round_robin", "least_busy", "fastest", "cheapest"] | None = None
    """How requests are shared out among all who satisfy the demands."""


@dataclass(slots=True, kw_only=True)
class Request:
    """One request on its trip. `model` is the name as the caller wrote it."""

    id: str
    capability: Capability
    model: str
    input: Input
    stream: bool = False
    stream_usage: bool = True
    """Whether the caller expects usage inside the stream, where its wire lets it choose."""
    original: Original | None = None
    recalled_bytes: int = 0
    """How much memory what was said earlier fills: its messages tell it, the original does not."""
    unsaid: tuple[str, ...] = ()
    """Fields of the original that have no canonical form: lost when another wire is spoken."""
    bound: BadRequest | None = None
    """Why nobody can answer who speaks another language than the caller: an answer would be wrong."""
    fallbacks: tuple[str, ...] = ()
    """Models to try after the requested one, as the caller asks for."""
    component: str | None = None
    """Which component asks; a tag for metrics and rules, never an authority."""
    task: str | None = None
    """What it asks for: `code`, `chat`, …; a tag for rules, as `component` is."""
    wanted: Wanted | None = None
    """What a caller who leaves the choice to us demands of the model."""
    principal: str | None = None
    """Who was authenticated, if anybody."""
    session: str | None = None
    """The session that this is a part of."""
    parents: tuple[str, ...] = ()
    """The generations whose results this one is made of."""
    timeout_s: float | None = None
    """The caller's own limit for the whole trip; can only shorten the configured one."""
    job: bool = False
    """Nobody waits for it on the line: it may take longer."""
    detach_s: float | None = None
    """How long the reply is kept for a caller who left; 0: not at all, None: as the route says."""
    resume_s: float | None = None
    """How long the generation waits for a caller who was cut off, before it is ended."""


def features_needed(request: Request) -> frozenset[Feature]:
    """What a model must be able to do to take this very request."""
    chat = request.input
    if not isinstance(chat, Chat):
        return frozenset()
    needed = {feature for message in chat.messages for feature in _features_of(message.parts)}
    if chat.tools:
        needed.add(Feature.TOOLS)
    if chat.response_format is not None and chat.response_format.kind == "json_schema":
        needed.add(Feature.JSON_SCHEMA)
    if chat.logprobs:
        needed.add(Feature.LOGPROBS)
    return frozenset(needed)


def _features_of(parts: Iterable[Part]) -> Iterator[Feature]:
    for part in parts:
        if isinstance(part, ToolResult):
            yield from _features_of(part.parts)  # a screenshot needs a model that sees
        elif (feature := _FEATURE_OF_PART.get(type(part))) is not None:
            yield feature


_FEATURE_OF_PART: Mapping[type[Part], Feature] = {
    Image: Feature.IMAGES,
    Audio: Feature.AUDIO,
    File: Feature.DOCUMENTS,
}
