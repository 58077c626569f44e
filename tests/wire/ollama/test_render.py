"""Events → replies as Ollama's clients read them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.capability import Capability
from rhetor.core.content import JsonValue, Text, Thinking, ToolUse
from rhetor.core.errors import Code, UpstreamError
from rhetor.core.events import (
    Event,
    Failed,
    Finished,
    FinishReason,
    Folded,
    RefusalDelta,
    Started,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    ToolUseDelta,
    ToolUseStarted,
    UsageReport,
    fold,
)
from rhetor.core.usage import Usage
from rhetor.wire.base import Outgoing
from rhetor.wire.ollama import OLLAMA
from rhetor.wire.ollama.render import CHAT, KEEPALIVE, PROMPT, Form, Lines, Whole, durations, loaded
from tests.wire.ollama.speech import INFO, REPLIES, STAMP, TOOK
from tests.wire.strategies import replies

BOTH = pytest.mark.parametrize("form", [CHAT, PROMPT], ids=["chat", "prompt"])
STARTED = Started("id", "served")
STOPPED = Finished(FinishReason.STOP)
WEATHER = [ToolUseStarted(0, "call_a", "weather"), ToolUseDelta(0, '{"city":'), ToolUseDelta(0, '"Oslo"}')]


def lines(events: list[Event], form: Form = CHAT) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in Lines(INFO, form).render(events).splitlines()]


def whole(events: list[Event], form: Form = CHAT) -> dict[str, Any]:
    said: dict[str, Any] = orjson.loads(Whole(INFO, form).render(events))
    return said


def read(data: bytes, stream: bool) -> list[Event]:
    decoder = OLLAMA.upstream[Capability.CHAT].decoder(stream, Outgoing("", b""))
    return decoder.feed(data).events + decoder.close().events


def meaning(folded: Folded) -> tuple[Any, ...]:
    """What the language can tell of a reply, whose parts it does not keep in order."""
    calls = [(call.name, orjson.loads(call.arguments)) for call in folded.tool_uses]
    return (folded.model, folded.text, folded.thinking, calls, folded.usage, folded.finish, folded.logprobs)


@given(replies(REPLIES), st.booleans())
def test_law_what_is_rendered_is_read_back(events: list[Event], stream: bool) -> None:
    for form in (CHAT, PROMPT):
        if form is PROMPT and fold(events).tool_uses:
            continue  # a prompt has no tools, so nobody reads any there
        data = (Lines if stream else Whole)(INFO, form).render(events)
        assert meaning(fold(read(data, stream))) == meaning(fold(events))


@given(replies(REPLIES))
def test_events_may_come_together_or_one_by_one(events: list[Event]) -> None:
    one_by_one = Lines(INFO, CHAT)
    assert b"".join(one_by_one.render([event]) for event in events) == Lines(INFO, CHAT).render(events)


def test_a_streamed_chat() -> None:
    events = [
        STARTED,
        ThinkingDelta("hm"),
        TextDelta("Hel"),
        TextDelta("lo"),
        UsageReport(Usage(3, 4)),
        STOPPED,
    ]
    assert lines(events) == [
        {**STAMP, "message": {"role": "assistant", "content": "", "thinking": "hm"}, "done": False},
        {**STAMP, "message": {"role": "assistant", "content": "Hel"}, "done": False},
        {**STAMP, "message": {"role": "assistant", "content": "lo"}, "done": False},
        {
            **STAMP,
            "message": {"role": "assistant", "content": ""},
            "done": True,
            "done_reason": "stop",
            **TOOK,
            "prompt_eval_count": 3,
            "eval_count": 4,
        },
    ]


def test_a_streamed_answer_to_a_prompt() -> None:
    assert lines([STARTED, ThinkingDelta("hm"), TextDelta("Hi"), Finished(FinishReason.LENGTH)], PROMPT) == [
        {**STAMP, "response": "", "thinking": "hm", "done": False},
        {**STAMP, "response": "Hi", "done": False},
        {**STAMP, "response": "", "done": True, "done_reason": "length", **TOOK},
    ]


def test_replies_in_one_piece() -> None:
    events = [STARTED, ThinkingDelta("hm"), TextDelta("Hi"), UsageReport(Usage(3, 4)), STOPPED]
    end = {"done": True, "done_reason": "stop", **TOOK, "prompt_eval_count": 3, "eval_count": 4}
    message = {"role": "assistant", "content": "Hi", "thinking": "hm"}
    assert whole(events) == {**STAMP, "message": message, **end}
    assert whole(events, PROMPT) == {**STAMP, "response": "Hi", "thinking": "hm", **end}


def test_calls_come_whole_before_the_last_line() -> None:
    function = {"index": 0, "name": "weather", "arguments": {"city": "Oslo"}}
    asks, end = lines([STARTED, *WEATHER, Finished(FinishReason.TOOL_USE)])
    assert asks["message"]["tool_calls"] == [{"id": "call_a", "function": function}]
    assert (asks["done"], end["done"], end["done_reason"]) == (False, True, "stop")
    said = whole([STARTED, *WEATHER, Finished(FinishReason.TOOL_USE)])
    assert said["message"]["tool_calls"] == asks["message"]["tool_calls"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [("", {}), ('{"city":"Os', {"INVALID_JSON": '{"city":"Os'}), ("[1]", {"INVALID_JSON": "[1]"})],
)
def test_arguments_are_an_object_always(arguments: str, told: dict[str, Any]) -> None:
    """Clients take nothing else; a call that broke off is not lost."""
    events = [STARTED, ToolUseStarted(0, "a", "f"), ToolUseDelta(0, arguments), STOPPED]
    assert lines(events)[0]["message"]["tool_calls"][0]["function"]["arguments"] == told


def test_a_refusal_is_what_was_said() -> None:
    assert lines([STARTED, RefusalDelta("No."), STOPPED])[0]["message"]["content"] == "No."
    assert whole([STARTED, RefusalDelta("No."), STOPPED])["message"]["content"] == "No."


def test_proofs_of_thoughts_are_left_out() -> None:
    events = [STARTED, ThinkingDelta("hm"), ThinkingSigned("proof"), STOPPED]
    assert b"proof" not in Lines(INFO, CHAT).render(events)


def test_probabilities_come_with_their_words() -> None:
    entry: JsonValue = {"token": "Hi", "logprob": -0.25, "bytes": [72, 105], "top_logprobs": []}
    events: list[Event] = [STARTED, TextDelta("Hi", [entry]), STOPPED]
    assert [line.get("logprobs") for line in lines(events)] == [[entry], None]
    assert whole(events)["logprobs"] == [entry]


@BOTH
def test_a_failure_is_the_last_line(form: Form) -> None:
    error = UpstreamError("it broke", Code.OVERLOADED)
    assert lines([STARTED, TextDelta("a"), Failed(error)], form)[-1] == {"error": "it broke"}
    with pytest.raises(UpstreamError):
        Whole(INFO, form).render([STARTED, TextDelta("a"), Failed(error)])


@BOTH
@pytest.mark.parametrize("end", ["\n", "\r", "\x0b", "\x1c", "\x85", "\u2028", "\u2029"])
def test_a_line_has_no_end_in_its_middle(form: Form, end: str) -> None:
    """The `ollama` package cuts lines wherever Unicode sees an end."""
    events = [STARTED, TextDelta(f"é{end}🦀"), STOPPED]
    text = Lines(INFO, form).render(events).decode()
    assert len(text.splitlines()) == 2
    assert fold(read(text.encode(), True)).text == f"é{end}🦀"


@BOTH
def test_a_keep_alive_belongs_to_the_next_line(form: Form) -> None:
    renderer = Lines(INFO, form)
    said = [
        renderer.render([STARTED, TextDelta("a")]),
        renderer.render([TextDelta("b")]),
        renderer.render([STOPPED]),
    ]
    kept = KEEPALIVE + KEEPALIVE.join(said)
    assert [orjson.loads(line) for line in kept.splitlines()] == [
        orjson.loads(line) for line in b"".join(said).splitlines()
    ]


def test_the_model_is_the_one_that_was_asked_until_somebody_answers() -> None:
    error = UpstreamError("it broke")
    renderer = Lines(INFO, CHAT)
    assert orjson.loads(renderer.render([TextDelta("a")]))["model"] == "asked"
    assert orjson.loads(renderer.render([Started("", ""), TextDelta("a")]))["model"] == "asked"
    assert orjson.loads(renderer.render([Failed(error)])) == {"error": "it broke"}


def test_time_that_was_lost_with_others_counts_as_loading() -> None:
    attempts: list[JsonValue] = [{"ms": 5}, {"ms": 7}, {"ms": 100}]
    told = durations({"attempts": attempts})
    assert (told["load_duration"], told["eval_duration"]) == (12_000_000, 100_000_000)
    assert told["total_duration"] == 112_000_000


@pytest.mark.parametrize("meta", [{}, {"attempts": []}, {"attempts": [{"ms": 0}]}, {"attempts": [{}]}])
def test_nothing_takes_no_time(meta: dict[str, Any]) -> None:
    """Clients divide by it."""
    assert durations(meta)["eval_duration"] == durations(meta)["total_duration"] == 1_000_000


def test_a_model_is_in_memory_when_it_is_asked_for() -> None:
    said = orjson.loads(loaded("m", INFO.created_s, CHAT, unloads=False))
    assert said == {
        "model": "m",
        "created_at": STAMP["created_at"],
        "message": {"role": "assistant", "content": ""},
        "done": True,
        "done_reason": "load",
    }
    said = orjson.loads(loaded("m", INFO.created_s, PROMPT, unloads=True))
    assert (said["response"], said["done_reason"]) == ("", "unload")


def test_a_form_leaves_out_what_was_not_said() -> None:
    assert CHAT.said("") == {"message": {"role": "assistant", "content": ""}}
    assert PROMPT.said("a", "b") == {"response": "a", "thinking": "b"}
    assert fold([STARTED, TextDelta("a"), ThinkingDelta("b"), *WEATHER, STOPPED]).parts == [
        Text("a"),
        Thinking("b"),
        ToolUse("call_a", "weather", '{"city":"Oslo"}'),
    ]
