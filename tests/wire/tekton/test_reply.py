"""The hard rules for a whole answer and for an error: break one, and the client invents its own text."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given

from rhetor.core.capability import Capability
from rhetor.core.content import Opaque, Refusal, Text
from rhetor.core.errors import MEANING, BadRequest, Code, RhetorError, UpstreamError
from rhetor.core.events import (
    Event,
    Finished,
    FinishReason,
    OpaquePart,
    RefusalDelta,
    Started,
    TextDelta,
    UsageReport,
    fold,
)
from rhetor.core.request import Request
from rhetor.core.usage import Usage
from rhetor.wire.base import ReplyInfo
from rhetor.wire.tekton import TEKTON
from rhetor.wire.tekton.reply import ERROR_LIMIT, WholeReply, timestamp
from tests.wire.strategies import Speech, replies
from tests.wire.tekton.samples import CREATED_S, FAILED, FAILURE, HELLO, INFO
from tests.wire.tekton.stock import CompletionResponse, read_whole

SPEECH = Speech(logprobs=False, signatures=False)


def answer(events: list[Event], info: ReplyInfo = INFO, context_id: str = "comp") -> dict[str, Any]:
    said: dict[str, Any] = orjson.loads(WholeReply(info, context_id).render(events))
    return said


@given(replies(SPEECH))
def test_rule_every_reply_is_what_the_stock_client_accepts(events: list[Event]) -> None:
    """Strings are never null, `usage` is flat whole numbers, `error` is a string if it is there at all."""
    said = answer(events)

    CompletionResponse.model_validate(said)
    assert None not in said.values()
    assert all(type(count) is int for count in said.get("usage", {}).values())
    assert "error" not in said


@given(replies(SPEECH))
def test_law_a_whole_reply_reads_as_what_was_said(events: list[Event]) -> None:
    """Texts and thoughts become one each, and a refusal is text."""
    spoken, read = fold(events), read_whole(WholeReply(INFO, "comp").render(events))

    said = "".join(part.text for part in spoken.parts if isinstance(part, Text | Refusal))
    assert (read.text, read.thinking) == (said, spoken.thinking)
    assert read.tool_uses == spoken.tool_uses
    assert (read.usage, read.finish, read.stop_sequence) == (
        spoken.usage,
        spoken.finish,
        spoken.stop_sequence,
    )


def test_rule_strings_are_strings_also_when_nothing_is_known() -> None:
    nothing = ReplyInfo(id="", created_s=0, model="")

    said = answer([Started("", ""), Finished(FinishReason.OTHER)], nothing, "")

    CompletionResponse.model_validate(said)
    assert [said[name] for name in ("content", "model", "provider", "timestamp")] == [
        "",
        "",
        "",
        "1970-01-01T00:00:00Z",
    ]


def test_rule_usage_details_and_cost_stand_elsewhere() -> None:
    usage = Usage(10, 5, cache_read_tokens=4, cache_write_tokens=3, reasoning_tokens=2, source="estimated")

    said = answer([Started("", ""), UsageReport(usage), Finished(FinishReason.STOP)])

    assert said["usage"] == {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    assert said["usage_details"] == {
        "cache_read_tokens": 4,
        "cache_write_tokens": 3,
        "reasoning_tokens": 2,
        "estimated": True,
    }
    assert said["meta"]["cost"] == INFO.meta["cost"]


def test_a_fallback_shows_in_the_provider_and_in_a_flag() -> None:
    info = replace(INFO, provider="openai", served_model="gpt", meta={"fallback": True})

    said = answer(HELLO, info)

    assert (said["provider"], said["model"], said["fallback"]) == ("openai", "gpt", True)
    assert said["meta"] == {"generation_id": "gen_1", "fallback": True}


def test_a_refusal_is_text() -> None:
    said = answer(
        [Started("", ""), TextDelta("No: "), RefusalDelta("never."), Finished(FinishReason.REFUSAL)]
    )

    assert (said["content"], said["finish_reason"]) == ("No: never.", "content_filter")


def test_what_the_dialect_cannot_say_is_named() -> None:
    opaque = OpaquePart(Opaque("anthropic", {"type": "server_tool_use"}))
    info = replace(INFO, meta={"dropped": ["seed"]})

    said = answer([Started("", ""), opaque, Finished(FinishReason.STOP)], info)

    assert said["meta"]["dropped"] == ["seed", "reply: opaque server_tool_use"]


def test_metadata_is_read_when_the_reply_ends() -> None:
    meta: dict[str, Any] = {}
    reply = WholeReply(replace(INFO, meta=meta), "comp")
    reply.render(HELLO[:-1])
    meta["attempts"] = 2

    assert orjson.loads(reply.render(HELLO[-1:]))["meta"]["attempts"] == 2


def test_a_failed_reply_is_an_error_for_the_door() -> None:
    with pytest.raises(UpstreamError) as caught:
        WholeReply(INFO, "comp").render(FAILED)

    assert caught.value is FAILURE


@pytest.mark.parametrize("code", Code)
def test_rule_an_error_is_a_string_never_an_object(code: Code) -> None:
    error = RhetorError("it broke", code, original={"error": {"type": "nested"}}, retry_after_s=1.5)

    said = orjson.loads(TEKTON.render_error(error, ""))

    assert said == {"error": "it broke", "detail": "it broke", "code": code.value, "retry_after_s": 1.5}
    assert code in MEANING


def test_rule_an_error_is_never_an_empty_string() -> None:
    """An empty one reads as no error."""
    assert orjson.loads(TEKTON.render_error(BadRequest(""), ""))["error"] == "invalid_request"


def test_a_long_error_is_cut() -> None:
    assert len(orjson.loads(TEKTON.render_error(BadRequest("x" * 100_000), ""))["error"]) == ERROR_LIMIT


def test_timestamps_are_utc() -> None:
    assert timestamp(CREATED_S) == "2026-11-20T09:24:59Z"


@pytest.mark.parametrize("stream", [True, False])
def test_the_door_answers_as_it_was_asked(stream: bool) -> None:
    door = TEKTON.doors[Capability.CHAT]
    request: Request = door.parse(
        orjson.dumps({"messages": [{"role": "user", "content": "q"}], "streaming": stream}), {}
    )

    content_type = door.renderer(request, INFO).content_type

    assert content_type == ("text/event-stream" if stream else "application/json")


def test_a_refusal_of_a_tekton_server_is_read() -> None:
    error = TEKTON.read_error(503, {}, b'{"error":"all busy"}')

    assert (error.code, error.message) == (Code.UNAVAILABLE, "the provider answered 503: all busy")


def test_what_is_known_of_tokens_stands_beside_the_text() -> None:
    told: list[Any] = [{"token": "hi", "logprob": -0.5, "top_logprobs": []}]
    said = answer([Started("", "m"), TextDelta("hi", told), Finished(FinishReason.STOP)])
    assert (said["content"], said["logprobs"]) == ("hi", told)
