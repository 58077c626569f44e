"""Parts become content blocks, or it is said why not."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

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
from rhetor.wire.anthropic.blocks import tool_input, write_blocks

TEXT_FILE = File(Inline("text/markdown", b64encode("# é".encode()).decode()), "a.md")


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (Text("a", "1h"), {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}}),
        (
            Image(Url("data:image/png;base64,iVBO")),
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}},
        ),
        (Image(Uploaded("f_1")), {"type": "image", "source": {"type": "file", "file_id": "f_1"}}),
        (
            TEXT_FILE,
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "# é"},
                "title": "a.md",
            },
        ),
        (
            File(Url("data:application/pdf;base64,JVBE"), cache="5m"),
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"},
                "cache_control": {"type": "ephemeral"},
            },
        ),
        (File(Url("https://a.b")), {"type": "document", "source": {"type": "url", "url": "https://a.b"}}),
        (Thinking("hm", "s"), {"type": "thinking", "thinking": "hm", "signature": "s"}),
        (Refusal("No."), {"type": "text", "text": "No."}),
        (Opaque("anthropic", {"type": "redacted_thinking"}), {"type": "redacted_thinking"}),
        (ToolUse("1", "f", ""), {"type": "tool_use", "id": "1", "name": "f", "input": {}}),
        (
            ToolResult("1", (Text("a"),), is_error=True),
            {"type": "tool_result", "tool_use_id": "1", "content": "a", "is_error": True},
        ),
        (ToolResult("1", ()), {"type": "tool_result", "tool_use_id": "1"}),
    ],
)
def test_parts_as_blocks(part: Part, block: dict[str, Any]) -> None:
    dropped: list[str] = []
    assert write_blocks([part], "p", dropped) == [block]
    assert dropped == []


@pytest.mark.parametrize(
    ("part", "named"),
    [
        (Thinking("hm"), "p[0]: a thought without its signature"),
        (Opaque("openai", {"type": "custom"}), "p[0]: opaque custom"),
    ],
)
def test_what_only_others_say_is_left_out_and_named(part: Part, named: str) -> None:
    dropped: list[str] = []
    assert write_blocks([part], "p", dropped) == []
    assert dropped == [named]


def test_a_hint_without_a_word_is_named() -> None:
    dropped: list[str] = []
    write_blocks([Image(Url("https://a.b"), detail="low")], "p", dropped)
    assert dropped == ["p[0].detail"]


def test_an_empty_text_is_no_block() -> None:
    """The API answers it with an error."""
    assert write_blocks([Text(""), Refusal("")], "p", []) == []


def test_ids_of_other_vendors_are_spelled_as_the_api_takes_them() -> None:
    """A call and its result stay a pair."""
    call, result = write_blocks(
        [ToolUse("functions.find:0", "f", "{}"), ToolResult("functions.find:0", ())], "p", []
    )
    assert call["id"] == result["tool_use_id"] == "functions_find_0"


@pytest.mark.parametrize(
    "part",
    [
        Audio(Inline("audio/wav", "UklG")),
        File(Inline("application/zip", "UEsD")),
        ToolResult("1", (Audio(Inline("audio/wav", "UklG")),)),
    ],
)
def test_what_cannot_be_said_at_all_is_an_error(part: Part) -> None:
    with pytest.raises(BadRequest) as caught:
        write_blocks([part], "p", [])
    assert caught.value.code is Code.UNSUPPORTED


@pytest.mark.parametrize("source", [Url("data:image/png,abc"), Url("data:image/png;base64")])
def test_a_data_url_without_base64_is_a_bad_request(source: Url) -> None:
    with pytest.raises(BadRequest, match="base64"):
        write_blocks([Image(source)], "p", [])


@pytest.mark.parametrize("base64", ["%%%", b64encode(b"\xff").decode()])
def test_a_text_document_must_be_text(base64: str) -> None:
    with pytest.raises(BadRequest, match="UTF-8"):
        write_blocks([File(Inline("text/plain", base64))], "p", [])


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        ("", {}),
        ('{"a": 1}', {"a": 1}),
        ('{"a": ', {"INVALID_JSON": '{"a": '}),
        ("[1]", {"INVALID_JSON": "[1]"}),
    ],
)
def test_arguments_that_are_no_object_travel_under_a_name(arguments: str, value: dict[str, Any]) -> None:
    assert tool_input(arguments) == value
