"""Content blocks become parts; what no other language has stays whole."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from rhetor.core.content import (
    File,
    Image,
    Inline,
    Opaque,
    Part,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    Uploaded,
    Url,
)
from rhetor.wire.anthropic.parts import read_content

PDF = {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="}


@pytest.mark.parametrize(
    ("block", "part"),
    [
        ({"type": "text", "text": "a", "citations": None}, Text("a")),
        ({"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}, Text("a", "5m")),
        (
            {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            Text("a", "1h"),
        ),
        ({"type": "image", "source": {"type": "url", "url": "https://a.b"}}, Image(Url("https://a.b"))),
        ({"type": "image", "source": {"type": "file", "file_id": "f_1"}}, Image(Uploaded("f_1"))),
        (
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}},
            Image(Inline("image/png", "iVBO")),
        ),
        (
            {"type": "document", "source": PDF, "title": "Report"},
            File(Inline("application/pdf", "JVBERg=="), "Report"),
        ),
        (
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "é"}},
            File(Inline("text/plain", b64encode("é".encode()).decode())),
        ),
        ({"type": "document", "source": {"type": "url", "url": "https://a.b"}}, File(Url("https://a.b"))),
        ({"type": "document", "source": {"type": "file", "file_id": "f_1"}}, File(Uploaded("f_1"))),
        ({"type": "thinking", "thinking": "hm", "signature": "s"}, Thinking("hm", "s")),
        ({"type": "thinking", "thinking": "hm", "signature": ""}, Thinking("hm")),
        ({"type": "tool_use", "id": "1", "name": "f", "input": {"a": [1]}}, ToolUse("1", "f", '{"a":[1]}')),
        ({"type": "tool_result", "tool_use_id": "1"}, ToolResult("1", ())),
        ({"type": "tool_result", "tool_use_id": "1", "content": ""}, ToolResult("1", (Text(""),))),
        (
            {"type": "tool_result", "tool_use_id": "1", "content": [{"type": "tool_reference"}]},
            ToolResult("1", (Opaque("anthropic", {"type": "tool_reference"}),)),
        ),
    ],
)
def test_blocks_with_a_canonical_form(block: dict[str, Any], part: Part) -> None:
    unsaid: list[str] = []
    assert read_content({"content": [block]}, "m", unsaid) == (part,)
    assert unsaid == []


@pytest.mark.parametrize(
    "block",
    [
        {"type": "redacted_thinking", "data": "x"},
        {"type": "server_tool_use", "id": "1", "name": "web_search", "input": {}},
        {"type": "web_search_tool_result", "tool_use_id": "1", "content": []},
        {"type": "document", "source": {"type": "content", "content": "a"}},
        {"type": "image", "source": {"type": "a_source_of_next_year"}},
        {"type": "a_block_of_next_year"},
    ],
)
def test_all_others_stay_whole(block: dict[str, Any]) -> None:
    assert read_content({"content": [block]}, "m", []) == (Opaque("anthropic", block),)


@pytest.mark.parametrize(
    ("block", "lost"),
    [
        ({"type": "text", "text": "a", "citations": [{"type": "page_location"}]}, "citations"),
        ({"type": "document", "source": PDF, "citations": {"enabled": True}}, "citations"),
        ({"type": "document", "source": PDF, "context": "a"}, "context"),
        (
            {"type": "image", "source": {"type": "url", "url": "a"}, "transformations": {}},
            "transformations",
        ),
        (
            {
                "type": "tool_use",
                "id": "1",
                "name": "f",
                "input": {},
                "caller": {"type": "code_execution_20250825"},
            },
            "caller",
        ),
    ],
)
def test_fields_that_other_languages_lose_are_named(block: dict[str, Any], lost: str) -> None:
    unsaid: list[str] = []
    read_content({"content": [block]}, "messages[2]", unsaid)
    assert unsaid == [f"messages[2].content[0].{lost}"]


def test_that_the_model_called_a_tool_itself_says_nothing() -> None:
    unsaid: list[str] = []
    block = {"type": "tool_use", "id": "1", "name": "f", "input": {}, "caller": {"type": "direct"}}
    read_content({"content": [block]}, "m", unsaid)
    assert unsaid == []
