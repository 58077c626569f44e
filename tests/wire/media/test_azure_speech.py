"""Azure Speech: markup that no text can break, formats, transcripts, voices of a region."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.capability import Capability
from rhetor.core.content import Url
from rhetor.core.errors import Code, RhetorError
from rhetor.core.events import Medium, Spoken, Timed
from rhetor.core.media import Bytes, Speak, Transcribe
from rhetor.core.request import Request
from rhetor.testing import fails
from rhetor.wire.base import PLAIN, ModelEntry
from rhetor.wire.media.azure_speech import AZURE_SPEECH, VOICE
from tests.wire.media.calling import KEY, ask, listed, said, sound

pytestmark = pytest.mark.usefixtures("no_leaks")

WAV = Bytes("audio/wav", b"RIFF....", "call.wav")
SSML = "{http://www.w3.org/2001/10/synthesis}"
MSTTS = "{https://www.w3.org/2001/mstts}"
LANG = "{http://www.w3.org/XML/1998/namespace}lang"

# https://learn.microsoft.com/azure/ai-services/speech-service/fast-transcription-create, "Diarization on",
# shortened (read 2026-11-21).
TRANSCRIPT = b"""{"durationMilliseconds": 182439, "combinedPhrases": [
 {"channel": 0, "text": "Good afternoon. Hi there."}], "phrases": [
 {"channel": 0, "speaker": 1, "offsetMilliseconds": 960, "durationMilliseconds": 640,
  "text": "Good afternoon.",
  "words": [{"text": "Good", "offsetMilliseconds": 960, "durationMilliseconds": 240},
   {"text": "afternoon.", "offsetMilliseconds": 1200, "durationMilliseconds": 400}],
  "locale": "en-US", "confidence": 0.93616915},
 {"channel": 0, "speaker": 0, "offsetMilliseconds": 5040, "durationMilliseconds": 400, "text": "Hi there.",
  "words": [{"text": "Hi", "offsetMilliseconds": 5040, "durationMilliseconds": 240},
   {"text": "there.", "offsetMilliseconds": 5280, "durationMilliseconds": 160}],
  "locale": "en-US", "confidence": 0.93616915}]}"""

# https://learn.microsoft.com/azure/ai-services/speech-service/rest-text-to-speech (read 2026-11-21).
VOICES = """[
 {"Name": "Microsoft Server Speech Text to Speech Voice (en-US, JennyNeural)", "DisplayName": "Jenny",
  "LocalName": "Jenny", "ShortName": "en-US-JennyNeural", "Gender": "Female", "Locale": "en-US",
  "LocaleName": "English (United States)", "StyleList": ["assistant", "cheerful"], "SampleRateHertz": "24000",
  "VoiceType": "Neural", "Status": "GA", "WordsPerMinute": "152"},
 {"DisplayName": "Yunxi", "LocalName": "云希", "ShortName": "zh-CN-YunxiNeural", "Gender": "Male",
  "Locale": "zh-CN", "VoiceType": "Neural", "Status": "GA"}, 7, {"ShortName": ""}]"""


def markup(model: str, **asked: Any) -> ElementTree.Element:
    request = Request(
        id="r", capability=Capability.TEXT_TO_AUDIO, model=model, input=Speak(**{"text": "Hi", **asked})
    )
    body = AZURE_SPEECH.upstream[Capability.TEXT_TO_AUDIO].build(request, model, PLAIN).body
    return ElementTree.fromstring(body)


async def test_a_speech_is_streamed_as_it_comes() -> None:
    asked = Speak(text='I\'m <excited> & "ready"!', format="wav")
    reply = sound(b"RI", b"FF", content_type="audio/x-wav")
    heard = await ask("azure-speech", "en-US-JennyNeural", asked, reply)

    assert heard.seen.path == "/cognitiveservices/v1"
    assert heard.seen.headers["ocp-apim-subscription-key"] == KEY
    assert heard.seen.headers["content-type"] == "application/ssml+xml"
    assert heard.seen.headers["x-microsoft-outputformat"] == "riff-24khz-16bit-mono-pcm"
    assert heard.seen.headers["user-agent"]
    assert heard.seen.body.decode() == (
        '<speak version="1.0" xmlns="http://www.w3.org/2001/10/synthesis" '
        'xmlns:mstts="https://www.w3.org/2001/mstts" xml:lang="en-US"><voice name="en-US-JennyNeural">'
        'I\'m &lt;excited&gt; &amp; "ready"!</voice></speak>'
    )
    medium = heard.folded.media[0]
    assert isinstance(medium, Medium)
    assert (medium.media_type, medium.data) == ("audio/x-wav", b"RIFF")


@given(st.text(), st.text())
def test_no_text_breaks_out_of_the_markup(text: str, style: str) -> None:
    root = markup("en-US-JennyNeural", text=text, extra={"style": style})
    (voice,) = root
    (manner,) = voice
    assert (manner.tag, len(manner)) == (f"{MSTTS}express-as", 0)
    heard = (manner.text or "").replace("\n", "").replace("\r", "")
    assert set(heard) <= set(text)
    printable = [character for character in text if character.isalnum()]
    assert [character for character in heard if character.isalnum()] == printable


def test_how_it_is_spoken() -> None:
    extra = {"style": "sad", "style_degree": 2, "pitch": "+5%", "mood": 1}
    root = markup("de-DE-KatjaNeural", speed=1.25, language="fr", extra=extra)
    assert root.attrib[LANG] == "de-DE"
    (voice,) = root
    (lang,) = voice
    (manner,) = lang
    (prosody,) = manner
    assert voice.attrib == {"name": "de-DE-KatjaNeural"}
    assert (lang.tag, lang.attrib) == (f"{SSML}lang", {LANG: "fr-FR"})
    assert manner.attrib == {"style": "sad", "styledegree": "2"}
    assert (prosody.attrib, prosody.text) == ({"rate": "+25%", "pitch": "+5%"}, "Hi")


@pytest.mark.parametrize(
    ("model", "asked", "voice", "dropped"),
    [
        ("neural", {}, VOICE, ()),
        ("neural", {"voice": "en-US-Ava:DragonHDLatestNeural"}, "en-US-Ava:DragonHDLatestNeural", ()),
        ("neural", {"voice": "alloy"}, VOICE, ("voice: it is no short name of a voice here",)),
        ("neural", {"voice": 'x"/><break/>'}, VOICE, ("voice: it is no short name of a voice here",)),
        (
            "en-US-JennyNeural",
            {"voice": "alloy"},
            "en-US-JennyNeural",
            ("voice: the model's name is one already",),
        ),
        (
            "neural",
            {"speed": 9.0, "instructions": "sadly"},
            VOICE,
            ("instructions", "speed: kept within 0.5 and 2.0"),
        ),
        ("neural", {"language": "tlh", "extra": {"mood": 1}}, VOICE, ("mood", "language: no locale")),
    ],
)
async def test_who_speaks(model: str, asked: dict[str, Any], voice: str, dropped: tuple[str, ...]) -> None:
    heard = await ask("azure-speech", model, Speak(text="Hi", **asked), sound())
    found = ElementTree.fromstring(heard.seen.body).find(f"{SSML}voice")
    assert found is not None
    assert found.attrib["name"] == voice
    assert heard.dropped == dropped


@pytest.mark.parametrize(
    ("asked", "header", "type"),
    [
        ({}, "audio-24khz-96kbitrate-mono-mp3", "audio/mpeg"),
        ({"format": "opus", "sample_rate": 48000}, "ogg-48khz-16bit-mono-opus", "audio/ogg"),
        ({"format": "pcm", "sample_rate": 8000}, "raw-8khz-16bit-mono-pcm", "audio/pcm"),
        ({"format": "aac"}, "audio-24khz-96kbitrate-mono-mp3", "audio/mpeg"),
        ({"sample_rate": 1}, "audio-24khz-96kbitrate-mono-mp3", "audio/mpeg"),
        ({"extra": {"output_format": "raw-8khz-8bit-mono-mulaw"}}, "raw-8khz-8bit-mono-mulaw", "audio/mpeg"),
        ({"extra": {"output_format": "x\r\nevil: 1"}}, "audio-24khz-96kbitrate-mono-mp3", "audio/mpeg"),
    ],
)
async def test_formats(asked: dict[str, Any], header: str, type: str) -> None:
    reply = sound(content_type="application/octet-stream")
    heard = await ask("azure-speech", "neural", Speak(text="Hi", **asked), reply)
    assert heard.seen.headers["x-microsoft-outputformat"] == header
    medium = heard.folded.media[0]
    assert isinstance(medium, Medium)
    assert medium.media_type == type


async def test_a_transcript_with_speakers() -> None:
    asked = Transcribe(
        audio=WAV, language="en", speakers=True, prompt="x", extra={"profanityFilterMode": "None"}
    )
    heard = await ask("azure-transcripts", "fast-transcription", asked, said(TRANSCRIPT))

    assert heard.seen.target == "/speechtotext/transcriptions:transcribe?api-version=2025-10-15"
    (name, definition), audio = heard.form
    assert name == "definition"
    assert isinstance(definition, str)
    assert orjson.loads(definition) == {
        "locales": ["en-US"],
        "diarization": {"enabled": True},
        "profanityFilterMode": "None",
    }
    assert audio == ("audio", WAV)
    assert heard.dropped == ("prompt",)
    assert heard.folded.text == "Good afternoon. Hi there."
    assert heard.folded.spoken == Spoken("en", 182.439)
    assert heard.folded.timed == [
        Timed("segment", "Good afternoon.", 0.96, 1.6, "1", 0.93616915),
        Timed("segment", "Hi there.", 5.04, 5.44, "0", 0.93616915),
        Timed("word", "Good", 0.96, 1.2, "1"),
        Timed("word", "afternoon.", 1.2, 1.6, "1"),
        Timed("word", "Hi", 5.04, pytest.approx(5.28), "0"),  # type: ignore[arg-type]  # near it
        Timed("word", "there.", 5.28, pytest.approx(5.44), "0"),  # type: ignore[arg-type]  # near it
    ]


async def test_a_recording_that_lies_elsewhere() -> None:
    asked = Transcribe(audio=Url("https://crbn.us/hello.wav"), language="tlh", temperature=0.1)
    heard = await ask("azure-transcripts", "fast-transcription", asked, said(TRANSCRIPT))
    assert heard.form == [("definition", '{"audioUrl":"https://crbn.us/hello.wav"}')]
    assert heard.dropped == ("temperature", "language: no locale")


@pytest.mark.parametrize("body", [b"", b"<html>busy</html>", b"{}", b"[]"])
async def test_what_is_no_transcript(body: bytes) -> None:
    heard = await ask("azure-transcripts", "fast-transcription", Transcribe(audio=WAV), said(body))
    assert heard.error.code is Code.PROTOCOL


async def test_silence_is_a_transcript_too() -> None:
    body = b'{"durationMilliseconds": 500, "combinedPhrases": [], "phrases": []}'
    heard = await ask("azure-transcripts", "fast-transcription", Transcribe(audio=WAV), said(body))
    assert (heard.folded.text, heard.folded.spoken) == ("", Spoken(None, 0.5))


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (
            401,
            '{"error": {"code": "401", "message": "Access denied due to invalid key"}}',
            Code.UPSTREAM_AUTH,
        ),
        (429, '{"error": {"code": "429", "message": "Quota exceeded"}}', Code.RATE_LIMITED),
        (
            400,
            '{"code": "InvalidRequest", "message": "bad", "innerError": {"code": "InvalidLocale"}}',
            Code.INVALID_REQUEST,
        ),
        (503, "", Code.UNAVAILABLE),
    ],
)
async def test_refusals(status: int, body: str, code: Code) -> None:
    with pytest.raises(RhetorError) as refused:
        await ask("azure-speech", "neural", Speak(text="Hi"), fails(status, body=body.encode()))
    assert refused.value.code is code


async def test_the_voices_of_a_region() -> None:
    seen, entries = await listed("azure-speech", VOICES.encode())
    assert seen.path == "/cognitiveservices/voices/list"
    speaks = frozenset({Capability.TEXT_TO_AUDIO})
    tags = frozenset({"voice", "female", "en-us", "neural", "assistant", "cheerful"})
    assert entries == [
        ModelEntry("en-US-JennyNeural", "Jenny", capabilities=speaks, tags=tags),
        ModelEntry(
            "zh-CN-YunxiNeural",
            "Yunxi",
            capabilities=speaks,
            tags=frozenset({"voice", "male", "zh-cn", "neural"}),
        ),
    ]
    with pytest.raises(RhetorError):
        await listed("azure-speech", b"{}")
