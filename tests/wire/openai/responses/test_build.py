"""What goes to a provider: a request of another language, or the caller's own body."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from rhetor.core.content import Text, Thinking
from rhetor.core.request import Chat, Message, Original, Reasoning, Role, Tool
from rhetor.wire.base import PLAIN, Quirks
from rhetor.wire.openai.responses.vocabulary import NAME, encrypted_of
from tests.wire.openai.responses.speech import UPSTREAM, build
from tests.wire.strategies import request_of

HI = (Message(Role.USER, (Text("hi"),)),)


def retargeted(body: dict[str, Any], quirks: Quirks = PLAIN) -> tuple[Any, tuple[str, ...]]:
    original = Original(NAME, orjson.dumps(body), body)
    outgoing = UPSTREAM.retarget(original, "another", quirks)
    return orjson.loads(outgoing.body), outgoing.dropped


def test_callers_of_other_languages_do_not_ask_to_be_stored() -> None:
    body, _ = build(request_of(Chat(messages=HI)))
    assert body == {
        "model": "target",
        "input": [{"type": "message", "role": "user", "content": "hi"}],
        "store": False,
    }


def test_tools_are_not_strict_unless_they_say_so() -> None:
    """It is the default here and nowhere else, and refuses most schemas."""
    body, _ = build(request_of(Chat(messages=HI, tools=(Tool("f", schema={"a": 1}), Tool("g", strict=True)))))
    assert body["tools"] == [
        {"type": "function", "name": "f", "parameters": {"a": 1}, "strict": False},
        {"type": "function", "name": "g", "parameters": None, "strict": True},
    ]


def test_what_has_no_word_is_named() -> None:
    chat = Chat(messages=HI, seed=1, stop=("x",), top_k=3, reasoning=Reasoning(budget_tokens=9))
    assert build(request_of(chat))[1] == ("reasoning.budget_tokens", "top_k", "seed", "stop")


def test_thoughts_of_others_go_only_to_who_wants_them() -> None:
    chat = Chat(messages=(*HI, Message(Role.ASSISTANT, (Thinking("well", "proof"), Text("a")))))
    body, dropped = build(request_of(chat), PLAIN)
    assert [item["type"] for item in body["input"]] == ["message", "message"]
    assert dropped == ("messages[1].content[0]: thinking",)


@pytest.mark.parametrize("key", ["fallbacks", "requirements", "component", "task"])
def test_no_provider_sees_our_own_fields(key: str) -> None:
    body, dropped = retargeted({"model": "m", "input": "hi", key: "x"})
    assert (body, dropped) == ({"model": "another", "input": "hi"}, ())


def test_quirks_are_obeyed_in_the_callers_own_body() -> None:
    quirks = Quirks(drop_fields=frozenset({"truncation"}), max_temperature=1.0, tool_choice_required="any")
    said = {"input": "hi", "temperature": 1.5, "truncation": "auto", "tool_choice": "required"}
    body, dropped = retargeted({"model": "m", **said}, quirks)
    assert body == {"model": "another", "input": "hi", "temperature": 1.0, "tool_choice": "any"}
    assert dropped == ("truncation", "temperature: lowered to 1.0")


def test_thoughts_of_another_languages_model_are_left_out() -> None:
    """A provider of this language refuses the whole request for a proof that it did not give."""
    own = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "theirs"}
    foreign = {**own, "encrypted_content": encrypted_of("claude's")}
    body, dropped = retargeted(
        {"model": "m", "input": [own, foreign, {"role": "user", "content": "rhetor."}]}
    )
    assert body["input"] == [own, {"role": "user", "content": "rhetor."}]
    assert dropped == ("input: thoughts of another language's model",)
