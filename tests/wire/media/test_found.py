"""What was made: found in whatever an author thought an output should look like."""

from __future__ import annotations

from typing import Any

import pytest

from rhetor.core.events import Spoken, TextDelta, Timed
from rhetor.wire.media.errand import AUDIO, IMAGE, SHAPE
from rhetor.wire.media.found import others, results, text_of, transcript

PNG, MP4, BARE = "https://x.example/0.png", "https://x.example/0.mp4", "https://x.example/0"


@pytest.mark.parametrize(
    ("output", "urls"),
    [
        (PNG, [PNG]),
        ([PNG, PNG, BARE], [PNG]),
        ([BARE, MP4], [BARE]),
        ({"images": [{"url": BARE, "content_type": "image/webp"}], "seed": 7, "prompt": "x"}, [BARE]),
        ({"a": {"b": {"c": [{"uri": PNG}]}}}, [PNG]),
        ({"url": "not one", "image": PNG}, [PNG]),
        ("data:image/png;base64,AA==", ["data:image/png;base64,AA=="]),
        (MP4, []),
        ("a cat", []),
        (None, []),
        (7, []),
        ([[[[[[PNG]]]]]], []),
    ],
)
def test_addresses_of_a_kind(output: Any, urls: list[str]) -> None:
    assert [it.url for it in results(output, IMAGE)] == urls


def test_types_are_those_that_are_said() -> None:
    (found,) = results({"audio": {"url": BARE, "content_type": "audio/wav"}}, AUDIO)
    assert (found.media_type, found.keyed) == ("audio/wav", False)
    (vague,) = results({"mesh": {"url": f"{BARE}.glb", "content_type": "application/octet-stream"}}, SHAPE)
    assert vague.media_type == "model/gltf-binary"


def test_some_are_kept_by_the_vendor() -> None:
    found = results([PNG, f"{BARE}1.png"], IMAGE, lambda url: url == PNG)
    assert [it.keyed for it in found] == [True, False]


@pytest.mark.parametrize(
    ("output", "words"),
    [(MP4, "video/mp4"), ([MP4, BARE], "something of no type, video/mp4"), ({"text": "x"}, "nothing")],
)
def test_what_else_there_is(output: Any, words: str) -> None:
    assert others(output) == words


@pytest.mark.parametrize(
    ("output", "text"),
    [
        ("a cat", "a cat"),
        (["a ", "cat"], "a cat"),
        ([], ""),
        ([{"text": "a cat"}], "a cat"),
        ({"caption": ["a ", "cat"]}, "a cat"),
        ({"output": {"text": "a cat"}}, "a cat"),
        ({"seed": 7}, None),
        ([1, 2], None),
        (None, None),
    ],
)
def test_texts(output: Any, text: str | None) -> None:
    assert text_of(output) == text


def test_transcripts() -> None:
    said = {
        "segments": [{"start": 0, "end": 1, "text": " One.", "speaker": "A"}, {"start": 1, "text": "odd"}],
        "detected_language": "english",
    }
    assert transcript(said) == [TextDelta("One."), Timed("segment", "One.", 0.0, 1.0, "A"), Spoken("english")]
    assert transcript(" One. ") == [TextDelta("One.")]
    assert transcript({"seed": 7}) == []
    assert transcript(None) == []
