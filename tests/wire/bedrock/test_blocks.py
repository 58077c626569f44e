"""Parts as content blocks."""

from __future__ import annotations

import pytest

from rhetor.core.content import (
    Audio,
    File,
    Image,
    Inline,
    Opaque,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    Uploaded,
    Url,
)
from rhetor.core.errors import BadRequest, Code
from rhetor.wire.bedrock.blocks import Writer
from tests.wire.bedrock.speaking import CLAUDE, LLAMA, NOVA

REDACTED = Opaque("anthropic", {"type": "redacted_thinking", "data": "EmwK"})


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (Text("hi"), {"text": "hi"}),
        (Refusal("no"), {"text": "no"}),
        (
            Image(Inline("image/png", "iVBORw==")),
            {"image": {"format": "png", "source": {"bytes": "iVBORw=="}}},
        ),
        (
            Image(Url("data:image/jpg;base64,/9j/")),
            {"image": {"format": "jpeg", "source": {"bytes": "/9j/"}}},
        ),
        (
            Audio(Inline("audio/mpeg", "SUQz")),
            {"audio": {"format": "mp3", "source": {"bytes": "SUQz"}}},
        ),
        (
            File(Inline("application/pdf", "JVBE"), "Bill_of_May (2).v1.pdf"),
            {
                "document": {
                    "name": "Bill of May (2) v1 1",
                    "format": "pdf",
                    "source": {"bytes": "JVBE"},
                }
            },
        ),
        (
            ToolUse("call|1", "f", '{"a":1}'),
            {"toolUse": {"toolUseId": "call_1", "name": "f", "input": {"a": 1}}},
        ),
        (
            ToolResult("call|1", (Text("4"),), is_error=True),
            {"toolResult": {"toolUseId": "call_1", "content": [{"text": "4"}], "status": "error"}},
        ),
        (
            Thinking("hm", "EqQB"),
            {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "EqQB"}}},
        ),
        (REDACTED, {"reasoningContent": {"redactedContent": "EmwK"}}),
        (Opaque("bedrock", {"citationsContent": {}}), {"citationsContent": {}}),
    ],
)
def test_what_can_be_said(part: Part, block: object) -> None:
    writer = Writer(CLAUDE)
    assert writer.write([part], "content") == [block]
    assert writer.dropped == []


def test_documents_have_names_of_their_own() -> None:
    """Two of the same name are an error."""
    file = File(Inline("text/plain", "aGk="))
    names = [it["document"]["name"] for it in Writer(CLAUDE).write([file, file], "content")]  # type: ignore[index,call-overload]
    assert names == ["document 1", "document 2"]


@pytest.mark.parametrize("model", [CLAUDE, NOVA])
def test_a_cached_prefix_ends_with_a_point(model: str) -> None:
    writer = Writer(model)
    assert writer.write([Text("a", cache="5m"), Text("b", cache="1h")], "content") == [
        {"text": "a"},
        {"cachePoint": {"type": "default"}},
        {"text": "b"},
        {"cachePoint": {"type": "default", "ttl": "1h"}},
    ]


def test_what_is_lost_is_named() -> None:
    writer = Writer(LLAMA)
    parts: list[Part] = [
        Text("a", cache="5m"),
        Text("b", cache="5m"),
        Text(""),
        Image(Inline("image/png", "iVBORw=="), "high"),
        Thinking("hm", "EqQB"),
        REDACTED,
        Opaque("gemini", {"executableCode": {}}),
    ]
    assert [next(iter(it)) for it in writer.write(parts, "content")] == ["text", "text", "image"]
    assert writer.dropped == [
        "cache_control",
        "content[3].detail",
        "content[4]: a thought without its signature",
        "content[5]: opaque redacted_thinking",
        "content[6]: opaque unknown",
    ]


@pytest.mark.parametrize("signature", [None, "gemini:EqYa", "responses:rs_1"])
def test_only_claudes_own_thoughts_go_back_to_it(signature: str | None) -> None:
    writer = Writer(CLAUDE)
    assert writer.write([Thinking("hm", signature)], "content") == []
    assert writer.dropped == ["content[0]: a thought without its signature"]


@pytest.mark.parametrize(
    "part",
    [
        Image(Url("https://x.example/cat.png")),
        Image(Uploaded("file-1")),
        Image(Inline("image/tiff", "SUkq")),
        Image(Url("s3://shelf/cat.png")),
        Audio(Inline("audio/midi", "TVRo")),
        File(Inline("application/zip", "UEsD")),
    ],
)
def test_what_cannot_be_said_at_all(part: Part) -> None:
    with pytest.raises(BadRequest) as caught:
        Writer(CLAUDE).write([part], "content")
    assert caught.value.code is Code.UNSUPPORTED
    assert caught.value.param == "content[0]"


def test_a_data_url_has_to_be_one() -> None:
    with pytest.raises(BadRequest) as caught:
        Writer(CLAUDE).write([Image(Url("data:image/png,raw"))], "content")
    assert caught.value.code is Code.INVALID_REQUEST


def test_arguments_that_are_no_object_are_told_as_they_are() -> None:
    calls = [ToolUse("1", "f", ""), ToolUse("2", "f", "[1")]
    inputs = [it["toolUse"]["input"] for it in Writer(CLAUDE).write(calls, "content")]  # type: ignore[index,call-overload]
    assert inputs == [{}, {"INVALID_JSON": "[1"}]
