"""Forms with files in them (multipart/form-data), both directions.

https://www.rfc-editor.org/rfc/rfc7578 (read 2026-11-21).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from rhetor.core.errors import BadRequest
from rhetor.core.media import Bytes

FORM_TYPE = "multipart/form-data"
OCTETS = "application/octet-stream"
MOST_PARTS = 256  # nobody sends more fields; each costs work before anything is known of it
MOST_HEADERS = 8  # of a part; three are known
LARGEST_HEADER = 2048  # bytes of one; the longest has a file's name in it
LARGEST_FIELD = 1 << 20  # bytes of a field that is no file: prompts are shorter
PIECE_BYTES = 256 << 10  # what is looked at in one go: another thread waits for so long
LONGEST_BOUNDARY = 70  # https://www.rfc-editor.org/rfc/rfc2046#section-5.1.1 (read 2026-11-21)
LINE_END = b"\r\n"
MEDIA_TYPE = re.compile(r"[\w.+-]{1,64}/[\w.+-]{1,64}(?:; ?[ -~]{1,200})?", re.ASCII)

FormField: TypeAlias = tuple[str, str | Bytes]


def is_form(headers: Mapping[str, str]) -> bool:
    """Whether a request says that its body is such a form."""
    return headers.get("content-type", "").partition(";")[0].strip().lower() == FORM_TYPE


def parse_form(body: bytes, content_type: str) -> list[FormField]:
    """The fields in their order: a text, or a file with its type and name.

    Takes time and memory in proportion to the body. A large one belongs into a thread; it lets others run.

    Raises:
        BadRequest: it is no such form.
    """
    parser = PushMultipartParser(
        _boundary(content_type),
        max_header_count=MOST_HEADERS,
        max_header_size=LARGEST_HEADER,
        max_segment_count=MOST_PARTS,
        strict=True,
    )
    try:
        fields = list(_fields(parser, body))
        parser.close()
    except MultipartError as error:
        raise BadRequest(f"the form cannot be read: {error}") from error
    return fields


def build_form(fields: Iterable[FormField]) -> tuple[bytes, str]:
    """The body of a form, and its content type."""
    boundary = f"rhetor-{secrets.token_hex(16)}"
    out: list[bytes] = []
    for name, content in fields:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(name)}"'
        if isinstance(content, Bytes):
            head += f'; filename="{_quoted(content.name or "file")}"\r\n'
            head += f"Content-Type: {_media_type(content.media_type)}"
        out += [f"{head}\r\n\r\n".encode(), content.data if isinstance(content, Bytes) else content.encode()]
        out.append(LINE_END)
    out.append(f"--{boundary}--\r\n".encode())
    return b"".join(out), f"{FORM_TYPE}; boundary={boundary}"


def _boundary(content_type: str) -> str:
    kind, options = parse_options_header(content_type[:LARGEST_HEADER])
    boundary: str = options.get("boundary", "")
    if kind.lower() != FORM_TYPE or not boundary:
        got = content_type[:LONGEST_BOUNDARY]
        raise BadRequest(f"expected {FORM_TYPE} with a boundary, got {got!r}", param="content-type")
    if len(boundary) > LONGEST_BOUNDARY or not boundary.isascii() or not boundary.isprintable():
        message = f"the form's boundary must be 1 to {LONGEST_BOUNDARY} printable characters"
        raise BadRequest(message, param="content-type")
    return boundary


def _fields(parser: PushMultipartParser, body: bytes) -> Iterator[FormField]:
    segment: MultipartSegment | None = None
    pieces: list[bytes] = []
    for piece in _pieces(body):
        for event in parser.parse(piece):
            if isinstance(event, MultipartSegment):
                segment, pieces = event, []
            elif event is None:
                assert segment is not None
                yield _field(segment, b"".join(pieces))
            else:
                assert segment is not None
                _refuse_excess(segment)
                pieces.append(event)


def _pieces(body: bytes) -> Iterator[bytes]:
    """The body up to its last delimiter: the line end that may follow counts as data where it comes late."""
    tail = body[-len(LINE_END) :]
    end = len(body) - (len(tail) - len(tail.rstrip(LINE_END)))
    for at in range(0, end, PIECE_BYTES):
        yield body[at : min(at + PIECE_BYTES, end)]


def _refuse_excess(segment: MultipartSegment) -> None:
    if segment.filename is None and segment.bytes_received > LARGEST_FIELD:
        name = _shown(segment)
        raise BadRequest(f"{name}: a field of more than {LARGEST_FIELD >> 20} MiB", param=name)


def _field(segment: MultipartSegment, data: bytes) -> FormField:
    name = segment.name or ""
    if segment.filename is not None:
        given = segment.header("Content-Type") or OCTETS
        return name, Bytes(_media_type(given), data, segment.filename or None)
    try:
        # Whatever charset a part claims, it is UTF-8: some that Python knows take a minute for a megabyte.
        return name, data.decode()
    except UnicodeDecodeError as error:
        shown = _shown(segment)
        raise BadRequest(f"{shown}: expected text in UTF-8, or a file with its name", param=shown) from error


def _shown(segment: MultipartSegment) -> str:
    return (segment.name or "")[:LONGEST_BOUNDARY]


def _media_type(given: str) -> str:
    """One that may stand in a header: without line ends, say."""
    given = given.strip()
    return given if MEDIA_TYPE.fullmatch(given) else OCTETS


def _quoted(text: str) -> str:
    """As browsers write it: https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#multipart-form-data
    (read 2026-11-21)."""
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
