"""The conversations that providers must be able to have: what is asked, what is said, what must be heard.

A scenario is data. It runs for every provider that claims what it needs, see
`rhetor.testing.conformance`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from rhetor.core.capability import Capability, Feature
from rhetor.core.content import Audio, File, Image, Inline, JsonValue, Part, Text, Thinking
from rhetor.core.errors import Code
from rhetor.core.events import Finished, FinishReason, TextDelta
from rhetor.core.request import Chat, Embed, Input, Message, Reasoning, ResponseFormat, Role, Tool
from rhetor.core.usage import Usage
from rhetor.testing.script import Step
from rhetor.testing.steps import (
    EMBED_USAGE,
    USAGE,
    calls,
    counts,
    cuts,
    embeds,
    error_in_200,
    fails,
    garbage,
    gzip,
    hangs,
    no_done,
    replies,
    resets,
    says,
)


@dataclass(frozen=True, slots=True)
class Reply:
    """The reply must fold to this; ids are the language's own affair."""

    text: str = ""
    thinking: str = ""
    tools: tuple[tuple[str, Mapping[str, JsonValue]], ...] = ()
    finish: FinishReason = FinishReason.STOP
    usage: Usage | None = USAGE
    vectors: tuple[tuple[float, ...], ...] = ()
    logprobs: tuple[JsonValue, ...] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """The attempt must fail with this."""

    code: Code
    after: str | None = ""
    """The text that was heard before; None: a part of it, since a reset may overtake what was sent."""
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Aborted:
    """The caller leaves while the provider hangs, and the provider must notice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    name: str
    input: Input
    step: Step
    expected: Reply | Failure | Aborted
    capability: Capability = Capability.CHAT
    features: frozenset[Feature] = frozenset()
    """What a provider must claim beside the capability."""
    stream: bool = False
    verbatim: bool = False
    """The caller speaks the provider's own language, and says something that we do not know."""


def _user(*parts: Part) -> tuple[Message, ...]:
    return (Message(Role.USER, (*parts, Text("go on"))),)


HELLO = Chat(messages=_user())
ONE_TO_FIVE = says("one two three four five")
PNG = Inline(
    "image/png",
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=",
)
PDF = Inline("application/pdf", "JVBERi0xLjQKJSVFT0YK")
WAV = Inline("audio/wav", "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA=")
CITY: Mapping[str, JsonValue] = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOLS = (Tool("weather", "The weather of a city.", CITY), Tool("time", "The time.", {"type": "object"}))
SCHEMA: Mapping[str, JsonValue] = {
    "type": "object",
    "properties": {"answer": {"type": "integer"}},
    "required": ["answer"],
    "additionalProperties": False,
}
ANSWER = ResponseFormat("json_schema", name="answer", schema=SCHEMA, strict=True)
PARIS: tuple[str, Mapping[str, JsonValue]] = ("weather", {"city": "Paris"})
ROME: tuple[str, Mapping[str, JsonValue]] = ("weather", {"city": "Rome"})
NOW: tuple[str, Mapping[str, JsonValue]] = ("time", {})
CACHED = Usage(input_tokens=100, output_tokens=20, cache_read_tokens=80)
LOGPROBS: tuple[JsonValue, ...] = (
    {"token": "hi", "logprob": -0.25, "bytes": [104, 105], "top_logprobs": []},
)


def _both(scenario: Scenario) -> Iterator[Scenario]:
    """The same in one piece and streamed."""
    yield scenario
    name, features = f"{scenario.name}, streamed", scenario.features | {Feature.STREAMING}
    yield replace(scenario, name=name, stream=True, features=features)


def _needs(*features: Feature) -> frozenset[Feature]:
    return frozenset(features)


REPLIES = (
    Scenario(name="text", input=HELLO, step=ONE_TO_FIVE, expected=Reply("one two three four five")),
    Scenario(
        name="a caller of the same language",
        input=HELLO,
        step=ONE_TO_FIVE,
        expected=Reply("one two three four five"),
        verbatim=True,
    ),
    Scenario(
        name="compressed", input=HELLO, step=says("hello world").but(gzip()), expected=Reply("hello world")
    ),
    Scenario(
        name="the limit is reached",
        input=replace(HELLO, max_tokens=2),
        step=says("cut short", finish=FinishReason.LENGTH),
        expected=Reply("cut short", finish=FinishReason.LENGTH),
    ),
    Scenario(
        name="a tool call",
        input=replace(HELLO, tools=TOOLS),
        step=calls(PARIS),
        expected=Reply(tools=(PARIS,), finish=FinishReason.TOOL_USE),
        features=_needs(Feature.TOOLS),
    ),
    Scenario(
        name="three tool calls at once",
        input=replace(HELLO, tools=TOOLS),
        step=calls(PARIS, NOW, ROME),
        expected=Reply(tools=(PARIS, NOW, ROME), finish=FinishReason.TOOL_USE),
        features=_needs(Feature.TOOLS),
    ),
    Scenario(
        name="an image",
        input=Chat(messages=_user(Image(PNG))),
        step=says("a dot"),
        expected=Reply("a dot"),
        features=_needs(Feature.IMAGES),
    ),
    Scenario(
        name="a document",
        input=Chat(messages=_user(File(PDF, name="empty.pdf"))),
        step=says("empty"),
        expected=Reply("empty"),
        features=_needs(Feature.DOCUMENTS),
    ),
    Scenario(
        name="a recording",
        input=Chat(messages=_user(Audio(WAV))),
        step=says("silence"),
        expected=Reply("silence"),
        features=_needs(Feature.AUDIO),
    ),
    Scenario(
        name="a reply by schema",
        input=replace(HELLO, response_format=ANSWER),
        step=says('{"answer": 42}'),
        expected=Reply('{"answer": 42}'),
        features=_needs(Feature.JSON_SCHEMA),
    ),
    Scenario(
        name="thoughts",
        input=replace(HELLO, reasoning=Reasoning(effort="low")),
        step=says(Thinking("let me see", "signed"), "forty two"),
        expected=Reply("forty two", thinking="let me see"),
        features=_needs(Feature.THINKING),
    ),
    Scenario(
        name="probabilities",
        input=replace(HELLO, logprobs=True, top_logprobs=1),
        step=replies([TextDelta("hi", [*LOGPROBS]), Finished(FinishReason.STOP)]),
        expected=Reply("hi", usage=None, logprobs=LOGPROBS),
        features=_needs(Feature.LOGPROBS),
    ),
    Scenario(
        name="usage of a cached prompt",
        input=HELLO,
        step=says("hello", usage=CACHED),
        expected=Reply("hello", usage=CACHED),
        features=_needs(Feature.PROMPT_CACHING),
    ),
)

OTHER_REPLIES = (
    Scenario(
        name="embeddings",
        input=Embed(inputs=("one", "two")),
        step=embeds([0.25, -0.5], [1.0, 2.0]),
        expected=Reply(vectors=((0.25, -0.5), (1.0, 2.0)), usage=EMBED_USAGE),
        capability=Capability.EMBEDDINGS,
    ),
    Scenario(
        name="a count of tokens",
        input=HELLO,
        step=counts(321),
        expected=Reply(usage=Usage(321)),
        capability=Capability.COUNT_TOKENS,
    ),
    Scenario(
        name="an event that is no JSON is skipped",
        input=HELLO,
        step=ONE_TO_FIVE.but(garbage(at=3)),
        expected=Reply("one two three four five"),
        features=_needs(Feature.STREAMING),
        stream=True,
    ),
    Scenario(
        name="a stream without its last frame is complete",
        input=HELLO,
        step=ONE_TO_FIVE.but(no_done()),
        expected=Reply("one two three four five"),
        features=_needs(Feature.STREAMING),
        stream=True,
    ),
)

SLOW_DOWN = fails(429, headers={"retry-after": "2"})
TOO_LONG = fails(400, code=Code.CONTEXT_LENGTH)

FAILURES = tuple(
    Scenario(name=name, input=HELLO, step=step, expected=expected)
    for name, step, expected in (
        ("a bad request", fails(400), Failure(Code.INVALID_REQUEST)),
        ("a key that is refused", fails(401), Failure(Code.UPSTREAM_AUTH)),
        ("a model that does not exist", fails(404), Failure(Code.MODEL_NOT_FOUND)),
        (
            "too many requests",
            fails(429, headers={"retry-after": "2"}),
            Failure(Code.RATE_LIMITED, retry_after_s=2),
        ),
        ("an error of the provider", fails(500), Failure(Code.UPSTREAM_ERROR)),
        ("out of service", fails(503, body=b"down for maintenance"), Failure(Code.UNAVAILABLE)),
        ("overloaded", fails(529), Failure(Code.OVERLOADED)),
        ("an error page", fails(502, body=b"<html>Bad Gateway</html>"), Failure(Code.UNAVAILABLE)),
        (
            "a conversation that is too long",
            fails(400, code=Code.CONTEXT_LENGTH),
            Failure(Code.CONTEXT_LENGTH),
        ),
        ("an error with status 200", error_in_200(), Failure(Code.UPSTREAM_ERROR)),
        ("a reset before the reply", resets(), Failure(Code.CONNECTION_LOST)),
        ("no reply at all", cuts(after="request"), Failure(Code.CONNECTION_LOST)),
        ("half a reply", cuts(after="half"), Failure(Code.CONNECTION_LOST)),
    )
)

BROKEN_STREAMS = tuple(
    Scenario(
        name=f"{name}, streamed",
        input=HELLO,
        step=ONE_TO_FIVE.but(step),
        expected=Failure(code, after=heard),
        features=_needs(Feature.STREAMING),
        stream=True,
    )
    for name, step, code, heard in (
        ("the connection is cut", cuts(after=2), Code.CONNECTION_LOST, "one two"),
        ("the connection is reset", resets(after=2), Code.CONNECTION_LOST, None),
        ("the reply stops in the middle", cuts(after=2, clean=True), Code.TRUNCATED, "one two"),
        ("an error in the middle", error_in_200(after=2), Code.UPSTREAM_ERROR, "one two"),
    )
)

ABORTS = tuple(
    Scenario(
        name=f"the caller leaves while {name}",
        input=HELLO,
        step=ONE_TO_FIVE.but(step),
        expected=Aborted(),
        features=_needs(Feature.STREAMING) if stream else frozenset(),
        stream=stream,
    )
    for name, step, stream in (
        ("nothing was answered", hangs(after="request"), False),
        ("half a reply is there", hangs(after="half"), False),
        ("no event is there", hangs(after="headers"), True),
        ("words are coming", hangs(after=2), True),
    )
)

SCENARIOS = (
    *(each for scenario in REPLIES for each in _both(scenario)),
    *OTHER_REPLIES,
    *FAILURES,
    *BROKEN_STREAMS,
    *ABORTS,
)
"""Everything a provider is asked."""
