"""Hypothesis strategies for what callers ask and providers answer, cut to what a wire can say.

`Speech` says what a wire can say; `chats(speech)` makes canonical requests and
`replies(speech)` event sequences within it, both in *normal form*, so that the
laws `parse(build(r)) == r` and `read(render(e)) == e` hold without excuses.

Normal form of a request:

- no two neighbouring messages have the role TOOL: the results of one round are one
  message (an OpenAI caller sends one tool message for each; they are merged);
- SYSTEM messages hold texts; USER messages texts, images, audio and files; TOOL
  messages results; ASSISTANT messages, in this order, at most one thought, texts, at
  most one refusal, tool calls;
- a message has at least one part; texts, names, ids and arguments are not empty;
- arguments are compact JSON objects; every result belongs to a call before it;
- an effort of "none" says that reasoning is off.

Normal form of a reply:

- ids and models are not empty, deltas neither; a call is opened before its arguments
  and has some; calls count from 0 in the order in which they open;
- usage is told at most once, right before the ending;
- the ending is `Finished` (failures have tests of their own), with TOOL_USE exactly
  when a tool is called.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

import orjson
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from rhetor.core.capability import Capability
from rhetor.core.content import (
    Audio,
    CacheTtl,
    File,
    Image,
    Inline,
    Part,
    Refusal,
    Source,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    Uploaded,
    Url,
)
from rhetor.core.events import (
    Event,
    Finished,
    FinishReason,
    RefusalDelta,
    Started,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    ToolUseDelta,
    ToolUseStarted,
    UsageReport,
)
from rhetor.core.request import Chat, Message, Reasoning, Request, ResponseFormat, Role, Tool, ToolChoice
from rhetor.core.usage import Usage

KNOBS = frozenset(field.name for field in fields(Chat)) - {"messages", "tools", "choices"}
"""The fields of a chat request beside the conversation and the tools."""


@dataclass(frozen=True, slots=True)
class Speech:
    """What a wire can say. The defaults say everything; a wire's tests take away."""

    knobs: frozenset[str] = KNOBS
    """Which of `KNOBS` a request may set."""
    knobs_always: frozenset[str] = frozenset()
    """Which of them every request sets (Anthropic's max_tokens)."""
    system_anywhere: bool = True
    """False: at most one system message, and it comes first."""
    text_parts: bool = True
    """Texts stay parts of their own. False: where a message or a result is only texts, without
    cache marks, there is one."""
    names: bool = True
    """Messages (but tool results) may name their speaker."""
    images: tuple[type[Source], ...] = (Url, Inline, Uploaded)
    image_detail: bool = True
    audio: tuple[type[Source], ...] = (Inline,)
    files: tuple[type[Source], ...] = (Url, Inline, Uploaded)
    file_names: bool = True
    file_types: tuple[str, ...] = ("application/pdf", "text/plain")
    tools: bool = True
    strict_tools: bool = True
    result_images: bool = True
    """A tool's result may hold images beside texts."""
    result_errors: bool = True
    """A tool's result may be marked as an error."""
    cache: tuple[type, ...] = (Text, Image, File, ToolUse, ToolResult, Tool)
    """What may carry a cache mark."""
    thinking: bool = True
    signatures: bool = True
    """Thoughts carry their proof: where they can, all do."""
    refusals: bool = True
    efforts: tuple[str, ...] = ("none", "minimal", "low", "medium", "high")
    budgets: bool = True
    """Reasoning may be limited by tokens, instead of by effort."""
    formats: tuple[str, ...] = ("text", "json", "json_schema")
    tool_choices: tuple[str, ...] = ("auto", "none", "required", "named")
    max_temperature: float = 2.0
    interleaved: bool = True
    """The tool calls of a reply may grow in turns."""
    logprobs: bool = True
    """The texts of a reply may carry log probabilities."""
    finishes: tuple[FinishReason, ...] = tuple(FinishReason)
    """TOOL_USE is chosen by whether a tool was called, and need not be listed."""
    stop_sequences: bool = True
    """STOP_SEQUENCE says which one was met."""
    usage_fields: tuple[str, ...] = ("cache_read_tokens", "cache_write_tokens", "reasoning_tokens")


EVERYTHING = Speech()

_AWKWARD = ("\n\n", "\r\n", "data: x", "[DONE]", '"', "\\", "\u2028", "\x00", "é", "日本", "🦀", " ", "</s>")

texts: SearchStrategy[str] = st.one_of(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=12), st.sampled_from(_AWKWARD)
)
"""Not empty; with a taste for what breaks framing."""
words: SearchStrategy[str] = st.text("abcxyzABCXYZ0189_-", min_size=1, max_size=10)
base64s: SearchStrategy[str] = st.binary(min_size=1, max_size=8).map(
    lambda raw: base64.b64encode(raw).decode()
)
schemas: SearchStrategy[dict[str, Any]] = st.sampled_from(
    (
        {"type": "object", "properties": {}},
        {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        {"type": "object", "properties": {"n": {"enum": [1, 2.5, None, "é"]}}, "additionalProperties": False},
    )
)
arguments: SearchStrategy[str] = st.one_of(
    st.sampled_from(('{"city":"Zürich"}', '{"a":{"b":[1,2.5,null,true]}}')),
    st.dictionaries(words, texts, min_size=1, max_size=2).map(lambda value: orjson.dumps(value).decode()),
)
caches: SearchStrategy[CacheTtl] = st.sampled_from(("5m", "1h"))


def request_of(chat: Chat, model: str = "some-model", stream: bool = False) -> Request:
    return Request(id="", capability=Capability.CHAT, model=model, input=chat, stream=stream)


@st.composite
def chats(draw: DrawFn, speech: Speech = EVERYTHING) -> Chat:
    tools = draw(_tools(speech)) if speech.tools else ()
    knobs = {
        name: draw(strategy)
        for name, strategy in _knobs(speech, tools).items()
        if name in speech.knobs and (name in speech.knobs_always or draw(st.booleans()))
    }
    return Chat(messages=draw(_conversations(speech)), tools=tools, **knobs)


def _knobs(speech: Speech, tools: tuple[Tool, ...]) -> dict[str, SearchStrategy[Any]]:
    fractions = st.floats(0, 1)
    knobs: dict[str, SearchStrategy[Any]] = {
        "max_tokens": st.integers(1, 100_000),
        "temperature": st.floats(0, speech.max_temperature),
        "top_p": fractions,
        "top_k": st.integers(1, 500),
        "presence_penalty": st.floats(-2, 2),
        "frequency_penalty": st.floats(-2, 2),
        "seed": st.integers(-(2**63), 2**63 - 1),
        "stop": st.lists(texts, min_size=1, max_size=4).map(tuple),
        "logprobs": st.just(True),
        "top_logprobs": st.integers(0, 20),
        "end_user": words,
        "response_format": _formats(speech),
    }
    if speech.efforts or speech.budgets:
        knobs["reasoning"] = _reasonings(speech)
    if tools:
        knobs["tool_choice"] = _tool_choices(speech, tools)
        knobs["parallel_tool_calls"] = st.booleans()
    return knobs


def _reasonings(speech: Speech) -> SearchStrategy[Reasoning]:
    efforts = [Reasoning(effort=effort, enabled=effort != "none") for effort in speech.efforts]
    budgets = [Reasoning(budget_tokens=tokens) for tokens in (1024, 20_000)] if speech.budgets else []
    return st.sampled_from(efforts + budgets)


@st.composite
def _formats(draw: DrawFn, speech: Speech) -> ResponseFormat:
    kind: Any = draw(st.sampled_from(speech.formats))
    if kind != "json_schema":
        return ResponseFormat(kind)
    return ResponseFormat(
        kind,
        name=draw(words),
        description=draw(st.none() | texts),
        schema=draw(schemas),
        strict=draw(st.none() | st.booleans()),
    )


@st.composite
def _tool_choices(draw: DrawFn, speech: Speech, tools: tuple[Tool, ...]) -> ToolChoice:
    mode: Any = draw(st.sampled_from(speech.tool_choices))
    return ToolChoice(mode, draw(st.sampled_from(tools)).name if mode == "named" else None)


@st.composite
def _tools(draw: DrawFn, speech: Speech) -> tuple[Tool, ...]:
    return tuple(
        Tool(
            name,
            draw(st.none() | texts),
            draw(schemas),
            strict=draw(st.none() | st.booleans()) if speech.strict_tools else None,
            cache=draw(_cache(speech, Tool)),
        )
        for name in draw(st.lists(words, max_size=2, unique=True))
    )


@st.composite
def _conversations(draw: DrawFn, speech: Speech) -> tuple[Message, ...]:
    roles = draw(st.lists(st.sampled_from((Role.SYSTEM, Role.USER, Role.ASSISTANT)), min_size=1, max_size=4))
    if not speech.system_anywhere:
        roles = [role for at, role in enumerate(roles) if role is not Role.SYSTEM or at == 0]
    if all(role is Role.SYSTEM for role in roles):
        roles.append(Role.USER)
    messages: list[Message] = []
    for number, role in enumerate(roles):
        name = draw(st.none() | words) if speech.names else None
        if role is Role.ASSISTANT:
            uses = tuple(draw(_tool_uses(speech, number))) if speech.tools else ()
            messages.append(Message(role, draw(_spoken(speech, silent=bool(uses))) + uses, name))
            if uses:
                messages.append(Message(Role.TOOL, tuple(draw(_result(speech, use.id)) for use in uses)))
        else:
            said = _text(speech) if role is Role.SYSTEM else _content(speech)
            parts = _merged(speech, draw(st.lists(said, min_size=1, max_size=3)))
            messages.append(Message(role, tuple(parts), name))
    return tuple(messages)


def _merged(speech: Speech, parts: list[Part]) -> list[Part]:
    """One text, where a wire makes one of them."""
    texts_only = all(isinstance(part, Text) and part.cache is None for part in parts)
    return parts[:1] if texts_only and not speech.text_parts else parts


def _content(speech: Speech) -> SearchStrategy[Part]:
    """What a user may say."""
    kinds: list[SearchStrategy[Any]] = [_text(speech)]
    if speech.images:
        kinds.append(_image(speech))
    if speech.audio:
        kinds.append(_source(speech.audio, ("audio/wav", "audio/mpeg")).map(Audio))
    if speech.files:
        kinds.append(_file(speech))
    return st.one_of(kinds)


@st.composite
def _text(draw: DrawFn, speech: Speech) -> Text:
    return Text(draw(texts), draw(_cache(speech, Text)))


@st.composite
def _image(draw: DrawFn, speech: Speech) -> Image:
    detail = draw(st.sampled_from((None, "low", "high", "auto"))) if speech.image_detail else None
    return Image(
        draw(_source(speech.images, ("image/png", "image/jpeg"))), detail, draw(_cache(speech, Image))
    )


@st.composite
def _file(draw: DrawFn, speech: Speech) -> File:
    name = draw(st.none() | words) if speech.file_names else None
    return File(draw(_source(speech.files, speech.file_types)), name, draw(_cache(speech, File)))


@st.composite
def _source(draw: DrawFn, kinds: tuple[type[Source], ...], media_types: tuple[str, ...]) -> Source:
    kind = draw(st.sampled_from(kinds))
    if kind is Url:
        return Url(f"https://example.org/{draw(words)}?a=1&b=é")
    if kind is Uploaded:
        return Uploaded(f"file-{draw(words)}")
    return Inline(draw(st.sampled_from(media_types)), draw(base64s))


def _cache(speech: Speech, kind: type) -> SearchStrategy[CacheTtl | None]:
    return st.none() | caches if kind in speech.cache else st.none()


@st.composite
def _spoken(draw: DrawFn, speech: Speech, silent: bool) -> tuple[Part, ...]:
    """An assistant's thought, texts and refusal; `silent` when it may have said nothing."""
    parts: list[Part] = []
    if speech.thinking and draw(st.booleans()):
        parts.append(Thinking(draw(texts), draw(words) if speech.signatures else None))
    parts += _merged(speech, draw(st.lists(_text(speech), min_size=0 if silent or parts else 1, max_size=2)))
    if speech.refusals and draw(st.booleans()):
        parts.append(Refusal(draw(texts)))
    return tuple(parts)


@st.composite
def _tool_uses(draw: DrawFn, speech: Speech, number: int) -> list[ToolUse]:
    return [
        ToolUse(f"call_{number}_{at}", draw(words), draw(arguments), draw(_cache(speech, ToolUse)))
        for at in range(draw(st.integers(0, 3)))
    ]


@st.composite
def _result(draw: DrawFn, speech: Speech, tool_use_id: str) -> ToolResult:
    said: SearchStrategy[Any] = _text(speech)
    if speech.result_images and speech.images:
        said = st.one_of(said, _image(speech))
    return ToolResult(
        tool_use_id,
        tuple(_merged(speech, draw(st.lists(said, min_size=1, max_size=2)))),
        draw(st.booleans()) if speech.result_errors else False,
        draw(_cache(speech, ToolResult)),
    )


@st.composite
def replies(draw: DrawFn, speech: Speech = EVERYTHING) -> list[Event]:
    """The events of one reply, as a decoder would tell them."""
    events: list[Event] = [Started(draw(words), draw(words))]
    for kind in draw(st.lists(st.sampled_from(_kinds(speech)), max_size=4)):
        events += draw(kind(speech))
    uses: list[Event] = draw(_calls(speech)) if speech.tools else []
    events += uses
    if draw(st.booleans()):
        events.append(UsageReport(draw(usages(speech))))
    reason = FinishReason.TOOL_USE if uses else draw(_finish(speech))
    sequence = draw(texts) if reason is FinishReason.STOP_SEQUENCE and speech.stop_sequences else None
    return [*events, Finished(reason, sequence)]


def _finish(speech: Speech) -> SearchStrategy[FinishReason]:
    return st.sampled_from([reason for reason in speech.finishes if reason is not FinishReason.TOOL_USE])


def _kinds(speech: Speech) -> list[Any]:
    kinds: list[Any] = [_saying]
    if speech.thinking:
        kinds.append(_thought)
    if speech.refusals:
        kinds.append(_refusing)
    return kinds


@st.composite
def _saying(draw: DrawFn, speech: Speech) -> list[Event]:
    return [
        TextDelta(text, draw(st.none() | _logprobs(text)) if speech.logprobs else None)
        for text in draw(st.lists(texts, min_size=1, max_size=3))
    ]


def _logprobs(text: str) -> SearchStrategy[list[Any]]:
    entry = {"token": text, "logprob": -0.25, "bytes": list(text.encode()), "top_logprobs": []}
    return st.just([entry])


@st.composite
def _thought(draw: DrawFn, speech: Speech) -> list[Event]:
    thought: list[Event] = [ThinkingDelta(text) for text in draw(st.lists(texts, min_size=1, max_size=2))]
    return [*thought, ThinkingSigned(draw(words))] if speech.signatures else thought


@st.composite
def _refusing(draw: DrawFn, speech: Speech) -> list[Event]:
    return [RefusalDelta(text) for text in draw(st.lists(texts, min_size=1, max_size=2))]


@st.composite
def _calls(draw: DrawFn, speech: Speech) -> list[Event]:
    """Up to three tool calls; one after the other, or all open and growing in turns."""
    count = draw(st.integers(0, 3))
    opened: list[Event] = [ToolUseStarted(at, f"call_{at}_{draw(words)}", draw(words)) for at in range(count)]
    grown = [[ToolUseDelta(at, piece) for piece in draw(_pieces())] for at in range(count)]
    if speech.interleaved and draw(st.booleans()):
        turns = draw(st.permutations([at for at, deltas in enumerate(grown) for _ in deltas]))
        return opened + [grown[at].pop(0) for at in turns]
    return [event for at in range(count) for event in (opened[at], *grown[at])]


@st.composite
def _pieces(draw: DrawFn) -> list[str]:
    """Arguments, cut into pieces."""
    whole = draw(arguments)
    cuts = sorted({0, len(whole), *draw(st.lists(st.integers(1, len(whole)), max_size=2))})
    return [whole[start:end] for start, end in pairwise(cuts)]


@st.composite
def usages(draw: DrawFn, speech: Speech = EVERYTHING) -> Usage:
    read, write, fresh, thought, said = (draw(st.integers(0, 5000)) for _ in range(5))
    read = read if "cache_read_tokens" in speech.usage_fields else 0
    write = write if "cache_write_tokens" in speech.usage_fields else 0
    thought = thought if "reasoning_tokens" in speech.usage_fields else 0
    return Usage(read + write + fresh, thought + said, read, write, thought)


def splits(data: bytes) -> SearchStrategy[list[bytes]]:
    """The same bytes in pieces, none of them empty."""
    cuts = st.lists(st.integers(1, max(len(data) - 1, 1)), max_size=12).map(
        lambda at: sorted({0, *at, len(data)})
    )
    return cuts.map(lambda ends: [data[start:end] for start, end in pairwise(ends) if start < end])
