"""The table of languages, as configurations name them."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import orjson
import pytest

from rhetor.core.capability import Capability
from rhetor.core.errors import BadRequest
from rhetor.wire.base import PLAIN
from rhetor.wire.languages import WIRES


@pytest.mark.parametrize("name", WIRES)
def test_a_language_is_called_what_it_calls_itself(name: str) -> None:
    assert WIRES[name].name == name


@pytest.mark.parametrize("name", WIRES)
def test_a_language_is_spoken_or_heard(name: str) -> None:
    assert WIRES[name].upstream or WIRES[name].doors


MANY = 30_000
LONG_S = (
    1.5  # several times what reading and writing takes in step with the length; otherwise it takes minutes
)
USER = {"role": "user", "content": "x"}
SYSTEM = {"role": "system", "content": "x"}
RESULT = {"role": "tool", "tool_call_id": "a", "content": ""}


def chat(*messages: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 5, "messages": list(messages)}


def asks(name: str) -> dict[str, Any]:
    return {"function": {"name": name, "arguments": {}}}


@pytest.mark.parametrize(
    ("door", "body"),
    [
        ("openai", chat(*[RESULT] * MANY)),
        ("openai", chat(*[USER] * MANY)),
        ("anthropic", chat(*[USER, SYSTEM] * (MANY // 2))),
        ("responses", {"model": "m", "input": [{"type": "reasoning", "encrypted_content": "a"}] * MANY}),
        (
            "ollama",
            chat(
                {"role": "assistant", "tool_calls": [asks("a"), asks("b")] * (MANY // 3)},
                *[{"role": "tool", "name": "b", "content": ""}] * (MANY // 3),
            ),
        ),
        ("tekton", chat(*[RESULT] * MANY)),
    ],
    ids=["results", "one side", "system between", "thoughts", "results by name", "results at Tekton's door"],
)
def test_a_long_conversation_takes_no_longer_than_its_length(door: str, body: dict[str, Any]) -> None:
    """Nobody else is served meanwhile."""
    asked = orjson.dumps(body)
    began_s = time.process_time()
    request = WIRES[door].doors[Capability.CHAT].parse(asked, {})
    assert time.process_time() - began_s < LONG_S
    for wire in WIRES.values():
        if (upstream := wire.upstream.get(Capability.CHAT)) is not None:
            began_s = time.process_time()
            with suppress(BadRequest):  # where thoughts of others cannot be told, nothing is left to say
                upstream.build(request, "m", PLAIN)
            assert time.process_time() - began_s < LONG_S, wire.name
