"""Replies that are objects."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import BaseModel, Field

from tekton_llm_client.exceptions import FormatError
from tekton_llm_client.models import CompletionResponse
from tekton_llm_client.objects import once_more, read_object, response_format
from tests.client.scripted import REPLY


class Inner(BaseModel):
    name: str


class Closed(BaseModel):
    inner: Inner
    several: list[Inner]
    maybe: Inner | None


class WithDefault(BaseModel):
    name: str = "x"


class WithLimit(BaseModel):
    count: int = Field(ge=1)


class Open(BaseModel):
    any: dict[str, str]


class Around(BaseModel):
    inside: WithDefault


def reply(content: str, **more: Any) -> CompletionResponse:
    return CompletionResponse.model_validate(REPLY | {"content": content} | more)


@pytest.mark.parametrize(
    ("model", "strict"),
    [(Inner, True), (Closed, True), (WithDefault, False), (WithLimit, False), (Open, False), (Around, False)],
)
def test_a_promise_is_only_asked_for_where_every_provider_can_give_it(
    model: type[BaseModel], strict: bool
) -> None:
    asked = response_format(model)["json_schema"]
    assert (asked["name"], asked["strict"]) == (model.__name__, strict)


def test_no_object_takes_more_than_it_names() -> None:
    schema = response_format(Closed)["json_schema"]["schema"]
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["Inner"]["additionalProperties"] is False


@pytest.mark.parametrize(
    "content",
    [
        '{"name":"x"}',
        ' {"name": "x"}\n',
        '```json\n{"name":"x"}\n```',
        '```\n{"name":"x"}\n```\n',
        '```JSON\n{"name":"x"}\n```',
        '```{"name":"x"}```',
        'Here you are:\n```json\n{"name":"x"}\n```\nAnything else?',
        'It is {"name":"x"}.',
        "{'name': 'x',}",
    ],
)
def test_an_object_is_found_where_parse_json_finds_it(content: str) -> None:
    assert read_object(reply(content), Inner) == Inner(name="x")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("no", "Invalid JSON"),
        ("", "Invalid JSON"),
        ('{"name": 1}', "name: Input should be a valid string"),
        ('{"inner": {}}', "name: Field required"),
    ],
)
def test_what_is_wrong_is_told(content: str, problem: str) -> None:
    with pytest.raises(FormatError, match=f"no Inner: .*{problem}"):
        read_object(reply(content), Inner)


def test_a_reply_that_was_cut_off_is_told_so() -> None:
    with pytest.raises(FormatError, match="cut off at its greatest length"):
        read_object(reply('{"name": "x', finish_reason="length"), Inner)


def test_who_is_asked_again_sees_what_was_wrong() -> None:
    wrong = reply('{"name": 1}')
    with pytest.raises(FormatError) as caught:
        read_object(wrong, Inner)
    before = [{"role": "user", "content": "q"}]
    *first, said, told = once_more([*before], wrong, caught.value)
    assert first == before
    assert json.loads(said.content) == {"name": 1}  # type: ignore[union-attr, arg-type]  # ours, with text
    assert "name: Input should be a valid string" in told.content  # type: ignore[union-attr, operator]


def test_what_was_cut_off_is_not_taken_for_a_whole() -> None:
    """A part of it may look like an object of this model."""
    content = '{"several": [{"name": "x"}, {"na'
    with pytest.raises(FormatError, match="cut off at its greatest length"):
        read_object(reply(content, finish_reason="length"), WithDefault)
