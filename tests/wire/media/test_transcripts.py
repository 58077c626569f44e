"""What transcripts have in common: sentences out of words, and files with names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.content import Inline
from rhetor.core.errors import BadRequest, Code
from rhetor.core.events import Finished, FinishReason, Spoken, Started, TextDelta, Timed, UsageReport
from rhetor.core.media import Bytes, Transcribe
from rhetor.core.usage import Usage
from rhetor.wire.base import Narrator
from rhetor.wire.media.transcripts import (
    TranscriptDecoder,
    file_of,
    number,
    refuse_translation,
    sentences,
    tell_transcript,
)


def words(*said: tuple[str, str | None]) -> list[Timed]:
    return [Timed("word", text, n, n + 0.5, speaker) for n, (text, speaker) in enumerate(said)]


def test_a_sentence_ends_with_its_mark_or_its_speaker() -> None:
    heard = words(("Hi", "a"), ("there.", "a"), ("How", "a"), ("Fine", "b"), ("元気？", "b"), ("yes", "b"))
    assert sentences(heard) == [
        Timed("segment", "Hi there.", 0, 1.5, "a"),
        Timed("segment", "How", 2, 2.5, "a"),
        Timed("segment", "Fine 元気？", 3, 4.5, "b"),
        Timed("segment", "yes", 5, 5.5, "b"),
    ]
    assert sentences([]) == []


@given(st.lists(st.tuples(st.sampled_from(["a", "b.", "c!"]), st.sampled_from([None, "x"]))))
def test_no_word_is_lost(said: list[tuple[str, str | None]]) -> None:
    assert " ".join(it.text for it in sentences(words(*said))) == " ".join(text for text, _ in said)


def test_a_transcript_is_told_in_order() -> None:
    narrator = Narrator()
    narrator.start("id", "m")
    (word,) = words(("Hi", None))
    tell_transcript(narrator, "Hi", [word], Spoken("en", 1.25))
    assert narrator.take() == [
        Started("id", "m"),
        TextDelta("Hi"),
        word,
        Spoken("en", 1.25),
        UsageReport(Usage(audio_ms=1250)),
        Finished(FinishReason.STOP),
    ]


def test_its_length_may_be_unknown() -> None:
    narrator = Narrator()
    tell_transcript(narrator, "", [], Spoken())
    assert not any(isinstance(event, UsageReport) for event in narrator.take())


def test_a_decoder_says_what_its_object_means() -> None:
    with pytest.raises(NotImplementedError):
        TranscriptDecoder().read(b"{}")


def test_files_have_names_that_tell_their_kind() -> None:
    assert file_of(Bytes("audio/wav", b"x", "a.b")) == Bytes("audio/wav", b"x", "a.b")
    assert file_of(Bytes("audio/mpeg", b"x")) == Bytes("audio/mpeg", b"x", "audio.mp3")
    assert file_of(Inline("audio/flac", "eA==")) == Bytes("audio/flac", b"x", "audio.flac")
    with pytest.raises(BadRequest):
        file_of(Inline("audio/flac", "!"))


def test_who_translates_nothing_says_so() -> None:
    audio = Bytes("audio/wav", b"x")
    refuse_translation(Transcribe(audio=audio))
    with pytest.raises(BadRequest) as refused:
        refuse_translation(Transcribe(audio=audio, translate=True))
    assert refused.value.code is Code.UNSUPPORTED


def test_numbers() -> None:
    assert number({"n": 1}, "n") == 1.0
    assert number({"n": 1.5}, "n") == 1.5
    assert [number({"n": it}, "n") for it in (True, "1", None)] == [None] * 3
