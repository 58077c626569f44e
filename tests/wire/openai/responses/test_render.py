"""Events → responses, frame by frame."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from rhetor.core.content import Opaque
from rhetor.core.errors import Code, UpstreamError
from rhetor.core.events import (
    Event,
    Failed,
    Finished,
    FinishReason,
    OpaquePart,
    RefusalDelta,
    Started,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    ToolUseDelta,
    ToolUseStarted,
    UsageReport,
)
from rhetor.core.usage import Usage
from tests.wire.openai.responses.speech import render, told

STARTED = Started("chatcmpl-1", "served")
STOP = Finished(FinishReason.STOP)


def kinds(*events: Event) -> list[str]:
    """What happens between the beginning and the end, in short."""
    stream = told(render([STARTED, *events, STOP], stream=True))
    assert [it["type"] for it in stream[:2]] == ["response.created", "response.in_progress"]
    assert stream[-1]["type"] == "response.completed"
    return [it["type"].removeprefix("response.") for it in stream[2:-1]]


def test_a_text() -> None:
    assert kinds(TextDelta("hello"), TextDelta(" world")) == [
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
    ]


def test_every_piece_of_a_text_says_where_it_belongs() -> None:
    stream = told(render([STARTED, TextDelta("hello"), TextDelta(" world"), STOP], stream=True))
    pieces = [it for it in stream if it["type"] == "response.output_text.delta"]
    place = {"item_id": "msg_0a1b_0", "output_index": 0, "content_index": 0, "logprobs": []}
    assert pieces == [
        {"type": "response.output_text.delta", **place, "delta": "hello", "sequence_number": 4},
        {"type": "response.output_text.delta", **place, "delta": " world", "sequence_number": 5},
    ]


def test_a_thought_is_a_summary_with_its_proof_at_the_end() -> None:
    assert kinds(ThinkingDelta("well"), ThinkingSigned("proof"), TextDelta("a"))[:6] == [
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
    ]
    reply = orjson.loads(render([STARTED, ThinkingDelta("well"), ThinkingSigned("proof"), STOP]))
    assert reply["output"] == [
        {
            "id": "rs_0a1b_0",
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": "well"}],
            "encrypted_content": "rhetor.proof",
        }
    ]


def test_a_refusal_is_a_part_of_the_message() -> None:
    assert kinds(TextDelta("I"), RefusalDelta("no")) == [
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "content_part.added",
        "refusal.delta",
        "refusal.done",
        "content_part.done",
        "output_item.done",
    ]


def test_calls_may_grow_in_turns_and_are_done_with_the_reply() -> None:
    calls = [ToolUseStarted(0, "c0", "f"), ToolUseStarted(1, "c1", "g")]
    grown = [ToolUseDelta(1, "{}"), ToolUseDelta(0, '{"a":1}')]
    stream = told(render([STARTED, *calls, *grown, STOP], stream=True))
    done = [it["item"] for it in stream if it["type"] == "response.output_item.done"]
    assert [(it["call_id"], it["name"], it["arguments"]) for it in done] == [
        ("c0", "f", '{"a":1}'),
        ("c1", "g", "{}"),
    ]


def calls_told(*events: Event) -> list[tuple[int, str]]:
    """What is told of calls, with the place of each in the output."""
    stream = told(render([STARTED, *events, STOP], stream=True))
    of_calls = [it for it in stream if "output_index" in it]
    return [(it["output_index"], it.get("delta", it["type"].rpartition(".")[2])) for it in of_calls]


def test_calls_that_grow_in_turns_are_told_one_after_the_other() -> None:
    """LangChain loses arguments when they come in turns."""
    assert calls_told(
        ToolUseStarted(0, "c0", "f"),
        ToolUseStarted(1, "c1", "g"),
        ToolUseDelta(0, '{"a"'),
        ToolUseDelta(1, "{"),
        ToolUseDelta(0, ":1}"),
        ToolUseDelta(1, "}"),
    ) == [
        *[(0, "added"), (0, '{"a"'), (0, ":1}"), (0, "done"), (0, "done")],
        *[(1, "added"), (1, "{"), (1, "}"), (1, "done"), (1, "done")],
    ]


@pytest.mark.parametrize(("arguments", "held"), [('{"a":1}', 0), ('{"a":1', 1), ("", 1), ("1", 1)], ids=repr)
def test_a_call_waits_only_until_the_one_before_is_complete(arguments: str, held: int) -> None:
    before = [ToolUseStarted(0, "c0", "f"), *([ToolUseDelta(0, arguments)] if arguments else [])]
    after = [ToolUseStarted(1, "c1", "g"), ToolUseDelta(1, "{}")]
    stream = told(render([STARTED, *before, *after], stream=True))
    assert max(it.get("output_index", 0) for it in stream) == 1 - held
    stream = told(render([STARTED, *before, *after, STOP], stream=True))
    assert [it["sequence_number"] for it in stream] == list(range(len(stream)))
    done = [it["item"]["arguments"] for it in stream if it["type"] == "response.output_item.done"]
    assert done == [arguments or "{}", "{}"]


def test_a_call_without_arguments_has_none() -> None:
    reply = orjson.loads(render([STARTED, ToolUseStarted(0, "c0", "f"), STOP]))
    assert reply["output"][0]["arguments"] == "{}"
    assert told(render([STARTED, ToolUseStarted(0, "c0", "f"), STOP], stream=True))[-1]["response"] == reply


def test_parts_of_the_language_itself_pass() -> None:
    search = {"id": "ws_1", "type": "web_search_call", "status": "failed"}
    stream = told(render([STARTED, OpaquePart(Opaque("responses", search)), STOP], stream=True))
    assert [it["item"] for it in stream if "item" in it] == [search, search]
    assert stream[-1]["response"]["output"] == [search]
    assert (
        orjson.loads(render([STARTED, OpaquePart(Opaque("anthropic", {"type": "x"})), STOP]))["output"] == []
    )


@pytest.mark.parametrize(
    ("reason", "why"),
    [(FinishReason.LENGTH, "max_output_tokens"), (FinishReason.REFUSAL, "content_filter")],
)
def test_what_was_cut_off_is_incomplete(reason: FinishReason, why: str) -> None:
    events: list[Event] = [STARTED, TextDelta("a"), Finished(reason)]
    reply = orjson.loads(render(events))
    assert (reply["status"], reply["incomplete_details"]) == ("incomplete", {"reason": why})
    assert reply["output"][0]["status"] == "incomplete"
    ending = told(render(events, stream=True))[-1]
    assert ending == {"type": "response.incomplete", "response": reply, "sequence_number": 8}


def test_the_response_object() -> None:
    events: list[Event] = [STARTED, TextDelta("a"), UsageReport(Usage(3, 4)), STOP]
    reply = orjson.loads(render(events, instructions="Be brief.", metadata={"a": "b"}, temperature=0.5))
    expected: dict[str, Any] = {
        "id": "resp_0a1b",
        "object": "response",
        "created_at": 1_795_132_800,
        "status": "completed",
        "model": "served",
        "instructions": "Be brief.",
        "metadata": {"a": "b"},
        "temperature": 0.5,
        "tools": [],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "error": None,
        "previous_response_id": None,
    }
    assert expected.items() <= reply.items()
    assert reply["usage"]["total_tokens"] == 7


def test_a_response_that_was_begun_by_a_provider_keeps_its_id() -> None:
    reply = orjson.loads(render([Started("resp_theirs", "m"), TextDelta("a"), STOP]))
    assert (reply["id"], reply["output"][0]["id"]) == ("resp_theirs", "msg_theirs_0")


def test_a_failure_is_told_twice_for_two_kinds_of_clients() -> None:
    """Python and Node raise at the object in `error`; Codex and the AI SDK look at `response.failed`."""
    failed = Failed(UpstreamError("slow down", Code.RATE_LIMITED))
    *_, error, ending = told(render([STARTED, TextDelta("a"), failed], stream=True))
    fields = {
        "message": "slow down",
        "type": "rate_limit_error",
        "param": None,
        "code": "rate_limit_exceeded",
    }
    assert error["error"] == fields
    assert {key: error[key] for key in ("message", "code", "param")}.items() <= fields.items()
    assert ending["response"]["error"] == {"code": "rate_limit_exceeded", "message": "slow down"}
    assert ending["response"]["status"] == "failed"


def test_a_failure_before_anything_else_is_told_too() -> None:
    stream = told(render([Failed(UpstreamError("no"))], stream=True))
    assert [it["type"] for it in stream] == ["error", "response.failed"]


def test_a_whole_reply_that_failed_is_an_error() -> None:
    with pytest.raises(UpstreamError, match="no"):
        render([STARTED, Failed(UpstreamError("no"))])
