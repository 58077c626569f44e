"""Requests as a prediction service gets them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from rhetor.core.capability import Capability
from rhetor.core.content import Text
from rhetor.core.request import Chat, Message, Role
from rhetor.wire.anthropic import ANTHROPIC
from rhetor.wire.anthropic.incoming import read_request
from rhetor.wire.base import Outgoing, Quirks
from tests.wire.strategies import request_of

QUIRKS = Quirks(raw_predict=True)
HI = Chat(messages=(Message(Role.USER, (Text("hi"),)),), max_tokens=5)
SAID: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 5}
VERSION = "vertex-2023-10-16"
HAIKU = "claude-haiku-4-5@20251001"


@pytest.mark.parametrize(("stream", "method"), [(False, "rawPredict"), (True, "streamRawPredict")])
def test_the_path_says_the_model_and_whether_it_streams(stream: bool, method: str) -> None:
    request = replace(request_of(HI), stream=stream)
    built = ANTHROPIC.upstream[Capability.CHAT].build(request, HAIKU, QUIRKS)
    assert (built.path, dict(built.headers)) == (f"/models/{HAIKU}:{method}", {})
    wanted = {"stream": True} if stream else {}
    assert orjson.loads(built.body) == {"anthropic_version": VERSION, **SAID, **wanted}


@pytest.mark.parametrize("verbatim", [True, False])
def test_tokens_are_counted_elsewhere(verbatim: bool) -> None:
    said = {"model": "fast", "messages": SAID["messages"]}
    counted = (
        _retargeted(said, capability=Capability.COUNT_TOKENS)
        if verbatim
        else ANTHROPIC.upstream[Capability.COUNT_TOKENS].build(request_of(HI), HAIKU, QUIRKS)
    )
    assert counted.path == "/models/count-tokens:rawPredict"
    assert orjson.loads(counted.body) == {"anthropic_version": VERSION, **said, "model": HAIKU}


def test_whatever_a_caller_of_the_language_said_is_passed_on() -> None:
    headers = {"anthropic-version": "2023-06-01", "anthropic-beta": "a,b"}
    sent = _retargeted({"model": "fast", "stream": True, "new": {"model": [1]}, **SAID}, headers)
    assert (sent.path, sent.dropped) == (f"/models/{HAIKU}:streamRawPredict", ())
    assert sent.headers == {"anthropic-beta": "a,b"}
    wanted = {"anthropic_version": VERSION, "stream": True, "new": {"model": [1]}, **SAID}
    assert orjson.loads(sent.body) == wanted


@pytest.mark.parametrize(
    ("headers", "said", "version"),
    [
        ({}, {}, VERSION),
        ({"anthropic-version": "2026-10-21"}, {}, "2026-10-21"),
        ({"anthropic-version": "2026-10-21"}, {"anthropic_version": VERSION}, VERSION),
    ],
)
def test_the_callers_version_counts(headers: dict[str, str], said: dict[str, str], version: str) -> None:
    sent = _retargeted({"model": "fast", **SAID, **said}, headers)
    assert orjson.loads(sent.body)["anthropic_version"] == version
    assert "anthropic-version" not in sent.headers


def test_a_model_is_one_segment_of_the_path() -> None:
    sent = _retargeted({"model": "fast", **SAID}, model="../a?b:c")
    assert sent.path == "/models/..%2Fa%3Fb%3Ac:rawPredict"


def _retargeted(
    said: dict[str, Any],
    headers: dict[str, str] | None = None,
    model: str = HAIKU,
    capability: Capability = Capability.CHAT,
) -> Outgoing:
    original = read_request(capability, orjson.dumps(said), headers or {}).original
    assert original is not None
    return ANTHROPIC.upstream[capability].retarget(original, model, QUIRKS)
