"""The four doors: which body each takes, and how each answers."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from rhetor.core.capability import Capability
from rhetor.core.events import Event, Finished, FinishReason, Started, TextDelta, Vector
from rhetor.wire.base import JSON_TYPE
from rhetor.wire.ollama import OLLAMA
from rhetor.wire.ollama.doors import CHAT_DOOR, EMBED_DOOR, EMBEDDING_DOOR, PROMPT_DOOR, EmbedDoor, TextDoor
from rhetor.wire.ollama.render import LINES_TYPE
from tests.wire.ollama.speech import INFO

HI = {"messages": [{"role": "user", "content": "hi"}]}
SAID: list[Event] = [Started("", "served"), TextDelta("Hello"), Finished(FinishReason.STOP)]
EMBEDDED: list[Event] = [Started("", "served"), Vector(0, [0.5]), Finished(FinishReason.STOP)]


def ask(door: Any, **said: Any) -> Any:
    return door.parse(orjson.dumps({"model": "m", **said}), {})


@pytest.mark.parametrize(
    ("door", "body", "text"),
    [
        (CHAT_DOOR, HI, lambda said: said["message"]["content"]),
        (PROMPT_DOOR, {"prompt": "hi"}, lambda said: said["response"]),
    ],
    ids=["chat", "prompt"],
)
def test_texts_come_in_lines_or_in_one_piece(door: TextDoor, body: dict[str, Any], text: Any) -> None:
    streamed = door.renderer(ask(door, **body), INFO)
    assert streamed.content_type == LINES_TYPE
    assert [text(orjson.loads(line)) for line in streamed.render(SAID).splitlines()] == ["Hello", ""]
    whole = door.renderer(ask(door, **body, stream=False), INFO)
    assert whole.content_type == JSON_TYPE
    assert text(orjson.loads(whole.render(SAID))) == "Hello"


@pytest.mark.parametrize(
    ("door", "body", "told"),
    [
        (EMBED_DOOR, {"input": "a"}, {"embeddings": [[0.5]], "model": "served"}),
        (EMBEDDING_DOOR, {"prompt": "a"}, {"embedding": [0.5]}),
    ],
    ids=["embed", "embeddings"],
)
def test_vectors_come_in_one_piece(door: EmbedDoor, body: dict[str, Any], told: dict[str, Any]) -> None:
    request = ask(door, **body)
    assert (request.capability, request.stream) == (Capability.EMBEDDINGS, False)
    said = orjson.loads(door.renderer(request, INFO).render(EMBEDDED))
    assert {key: said[key] for key in told} == told


@pytest.mark.parametrize(
    ("door", "body", "told"),
    [
        (
            CHAT_DOOR,
            {"messages": []},
            {"message": {"role": "assistant", "content": ""}, "done_reason": "load"},
        ),
        (PROMPT_DOOR, {}, {"response": "", "done_reason": "load"}),
        (PROMPT_DOOR, {"keep_alive": 0}, {"response": "", "done_reason": "unload"}),
        (EMBED_DOOR, {"input": []}, {"model": "m", "embeddings": []}),
        (EMBEDDING_DOOR, {"prompt": ""}, {"embedding": []}),
    ],
)
def test_who_asks_nothing_gets_nothing(door: Any, body: dict[str, Any], told: dict[str, Any]) -> None:
    said = orjson.loads(door.idle(ask(door, **body), INFO.created_s))
    assert {key: said[key] for key in told} == told


def test_the_language_has_the_newer_of_each() -> None:
    assert OLLAMA.doors == {Capability.CHAT: CHAT_DOOR, Capability.EMBEDDINGS: EMBED_DOOR}
