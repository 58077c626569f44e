"""The official client's own types read what we write: every event of every reply, strictly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

from rhetor.core.errors import Code, UpstreamError
from rhetor.core.events import Event, Failed, Finished, fold
from tests.wire.openai.responses.speech import SPEECH, chat, parse, render, told
from tests.wire.strategies import replies

EVENT: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)
ASKED: dict[str, Any] = {
    "instructions": "Be brief.",
    "tools": [
        {"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": False},
        {"type": "web_search"},
    ],
    "tool_choice": {"type": "function", "name": "weather"},
    "text": {
        "format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}},
        "verbosity": "low",
    },
    "reasoning": {"effort": "low", "summary": "auto"},
    "metadata": {"a": "b"},
    "max_output_tokens": 9,
    "temperature": 0.5,
    "top_p": 0.5,
    "truncation": "auto",
    "user": "anna",
    "service_tier": "auto",
    "prompt_cache_key": "k",
    "store": False,
}


def plain(read: BaseModel) -> Any:
    """As JSON, without what was not sent."""
    return orjson.loads(read.model_dump_json(exclude_unset=True, by_alias=True, warnings="error"))


@given(replies(SPEECH), st.sampled_from([{}, ASKED]))
def test_the_official_client_reads_every_event(events: list[Event], asked: dict[str, Any]) -> None:
    stream = told(render(events, stream=True, **asked))
    read: Iterable[Any] = [EVENT.validate_json(orjson.dumps(it), strict=True) for it in stream]
    assert [plain(it) for it in read] == stream
    assert [it.sequence_number for it in read] == list(range(len(stream)))


@given(replies(SPEECH), st.sampled_from([{}, ASKED]))
def test_the_official_client_reads_the_whole(events: list[Event], asked: dict[str, Any]) -> None:
    body = render(events, **asked)
    response = Response.model_validate_json(body, strict=True)
    assert plain(response) == orjson.loads(body)
    assert response.output_text == fold(events).text


@given(replies(SPEECH))
def test_the_streaming_helper_collects_the_whole(events: list[Event]) -> None:
    """It refuses ids that change, items that are begun twice or never ended, and texts of unknown parts."""
    state: ResponseStreamState[Any] = ResponseStreamState(input_tools=[], text_format=omit)
    for it in told(render(events, stream=True)):
        state.handle_event(EVENT.validate_python(it))


@given(replies(SPEECH))
def test_whatever_opens_is_closed_once_and_in_its_place(events: list[Event]) -> None:
    stream = told(render(events, stream=True))
    assert [it["type"] for it in stream[:2]] == ["response.created", "response.in_progress"]
    kinds = Counter(it["type"] for it in stream)
    for what in ("output_item", "content_part", "reasoning_summary_part"):
        assert kinds[f"response.{what}.added"] == kinds[f"response.{what}.done"]
    open_items: dict[int, str] = {}
    for it in stream:
        index = it.get("output_index")
        if it["type"] == "response.output_item.added":
            open_items[index] = it["item"]["id"]
        elif it["type"] == "response.output_item.done":
            assert open_items.pop(index) == it["item"]["id"]
        elif index is not None:
            assert open_items[index] == it["item_id"]


@pytest.mark.parametrize("code", [Code.RATE_LIMITED, Code.TRUNCATED, Code.CONTENT_POLICY])
@given(events=replies(SPEECH), data=st.data())
def test_a_failure_at_any_moment_is_told_as_one(code: Code, events: list[Event], data: st.DataObject) -> None:
    said = events[: data.draw(st.integers(0, len(events) - 1))]
    assert not said or not isinstance(said[-1], Finished)
    stream = told(render([*said, Failed(UpstreamError("it broke", code))], stream=True))
    for it in stream:
        EVENT.validate_json(orjson.dumps(it), strict=True)
    *_, error, failed = stream
    assert (error["type"], error["error"]["message"]) == ("error", "it broke")
    assert (failed["type"], failed["response"]["status"]) == ("response.failed", "failed")
    assert failed["response"]["error"]["message"] == "it broke"


def test_what_is_asked_here_can_be_asked() -> None:
    assert chat(**ASKED).tools
    assert parse(**ASKED).unsaid == (
        "service_tier",
        "prompt_cache_key",
        "tools[1]: web_search",
        "text.verbosity",
        "truncation",
    )
