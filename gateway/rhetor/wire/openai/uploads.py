"""Requests about media, which may be forms with files in them: how they are read, and passed on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import TypeAlias

from rhetor.core.content import Inline, Json, JsonValue, Url
from rhetor.core.errors import BadRequest
from rhetor.core.media import Bytes, Material, data_of, extension_of, url_of
from rhetor.core.request import Original
from rhetor.core.value import value
from rhetor.wire import fields
from rhetor.wire.base import Outgoing, Quirks
from rhetor.wire.multipart import FormField, build_form, parse_form
from rhetor.wire.openai.demands import demands
from rhetor.wire.openai.vocabulary import NAME
from rhetor.wire.splice import with_model

_DATA = "data:"
_BASE64 = ";base64"


@value
class Upload(Original):
    """A form, as the caller sent it: `fields` are its texts, by name."""

    form: tuple[FormField, ...] = ()
    path: str = ""
    """Where it was sent to, as far as that says something the form does not."""

    def pieces(self) -> Iterator[bytes]:
        """The fields: every time a form is sent, its parts are divided by something else."""
        for name, content in self.form:
            if isinstance(content, Bytes):
                yield fields.dump([name, content.media_type, content.name, len(content.data)])
                yield content.data
            else:
                yield fields.dump([name, content])


Read: TypeAlias = Callable[[str, str], JsonValue]
"""What a form's text means: gets it, and its name. Raises BadRequest."""


def parse_upload(body: bytes, content_type: str, kinds: Mapping[str, Read], path: str = "") -> Upload:
    """A form whose texts are read as JSON would have them: `n=2` is a number.

    Names that end in `[]`, or come several times, are lists; files are found in `form` only.

    Args:
        kinds: how texts are read that are no strings.
        path: see `Upload`.

    Raises:
        BadRequest: it is no form, or one of its texts is not what it should be.
    """
    form = tuple(parse_form(body, content_type))
    said: dict[str, JsonValue] = {}
    for name, content in form:
        if isinstance(content, Bytes):
            continue
        bare = name.removesuffix("[]")
        given = kinds.get(bare, _as_it_is)(content, bare)
        if bare not in said and bare == name:
            said[bare] = given
        else:
            earlier = said.get(bare, [])
            said[bare] = [*(earlier if isinstance(earlier, list) else [earlier]), given]
    return Upload(NAME, body, said, form=form, path=path)


def files_of(upload: Upload, name: str) -> list[Bytes]:
    """The files of this name, alone or as a list (`image[]`)."""
    return [it for key, it in upload.form if isinstance(it, Bytes) and key.removesuffix("[]") == name]


def integer(text: str, name: str) -> JsonValue:
    """A whole number.

    Raises:
        BadRequest: it is none.
    """
    try:
        return int(text)
    except ValueError:
        raise _wrong(name, "an integer", text) from None


def number(text: str, name: str) -> JsonValue:
    """
    Raises:
        BadRequest: it is none.
    """
    try:
        return float(text)
    except ValueError:
        raise _wrong(name, "a number", text) from None


def flag(text: str, name: str) -> JsonValue:
    """
    Raises:
        BadRequest: it is neither true nor false.
    """
    known = {"true": True, "1": True, "false": False, "0": False, "": False}.get(text.lower())
    if known is None:
        raise _wrong(name, "true or false", text)
    return known


def material(said: str) -> Material:
    """What a URL leads to, or the content that a `data:` URL holds."""
    if not said.startswith(_DATA):
        return Url(said)
    kind, comma, content = said.removeprefix(_DATA).partition(",")
    if not comma or not kind.endswith(_BASE64):
        return Url(said)
    return Inline(kind.removesuffix(_BASE64), content)


def file_of(content: Bytes | Inline, name: str) -> Bytes:
    """Content as a file of a form; what it is called says what it is to those who look at nothing else.

    Args:
        name: of a file that has none, without its ending.

    Raises:
        BadRequest: it is said to be base64 and is not.
    """
    given = content.name if isinstance(content, Bytes) else None
    return Bytes(content.media_type, data_of(content), given or f"{name}.{extension_of(content.media_type)}")


def reference(content: Material) -> Json:
    """Content in a JSON body."""
    return {"image_url": url_of(content)}


def passed_on(
    original: Original,
    model: str,
    quirks: Quirks,
    refused: Collection[str] = (),
    ours: Collection[str] = (),
) -> tuple[bytes, Mapping[str, str], tuple[str, ...]]:
    """The caller's body for another model, headers that go with it, and what was left out and must be told.

    Args:
        refused: what this model answers with an error.
        ours: the same, where nothing is lost: we do what it asks for.
    """
    said = original.fields
    wanted = demands(said, quirks)
    wanted.removed |= {name for name in ours if name in said}
    for name in refused:
        if name in said and name not in wanted.removed:
            wanted.remove(name)
    if isinstance(original, Upload):
        changed = {"model": model, **wanted.changed}
        left = [it for it in original.form if it[0].removesuffix("[]") not in changed.keys() | wanted.removed]
        body, content_type = build_form([*_form(changed), *left])
        return body, {"content-type": content_type}, tuple(wanted.dropped)
    spliced = with_model(original, model) if not wanted.removed and not wanted.changed else None
    if spliced is None:
        wanted.changed["model"] = model
        spliced = fields.dump(wanted.apply(said))
    return spliced, {}, tuple(wanted.dropped)


def form_outgoing(path: str, body: Mapping[str, JsonValue], files: Iterable[tuple[str, Bytes]]) -> Outgoing:
    """A form to be sent."""
    content, content_type = build_form([*_form(body), *files])
    return Outgoing(path, content, {"content-type": content_type})


def _form(body: Mapping[str, JsonValue]) -> Iterator[FormField]:
    for name, given in body.items():
        if isinstance(given, list):
            yield from ((f"{name}[]", _text(each)) for each in given)
        else:
            yield name, _text(given)


def _text(given: JsonValue) -> str:
    return given if isinstance(given, str) else fields.dump(given).decode()


def _as_it_is(text: str, name: str) -> JsonValue:
    return text


def _wrong(name: str, expected: str, text: str) -> BadRequest:
    return BadRequest(f"{name}: expected {expected}, got {text[:50]!r}", param=name)
