"""Requests that are forms: read as JSON would be, and passed on with nothing changed but the model."""

from __future__ import annotations

import pytest

from rhetor.core.content import Inline, Url
from rhetor.core.errors import BadRequest
from rhetor.core.media import Bytes, Material
from rhetor.core.request import Original
from rhetor.wire.base import PLAIN, Quirks
from rhetor.wire.multipart import FormField, build_form, parse_form
from rhetor.wire.openai import uploads
from rhetor.wire.openai.uploads import Upload, parse_upload, passed_on

FILE = Bytes("audio/wav", b"RIFF\r\n--not a boundary", "a.wav")
KINDS = {"n": uploads.integer, "speed": uploads.number, "stream": uploads.flag}


def upload(*fields: FormField) -> Upload:
    return parse_upload(*build_form(fields), KINDS)


def sent(original: Original, quirks: Quirks = PLAIN, **how: tuple[str, ...]) -> list[FormField]:
    body, headers, _ = passed_on(original, "target", quirks, **how)
    return parse_form(body, headers["content-type"])


def test_texts_are_what_json_would_say() -> None:
    given = upload(("n", "2"), ("speed", "1.5"), ("stream", "TRUE"), ("size", "1x1"), ("file", FILE))
    assert given.fields == {"n": 2, "speed": 1.5, "stream": True, "size": "1x1"}
    assert uploads.files_of(given, "file") == [FILE]


def test_the_same_form_is_the_same_however_it_is_divided() -> None:
    given = [("model", "m"), ("file", FILE)]
    first, second = upload(*given), upload(*given)
    assert first.body != second.body
    assert [*first.pieces()] == [*second.pieces()]
    others = [
        [("model", "n"), ("file", FILE)],
        [("model", "m"), ("file", Bytes("audio/wav", b"RIFF", "a.wav"))],
        [("model", "m"), ("mask", FILE)],
        [("file", FILE)],
    ]
    for other in others:
        assert [*upload(*other).pieces()] != [*first.pieces()]


def test_what_comes_several_times_is_a_list() -> None:
    given = upload(
        ("a[]", "1"), ("b", "1"), ("b", "2"), ("c[]", "1"), ("c[]", "2"), ("f[]", FILE), ("f[]", FILE)
    )
    assert given.fields == {"a": ["1"], "b": ["1", "2"], "c": ["1", "2"]}
    assert uploads.files_of(given, "f") == [FILE, FILE]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [("n", "two", "an integer"), ("speed", "", "a number"), ("stream", "maybe", "true or false")],
)
def test_a_text_that_is_no_number_is_named(name: str, text: str, words: str) -> None:
    with pytest.raises(BadRequest, match=f"{name}: expected {words}") as refused:
        upload((name, text))
    assert refused.value.param == name


def test_only_the_model_changes() -> None:
    """In a form of which we know half the fields, and a file of which we know nothing."""
    given = upload(("x[y]", "1"), ("file", FILE), ("model", "asked"), ("words[]", "a"), ("words[]", "b"))
    assert sent(given) == [
        ("model", "target"),
        ("x[y]", "1"),
        ("file", FILE),
        ("words[]", "a"),
        ("words[]", "b"),
    ]


def test_what_a_provider_refuses_is_left_out_and_told() -> None:
    given = upload(("a", "1"), ("b[]", "1"), ("c", "1"), ("temperature", "9"), ("fallbacks[]", "x/y"))
    body, headers, dropped = passed_on(
        given, "target", Quirks(drop_fields=frozenset({"a"})), refused=("b",), ours=("c",)
    )
    assert parse_form(body, headers["content-type"]) == [("model", "target"), ("temperature", "9")]
    assert dropped == ("a", "b")


def test_json_is_spliced_where_that_is_enough() -> None:
    said = {"model": "asked", "n": 1, "style": "x"}
    original = Original("openai", b'{"n": 1,  "model":"asked", "style":"x"}', said)
    assert passed_on(original, "target", PLAIN)[0] == b'{"n": 1,  "model":"target", "style":"x"}'
    body, headers, dropped = passed_on(original, "target", PLAIN, refused=("style",))
    assert (body, headers, dropped) == (b'{"model":"target","n":1}', {}, ("style",))


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("https://x.test/a.png", Url("https://x.test/a.png")),
        ("data:image/png;base64,AAAA", Inline("image/png", "AAAA")),
        ("data:image/svg+xml,<svg/>", Url("data:image/svg+xml,<svg/>")),
        ("data:nothing", Url("data:nothing")),
    ],
)
def test_what_an_address_holds(said: str, meant: Material) -> None:
    assert uploads.material(said) == meant


def test_a_file_is_called_what_it_is() -> None:
    assert uploads.file_of(Inline("audio/mpeg", "AAAA"), "audio") == Bytes(
        "audio/mpeg", b"\0\0\0", "audio.mp3"
    )
    assert uploads.file_of(FILE, "audio") == FILE
    with pytest.raises(BadRequest, match="base64"):
        uploads.file_of(Inline("audio/mpeg", "%%%"), "audio")


def test_a_form_of_ones_own() -> None:
    outgoing = uploads.form_outgoing("/x", {"n": 2, "on": True, "l": ["a", 1], "o": {"a": 1}}, [("f", FILE)])
    assert parse_form(outgoing.body, outgoing.headers["content-type"]) == [
        ("n", "2"),
        ("on", "true"),
        ("l[]", "a"),
        ("l[]", "1"),
        ("o", '{"a":1}'),
        ("f", FILE),
    ]
