"""What a request to generate is about: texts, and media in any of the ways in which callers may give them.

    "a fox"
    {"prompt": "as an oil painting", "image": {"asset": "asset_…"}}
    {"audio": {"base64": "…", "media_type": "audio/wav"}}
    {"generation": "gen_…"}                       the result of an earlier one: its text, or its first medium

Media are `{url}`, `{base64, media_type}`, `{asset}` or `{generation}`; the first as a plain string, too, and
as a `data:` URL. What a reference leads to is found by whoever asks for it, since nothing here does I/O.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Literal, NamedTuple

from rhetor.core.content import Inline, Json, JsonValue, Url
from rhetor.core.errors import BadRequest, Code
from rhetor.core.media import Bytes, Material, inlined
from rhetor.core.value import value
from rhetor.wire import fields

UNTOLD = "application/octet-stream"
_WEB = ("https://", "http://")
_ASSET = re.compile(r"(?:/v1/assets/)?(asset_[0-9a-f]{24})")
REFERRING: tuple[Literal["asset"], Literal["generation"]] = ("asset", "generation")
MATERIAL = ("url", "base64", *REFERRING)
TEXTS = ("text", "prompt")
MOST_MEDIA = 64
DEPTH = 4
LOOKED_AT = 10_000  # entries of arrays and objects; what further ones refer to is not found


class Reference(NamedTuple):
    """An asset, or a generation whose result is meant."""

    kind: Literal["asset", "generation"]
    id: str


@value(kw_only=True)
class Found:
    """What a reference led to."""

    generation: str | None = None
    """What made it."""
    text: str | None = None
    medium: Bytes | None = None


Library = Mapping[Reference, Found]
NOTHING: Library = {}


def references(said: Json) -> list[tuple[Reference, str]]:
    """What the input of this body refers to, each with its path."""
    left = iter(range(LOOKED_AT))
    return list(dict.fromkeys(_references(said.get("input"), "input", DEPTH, left)))


def _references(
    said: JsonValue, path: str, depth: int, left: Iterator[int]
) -> Iterator[tuple[Reference, str]]:
    if next(left, None) is None:
        return
    if isinstance(said, str) and (found := _ASSET.fullmatch(said)) is not None:
        yield Reference("asset", found[1]), path
    elif isinstance(said, Mapping) and depth:
        for key, given in islice(said.items(), LOOKED_AT):
            if key in REFERRING and isinstance(given, str):
                yield Reference("asset" if key == "asset" else "generation", given), f"{path}.{key}"
            elif key not in TEXTS or isinstance(given, Mapping):
                yield from _references(given, f"{path}.{key}", depth - 1, left)
    elif isinstance(said, list) and depth:
        for n, given in enumerate(islice(said, LOOKED_AT)):
            if isinstance(given, str | Mapping | list):
                yield from _references(given, f"{path}[{n}]", depth - 1, left)


class Given:
    """The input of a request, asked for what its capability needs.

    Args:
        takes_text: a string alone is a text; else it says where a medium is.
    """

    def __init__(self, said: Json, found: Library, takes_text: bool) -> None:
        given = said.get("input")
        if given is None:
            raise fields.missing("input", "a text, or an object with what this is about")
        self._found = found
        self._alone: JsonValue = None
        """The one thing that was given, not under a name."""
        self._fields: Json = {}
        self._asked: set[str] = {*MATERIAL, "media_type", "name"}
        """Fields that this capability has a use for."""
        if isinstance(given, Mapping):
            self._fields = given
            if any(key in given for key in MATERIAL):
                self._alone = given
        elif isinstance(given, str | list):
            self._alone = given
        else:
            raise fields.wrong("input", "a string, an array or an object", given)
        self._takes_text = takes_text

    @property
    def unread(self) -> list[str]:
        """What was given, and nobody asked for."""
        given = (key for key, said in self._fields.items() if said is not None)
        return [f"input.{key}" for key in given if key not in self._asked]

    def has(self, key: str) -> bool:
        """Whether something is given under this name."""
        return self._fields.get(key) is not None

    def _field(self, key: str) -> JsonValue:
        self._asked.add(key)
        return self._fields.get(key)

    def text(self) -> str | None:
        """What is said in words."""
        for key in TEXTS:
            if (given := self._field(key)) is not None:
                return self._words(given, f"input.{key}")
        if self._takes_text and self._alone is not None:
            if isinstance(self._alone, list):
                raise fields.wrong("input", "one text", self._alone)
            return self._words(self._alone, "input")
        return None

    def needed_text(self) -> str:
        """
        Raises:
            BadRequest: there are no words.
        """
        text = self.text()
        if not text:
            raise fields.missing("input", "a text, or an object with `text` or `prompt`")
        return text

    def system(self) -> str | None:
        self._asked.add("system")
        return fields.optional_text(self._fields, "system", "input")

    def texts(self) -> tuple[str, ...]:
        """Several texts, in order."""
        given = self._field("texts") if self._fields else self._alone
        if isinstance(given, list):
            return tuple(self._words(each, f"input[{n}]") for n, each in enumerate(given))
        return (self.needed_text(),)

    def query(self) -> tuple[str, tuple[str, ...]]:
        """A question, and the documents that may answer it."""
        self._asked |= {"query", "documents"}
        documents = []
        for n, given in enumerate(fields.items(self._fields, "documents", "input")):
            documents.append(self._words(given, f"input.documents[{n}]"))
        return fields.text(self._fields, "query", "input"), tuple(documents)

    def media(self, *keys: str) -> tuple[Material, ...]:
        """All that is given under these names, or alone where it is no text."""
        told: list[tuple[JsonValue, str]] = []
        for key in keys:
            given = self._field(key)
            told += _each(given, f"input.{key}")
        if not told and self._alone is not None and not self._takes_text:
            told = _each(self._alone, "input")
        if len(told) > MOST_MEDIA:
            raise BadRequest(f"input: at most {MOST_MEDIA} media, got {len(told)}", param="input")
        return tuple(self._material(given, path) for given, path in told)

    def _words(self, given: JsonValue, path: str) -> str:
        """A text, or what a reference to one leads to."""
        if isinstance(given, str):
            return given
        said = fields.as_mapping(given, path)
        reference = _reference_in(said)
        if reference is None:
            return fields.text(said, "text", path)
        found = self._found_at(reference, path)
        if found.text is None:
            raise BadRequest(f"{path}: {reference.id[:100]} is no text", param=path)
        return found.text

    def _material(self, given: JsonValue, path: str) -> Material:
        if isinstance(given, str):
            if (named := _ASSET.fullmatch(given)) is not None:
                return self._medium(Reference("asset", named[1]), path)
            return _from_text(given, path)
        said = fields.as_mapping(given, path)
        if (reference := _reference_in(said)) is not None:
            return self._medium(reference, path)
        if said.get("base64") is not None:
            media_type = fields.optional_text(said, "media_type", path) or UNTOLD
            return Inline(media_type, fields.text(said, "base64", path))
        return _from_text(fields.text(said, "url", path), fields.join(path, "url"))

    def _medium(self, reference: Reference, path: str) -> Material:
        found = self._found_at(reference, path)
        if found.medium is None:
            raise BadRequest(f"{path}: {reference.id[:100]} has made no medium that is kept", param=path)
        return found.medium

    def _found_at(self, reference: Reference, path: str) -> Found:
        found = self._found.get(reference)
        if found is None:
            message = f"{path}: no such {reference.kind}, or it is kept no longer"
            raise BadRequest(message, Code.NOT_FOUND, param=path)
        return found


def _each(given: JsonValue, path: str) -> list[tuple[JsonValue, str]]:
    if given is None:
        return []
    if isinstance(given, list):
        return [(each, f"{path}[{n}]") for n, each in enumerate(given)]
    return [(given, path)]


def _reference_in(said: Json) -> Reference | None:
    for kind in REFERRING:
        if isinstance(id := said.get(kind), str):
            return Reference(kind, id)
    return None


def _from_text(given: str, path: str) -> Material:
    """What a string says of where a medium is."""
    if (inline := inlined(given)) is not None:
        media_type, at = inline
        return Inline(media_type or UNTOLD, given[at:])
    if given.lower().startswith(_WEB):
        return Url(given)
    expected = "an https:, http: or data: address, or the id of an asset"
    raise BadRequest(f"{path}: expected {expected}, got {given[:50]!r}", param=path)
