"""What a caller says, in canonical form; what has none; and what only a provider of this language can do."""

from __future__ import annotations

from typing import Any

import pytest

from rhetor.core.content import Text
from rhetor.core.errors import BadRequest, Code
from rhetor.core.request import Message, Reasoning, ResponseFormat, Role, Tool, ToolChoice
from rhetor.wire.openai.errors import error_fields
from tests.wire.openai.responses.speech import DOOR, chat, parse


def test_a_text_is_what_the_user_says() -> None:
    asked = chat(input="hello", instructions="Be brief.")
    assert asked.messages == (
        Message(Role.SYSTEM, (Text("Be brief."),)),
        Message(Role.USER, (Text("hello"),)),
    )


def test_settings() -> None:
    asked = chat(
        max_output_tokens=9,
        temperature=0.5,
        top_p=0.25,
        parallel_tool_calls=False,
        tools=[{"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}}],
        tool_choice={"type": "function", "name": "f"},
        text={"format": {"type": "json_schema", "name": "n", "schema": {"a": 1}, "strict": True}},
        reasoning={"effort": "low", "summary": "auto"},
        include=["message.output_text.logprobs", "reasoning.encrypted_content"],
        top_logprobs=2,
        user="anna",
    )
    assert (asked.max_tokens, asked.temperature, asked.top_p) == (9, 0.5, 0.25)
    assert asked.parallel_tool_calls is False
    assert asked.tools == (Tool("f", "d", {"type": "object"}),)
    assert asked.tool_choice == ToolChoice("named", "f")
    assert asked.response_format == ResponseFormat("json_schema", "n", schema={"a": 1}, strict=True)
    assert asked.reasoning == Reasoning("low")
    assert (asked.logprobs, asked.top_logprobs, asked.end_user) == (True, 2, "anna")


@pytest.mark.parametrize("word", ["auto", "none", "required"])
def test_words_of_a_choice(word: Any) -> None:
    assert chat(tool_choice=word).tool_choice == ToolChoice(word)


@pytest.mark.parametrize(
    ("said", "unsaid"),
    [
        ({"x_new": 1}, "x_new"),
        ({"x_new": None}, None),
        ({"metadata": {"a": "b"}, "store": True, "stream_options": {"include_obfuscation": False}}, None),
        ({"truncation": "disabled"}, None),
        ({"truncation": "auto"}, "truncation"),
        ({"tools": [{"type": "web_search"}]}, "tools[0]: web_search"),
        ({"include": ["file_search_call.results"]}, "include: file_search_call.results"),
        ({"text": {"verbosity": "low"}}, "text.verbosity"),
        ({"text": {"format": {"type": "grammar"}}}, "text.format"),
        ({"reasoning": {"context": "all"}}, "reasoning.context"),
        ({"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": []}}, "tool_choice.tools"),
        ({"user": "a", "safety_identifier": "b"}, "safety_identifier"),
    ],
)
def test_what_has_no_canonical_form_is_named(said: Any, unsaid: str | None) -> None:
    request = parse(**said)
    assert request.unsaid == (() if unsaid is None else (unsaid,))
    assert request.bound is None


@pytest.mark.parametrize(
    ("said", "param"),
    [
        ({"previous_response_id": "resp_x"}, "previous_response_id"),
        ({"conversation": "conv_x"}, "conversation"),
        ({"conversation": {"id": "conv_x"}}, "conversation"),
        ({"prompt": {"id": "pmpt_x"}}, "prompt"),
        ({"input": [{"type": "item_reference", "id": "msg_x"}]}, "input[0].id"),
        ({"input": [{"id": "msg_x"}]}, "input[0].id"),
        ({"input": [{"type": "compaction", "encrypted_content": "x"}]}, "input[0]"),
        ({"input": [{"type": "computer_call_output", "call_id": "c", "output": {}}]}, "input[0]"),
        ({"tool_choice": {"type": "web_search"}}, "tool_choice"),
        ({"tool_choice": "sometimes"}, "tool_choice"),
    ],
)
def test_what_only_this_language_can_make_sense_of_binds_the_request_to_it(said: Any, param: str) -> None:
    bound = parse(**said).bound
    assert bound is not None
    assert (bound.param, bound.code) == (param, Code.UNSUPPORTED)


def test_an_unknown_response_is_refused_in_the_words_of_openai() -> None:
    bound = parse(previous_response_id="resp_x").bound
    assert bound is not None
    assert bound.status == 400
    assert error_fields(bound) == {
        "message": "Previous response with id 'resp_x' not found.",
        "type": "invalid_request_error",
        "param": "previous_response_id",
        "code": "previous_response_not_found",
    }


@pytest.mark.parametrize(
    ("said", "param", "complaint"),
    [
        ({"input": 7}, "input", "expected a string or an array of items, got a number"),
        ({"input": ""}, "input", "expected a text or at least one item"),
        ({"input": []}, "input", "expected a text or at least one item"),
        ({"input": [7]}, "input[0]", "expected an object"),
        ({"input": [{"type": 7}]}, "input[0].type", "expected a string"),
        ({"input": [{"role": "nobody", "content": "x"}]}, "input[0].role", "expected one of"),
        (
            {"input": [{"role": "user"}]},
            "input[0].content",
            "expected a string or an array of parts, got null",
        ),
        ({"input": [{"type": "function_call", "call_id": "c"}]}, "input[0].name", "is missing"),
        ({"input": [{"type": "function_call_output", "output": "x"}]}, "input[0].call_id", "is missing"),
        ({"background": True}, "background", "x-rhetor-detach"),
        ({"max_output_tokens": 0}, "max_output_tokens", "must be at least 1"),
        ({"tools": [{"type": "function"}]}, "tools[0].name", "is missing"),
        ({"text": {"format": {"type": "json_schema"}}}, "text.format.schema", "is missing"),
        ({"previous_response_id": "a", "conversation": "b"}, "previous_response_id", "exclude each other"),
        ({"conversation": 7}, "conversation", "expected an object"),
        ({"model": None}, "model", "is missing"),
    ],
)
def test_what_is_wrong_is_named(said: Any, param: str, complaint: str) -> None:
    with pytest.raises(BadRequest, match=complaint) as caught:
        parse(**said)
    assert caught.value.param == param


def test_what_is_nested_too_deeply_to_be_repeated_is_refused() -> None:
    body = (b'{"a":' * 400) + b"1" + (b"}" * 400)
    with pytest.raises(BadRequest, match="cannot be written"):
        DOOR.parse(b'{"model":"m","input":"hi","tools":[{"type":"web_search","a":%b}]}' % body, {})


def test_our_own_fields() -> None:
    request = parse(fallbacks=["a/b"], component="ergon", task="code", requirements={"prefer": "cost"})
    assert (request.fallbacks, request.component, request.task) == (("a/b",), "ergon", "code")
    assert request.wanted is not None
    assert request.wanted.prefer == "cost"
    assert request.unsaid == ()
