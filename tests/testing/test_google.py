"""How Google's models sound."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from rhetor.core.capability import Capability
from rhetor.core.content import Audio, File, Image, Inline, Text
from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.core.events import (
    Event,
    Failed,
    Finished,
    FinishReason,
    Started,
    TextDelta,
    ThinkingDelta,
    ToolUseDelta,
    ToolUseStarted,
    UsageReport,
    fold,
)
from rhetor.core.request import Chat, Embed, Role
from rhetor.core.usage import Usage
from rhetor.testing.google import PATH, GoogleVoice, models, refuse
from rhetor.wire.gemini import GEMINI
from rhetor.wire.gemini.decoders import ReplyDecoder, StreamDecoder
from tests.wire.gemini.speaking import told

VOICE = GoogleVoice(Capability.CHAT)
HI = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
SAID: list[Event] = [
    Started("r-1", "small"),
    ThinkingDelta("hm"),
    TextDelta("Hello"),
    ToolUseStarted(0, "1", "f"),
    ToolUseDelta(0, '{"a":'),
    ToolUseDelta(0, "1}"),
    UsageReport(Usage(7, 9, cache_read_tokens=3, reasoning_tokens=4)),
    Finished(FinishReason.TOOL_USE),
]


def heard(body: object, method: str = "generateContent", voice: GoogleVoice = VOICE) -> Any:
    return voice.hear(orjson.dumps(body), {PATH: f"/v1beta/models/gemini%2Fsmall:{method}"})


@pytest.mark.parametrize("stream", [True, False])
def test_what_it_says_is_understood(stream: bool) -> None:
    """By the language's own decoders: the same as was meant."""
    asked = heard(HI, "streamGenerateContent" if stream else "generateContent")
    assert (asked.model, asked.stream) == ("gemini/small", stream)
    said = b"".join(VOICE.say(asked, SAID, "small", "r-1").pieces)
    understood = fold(told(StreamDecoder() if stream else ReplyDecoder(), said))
    meant = fold(SAID)
    assert understood.parts == meant.parts
    assert (understood.usage, understood.finish) == (meant.usage, meant.finish)


def test_what_it_hears() -> None:
    parts = [
        {"text": "hi"},
        {"inlineData": {"mimeType": "image/png", "data": "iV"}},
        {"inlineData": {"mimeType": "audio/wav", "data": "UklG"}},
        {"inlineData": {"mimeType": "application/pdf", "data": "JVBE"}},
    ]
    body = {
        "contents": [{"role": "user", "parts": parts}, {"role": "model", "parts": [{"text": "a"}]}],
        "tools": [{"functionDeclarations": [{"name": "f"}]}],
    }
    asked = heard(body)
    chat = asked.request.input
    assert isinstance(chat, Chat)
    assert chat.messages[0].parts == (
        Text("hi"),
        Image(Inline("image/png", "iV")),
        Audio(Inline("audio/wav", "UklG")),
        File(Inline("application/pdf", "JVBE")),
    )
    assert chat.messages[1].role is Role.ASSISTANT
    assert [tool.name for tool in chat.tools] == ["f"]


def test_it_counts_what_is_to_be_embedded() -> None:
    voice = GoogleVoice(Capability.EMBEDDINGS)
    asked = heard({"requests": [{}, {}]}, "batchEmbedContents", voice)
    assert isinstance(asked.request.input, Embed)
    assert asked.inputs == 2


@pytest.mark.parametrize("body", [{"contents": []}, [], {"contents": "hi"}])
def test_what_no_provider_would_take_is_refused(body: object) -> None:
    with pytest.raises(BadRequest):
        heard(body)


@pytest.mark.parametrize("code", [Code.OVERLOADED, Code.RATE_LIMITED, Code.MODEL_NOT_FOUND, Code.UNAVAILABLE])
def test_errors_are_understood(code: Code) -> None:
    error = RhetorError("it broke", code)
    assert GEMINI.read_error(error.status, {}, refuse(error, "")).code is code
    asked = heard(HI, "streamGenerateContent")
    said = VOICE.say(asked, [Started("1", "m"), TextDelta("a"), Failed(error)], "m", "1")
    *_, last = told(StreamDecoder(), b"".join(said.pieces))
    assert isinstance(last, Failed)
    assert last.error.code is code


def test_models_are_listed() -> None:
    assert [it.id for it in GEMINI.read_models(orjson.dumps(models(["a", "b"])))] == ["a", "b"]
