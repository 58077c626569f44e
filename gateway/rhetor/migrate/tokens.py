"""JavaScript and TypeScript as tokens. What is not understood is a token of one character."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto


class Sort(Enum):
    NAME = auto()
    TEXT = auto()
    """A string, or a template up to its first `${`; its value is what is between the quotes."""
    PART = auto()
    """The rest of a template, after a `}` of its own."""
    SIGN = auto()
    OTHER = auto()
    """Numbers and regular expressions."""


@dataclass(frozen=True, slots=True)
class Token:
    sort: Sort
    value: str
    start: int
    end: int
    whole: bool = True
    """Of a text: that it is all of it."""

    def __str__(self) -> str:
        return self.value


_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n\r]*|/\*.*?(?:\*/|\Z)|<!--|\#![^\n\r]*)
    |(?P<name>[\w$\#@][\w$]*)
    |(?P<text>"(?:[^"\\\n\r]|\\.)*"|'(?:[^'\\\n\r]|\\.)*')
    |(?P<sign>\?\.(?!\d)|=>|\.\.\.|\?\?=?|&&|\|\||[=!]==?|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_LINE = re.compile(r"[^\n\r]*")
_TEMPLATE = re.compile(r"(?:[^`\\$]|\\.|\$(?!\{))*", re.DOTALL)
_REGEX = re.compile(
    r"/(?![*/])(?:[^/\\\[\n\r]|\\[^\n\r]|\[(?:[^\]\\\n\r]|\\[^\n\r]){0,300}\]){1,600}/[a-z]*"
)  # people write shorter ones, and a slash that ends nowhere must not cost more than this
_BEFORE_REGEX = {*"(,=:[!&|?{};+-*%~^<>", "=>", "&&", "||", "??", "==", "===", "!=", "!=="}
_WORDS_BEFORE_REGEX = {
    *(
        "return",
        "typeof",
        "case",
        "in",
        "of",
        "do",
        "else",
        "void",
        "delete",
        "throw",
        "new",
        "await",
        "yield",
    )
}
STRAYS = 3  # backticks without an end that are taken for ordinary text, as in a page's paragraphs
_ESCAPE = re.compile(r"\\(u\{[0-9a-fA-F]{1,6}\}|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|\r\n|.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0", "\n": "", "\r\n": ""}


def tokens(text: str, start: int = 0, end: int | None = None) -> list[Token]:
    """Everything but space and comments, in order."""
    return list(_tokens(text, start, len(text) if end is None else end))


def _tokens(text: str, at: int, end: int) -> Iterator[Token]:
    depths: list[int] = []  # of braces, one for each template that is open
    strays = 0
    unended: dict[str, int] = {}  # for each quote, how far it is known that no text of it ends
    last: Token | None = None
    while at < end:
        character = text[at]
        token: Token | None = None
        if character == "`":
            token = _template(text, at, end, Sort.TEXT)
            if strays < STRAYS and token.whole and not text.endswith("`", at + 1, token.end):
                strays += 1
                token = Token(Sort.SIGN, "`", at, at + 1)
            elif not token.whole:
                depths.append(0)
        elif character == "}" and depths and depths[-1] == 0:
            token = _template(text, at, end, Sort.PART)
            if token.whole:
                depths.pop()
        elif character == "/" and _may_be_regex(last) and (match := _REGEX.match(text, at, end)):
            token = Token(Sort.OTHER, match.group(), at, match.end())
        elif character in "'\"" and at < unended.get(character, 0):
            token = Token(Sort.SIGN, character, at, at + 1)
        else:
            token, at = _plain(text, at, end)
            if token is not None and token.value == character and character in "'\"":
                # It ends nowhere on this line, so those that follow do not either.
                unended[character] = match.end() if (match := _LINE.match(text, at, end)) else end
        if token is None:
            continue
        if depths and token.sort is Sort.SIGN:
            depths[-1] += {"{": 1, "}": -1}.get(token.value, 0)
        yield token
        last, at = token, token.end


def _plain(text: str, at: int, end: int) -> tuple[Token | None, int]:
    match = _TOKEN.match(text, at, end)
    assert match is not None, "some character is always a sign"
    if match["space"] is not None:
        return None, match.end()
    if match["text"] is not None:
        return Token(Sort.TEXT, _unescaped(match.group()[1:-1]), at, match.end()), at
    if match["name"] is not None:
        sort = Sort.OTHER if match.group()[0].isdigit() else Sort.NAME
        return Token(sort, match.group(), at, match.end()), at
    return Token(Sort.SIGN, match.group(), at, match.end()), at


def _template(text: str, at: int, end: int, sort: Sort) -> Token:
    """From a backtick, or a `}`, to the next `${` or to the end of the template."""
    match = _TEMPLATE.match(text, at + 1, end)
    assert match is not None, "nothing at all is a part of a template"
    stop = match.end()
    value = _unescaped(match.group())
    if text.startswith("${", stop) and stop + 2 <= end:
        return Token(sort, value, at, stop + 2, whole=False)
    return Token(sort, value, at, min(stop + 1, end))


def _may_be_regex(last: Token | None) -> bool:
    """Whether a slash begins a regular expression: where no value stands before it."""
    if last is None:
        return True
    if last.sort is Sort.SIGN:
        return last.value in _BEFORE_REGEX
    return last.sort is Sort.NAME and last.value in _WORDS_BEFORE_REGEX


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(_character, text) if "\\" in text else text


def _character(match: re.Match[str]) -> str:
    said = match[1]
    if said[0] in "ux" and len(said) > 1:
        number = int(said.strip("ux{}"), 16)
        return chr(number) if number < 0x110000 else ""
    return _ESCAPED.get(said, said)
