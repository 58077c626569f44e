"""JSON out of what a model wrote: with prose around it, in a fence, or with the usual slips.

Every step takes time in proportion to the text, whatever it contains.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from tekton_llm_client.exceptions import JSONParsingError

if TYPE_CHECKING:
    from pydantic import BaseModel

    Model = TypeVar("Model", bound=BaseModel)

STARTS = 4  # times that the search begins behind a bracket that never closes: a quote may hide the rest
MOST = 1_000  # pieces of a text that are looked at; a reply that has more is no reply
SHOWN = 60  # characters of the text, in an error

_FENCE = re.compile(r"```[^\n`]*\n(.*?)```", re.DOTALL)
_OPENING = re.compile(r"[{\[]")  # quotes in prose mean nothing
_WITHIN = re.compile(r"[{}\[\]]|\"(?:[^\"\\]++|\\.?)*+(?:\"|\Z)", re.DOTALL)
_PAIRS = {"}": "{", "]": "["}
# What begins is taken to its end, or to the end of the text, so that nothing is looked at twice.
_TOKEN = re.compile(
    r"""(?P<string>"(?:[^"\\]++|\\.?)*+(?:"|\Z))
      | (?P<quoted>'(?:[^'\\]++|\\.?)*+(?:'|\Z))
      | (?P<comment>//[^\n]*+ | /\*.*?(?:\*/|\Z))
      | (?P<space>\s++)
      | (?P<word>(?:[^\W\d]|\$)[\w$-]*+)
      | (?P<other>.)""",
    re.DOTALL | re.VERBOSE,
)
_IN_QUOTES = re.compile(r"\\.|\"", re.DOTALL)
_PYTHON = {"True": "true", "False": "false", "None": "null"}


def parse_json(text: str) -> Any:
    """The data in a reply.

    It is the whole text, or the largest block in a fence that is JSON, or the
    first object that is not empty, or the longest array outside of any. What
    is no JSON in such a place may become some by small repairs, see
    `JSONParser.fix_common_issues`.

    Raises:
        JSONParsingError: there is none; carries the text.
    """
    return _found(text)[1]


def extract_json(text: str) -> str:
    """The JSON in a reply, as text.

    Raises:
        JSONParsingError: there is none.
    """
    return _found(text)[0]


class JSONParser:
    """The same under its older name."""

    @staticmethod
    def parse(text: str) -> Any:
        """See `parse_json`."""
        return parse_json(text)

    @staticmethod
    def extract_json(text: str) -> str:
        """See the function of this name."""
        return extract_json(text)

    @staticmethod
    def parse_as_model(text: str, model: type[Model]) -> Model:
        """The data as an object of this pydantic model.

        Raises:
            JSONParsingError: there is no JSON, or other data; `partial_data` has what there is.
        """
        from pydantic import ValidationError

        data = parse_json(text)
        try:
            return model.model_validate(data)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "it"
            raise JSONParsingError(f"not a {model.__name__}: {where}: {first['msg']}", text, data) from error

    @staticmethod
    def fix_common_issues(text: str) -> str:
        """The text with trailing commas and comments removed, bare keys and texts in single quotes put into
        double ones, and Python's constants renamed. What stands within strings stays as it is."""
        return _repaired(text)


def _found(text: str) -> tuple[str, Any]:
    """The JSON and its data."""
    whole = text.strip()
    for candidates in _places(text):
        for candidate in candidates:
            if (read := _read(candidate)) is not None:
                return candidate, read[0]
        for candidate in candidates:
            if candidate[:1] in ("{", "[") and (read := _read(mended := _repaired(candidate))) is not None:
                return mended, read[0]
    shown = whole if len(whole) <= SHOWN else whole[:SHOWN] + "…"
    raise JSONParsingError(f"no JSON in the text: {shown!r}", text)


def _read(text: str) -> tuple[Any] | None:
    """The data, as something that is not None even where the data is."""
    try:
        return (json.loads(text, strict=False),)
    except (ValueError, RecursionError):
        return None


def _places(text: str) -> Iterator[list[str]]:
    """Where JSON may stand, the likeliest place first."""
    yield [text.strip()]
    yield sorted((block.strip() for block in _FENCE.findall(text)), key=len, reverse=True)[:MOST]
    spans = [text[start:end] for start, end in _spans(text)]
    filled = [span for span in spans if span[1:-1].strip()]
    yield [span for span in filled if span[0] == "{"][:MOST]
    yield sorted((span for span in filled if span[0] == "["), key=len, reverse=True)[:MOST]
    yield spans[:MOST]


def _spans(text: str) -> Iterator[tuple[int, int]]:
    """Where brackets open and close again, the outermost of each."""
    begin = 0
    seen: set[tuple[int, int]] = set()
    for _ in range(STARTS):
        pairs, unclosed = _pairs(text, begin)
        covered = -1
        for start, end in sorted(pairs, key=lambda pair: (pair[0], -pair[1])):
            if start >= covered:
                covered = end
                if (start, end) not in seen:
                    seen.add((start, end))
                    yield start, end
        if unclosed is None:
            return
        begin = unclosed + 1


def _pairs(text: str, begin: int) -> tuple[list[tuple[int, int]], int | None]:
    """All pairs of brackets from there on, and the first one that never closes."""
    pairs: list[tuple[int, int]] = []
    opened: list[int] = []
    unclosed: int | None = None
    place = begin
    while (token := (_WITHIN if opened else _OPENING).search(text, place)) is not None:
        place, bracket = token.end(), token[0]
        if bracket[0] == '"':
            continue
        if bracket in "{[":
            opened.append(token.start())
        elif text[opened[-1]] == _PAIRS[bracket]:
            pairs.append((opened.pop(), place))
        else:  # crossed: none of these will ever be JSON
            unclosed = opened[0] if unclosed is None else unclosed
            opened.clear()
    if opened and unclosed is None:
        unclosed = opened[0]
    return pairs, unclosed


def _repaired(text: str) -> str:
    out: list[str] = []
    last = -1  # where in `out` the last thing is that is not space
    bare = False  # it is a word without quotes
    for token in _TOKEN.finditer(text):
        kind, said = token.lastgroup, token[0]
        if kind in ("comment", "space"):
            out.append(" " if kind == "comment" else said)
            continue
        if kind == "quoted":
            said = _in_double_quotes(said)
        elif said == ":" and bare:
            out[last] = f'"{out[last]}"'
        elif said in ("}", "]") and last >= 0 and out[last] == ",":
            out[last] = ""
        if bare and said != ":":
            out[last] = _PYTHON.get(out[last], out[last])
        bare = kind == "word"
        last = len(out)
        out.append(said)
    if bare:
        out[last] = _PYTHON.get(out[last], out[last])
    return "".join(out)


def _in_double_quotes(quoted: str) -> str:
    """A text in single quotes, which closes or does not, in double ones."""
    closed = len(quoted) > 1 and quoted.endswith("'")
    said = quoted[1:-1] if closed else quoted[1:]
    escaped = _IN_QUOTES.sub(lambda found: {"\\'": "'", '"': '\\"'}.get(found[0], found[0]), said)
    return f'"{escaped}"' if closed else f'"{escaped}'
