"""How a provider sounds: replies cut at the events that points count."""

from __future__ import annotations

import orjson
import pytest

from rhetor.core.capability import Capability
from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.core.events import Event, Failed, Finished, FinishReason, Started, TextDelta, UsageReport
from rhetor.core.usage import Usage
from rhetor.testing.voices import DoorVoice, Rendered
from rhetor.wire.anthropic import ANTHROPIC
from rhetor.wire.ollama import OLLAMA
from rhetor.wire.ollama.render import LINES_TYPE
from rhetor.wire.openai import OPENAI

VOICES = [DoorVoice(OPENAI, Capability.CHAT), DoorVoice(ANTHROPIC, Capability.CHAT)]
LINES = DoorVoice(OLLAMA, Capability.CHAT, stream_type=LINES_TYPE)
STARTED = Started("1", "small")
REPORT = UsageReport(Usage(1, 2))
STOPPED = Finished(FinishReason.STOP)


def say(voice: DoorVoice, events: list[Event], stream: bool) -> Rendered:
    messages = [{"role": "user", "content": "hi"}]
    body = {"model": "small", "max_tokens": 9, "messages": messages, "stream": stream}
    return voice.say(voice.hear(orjson.dumps(body), {}), events, "small", "1")


@pytest.mark.parametrize("voice", VOICES, ids=["openai", "anthropic"])
def test_a_stream_has_an_opening_a_piece_for_each_event_and_an_ending(voice: DoorVoice) -> None:
    said = say(voice, [STARTED, REPORT, TextDelta("one"), REPORT, TextDelta("two"), REPORT, STOPPED], True)
    assert said.events == 2
    opening, one, two, ending = said.pieces
    assert opening
    assert b'"one"' in one
    assert b'"two"' in two
    assert b"stop" in ending
    assert not said.whole


def test_a_stream_may_have_lines_instead_of_frames() -> None:
    said = say(LINES, [STARTED, TextDelta("one"), TextDelta("two"), REPORT, STOPPED], True)
    assert (said.content_type, LINES.stream_type) == (LINES_TYPE, LINES_TYPE)
    assert [piece.count(b"\n") for piece in said.pieces] == [0, 1, 1, 1]


@pytest.mark.parametrize("voice", VOICES, ids=["openai", "anthropic"])
def test_a_stream_without_content_has_an_opening_and_an_ending(voice: DoorVoice) -> None:
    opening, ending = say(voice, [STARTED, STOPPED], True).pieces
    assert b"stop" in opening
    assert ending == b""


@pytest.mark.parametrize("voice", VOICES, ids=["openai", "anthropic"])
def test_what_is_no_stream_is_one_piece(voice: DoorVoice) -> None:
    said = say(voice, [STARTED, TextDelta("one"), TextDelta(" two"), STOPPED], False)
    assert said.whole
    assert said.events == 2
    assert b"one two" in said.pieces[0]


@pytest.mark.parametrize("voice", VOICES, ids=["openai", "anthropic"])
def test_a_failure_takes_the_place_of_a_reply_in_one_piece(voice: DoorVoice) -> None:
    said = say(voice, [STARTED, TextDelta("one"), Failed(RhetorError("it broke", Code.OVERLOADED))], False)
    assert b"it broke" in said.pieces[0]
    assert b"one" not in said.pieces[0]


@pytest.mark.parametrize("voice", VOICES, ids=["openai", "anthropic"])
def test_what_no_provider_would_take_is_refused(voice: DoorVoice) -> None:
    with pytest.raises(BadRequest):
        voice.hear(b'{"messages": "none"}', {})
