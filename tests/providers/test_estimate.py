"""Estimates: nothing is forgotten, and more of anything is never less."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from rhetor.core.request import Chat, Embed, Message, ResponseFormat, Role, Tool
from rhetor.providers.estimate import (
    ELSEWHERE_TOKENS,
    IMAGE_TOKENS,
    PAGE_TOKENS,
    estimate_chat,
    estimate_embed,
    estimate_parts,
    estimate_text,
)


def inline(media_type: str, size_bytes: int) -> Inline:
    return Inline(media_type, "A" * (size_bytes * 4 // 3))


@pytest.mark.parametrize(
    ("part", "tokens"),
    [
        (Text("twelve bytes"), 4),
        (Text(""), 0),
        (Refusal("no"), 1),
        (Thinking("hmm", "signature that nobody pays for"), 1),
        (Image(Url("https://example.org/a.png")), IMAGE_TOKENS),
        (Image(inline("image/png", 3_000_000)), IMAGE_TOKENS),
        (File(inline("text/plain", 3000)), 1500),
        (File(inline("application/pdf", 3000)), PAGE_TOKENS),
        (File(inline("application/pdf", 90_000)), 3 * PAGE_TOKENS),
        (File(Uploaded("file_1")), ELSEWHERE_TOKENS),
        (Audio(inline("audio/mp3", 4000)), 32),
        (Audio(Url("https://example.org/a.mp3")), ELSEWHERE_TOKENS),
        (ToolUse("id1", "abc", '{"a"}'), 26),
        (ToolResult("id1", (Text("abc"), Image(Url("u")))), 23 + IMAGE_TOKENS),
        (Opaque("anthropic", {"type": "x"}), 7),
    ],
)
def test_every_part_counts(part: Part, tokens: int) -> None:
    assert estimate_parts([part]) == tokens


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("The quick brown fox jumps over the lazy dog.", 10),
        ("def f(x):\n    return x ** 2\n", 11),
        ("今日は天気がいいですね", 11),
        ("नमस्ते दुनिया यह एक परीक्षण है", 30),
        ("Съешь же ещё этих мягких французских булок", 28),
        ("3.14159 2718281828 1414 99 100 2026-11-20T10:52:32Z", 30),
        ("550e8400-e29b-41d4-a716-446655440000", 18),
    ],
)
def test_text_is_not_underestimated_nor_doubled(text: str, tokens: int) -> None:
    """Against what the vocabulary cl100k_base counts."""
    assert tokens <= estimate_text(text) <= 2 * tokens


def said(*parts: Part, tools: tuple[Tool, ...] = (), form: ResponseFormat | None = None) -> Chat:
    return Chat(messages=(Message(Role.USER, parts),), tools=tools, response_format=form)


def test_tools_and_answer_schemas_count() -> None:
    tool = Tool("look", "Looks something up.", {"type": "object", "properties": {"what": {"type": "string"}}})
    form = ResponseFormat("json_schema", schema={"type": "object"})
    bare = estimate_chat(said(Text("hi")))
    with_tool = estimate_chat(said(Text("hi"), tools=(tool,)))
    assert with_tool > bare
    assert estimate_chat(said(Text("hi"), tools=(tool, tool))) > with_tool
    assert estimate_chat(said(Text("hi"), form=form)) > bare


@given(st.lists(st.text(max_size=50), max_size=8), st.text(max_size=50))
def test_one_more_message_is_never_less(texts: list[str], more: str) -> None:
    messages = tuple(Message(Role.USER, (Text(text),)) for text in texts)
    longer = (*messages, Message(Role.USER, (Text(more),)))
    assert estimate_chat(Chat(messages=longer)) > estimate_chat(Chat(messages=messages))


def test_token_ids_are_counted_rather_than_guessed() -> None:
    assert estimate_embed(Embed(inputs=((15339, 1917), "abc"))) == 3
