"""From a step to the reply in the language that was asked."""

from __future__ import annotations

import orjson
import pytest

from rhetor.core.capability import Capability
from rhetor.core.errors import Code
from rhetor.core.events import Finished, FinishReason, Started, TextDelta
from rhetor.testing.answers import answer
from rhetor.testing.script import ScriptError, Step
from rhetor.testing.steps import error_in_200, fails, lists, replies, says
from rhetor.testing.voices import Asked, DoorVoice, Voice
from rhetor.wire.anthropic import ANTHROPIC
from rhetor.wire.base import Wire
from rhetor.wire.openai import OPENAI

OPENAI_CHAT = DoorVoice(OPENAI, Capability.CHAT)
ANTHROPIC_CHAT = DoorVoice(ANTHROPIC, Capability.CHAT)


def ask(voice: Voice, stream: bool = True) -> Asked:
    body = {
        "model": "small",
        "max_tokens": 9,
        "stream": stream,
        "messages": [{"role": "user", "content": "hi"}],
    }
    return voice.hear(orjson.dumps(body), {})


def test_a_reply_may_begin_as_it_likes() -> None:
    step = replies([Started("my-id", "my-model"), TextDelta("hi"), Finished(FinishReason.STOP)])
    opening = answer(ask(OPENAI_CHAT), OPENAI_CHAT, step, "1").pieces[0]
    assert b'"my-model"' in opening
    assert b'"my-id"' in opening


def test_an_error_in_a_stream_comes_after_so_many_events() -> None:
    rendered = answer(ask(ANTHROPIC_CHAT), ANTHROPIC_CHAT, says("a b c").but(error_in_200(after=2)), "1")
    assert rendered.events == 2
    assert rendered.pieces[-1].startswith(b"event: error\n")


def test_an_error_cannot_come_after_the_end() -> None:
    with pytest.raises(ScriptError, match="the reply has 3"):
        answer(ask(OPENAI_CHAT), OPENAI_CHAT, says("a b c").but(error_in_200(after=4)), "1")


@pytest.mark.parametrize(("voice", "wire"), [(OPENAI_CHAT, OPENAI), (ANTHROPIC_CHAT, ANTHROPIC)])
@pytest.mark.parametrize("code", [Code.CONTEXT_LENGTH, Code.CONTENT_POLICY])
def test_refusals_are_understood_even_where_they_have_no_code(
    voice: DoorVoice, wire: Wire, code: Code
) -> None:
    refused = answer(ask(voice), voice, fails(400, code=code), "1")
    assert wire.read_error(400, {}, refused.pieces[0]).code is code


@pytest.mark.parametrize("step", [Step(), lists("a")])
def test_a_chat_is_not_answered_with_anything_else(step: Step) -> None:
    with pytest.raises(ScriptError):
        answer(ask(OPENAI_CHAT), OPENAI_CHAT, step, "1")
