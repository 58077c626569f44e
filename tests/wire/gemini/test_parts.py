"""Parts of messages in this language."""

from __future__ import annotations

import pytest

from rhetor.core.content import Audio, File, Image, Inline, Opaque, Part, Refusal, Text, Uploaded, Url
from rhetor.core.errors import BadRequest, Code
from rhetor.core.media import Bytes
from rhetor.wire.gemini.parts import Dropped, write_material, write_part

PNG = Inline("image/png", "iVBORw==")


@pytest.mark.parametrize(
    ("part", "written"),
    [
        (Text("hi"), [{"text": "hi"}]),
        (Refusal("no"), [{"text": "no"}]),
        (Text(""), []),
        (Image(PNG), [{"inlineData": {"mimeType": "image/png", "data": "iVBORw=="}}]),
        (
            Image(Url("data:image/webp;base64,UklG")),
            [{"inlineData": {"mimeType": "image/webp", "data": "UklG"}}],
        ),
        (
            Image(Url("https://x.example/a.gif?b=c.png")),
            [{"fileData": {"mimeType": "image/gif", "fileUri": "https://x.example/a.gif?b=c.png"}}],
        ),
        (
            Image(Url("https://x.example/cat")),
            [{"fileData": {"mimeType": "image/jpeg", "fileUri": "https://x.example/cat"}}],
        ),
        (Audio(Inline("audio/mpeg", "SUQz")), [{"inlineData": {"mimeType": "audio/mpeg", "data": "SUQz"}}]),
        (
            File(Inline("application/pdf", "JVBE"), "bill.pdf"),
            [{"text": "bill.pdf"}, {"inlineData": {"mimeType": "application/pdf", "data": "JVBE"}}],
        ),
        (
            File(Uploaded("https://x.example/files/1")),
            [{"fileData": {"fileUri": "https://x.example/files/1"}}],
        ),
        (Opaque("gemini", {"executableCode": {"code": "1"}}), [{"executableCode": {"code": "1"}}]),
    ],
)
def test_what_can_be_said(part: Part, written: list[object]) -> None:
    dropped = Dropped()
    assert write_part(part, "content[0]", dropped) == written
    assert dropped == []


@pytest.mark.parametrize("source", [Url("gs://shelf/cat.png"), Uploaded("gs://shelf/cat.png")])
def test_what_lies_in_a_bucket_is_not_read_with_rights_of_the_gateway(source: Url | Uploaded) -> None:
    with pytest.raises(BadRequest, match="send its bytes"):
        write_part(Image(source), "content[0]", Dropped())


def test_what_is_lost_is_named() -> None:
    dropped = Dropped()
    write_part(Text("a", cache="5m"), "content[0]", dropped)
    write_part(Text("b", cache="1h"), "content[1]", dropped)
    write_part(Image(PNG, "high"), "content[2]", dropped)
    assert write_part(Opaque("anthropic", {"type": "compaction"}), "content[3]", dropped) == []
    assert dropped == ["cache_control", "content[2].detail", "content[3]: opaque compaction"]


def test_a_data_url_has_to_be_one() -> None:
    with pytest.raises(BadRequest) as caught:
        write_part(Image(Url("data:image/png,raw")), "content[0]", Dropped())
    assert caught.value.code is Code.INVALID_REQUEST
    assert caught.value.param == "content[0]"


def test_material_of_no_type_is_taken_for_what_it_must_be() -> None:
    bare = write_material(Bytes("", b"RIFF"), "file", "audio/wav")
    assert bare == {"inlineData": {"mimeType": "audio/wav", "data": "UklGRg=="}}
    typed = write_material(Bytes("audio/ogg; codecs=opus", b"Ogg"), "file", "audio/wav")
    assert typed == {"inlineData": {"mimeType": "audio/ogg", "data": "T2dn"}}
