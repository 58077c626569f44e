"""An answer's beginning, put into the model's mouth."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from rhetor.core.capability import Capability
from rhetor.core.content import Text
from rhetor.core.request import Chat, Message, Reasoning, Request, Role
from rhetor.wire.anthropic import ANTHROPIC
from rhetor.wire.base import PLAIN, Quirks, Wire
from rhetor.wire.openai import OPENAI
from rhetor.wire.prefill import prefilled

TAKES = replace(PLAIN, prefill="plain")
ASKED = Message(Role.USER, (Text("hi"),))
BEGUN = Message(Role.ASSISTANT, (Text("once upon"),))
BODY = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], "unheard_of": 1}


def request_of(wire: Wire | None) -> Request:
    if wire is None:
        return Request(id="", capability=Capability.CHAT, model="m", input=Chat(messages=(ASKED,)))
    return wire.doors[Capability.CHAT].parse(orjson.dumps(BODY), {})


def sent(wire: Wire, request: Request, quirks: Quirks) -> dict[str, Any]:
    """What goes out, in the caller's own words where both speak the same."""
    upstream = wire.upstream[Capability.CHAT]
    if request.original is not None:
        outgoing = upstream.retarget(request.original, "m", quirks)
    else:
        outgoing = upstream.build(request, "m", quirks)
    said = orjson.loads(outgoing.body)
    assert isinstance(said, dict)
    return said


@pytest.mark.parametrize("wire", [OPENAI, ANTHROPIC], ids=["openai", "anthropic"])
@pytest.mark.parametrize("verbatim", [True, False], ids=["verbatim", "built"])
def test_it_is_the_last_message(wire: Wire, verbatim: bool) -> None:
    """In both lanes, and nothing else of what the caller said is lost."""
    begun = prefilled(request_of(wire if verbatim else None), "once upon", "m", TAKES)

    assert begun is not None
    body = sent(wire, begun, TAKES)
    assert body["messages"][0]["role"] == "user"
    assert body["messages"][-1]["role"] == "assistant"
    assert "once upon" in orjson.dumps(body["messages"][-1]).decode()
    assert ("unheard_of" in body) is verbatim
    assert isinstance(begun.input, Chat)
    assert begun.input.messages == (ASKED, BEGUN)


@pytest.mark.parametrize("verbatim", [True, False], ids=["verbatim", "built"])
def test_some_want_a_flag_in_it(verbatim: bool) -> None:
    """Also of callers who end with an assistant's message themselves."""
    quirks = replace(PLAIN, prefill="prefix")
    begun = prefilled(request_of(OPENAI if verbatim else None), "once upon", "m", quirks)

    assert begun is not None
    assert sent(OPENAI, begun, quirks)["messages"][-1]["prefix"] is True


def test_a_flag_that_is_there_stays() -> None:
    quirks = replace(PLAIN, prefill="prefix")
    last = {"role": "assistant", "content": "a", "prefix": False}
    body = {**BODY, "messages": [{"role": "user", "content": "hi"}, last]}

    said = sent(OPENAI, OPENAI.doors[Capability.CHAT].parse(orjson.dumps(body), {}), quirks)

    assert said["messages"][-1] == last


@pytest.mark.parametrize(
    ("quirks", "model", "takes"),
    [
        (PLAIN, "m", False),
        (TAKES, "m", True),
        (replace(TAKES, prefill_models=frozenset({"old"})), "very-old-1", True),
        (replace(TAKES, prefill_models=frozenset({"old"})), "new", False),
    ],
)
def test_only_where_the_row_says_so(quirks: Quirks, model: str, takes: bool) -> None:
    assert (prefilled(request_of(None), "a", model, quirks) is not None) is takes


@pytest.mark.parametrize("wire", [OPENAI, ANTHROPIC, None], ids=["openai", "anthropic", "built"])
def test_what_was_said_counts_against_the_limit(wire: Wire | None) -> None:
    """The answer gets no longer than the caller wanted; one that is full has no rest."""
    request = request_of(wire)
    assert isinstance(request.input, Chat)
    request.input = replace(request.input, max_tokens=9)

    begun = prefilled(request, "x" * 20, "m", TAKES)

    assert begun is not None
    assert isinstance(begun.input, Chat)
    assert begun.input.max_tokens == 4
    if wire is not None:
        assert sent(wire, begun, TAKES)["max_tokens"] == 4
    assert prefilled(request, "x" * 36, "m", TAKES) is None


def test_not_while_the_model_thinks() -> None:
    """Its thoughts would be missing before the answer."""
    request = request_of(None)
    assert isinstance(request.input, Chat)
    request.input = replace(request.input, reasoning=Reasoning(effort="high"))

    assert prefilled(request, "a", "m", TAKES) is None
