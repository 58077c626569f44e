"""Canonical requests as guests get them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings

from rhetor.core.capability import Capability
from rhetor.core.content import Image, Inline, Opaque, Text, ToolResult, ToolUse, Uploaded, Url
from rhetor.core.errors import BadRequest, Code
from rhetor.core.media import Bytes, Draw, Make, Rank, Speak, Transcribe
from rhetor.core.request import Chat, Embed, Input, Message, Request, Role, Tool
from rhetor.wire.base import PLAIN, Outgoing
from rhetor.wire.guest import GUEST
from tests.wire.strategies import EVERYTHING, chats, request_of


def build(given: Input, capability: Capability = Capability.CHAT, stream: bool = False) -> Outgoing:
    request = Request(id="gen_1", capability=capability, model="x", input=given, stream=stream)
    return GUEST.upstream[capability].build(request, "cow", PLAIN)


def read(outgoing: Outgoing) -> tuple[dict[str, Any], bytes]:
    line, _, data = outgoing.body.partition(b"\n")
    return orjson.loads(line), data


CASES: list[tuple[Capability, Input, dict[str, Any]]] = [
    (
        Capability.CHAT,
        Chat(
            messages=(
                Message(Role.SYSTEM, (Text("be a cow", cache="5m"),)),
                Message(Role.ASSISTANT, (ToolUse("t1", "look", "{}"),)),
                Message(Role.TOOL, (ToolResult("t1", (Text("grass"),)),)),
            ),
            tools=(Tool("look", None, {"type": "object"}),),
            temperature=0.0,
            stop=("!",),
        ),
        {
            "messages": [
                {"role": "system", "parts": [{"type": "text", "text": "be a cow"}]},
                {
                    "role": "assistant",
                    "parts": [{"type": "tool_use", "id": "t1", "name": "look", "arguments": "{}"}],
                },
                {
                    "role": "tool",
                    "parts": [
                        {
                            "type": "tool_result",
                            "tool_use_id": "t1",
                            "parts": [{"type": "text", "text": "grass"}],
                        }
                    ],
                },
            ],
            "tools": [{"name": "look", "schema": {"type": "object"}}],
            "temperature": 0.0,
            "stop": ["!"],
        },
    ),
    (
        Capability.EMBEDDINGS,
        Embed(inputs=("a", (1, 2)), encoding="base64"),
        {"inputs": ["a", [1, 2]], "encoding": "base64"},
    ),
    (
        Capability.TEXT_TO_IMAGE,
        Draw(prompt="a cow", size=(64, 32), count=2, extra={"lora": "x"}),
        {"prompt": "a cow", "size": [64, 32], "count": 2, "extra": {"lora": "x"}},
    ),
    (Capability.TEXT_TO_AUDIO, Speak(text="moo", speed=1.5), {"text": "moo", "speed": 1.5}),
    (
        Capability.RERANK,
        Rank(query="q", documents=("a", "b"), most=1),
        {"query": "q", "documents": ["a", "b"], "most": 1},
    ),
    (
        Capability.TEXT_TO_VIDEO,
        Make(prompt="moo", sources=(Url("https://x/y.png"),)),
        {"prompt": "moo", "sources": [{"url": "https://x/y.png"}]},
    ),
]


@pytest.mark.parametrize(("capability", "given", "said"), CASES, ids=[str(case[0]) for case in CASES])
def test_what_is_asked_is_said(capability: Capability, given: Input, said: dict[str, Any]) -> None:
    head, data = read(build(given, capability))
    assert head["request"]["input"] == said
    assert (head["method"], head["request"]["capability"]) == ("generate", capability.value)
    assert (head["request"]["model"], head["request"]["id"]) == ("cow", "gen_1")
    assert "bytes" not in head
    assert data == b""


def test_media_are_raw_bytes_behind_the_line() -> None:
    wav = Bytes("audio/wav", b"RIFF\n\0", "moo.wav")
    head, data = read(build(Transcribe(audio=wav, words=True), Capability.AUDIO_TO_TEXT, stream=True))
    assert head["method"] == "stream"
    assert head["request"]["input"] == {"audio": {"attachment": 0}, "words": True}
    assert head["request"]["attachments"] == [{"media_type": "audio/wav", "bytes": 6, "name": "moo.wav"}]
    assert head["bytes"] == 6
    assert data == b"RIFF\n\0"


def test_base64_is_opened_once_here_and_not_by_every_guest() -> None:
    png = Image(Inline("image/png", "AAEC"), "low")
    chat = Chat(messages=(Message(Role.USER, (png, Image(Url("https://x/y")))),))
    head, data = read(build(chat))
    assert head["request"]["input"]["messages"][0]["parts"] == [
        {"type": "image", "source": {"attachment": 0}, "detail": "low"},
        {"type": "image", "source": {"url": "https://x/y"}},
    ]
    assert data == b"\0\1\2"


def test_what_cannot_be_said_is_named_or_refused() -> None:
    odd = Opaque("openai", {"type": "odd"})
    said = build(Chat(messages=(Message(Role.USER, (Text("x", "5m"), odd)),)))
    assert said.dropped == ("cache_control", "opaque odd")
    for source, code in ((Uploaded("f"), Code.UNSUPPORTED), (Inline("image/png", "!"), Code.INVALID_REQUEST)):
        with pytest.raises(BadRequest) as caught:
            build(Chat(messages=(Message(Role.USER, (Image(source),)),)))
        assert caught.value.code is code


@settings(max_examples=25)
@given(chats(EVERYTHING))
def test_law_whatever_is_asked_is_one_frame_or_refused(chat: Chat) -> None:
    try:
        outgoing = GUEST.upstream[Capability.CHAT].build(request_of(chat), "m", PLAIN)
    except BadRequest:
        return
    head, data = read(outgoing)
    assert len(data) == head.get("bytes", 0) == sum(it["bytes"] for it in head["request"]["attachments"])
    assert len(head["request"]["input"]["messages"]) == len(chat.messages)


def test_the_examples_of_the_documentation_are_what_is_asked() -> None:
    page = (Path(__file__).parents[3] / "docs" / "provider-protocol.md").read_text("utf-8")
    asked = [
        (Chat(messages=(Message(Role.USER, (Text("hello"),)),), temperature=0.5), Capability.CHAT, "cow"),
        (
            Draw(prompt="a red ball", count=2, size=(1024, 768), format="image/png"),
            Capability.TEXT_TO_IMAGE,
            "brush",
        ),
    ]
    shown = [part.partition("```")[0] for part in page.split("```json\n")[1:]]
    for text, (input, capability, model) in zip(shown, asked, strict=True):
        request = Request(id="gen_…", capability=capability, model="x", input=input)
        head, _ = read(GUEST.upstream[capability].build(request, model, PLAIN))
        assert head["request"] == orjson.loads(text)
