"""Forms with files: what browsers, curl and SDKs send, and what attackers do."""

from __future__ import annotations

import builtins
import tempfile
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.errors import BadRequest
from rhetor.core.media import Bytes
from rhetor.wire import multipart
from rhetor.wire.multipart import FORM_TYPE, FormField, build_form, is_form, parse_form

TYPE = f"{FORM_TYPE}; boundary=b"
names = st.text(st.characters(exclude_categories=("Cs",), exclude_characters='\\%"\r\n'), max_size=20)
files = st.builds(
    Bytes,
    st.sampled_from(["audio/wav", "audio/webm;codecs=opus", "application/octet-stream"]),
    st.binary(max_size=200),
    st.none() | names.filter(bool),
)
fields = st.lists(st.tuples(names, st.text(st.characters(exclude_categories=("Cs",))) | files), max_size=5)


def part(head: bytes, data: bytes = b"x") -> bytes:
    return b"--b\r\n%b\r\n\r\n%b\r\n" % (head, data)


def named(name: bytes, more: bytes = b"") -> bytes:
    return b'Content-Disposition: form-data; name="%b"%b' % (name, more)


def form(*parts: bytes, end: bytes = b"--b--\r\n") -> bytes:
    return b"".join(parts) + end


@given(fields)
def test_what_is_built_is_parsed_back(given_fields: list[FormField]) -> None:
    body, content_type = build_form(given_fields)
    assert is_form({"content-type": content_type})
    wanted = [
        (name, Bytes(it.media_type, it.data, it.name or "file") if isinstance(it, Bytes) else it)
        for name, it in given_fields
    ]
    assert parse_form(body, content_type) == wanted


@given(st.binary(max_size=60), st.integers(1, 9), st.sampled_from([b"--b--", b"--b--\r\n"]))
def test_where_the_body_is_cut_into_pieces_means_nothing(data: bytes, size: int, end: bytes) -> None:
    """The parser looks at a large body piece by piece; the last delimiter may lie across two of them."""
    body = form(
        part(named(b"a"), b"1"), part(named(b"f", b'; filename="f"'), data.replace(b"--b", b"")), end=end
    )
    whole = parse_form(body, TYPE)
    before = multipart.PIECE_BYTES
    multipart.PIECE_BYTES = size + len("\r\n--b")  # the first one has to hold the first delimiter
    try:
        assert parse_form(body, TYPE) == whole
    finally:
        multipart.PIECE_BYTES = before


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (form(part(named(b"a"))), [("a", "x")]),
        (form(part(named(b"a")), end=b"--b--"), [("a", "x")]),
        (form(part(b"content-disposition: form-data; name=a")), [("a", "x")]),
        (form(part(named(b"a[]")), part(named(b"a[]"), b"y")), [("a[]", "x"), ("a[]", "y")]),
        (form(part(named(b"a"), b"")), [("a", "")]),
        (form(part(named(b"a"), "ü".encode())), [("a", "ü")]),
        (form(part(named(b"a") + b"\r\nContent-Type: text/plain; charset=latin-1")), [("a", "x")]),
        (b"preamble\r\n" + form(part(named(b"a"))) + b"epilogue", [("a", "x")]),
        (form(), []),
        (
            form(part(named(b"f", b'; filename=""'))),
            [("f", Bytes("application/octet-stream", b"x"))],
        ),
        (
            form(part(named(b"f", b'; filename="a.wav"') + b"\r\nContent-Type: audio/wav", b"\x00\xff\r\n")),
            [("f", Bytes("audio/wav", b"\x00\xff\r\n", "a.wav"))],
        ),
    ],
)
def test_what_callers_send(body: bytes, expected: list[FormField]) -> None:
    assert parse_form(body, TYPE) == expected


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/json",
        FORM_TYPE,
        f"{FORM_TYPE}; boundary=",
        f"{FORM_TYPE}; boundary={'b' * 71}",
        f'{FORM_TYPE}; boundary="a\nb"',
        FORM_TYPE + '; x="\\"' * 50_000,
    ],
)
def test_what_is_no_form_is_said_to_be_none(content_type: str) -> None:
    with pytest.raises(BadRequest, match="boundary") as refused:
        parse_form(form(part(named(b"a"))), content_type)
    assert refused.value.param == "content-type"
    assert len(refused.value.message) < 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--b",
        b"not a form at all",
        b'{"model": "m"}',
        part(named(b"a")),
        part(named(b"a")) + b"--b",
        form(part(b"Content-Disposition: form-data")),
        form(part(b"Content-Disposition: attachment; name=a")),
        form(part(b"X: y")),
        form(part(b"no colon")),
        form(part(named(b"a") + b"\r\n folded: header")),
        form(part(named(b"a") + b"\r\nContent-Length: 4000000000")),
        form(part(named(b"a") + b"\r\nX: " + b"y" * 3000)),
        form(part(named(b"a") + b"\r\nX: y" * 9)),
        form(part(named(b"a") + b"\r\nX: \xff")),
        form(*[part(named(b"a"))] * 257),
    ],
)
def test_a_broken_form_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest, match="the form cannot be read"):
        parse_form(body, TYPE)


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"\xff\xfe", "a: expected text in UTF-8"), (b"x" * (1 << 20) + b"y", "more than 1 MiB")],
)
def test_a_field_that_cannot_be_one_is_named(data: bytes, words: str) -> None:
    with pytest.raises(BadRequest, match=words) as refused:
        parse_form(form(part(named(b"a"), data)), TYPE)
    assert refused.value.param == "a"


@pytest.mark.parametrize("charset", ["punycode", "idna", "hex", "zip", "rot13", "no-such", "utf-16"])
def test_no_part_chooses_how_it_is_decoded(charset: str) -> None:
    """Python's punycode takes minutes for what fits into a field, and `hex` is no text at all."""
    head = named(b"a") + b"\r\nContent-Type: text/plain; charset=" + charset.encode()
    assert parse_form(form(part(head, b"x" * 100_000)), TYPE) == [("a", "x" * 100_000)]


HOSTILE = b"-" * 69 + b"x"


@pytest.mark.parametrize(
    "data",
    [b"\r\n" + b"-" * 71, b"\r", b"\r\n--" + HOSTILE[:-1], b"-"],
    ids=["near misses", "line ends", "all but the last byte", "what boundaries are made of"],
)
def test_nothing_takes_more_than_it_is_long(data: bytes) -> None:
    """Eight megabytes of what parsers like least: were any of it quadratic, this would not end today."""
    content = data * ((8 << 20) // len(data))
    head = b'--%b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n' % HOSTILE
    body = b"%b%b\r\n--%b--" % (head, content, HOSTILE)
    ((_, found),) = parse_form(body, f"{FORM_TYPE}; boundary={HOSTILE.decode()}")
    assert isinstance(found, Bytes)
    assert found.data == content


def test_nothing_goes_to_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("a file was opened")

    body, content_type = build_form([("f", Bytes("audio/wav", b"x" * (4 << 20), "a.wav"))])
    for name in ("TemporaryFile", "NamedTemporaryFile", "SpooledTemporaryFile", "mkstemp"):
        monkeypatch.setattr(tempfile, name, refuse)
    monkeypatch.setattr(builtins, "open", refuse)
    assert len(parse_form(body, content_type)) == 1


@pytest.mark.parametrize(
    "media_type", ["audio/wav\r\nX-Evil: 1", "audio/wav\nX", "", "nonsense", "a/b; " + "x" * 900, "ä/b"]
)
def test_a_type_that_is_none_does_not_become_a_header(media_type: str) -> None:
    body, content_type = build_form([('n"\r\nX: 1', Bytes(media_type, b"", 'f"\r\nX: 1'))])
    assert b"\r\nX" not in body
    assert parse_form(body, content_type) == [
        ('n"\r\nX: 1', Bytes("application/octet-stream", b"", 'f"\r\nX: 1'))
    ]
