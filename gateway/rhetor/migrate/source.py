"""A file's text, with everything that is needed to write it back as it was."""

from __future__ import annotations

import codecs
import hashlib
import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field

from rhetor.migrate.finding import Edit

LINE_END = re.compile(r"\r\n?|\n")
_COOKIE = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
"""https://peps.python.org/pep-0263/ (read 2026-11-21)."""
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


class Unreadable(Exception):
    """A file that is no text, or not in the encoding that it claims."""


@dataclass(frozen=True, slots=True)
class Source:
    """The text of one file, below the folder that is scanned."""

    file: str
    text: str
    encoding: str = "utf-8"
    mark: bytes = b""
    """The byte order mark, which the text is without."""
    _lines: list[int] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        starts = [0, *(match.end() for match in LINE_END.finditer(self.text))]
        object.__setattr__(self, "_lines", starts)

    def offset(self, line: int, column: int) -> int:
        """Where a place is, lines counted from one and columns from zero."""
        return self._lines[line - 1] + column

    def line_of(self, offset: int) -> int:
        return bisect_right(self._lines, offset)

    def line_start(self, offset: int) -> int:
        """Where the line begins that has this place."""
        return self._lines[self.line_of(offset) - 1]

    def line_text(self, line: int) -> str:
        """One line without its end; empty where there is none."""
        if not 1 <= line <= len(self._lines):
            return ""
        end = self._lines[line] if line < len(self._lines) else len(self.text)
        return self.text[self._lines[line - 1] : end].rstrip("\r\n")

    @property
    def newline(self) -> str:
        """The line end that the file uses first, and so for new lines."""
        match = LINE_END.search(self.text)
        return match.group() if match else "\n"

    def encoded(self, text: str) -> bytes:
        """Another text as the bytes of this file.

        Raises:
            UnicodeEncodeError: the file's encoding has no such character.
        """
        return self.mark + text.encode(self.encoding)


def decode(file: str, raw: bytes) -> Source:
    """The text of a file in the encoding that it names, else UTF-8.

    Raises:
        Unreadable: says why.
    """
    mark, encoding = next(((m, e) for m, e in _MARKS if raw.startswith(m)), (b"", "utf-8"))
    if not mark and file.endswith((".py", ".pyi")):
        encoding = _declared(raw)
    if not mark and b"\0" in raw[:8192]:
        raise Unreadable("it is no text")
    try:
        source = Source(file, raw[len(mark) :].decode(encoding), encoding, mark)
        faithful = source.encoded(source.text) == raw
    except (UnicodeError, LookupError, ValueError) as error:
        raise Unreadable(f"it is not in {encoding[:40]}") from error
    if not faithful:  # encodings with states may say one text in several ways
        raise Unreadable(f"it cannot be written back in {encoding[:40]}")
    return source


def digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def _declared(raw: bytes) -> str:
    for line in raw.split(b"\n", 2)[:2]:
        if (match := _COOKIE.match(line)) is not None:
            return match[1].decode("ascii", "replace")
    return "utf-8"


def edited(text: str, edits: Iterable[Edit]) -> str:
    """The text with all edits made, which must not overlap; those at one place come in their order."""
    parts, at = [], 0
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.end)):
        assert at <= edit.start <= edit.end <= len(text), f"{edit} overlaps another one"
        parts += [text[at : edit.start], edit.text]
        at = edit.end
    return "".join([*parts, text[at:]])
