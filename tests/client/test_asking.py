"""What is sent: conversations, options, tools and images."""

from __future__ import annotations

import base64
import json
import math
import re
import threading
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from tekton_llm_client.asking import chat_call, embeddings_call
from tekton_llm_client.caller import Caller
from tekton_llm_client.exceptions import FormatError, InvalidRequestError
from tekton_llm_client.images import image_parts, with_images
from tekton_llm_client.models import ChatCompletionOptions, CompletionOptions, Message, ToolCall
from tekton_llm_client.tools import tool_schema

CALLER = Caller("comp", provider_id="p", model_id="m", silence_s=9.0, retries=2)
PNG = b"\x89PNG\r\n\x1a\n" + b"rest"


def body(messages: Any = "q", who: Caller = CALLER, **asked: Any) -> Any:
    said = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
    return json.loads(chat_call(who, said, **asked).body)


def test_an_ordinary_request() -> None:
    call = chat_call(CALLER, [{"role": "user", "content": "q"}], system_prompt="s")
    assert (call.path, call.silence_s, call.retries, call.headers) == ("/api/v1/chat", 9.0, 2, {})
    assert json.loads(call.body) == {
        "messages": [{"role": "user", "content": "q"}],
        "component_id": "comp",
        "context_id": "comp",
        "provider_id": "p",
        "model_id": "m",
        "system_prompt": "s",
        "streaming": False,
        "options": {"temperature": 0.7},
    }


def test_a_stream_asks_to_be_waited_for() -> None:
    call = chat_call(CALLER, [{"role": "user", "content": "q"}], streaming=True)
    assert (call.path, call.headers) == ("/api/v1/chat/stream", {"x-rhetor-resume": "30"})


def test_options_about_the_call_stay_here_and_the_others_go() -> None:
    options = {
        "provider": "p2",
        "model": "m2",
        "timeout": 3,
        "retry_count": 0,
        "retry_delay": 50,
        "stop_sequences": ["x"],
        "max_tokens": None,
        "top_p": 0,
        "own": 1,
    }
    call = chat_call(CALLER, [{"role": "user", "content": "q"}], options=options)
    assert (call.silence_s, call.retries, call.first_pause_s) == (3.0, 0, 0.05)
    said = json.loads(call.body)
    assert (said["provider_id"], said["model_id"]) == ("p2", "m2")
    assert said["options"] == {"temperature": 0.7, "stop": ["x"], "top_p": 0, "own": 1}


def test_options_beat_settings_of_the_call_and_these_the_callers() -> None:
    who = Caller("comp", options={"temperature": 0.1, "max_tokens": 1, "top_k": 1})
    said = body(who=who, settings={"max_tokens": 2, "top_k": 2}, options={"top_k": 3})
    assert said["options"] == {"temperature": 0.1, "max_tokens": 2, "top_k": 3}


def test_a_temperature_of_none_leaves_it_to_the_model() -> None:
    assert body(options={"temperature": None})["options"] == {}


def test_options_may_be_an_object() -> None:
    assert body(options=CompletionOptions(max_tokens=3))["options"] == {"temperature": 0.7, "max_tokens": 3}


def test_a_fallback_is_named_only_where_it_is_wanted() -> None:
    fallback = {"fallback_provider": "p2", "fallback_model": "m2"}
    who = Caller("comp", options=fallback)
    assert body(who=who)["options"] == {"temperature": 0.7} | fallback
    assert body(who=who, options={"use_fallback": False})["options"] == {"temperature": 0.7}
    never = Caller("comp", options=fallback, use_fallback=False)
    assert body(who=never, options=fallback)["options"] == {"temperature": 0.7}


def test_messages_may_be_dicts_or_messages() -> None:
    said = body([{"role": "System", "content": "s"}, Message(role="user", content="q", name="n")])
    assert said["messages"] == [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "q", "name": "n"},
    ]


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ({"role": "user"}, "content is missing"),
        ({"role": "nobody", "content": "q"}, "role: Input should be"),
        ({"content": "q"}, "role: Field required"),
        ("q", "should be a valid dictionary"),
    ],
)
def test_a_message_that_is_none_is_refused_by_its_number(message: Any, problem: str) -> None:
    with pytest.raises(InvalidRequestError, match=rf"messages\[1\]: .*{problem}"):
        body([{"role": "user", "content": "q"}, message])


def test_a_round_with_a_tool_goes_as_openai_has_it() -> None:
    call = ToolCall.model_validate({"id": "c1", "function": {"name": "f", "arguments": '{"x":1}'}})
    said = body(
        [
            {"role": "user", "content": [{"type": "text", "text": "q"}]},
            Message(role="assistant", tool_calls=[call]),
            Message.result_of(call, "one"),
        ]
    )
    assert said["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "q"}]},
        {
            "role": "assistant",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "one"},
    ]


@pytest.mark.parametrize("arguments", ["{", "[1]", '"x"'])
def test_arguments_that_are_no_object_are_a_format_error(arguments: str) -> None:
    call = ToolCall.model_validate({"function": {"name": "f", "arguments": arguments}})
    with pytest.raises(FormatError, match="the arguments for f are not"):
        call.parse()


def test_tools_and_formats_stand_at_the_top_wherever_they_were_said() -> None:
    tool = {"type": "function", "function": {"name": "f"}}
    said = body(tools=[tool], options={"tool_choice": "auto", "reasoning_effort": "low"})
    assert (said["tools"], said["tool_choice"], said["reasoning_effort"]) == ([tool], "auto", "low")
    assert said["options"] == {"temperature": 0.7}


def test_a_word_that_nobody_knows_is_refused() -> None:
    with pytest.raises(TypeError, match="unexpected keyword arguments: tool"):
        body(tool=[])


@pytest.mark.parametrize(
    ("own", "problem"),
    [
        (object(), "not JSON serializable"),
        (math.nan, "options.own is not a finite number"),
        ([1.0, {"x": -math.inf}], "options.own.1.x is not a finite number"),
        ("\ud800", "surrogates"),
        (2**70, "64-bit"),
    ],
)
def test_what_is_not_json_is_refused(own: object, problem: str) -> None:
    with pytest.raises(InvalidRequestError, match=f"cannot be sent as JSON: .*{problem}"):
        body(options={"own": own})


def test_a_message_that_is_not_json_is_refused() -> None:
    endless: dict[str, Any] = {"role": "user", "content": "q"}
    endless["me"] = endless
    deep: list[Any] = []
    for _ in range(3000):
        deep = [deep]
    for message in (
        endless,
        {"role": "user", "content": "q", "own": deep},
        {"role": "user", "content": "q", "own": object()},
        {"role": "user", "content": "q", "own": math.nan},
    ):
        with pytest.raises(InvalidRequestError):
            body([message])


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"messages": None}, "messages: expected a list, got None"),
        ({"messages": {"role": "user", "content": "q"}}, "messages: expected a list"),
        ({"messages": Message(role="user", content="q")}, "messages: expected a list"),
        ({"options": "x"}, "options: expected a dict, or an object for them, got 'x'"),
        ({"options": {1: 2}}, "options: expected names, got 1"),
        ({"options": {"timeout": "abc"}}, "timeout: expected a number that is not negative, got 'abc'"),
        ({"options": {"timeout": math.nan}}, "timeout: expected a number"),
        ({"options": {"timeout": 0}}, "timeout: expected more than 0 seconds"),
        ({"options": {"retry_count": -1}}, "retry_count: expected a number that is not negative, got -1"),
        ({"options": {"retry_delay": []}}, "retry_delay: expected a number"),
        ({"options": {"use_fallback": "perhaps"}}, "use_fallback: expected true or false, got 'perhaps'"),
        ({"settings": 5}, "settings: expected an object with fields, got 5"),
        ({"tools": 5}, "tools: expected a list, got 5"),
        ({"tools": {"type": "function"}}, "tools: expected a list"),
    ],
)
def test_what_is_of_the_wrong_kind_is_refused_with_words(asked: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidRequestError, match=re.escape(problem)):
        body(**asked)


def test_texts_for_vectors_are_a_list() -> None:
    with pytest.raises(InvalidRequestError, match="texts: expected a list, got 5"):
        embeddings_call(CALLER, 5, None)  # type: ignore[arg-type]  # as a caller without types would


def test_no_fallback_may_be_said_as_text() -> None:
    options = {"fallback_model": "m2", "use_fallback": "false"}
    assert body(options=options)["options"] == {"temperature": 0.7}


@pytest.mark.parametrize(("seconds", "detached"), [(None, False), (0, False), (60, True)])
def test_who_wants_a_reply_kept_wants_it_to_go_on(seconds: int | None, detached: bool) -> None:
    call = chat_call(CALLER, [{"role": "user", "content": "q"}], options={"detach_s": seconds})
    assert call.detached is detached


def test_the_developer_is_the_system() -> None:
    assert body([{"role": "developer", "content": "s"}])["messages"] == [{"role": "system", "content": "s"}]


@pytest.mark.parametrize(
    ("returned", "content"),
    [
        ("text", "text"),
        ({"is": "ö"}, '{"is":"ö"}'),
        ([1, None], "[1,null]"),
        (None, "null"),
        (Path("x"), '"x"'),
    ],
)
def test_a_tool_may_return_anything(returned: object, content: str) -> None:
    call = ToolCall.model_validate({"id": "c1", "function": {"name": "f"}})
    assert Message.result_of(call, returned).content == content


def weather(
    city: str,
    unit: Literal["C", "F"] = "C",
    days: Annotated[int, Field(ge=1, description="ahead")] = 1,
) -> str:
    """The weather
    in a city.

    Args:
        city: its name, as people there
        unit (str): of the temperatures

    Returns:
        a sentence
    """
    return f"{city} {unit} {days}"


def test_a_function_describes_itself() -> None:
    assert tool_schema(weather) == {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "The weather in a city.",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string", "description": "its name, as people there"},
                    "unit": {
                        "type": "string",
                        "enum": ["C", "F"],
                        "default": "C",
                        "description": "of the temperatures",
                    },
                    "days": {"type": "integer", "minimum": 1, "default": 1, "description": "ahead"},
                },
                "required": ["city"],
            },
        },
    }


def test_a_function_without_parameters_takes_an_empty_object() -> None:
    def now() -> str:
        return "now"

    assert tool_schema(now)["function"] == {"name": "now", "parameters": {"type": "object", "properties": {}}}


def test_parameters_may_be_called_as_they_like() -> None:
    def find(
        _query: str, schema: str, json: int, copy: bool, model_config: int, default: object = object()
    ) -> None:
        """Find it.

        Args:
            schema: which one
        """

    described = tool_schema(find)["function"]["parameters"]
    assert list(described["properties"]) == ["_query", "schema", "json", "copy", "model_config", "default"]
    assert described["required"] == ["_query", "schema", "json", "copy", "model_config"]
    assert described["properties"]["schema"] == {"type": "string", "description": "which one"}


def locked(lock: threading.Lock) -> None:
    pass


@pytest.mark.parametrize("tool", ["weather", 3, lambda *args: None, print, dict, locked])
def test_what_cannot_be_a_tool_is_refused(tool: Any) -> None:
    with pytest.raises(InvalidRequestError, match="tools: "):
        tool_schema(tool)


def test_images_are_files_bytes_or_addresses(tmp_path: Path) -> None:
    path = tmp_path / "image.bin"
    path.write_bytes(b"\xff\xd8\xff\xe0")
    given = [PNG, bytearray(PNG), memoryview(PNG), path, str(path)]
    parts = image_parts([*given, "https://example.org/i.png", "data:image/png;base64,AA=="])
    assert [part["image_url"]["url"] for part in parts] == [
        *["data:image/png;base64," + base64.b64encode(PNG).decode()] * 3,
        "data:image/jpeg;base64,/9j/4A==",
        "data:image/jpeg;base64,/9j/4A==",
        "https://example.org/i.png",
        "data:image/png;base64,AA==",
    ]


@pytest.mark.parametrize("image", [b"text", b"", "no/such/file.png", "a\0b", Path("/"), 5, None])
def test_what_is_no_image_is_refused(image: Any) -> None:
    with pytest.raises(InvalidRequestError, match=r"expected a |cannot be read"):
        image_parts([image])


async def test_images_go_with_the_users_last_message() -> None:
    messages = [{"role": "assistant", "content": "a"}, {"role": "user", "content": "q"}]
    *_, last = await with_images(messages, ["https://example.org/i.png"])
    assert last["content"] == [  # type: ignore[index]  # a dict, as it travels
        {"type": "text", "text": "q"},
        {"type": "image_url", "image_url": {"url": "https://example.org/i.png"}},
    ]
    with pytest.raises(InvalidRequestError, match="must be the user's"):
        await with_images(messages[:1], [PNG])


def test_embeddings_are_asked_for_in_openais_words() -> None:
    call = embeddings_call(CALLER, ["a"], None)
    assert (call.path, json.loads(call.body)["model"]) == ("/v1/embeddings", "auto")
    assert call.headers == {"x-component-id": "comp"}


def test_old_option_objects_keep_their_shape() -> None:
    options = ChatCompletionOptions(messages=[{"role": "user", "content": "q"}], max_tokens=5)
    options.add_system_message("s")
    options.add_system_message("t")
    assert [(m.role, m.content) for m in options.messages] == [("system", "t"), ("user", "q")]
    assert (options.system_message, options.temperature, options.stream) == ("t", 0.7, False)


@pytest.mark.parametrize("image", ["https://example.org/i.png", PNG])
async def test_one_image_needs_no_list(image: str | bytes) -> None:
    (message,) = await with_images([{"role": "user", "content": "q"}], image)
    assert [part["type"] for part in message["content"]] == ["text", "image_url"]  # type: ignore[index]


async def test_images_that_are_none_are_refused() -> None:
    with pytest.raises(InvalidRequestError, match="images: expected one, or a list of them, got 5"):
        await with_images([{"role": "user", "content": "q"}], 5)  # type: ignore[arg-type]
