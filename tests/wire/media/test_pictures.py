"""Pictures in lists: base64 that nobody decodes, links, and what is no picture."""

from __future__ import annotations

from base64 import b64encode

import pytest

from rhetor.core.errors import Code
from rhetor.core.events import Failed, Medium, MediumLink, fold
from rhetor.core.usage import Usage
from rhetor.wire.media.pictures import PicturesDecoder, nearest_ratio

PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)


def decode(body: bytes, otherwise: str = "image/png"):
    decoder = PicturesDecoder(otherwise)
    decoder.begin(200, {})
    decoder.feed(body[:5])
    decoder.feed(body[5:])
    return decoder.close().events


def test_pictures_as_text_stay_text() -> None:
    data = b64encode(PNG).decode()
    body = f'{{"id": "x", "data": [{{"b64_json": "{data}", "revised_prompt": "p"}}, {{"b64_json": "AAAA"}}]}}'
    folded = fold(decode(body.encode(), "image/jpeg"))
    first, second = folded.media[0], folded.media[1]
    assert isinstance(first, Medium)
    assert isinstance(second, Medium)
    assert (first.media_type, first.prompt, first.base64, first.data) == ("image/png", "p", data, PNG)
    assert second.media_type == "image/jpeg"
    assert folded.usage == Usage(images=2)


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        ("/9j/4AAQ", "image/jpeg"),
        ("UklGRiQA", "image/webp"),
        ("R0lGODlh", "image/gif"),
        ("PHN2ZyB4", "image/svg+xml"),
    ],
)
def test_how_pictures_begin(data: str, media_type: str) -> None:
    medium = fold(decode(f'{{"data": [{{"b64_json": "{data}"}}]}}'.encode())).media[0]
    assert isinstance(medium, Medium)
    assert medium.media_type == media_type


def test_a_link_and_what_it_cost() -> None:
    body = (
        b'{"data": [{"url": "https://x.example/1.png", "media_type": "image/png"}],'
        b' "usage": {"prompt_tokens": 3, "completion_tokens": 9}}'
    )
    folded = fold(decode(body))
    assert folded.media[0] == MediumLink(0, "https://x.example/1.png", "image/png")
    assert folded.usage == Usage(input_tokens=3, output_tokens=9, images=1)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html>busy</html>", "not JSON: busy"),
        (b'{"data": []}', "no picture"),
        (b'{"error": {"message": "filtered"}}', "filtered"),
        (b'{"data": [{"b64_json": "AAAA"}, {}]}', "data[1]"),
    ],
)
def test_what_is_no_picture(body: bytes, words: str) -> None:
    last = decode(body)[-1]
    assert isinstance(last, Failed)
    assert last.error.code is Code.PROTOCOL
    assert words in last.error.message


def test_the_nearest_ratio() -> None:
    ratios = ("1:1", "16:9", "9:16", "4:3", "9:19.5")
    assert [
        nearest_ratio(size, ratios) for size in ((512, 512), (1792, 1024), (1024, 1792), (1200, 900))
    ] == [
        "1:1",
        "16:9",
        "9:16",
        "4:3",
    ]
    assert nearest_ratio((1, 1000), ratios) == "9:19.5"
