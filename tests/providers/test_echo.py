"""The echo: it says what it is, and behaves as a model would in all that is not sense."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.content import Audio, Image, Part, Text, ToolResult, ToolUse, Url
from rhetor.core.errors import BadRequest, Code
from rhetor.core.events import FinishReason, Folded, Grammar, fold
from rhetor.core.request import Chat, Message, ResponseFormat, Role, Tool, ToolChoice
from rhetor.providers.echo import ECHO_CHARS, HONESTY, echo, words

WEATHER = Tool(
    "get_weather",
    schema={
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"enum": ["C", "F"]}},
        "required": ["city", "unit"],
    },
)
CLOCK = Tool("get_time")


def user(*parts: Part | str) -> Message:
    return Message(Role.USER, tuple(Text(part) if isinstance(part, str) else part for part in parts))


def ask(*messages: Message, **fields: object) -> Folded:
    events = list(echo(Chat(messages=messages, **fields), "offline-1", "echo"))  # type: ignore[arg-type]
    grammar = Grammar()
    for event in events:
        grammar.see(event)
    assert grammar.ended
    return fold(events)


def test_it_repeats_what_the_user_said_last_and_says_what_it_is() -> None:
    reply = ask(Message(Role.SYSTEM, (Text("Be kind."),)), user("one"), user("two words"))
    assert reply.text == f"{HONESTY} You said: two words"
    assert (reply.id, reply.model, reply.finish) == ("offline-1", "echo", FinishReason.STOP)


def test_the_same_request_gets_the_same_reply() -> None:
    assert ask(user("hi"), tools=(WEATHER,)) == ask(user("hi"), tools=(WEATHER,))


def test_usage_is_estimated_and_counts_words() -> None:
    usage = ask(user("hi")).usage
    assert usage is not None
    assert usage.source == "estimated"
    assert usage.output_tokens == len(f"{HONESTY} You said: hi".split())
    assert usage.input_tokens > 0


def test_images_are_acknowledged_by_their_number() -> None:
    image = Image(Url("https://example.org/a.png"))
    reply = ask(user("look", image, image, Audio(Url("https://example.org/a.mp3"))))
    assert reply.text == f"{HONESTY} You sent 2 images and 1 recording. You said: look"


def test_a_long_text_is_repeated_in_part_and_the_rest_counted() -> None:
    assert ask(user("x" * (ECHO_CHARS + 5))).text.endswith("x… and 5 characters more")


@given(st.text(max_size=200))
def test_words_put_together_are_the_text(text: str) -> None:
    assert "".join(words(text)) == text
    assert all(len(word.lstrip()) <= 24 for word in words(text))


@pytest.mark.parametrize("limit", [0, 1, 5])
def test_the_limit_cuts_the_reply_off(limit: int) -> None:
    reply = ask(user("hi"), max_tokens=limit)
    assert reply.text == " ".join(f"{HONESTY} You said: hi".split()[:limit])
    assert reply.finish is FinishReason.LENGTH
    assert reply.usage is not None
    assert reply.usage.output_tokens == limit


def test_a_limit_that_is_just_enough_cuts_nothing() -> None:
    count = len(f"{HONESTY} You said: hi".split())
    assert ask(user("hi"), max_tokens=count).finish is FinishReason.STOP


def test_the_first_stop_sequence_in_the_text_ends_it_and_is_named() -> None:
    reply = ask(user("1 2 3 4"), stop=("4", "3"))
    assert reply.text == f"{HONESTY} You said: 1 2 "
    assert (reply.finish, reply.stop_sequence) == (FinishReason.STOP_SEQUENCE, "3")


def test_a_tool_that_is_named_in_the_message_is_called_with_the_least_it_demands() -> None:
    reply = ask(user("please get_weather now"), tools=(CLOCK, WEATHER))
    [call] = reply.tool_uses
    assert call.name == "get_weather"
    assert json.loads(call.arguments) == {"city": "", "unit": "C"}
    assert reply.finish is FinishReason.TOOL_USE
    assert reply.text == ""


def test_several_named_tools_are_called_in_the_order_of_their_names_in_the_message() -> None:
    reply = ask(user("get_weather, then get_time"), tools=(CLOCK, WEATHER))
    assert [call.name for call in reply.tool_uses] == ["get_weather", "get_time"]
    assert len({call.id for call in reply.tool_uses}) == 2


def test_parallel_calls_can_be_forbidden() -> None:
    reply = ask(user("get_weather, get_time"), tools=(CLOCK, WEATHER), parallel_tool_calls=False)
    assert [call.name for call in reply.tool_uses] == ["get_weather"]


@pytest.mark.parametrize(
    ("text", "choice", "called"),
    [
        ("hello", None, []),
        ("forget_weather", None, []),
        ("hello", ToolChoice("required"), ["get_time"]),
        ("get_weather", ToolChoice("required"), ["get_weather"]),
        ("get_weather", ToolChoice("none"), []),
        ("get_weather", ToolChoice("named", "get_time"), ["get_time"]),
        ("hello", ToolChoice("auto"), []),
    ],
)
def test_the_choice_decides(text: str, choice: ToolChoice | None, called: list[str]) -> None:
    reply = ask(user(text), tools=(CLOCK, WEATHER), tool_choice=choice)
    assert [call.name for call in reply.tool_uses] == called


def test_a_choice_of_a_tool_that_is_not_there_is_refused() -> None:
    with pytest.raises(BadRequest, match="no tool 'x'") as caught:
        ask(user("hi"), tools=(CLOCK,), tool_choice=ToolChoice("named", "x"))
    assert caught.value.param == "tool_choice"


def test_arguments_can_be_cut_off_by_the_limit() -> None:
    tool = Tool("t", schema={"required": ["a"], "properties": {"a": {"type": "string", "minLength": 99}}})
    reply = ask(user("t"), tools=(tool,), max_tokens=2)
    assert reply.finish is FinishReason.LENGTH
    assert len(reply.tool_uses[0].arguments) == 48


def test_tool_results_are_reported() -> None:
    """Also when a call is demanded: an agent that always demands one would never hear the end."""
    reply = ask(
        user("get_weather and get_time"),
        Message(Role.ASSISTANT, (ToolUse("1", "get_weather", "{}"), ToolUse("2", "get_time", "{}"))),
        Message(Role.TOOL, (ToolResult("1", (Text("sunny"),)),)),
        Message(Role.TOOL, (ToolResult("2", (Text("broken clock"),), is_error=True),)),
        tools=(WEATHER, CLOCK),
        tool_choice=ToolChoice("required"),
    )
    assert reply.text == f"{HONESTY} get_weather answered: sunny\nget_time failed: broken clock"
    assert reply.finish is FinishReason.STOP


def test_results_of_earlier_turns_are_over() -> None:
    reply = ask(
        user("get_time"),
        Message(Role.ASSISTANT, (ToolUse("1", "get_time", "{}"),)),
        Message(Role.TOOL, (ToolResult("1", (Text("noon"),)),)),
        Message(Role.ASSISTANT, (Text("It is noon."),)),
        user("thanks"),
        tools=(CLOCK,),
    )
    assert reply.text == f"{HONESTY} You said: thanks"


def test_a_json_schema_gets_the_least_it_accepts() -> None:
    form = ResponseFormat("json_schema", name="weather", schema=WEATHER.schema)
    assert json.loads(ask(user("hi"), response_format=form).text) == {"city": "", "unit": "C"}


def test_json_mode_gets_json() -> None:
    reply = ask(user('say "hi"'), response_format=ResponseFormat("json"))
    assert json.loads(reply.text) == {"echo": 'say "hi"'}


def test_more_than_one_answer_is_refused() -> None:
    with pytest.raises(BadRequest) as caught:
        ask(user("hi"), choices=2)
    assert (caught.value.code, caught.value.param) == (Code.UNSUPPORTED, "n")


def test_nothing_said_gets_an_answer_too() -> None:
    assert ask().text == f"{HONESTY} You said: "
