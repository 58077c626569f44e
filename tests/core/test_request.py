"""What a request needs of the model that takes it."""

from __future__ import annotations

import pytest

from rhetor.core.capability import Capability, Feature
from rhetor.core.content import Audio, File, Image, Inline, Part, Text, Thinking, ToolResult, ToolUse, Url
from rhetor.core.request import (
    Chat,
    Embed,
    Message,
    Reasoning,
    Request,
    ResponseFormat,
    Role,
    Tool,
    features_needed,
)

PNG = Image(Inline("image/png", "AAAA"))


def needed(*parts: Part, role: Role = Role.USER, **said: object) -> frozenset[Feature]:
    chat = Chat(messages=(Message(role, parts),), **said)  # type: ignore[arg-type]
    return features_needed(Request(id="", capability=Capability.CHAT, model="m", input=chat))


@pytest.mark.parametrize(
    ("part", "feature"),
    [
        (PNG, Feature.IMAGES),
        (Image(Url("https://x.example/a.png")), Feature.IMAGES),
        (Audio(Inline("audio/wav", "AAAA")), Feature.AUDIO),
        (File(Inline("application/pdf", "AAAA")), Feature.DOCUMENTS),
        (ToolResult("id", (Text("a screenshot"), PNG)), Feature.IMAGES),
        (ToolResult("id", (File(Inline("application/pdf", "AAAA")),)), Feature.DOCUMENTS),
    ],
    ids=lambda value: type(value).__name__,
)
def test_content_needs_a_model_that_can_take_it(part: Part, feature: Feature) -> None:
    assert needed(Text("look"), part) == {feature}


@pytest.mark.parametrize(
    "part", [Text("a"), Thinking("a"), ToolUse("id", "f", "{}"), ToolResult("id", (Text("a"),))]
)
def test_words_need_nothing(part: Part) -> None:
    assert needed(part) == set()


def test_needs_of_all_messages_count() -> None:
    chat = Chat(messages=(Message(Role.USER, (PNG,)), Message(Role.USER, (Text("and now?"),))))
    request = Request(id="", capability=Capability.CHAT, model="m", input=chat)
    assert features_needed(request) == {Feature.IMAGES}


@pytest.mark.parametrize(
    ("said", "features"),
    [
        ({"tools": (Tool("f"),)}, {Feature.TOOLS}),
        ({"response_format": ResponseFormat("json_schema", schema={})}, {Feature.JSON_SCHEMA}),
        ({"response_format": ResponseFormat("json")}, set()),
        ({"response_format": ResponseFormat("text")}, set()),
        ({"logprobs": True}, {Feature.LOGPROBS}),
        ({"reasoning": Reasoning(effort="high")}, set()),
        ({"temperature": 0.5, "seed": 1, "stop": ("x",)}, set()),
    ],
    ids=str,
)
def test_demands(said: dict[str, object], features: set[Feature]) -> None:
    """Knobs that a model may lack are dropped and named; they exclude nobody."""
    assert needed(Text("hi"), **said) == features


def test_embeddings_need_nothing() -> None:
    request = Request(id="", capability=Capability.EMBEDDINGS, model="m", input=Embed(inputs=("a",)))
    assert features_needed(request) == set()
