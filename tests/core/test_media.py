"""Pictures, recordings and films, however they came."""

from __future__ import annotations

import pytest

from rhetor.core.content import Inline, Url
from rhetor.core.errors import BadRequest
from rhetor.core.media import Bytes, base64_of, data_of, extension_of, inlined, url_of

CAME_AS_BYTES = Bytes("audio/wav", b"abc", "a.wav")
CAME_AS_TEXT = Inline("audio/wav", "YWJj")


@pytest.mark.parametrize("material", [CAME_AS_BYTES, CAME_AS_TEXT])
def test_content_is_the_same_however_it_came(material: Bytes | Inline) -> None:
    assert data_of(material) == b"abc"
    assert base64_of(material) == "YWJj"
    assert url_of(material) == "data:audio/wav;base64,YWJj"


def test_an_address_stays_one() -> None:
    assert url_of(Url("https://media.test/a.wav")) == "https://media.test/a.wav"


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("data:image/png;base64,AAAA", ("image/png", 22)),
        ("DATA:image/svg+xml;charset=utf-8;BASE64,AAAA", ("image/svg+xml", 40)),
        ("data:;base64,", ("", 13)),
        ("data:text/plain,AAAA", None),
        ("https://media.test/a;base64,AAAA", None),
        ("data:" + "a/" * 5_000_000, None),  # at once
        ("data:" + ";" * 5_000_000 + ";base64,", None),
    ],
)
def test_an_address_may_hold_the_content(address: str, found: tuple[str, int] | None) -> None:
    assert inlined(address) == found


def test_what_is_no_base64_is_the_callers_fault() -> None:
    with pytest.raises(BadRequest, match="not base64"):
        data_of(Inline("audio/wav", "a"))


@pytest.mark.parametrize(
    ("media_type", "extension"),
    [("image/jpeg", "jpg"), ("Audio/WAV; codecs=1", "wav"), ("application/x-unheard-of", "bin")],
)
def test_files_end_as_everybody_knows(media_type: str, extension: str) -> None:
    assert extension_of(media_type) == extension
