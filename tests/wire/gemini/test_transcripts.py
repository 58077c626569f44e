"""Recordings, written down."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from rhetor.core.capability import Capability
from rhetor.core.content import Text
from rhetor.core.events import fold
from rhetor.core.media import Bytes, Transcribe
from rhetor.wire.base import PLAIN, Outgoing
from rhetor.wire.gemini.transcripts import TRANSCRIBE, TRANSLATE, Transcripts, question
from tests.wire.gemini.speaking import NEWEST, frames, reply, request_of, told

WAV = Bytes("audio/wav", b"RIFF")


def asked(wanted: Transcribe, stream: bool = False) -> tuple[Any, Outgoing]:
    outgoing = Transcripts().build(request_of(wanted, Capability.AUDIO_TO_TEXT, stream), NEWEST, PLAIN)
    return orjson.loads(outgoing.body), outgoing


def test_the_recording_goes_with_the_question() -> None:
    body, outgoing = asked(Transcribe(audio=WAV, temperature=0.0, words=True, extra={"mood": 1}))
    assert body == {
        "contents": [
            {
                "role": "user",
                "parts": [
                    {"text": TRANSCRIBE},
                    {"inlineData": {"mimeType": "audio/wav", "data": "UklGRg=="}},
                ],
            }
        ],
        "generationConfig": {"temperature": 0.0},
    }
    assert outgoing.dropped == ("words: the model cannot tell them", "extra.mood")


def test_what_the_model_is_told() -> None:
    wanted = Transcribe(audio=WAV, translate=True, language="de", prompt="Rhetor, Tekton")
    assert question(wanted) == (
        f"{TRANSLATE} The language of the recording is de. "
        "This may help with names and unusual words: Rhetor, Tekton"
    )


@pytest.mark.parametrize("stream", [True, False])
def test_thoughts_are_no_part_of_a_transcript(stream: bool) -> None:
    _, outgoing = asked(Transcribe(audio=WAV), stream)
    said = reply({"text": "A voice.", "thought": True}, {"text": "Hello."})
    decoder = Transcripts().decoder(stream, outgoing)
    assert fold(told(decoder, frames(said) if stream else orjson.dumps(said))).parts == [Text("Hello.")]
