"""The official SDK reads what we render: the last word on whether the shapes are right."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import anthropic
import pytest
from hypothesis import HealthCheck, given, settings

from rhetor.core.errors import Code, UpstreamError
from rhetor.core.events import (
    Event,
    Failed,
    Finished,
    FinishReason,
    Started,
    TextDelta,
    ToolUseDelta,
    ToolUseStarted,
    UsageReport,
)
from rhetor.core.usage import Usage
from rhetor.wire.anthropic.stream_renderer import StreamRenderer
from rhetor.wire.anthropic.whole_renderers import CountRenderer, MessageRenderer
from rhetor.wire.base import Renderer, ReplyInfo
from tests.wire.anthropic.speech import SPEECH
from tests.wire.strategies import replies

INFO = ReplyInfo(id="gen_1", created_s=0, model="fast")


class Canned:
    """A server on loopback that answers every call with the same bytes, and the SDK that calls it."""

    def __init__(self) -> None:
        canned = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                self.send_response(200)
                self.send_header("content-type", canned.content_type)
                self.send_header("content-length", str(len(canned.body)))
                self.end_headers()
                self.wfile.write(canned.body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.body = b""
        self.content_type = ""
        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.client = anthropic.Anthropic(
            api_key="test",
            base_url=f"http://127.0.0.1:{self.server.server_port}",
            max_retries=0,
            http_client=anthropic.DefaultHttpxClient(trust_env=False),
        )

    def will_say(self, renderer: Renderer, events: list[Event]) -> None:
        self.body = renderer.render(events)
        self.content_type = renderer.content_type

    def streamed(self, events: list[Event]) -> anthropic.types.Message:
        self.will_say(StreamRenderer(INFO), events)
        with self.client.messages.stream(
            model="fast", max_tokens=9, messages=[{"role": "user", "content": "hi"}]
        ) as stream:
            return stream.get_final_message()

    def whole(self, events: list[Event]) -> anthropic.types.Message:
        self.will_say(MessageRenderer(INFO), events)
        return self.client.messages.create(
            model="fast", max_tokens=9, messages=[{"role": "user", "content": "hi"}]
        )


@pytest.fixture(scope="module")
def canned() -> Iterator[Canned]:
    canned = Canned()
    thread = Thread(target=canned.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield canned
    canned.client.close()
    canned.server.shutdown()
    thread.join()
    canned.server.server_close()


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=replies(SPEECH))
def test_a_stream_accumulates_to_the_message_that_a_whole_reply_is(
    canned: Canned, events: list[Event]
) -> None:
    """Texts, thoughts and calls that grew in turns: the SDK sees one and the same message."""
    streamed = canned.streamed(events).to_dict()
    whole = canned.whole(events).to_dict()
    assert streamed["content"] == whole["content"]
    assert streamed["stop_reason"] == whole["stop_reason"]
    assert streamed["usage"] == whole["usage"]


def test_three_parallel_calls_arrive_whole(canned: Canned) -> None:
    events: list[Event] = [
        Started("x", "gpt"),
        TextDelta("Looking."),
        *(ToolUseStarted(at, f"call_{at}", "find") for at in range(3)),
        *(ToolUseDelta(at, '{"q":') for at in range(3)),
        *(ToolUseDelta(at, f'"{at}"}}') for at in (2, 0, 1)),
        UsageReport(Usage(20, 9, cache_read_tokens=8)),
        Finished(FinishReason.TOOL_USE),
    ]
    message = canned.streamed(events)
    assert [block.type for block in message.content] == ["text", "tool_use", "tool_use", "tool_use"]
    assert [block.input for block in message.content if block.type == "tool_use"] == [
        {"q": "0"},
        {"q": "1"},
        {"q": "2"},
    ]
    assert message.stop_reason == "tool_use"
    assert (message.usage.input_tokens, message.usage.cache_read_input_tokens) == (12, 8)


def test_a_failure_in_the_stream_is_an_exception_of_its_kind(canned: Canned) -> None:
    events: list[Event] = [
        Started("x", "gpt"),
        TextDelta("a"),
        Failed(UpstreamError("busy", Code.OVERLOADED)),
    ]
    with pytest.raises(anthropic.APIStatusError, match="busy") as caught:
        canned.streamed(events)
    assert caught.value.body == {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}


def test_a_count_of_tokens(canned: Canned) -> None:
    canned.will_say(CountRenderer(), [Started("", ""), UsageReport(Usage(42)), Finished(FinishReason.STOP)])
    counted = canned.client.messages.count_tokens(model="fast", messages=[{"role": "user", "content": "hi"}])
    assert counted.input_tokens == 42
