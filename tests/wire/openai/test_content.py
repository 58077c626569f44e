"""Content parts, both directions."""

from __future__ import annotations

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
    Uploaded,
    Url,
)
from rhetor.core.errors import BadRequest, Code
from rhetor.core.request import Chat, Message, Role
from rhetor.wire.base import PLAIN, Quirks
from tests.wire.openai.speech import TALKATIVE, build, chat
from tests.wire.strategies import request_of


def read(part: dict[str, Any]) -> Part:
    return chat(messages=[{"role": "user", "content": [part]}]).messages[0].parts[0]


def written(*parts: Part, quirks: Quirks = PLAIN) -> tuple[Any, tuple[str, ...]]:
    body, dropped = build(request_of(Chat(messages=(Message(Role.USER, parts),))), quirks)
    return body["messages"][0]["content"], dropped


PARTS: list[tuple[dict[str, Any], Part]] = [
    (
        {"type": "image_url", "image_url": {"url": "https://example.org/a"}},
        Image(Url("https://example.org/a")),
    ),
    (
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}},
        Image(Inline("image/png", "AA=="), "low"),
    ),
    (
        {"type": "image_url", "image_url": {"url": "data:image/svg+xml,%3Csvg%3E"}},
        Image(Url("data:image/svg+xml,%3Csvg%3E")),
    ),
    (
        {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
        Audio(Inline("audio/wav", "AA==")),
    ),
    (
        {"type": "input_audio", "input_audio": {"data": "AA==", "format": "mp3"}},
        Audio(Inline("audio/mpeg", "AA==")),
    ),
    (
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"}},
        File(Inline("application/pdf", "AA=="), "a.pdf"),
    ),
    ({"type": "file", "file": {"file_id": "file-1"}}, File(Uploaded("file-1"))),
    ({"type": "refusal", "refusal": "no"}, Refusal("no")),
    (
        {"type": "video_url", "video_url": {"url": "x"}},
        Opaque("openai", {"type": "video_url", "video_url": {"url": "x"}}),
    ),
]


@pytest.mark.parametrize(("said", "part"), PARTS)
def test_a_part_is_read_and_written_the_same(said: dict[str, Any], part: Part) -> None:
    assert read(said) == part
    assert written(part) == ([said], ())


@pytest.mark.parametrize(
    ("said", "part"),
    [
        ({"type": "image_url", "image_url": "https://example.org/a"}, Image(Url("https://example.org/a"))),
        (
            {"type": "image_url", "image_url": {"url": "DATA:image/png;BASE64,AA"}},
            Image(Inline("image/png", "AA")),
        ),
        ({"type": "file", "file": {"file_data": "AA=="}}, File(Inline("application/pdf", "AA=="))),
        (
            {"type": "file", "file": {"file_data": "https://example.org/a.pdf"}},
            File(Url("https://example.org/a.pdf")),
        ),
    ],
)
def test_habits_that_are_understood(said: dict[str, Any], part: Part) -> None:
    assert read(said) == part


@pytest.mark.parametrize(
    ("mark", "cache"),
    [
        ({"type": "ephemeral"}, "5m"),
        ({"type": "ephemeral", "ttl": "1h"}, "1h"),
        ({"type": "persistent"}, None),
        ("yes", None),
        (None, None),
    ],
)
def test_cache_marks_are_read(mark: Any, cache: Any) -> None:
    assert read({"type": "text", "text": "a", "cache_control": mark}) == Text("a", cache)


def test_cache_marks_go_to_those_who_take_them() -> None:
    """Elsewhere they would be answered with 400."""
    parts = (Text("a", "1h"), Text("b"))
    marked = {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    assert written(*parts, quirks=TALKATIVE) == ([marked, {"type": "text", "text": "b"}], ())
    assert written(*parts) == ("a\n\nb", ("cache_control",))


def test_texts_alone_become_one_string() -> None:
    """Many compatible servers refuse arrays where a string would do."""
    assert written(Text("a"), Text("b")) == ("a\n\nb", ())


def test_texts_beside_something_else_stay_parts() -> None:
    content, _ = written(Text("a"), Image(Url("https://example.org/a")))
    assert [part["type"] for part in content] == ["text", "image_url"]


def test_what_only_another_wire_understands_is_named() -> None:
    assert written(Text("a"), Opaque("anthropic", {"type": "search_result"})) == (
        [{"type": "text", "text": "a"}],
        ("messages[0].content[1]: opaque search_result",),
    )


@pytest.mark.parametrize(
    "part", [Image(Uploaded("f")), File(Url("https://example.org/a")), Audio(Url("https://example.org/a"))]
)
def test_what_cannot_be_said_at_all_is_refused(part: Part) -> None:
    with pytest.raises(BadRequest) as refused:
        written(Text("look"), part)
    assert refused.value.code is Code.UNSUPPORTED
    assert refused.value.param == "messages[0].content[1]"
