"""Requests for pictures, both directions.

https://developers.openai.com/api/reference/resources/images (read 2026-11-21). Pictures to be edited come in
a form, or as references in JSON: `images: [{"image_url": …}]`.
"""

from __future__ import annotations

from collections.abc import Mapping

from rhetor.core.capability import Capability
from rhetor.core.content import Json, JsonValue, Url
from rhetor.core.errors import BadRequest, Code
from rhetor.core.media import Draw, Material
from rhetor.core.request import Original, Request
from rhetor.core.value import value
from rhetor.wire import fields
from rhetor.wire.base import Outgoing, Quirks
from rhetor.wire.multipart import is_form
from rhetor.wire.openai.demands import demands
from rhetor.wire.openai.images import vocabulary as words
from rhetor.wire.openai.uploads import (
    Read,
    Upload,
    file_of,
    files_of,
    flag,
    form_outgoing,
    integer,
    material,
    number,
    parse_upload,
    passed_on,
    reference,
)
from rhetor.wire.openai.vocabulary import NAME

_KINDS: Mapping[str, Read] = {
    **dict.fromkeys(
        ("n", "seed", "steps", "output_compression", "partial_images", "frame_count", "frame_duration_ms"),
        integer,
    ),
    "guidance": number,
    "stream": flag,
}
"""Fields that are no strings, where a form says them."""
_OPTIONS = (
    "moderation",
    "output_compression",
    "partial_images",
    "input_fidelity",
    "complexity",
    "frame_count",
    "frame_duration_ms",
    "svg",
    "markup",
)
"""What OpenAI's models understand besides, and nobody else by these names."""
_DOORS_OWN = frozenset({"model", "stream", "response_format", "fallbacks", "image", "images", "mask"})
_CANONICAL = frozenset(
    {
        "prompt",
        "n",
        "size",
        "quality",
        "style",
        "background",
        "output_format",
        "user",
        "safety_identifier",
        "seed",
        "steps",
        "guidance",
        "negative_prompt",
        "aspect_ratio",
    }
)
_FOREIGN = ("seed", "steps", "guidance", "negative_prompt", "aspect_ratio")
"""Fields of `Draw` that OpenAI's own models do not know; other speakers' take them by these names."""


@value
class Drawing(Outgoing):
    """A request for pictures on its way."""

    count: int = 1


def parse_generation(body: bytes, headers: Mapping[str, str]) -> Request:
    """
    Raises:
        BadRequest: says which field is wrong and what was expected.
    """
    said = fields.parse_object(body)
    return _request(Capability.TEXT_TO_IMAGE, Original(NAME, body, said), (), None)


def parse_edit(body: bytes, headers: Mapping[str, str]) -> Request:
    """
    Raises:
        BadRequest: says which field is wrong and what was expected.
    """
    if is_form(headers):
        upload = parse_upload(body, headers["content-type"], _KINDS)
        images: list[Material] = list(files_of(upload, "image"))
        masks: list[Material] = list(files_of(upload, "mask"))
        original: Original = upload
    else:
        said = fields.parse_object(body)
        original = Original(NAME, body, said)
        images = _references(said)
        mask = fields.optional_mapping(said, "mask")
        masks = [] if mask is None else [_referred(mask, "mask")]
    if not images:
        name = "image" if isinstance(original, Upload) else "images"
        raise fields.missing(name, "at least one picture to be changed")
    return _request(Capability.IMAGE_TO_IMAGE, original, tuple(images), masks[0] if masks else None)


def build(request: Request, model: str, quirks: Quirks) -> Outgoing:
    """The request in this language; in a form, unless a picture is known by its address only.

    Raises:
        BadRequest: a picture is said to be base64 and is not.
    """
    asked = request.input
    assert isinstance(asked, Draw)
    dropped: list[str] = []
    body: dict[str, JsonValue] = {"model": model, "prompt": asked.prompt}
    body |= _settings(asked, model, dropped)
    if request.stream and words.is_newer(model):
        body["stream"] = True
    wanted = demands(body, quirks)
    body = wanted.apply(body)
    told = (*dropped, *wanted.dropped)
    if request.capability is Capability.TEXT_TO_IMAGE:
        return Drawing(words.GENERATIONS, fields.dump(body), dropped=told, count=asked.count)
    given = [*asked.images, *([] if asked.mask is None else [asked.mask])]
    if any(isinstance(it, Url) for it in given):
        body["images"] = [reference(it) for it in asked.images]
        if asked.mask is not None:
            body["mask"] = reference(asked.mask)
        return Drawing(words.EDITS, fields.dump(body), dropped=told, count=asked.count)
    name = "image[]" if len(asked.images) > 1 else "image"
    files = [(name, file_of(it, "image")) for it in asked.images if not isinstance(it, Url)]
    if asked.mask is not None and not isinstance(asked.mask, Url):
        files.append(("mask", file_of(asked.mask, "mask")))
    form = form_outgoing(words.EDITS, body, files)
    return Drawing(form.path, form.body, form.headers, told, count=asked.count)


def retarget(path: str, original: Original, model: str, quirks: Quirks) -> Outgoing:
    """The caller's own body. Newer models refuse a `response_format`: who wants addresses gets ours."""
    newer = words.is_newer(model)
    body, headers, dropped = passed_on(
        original,
        model,
        quirks,
        refused=("style",) if newer else (),
        ours=("response_format",) if newer else (),
    )
    count = fields.as_integer(original.fields.get("n")) or 1
    return Drawing(path, body, headers, dropped, count=count)


def _request(
    capability: Capability, original: Original, images: tuple[Material, ...], mask: Material | None
) -> Request:
    said = original.fields
    unsaid = [name for name in _OPTIONS if said.get(name) is not None]
    known = _CANONICAL | _DOORS_OWN | {*_OPTIONS}
    size = _meant(said, "size")
    ratio = fields.optional_text(said, "aspect_ratio")
    if size is not None and words.read_size(size) is None:
        if words.is_ratio(size):
            ratio = ratio or size
        else:
            unsaid.append("size")
    output_format = fields.optional_text(said, "output_format")
    asked = Draw(
        prompt=fields.text(said, "prompt"),
        images=images,
        mask=mask,
        count=fields.optional_integer(said, "n", least=1) or 1,
        size=words.read_size(size) if size is not None else None,
        aspect_ratio=ratio,
        quality=_meant(said, "quality"),
        style=fields.optional_text(said, "style"),
        background=_meant(said, "background"),
        negative_prompt=fields.optional_text(said, "negative_prompt"),
        seed=fields.optional_integer(said, "seed"),
        steps=fields.optional_integer(said, "steps"),
        guidance=fields.optional_number(said, "guidance"),
        format=None if output_format is None else words.FORMATS.get(output_format, f"image/{output_format}"),
        end_user=fields.optional_text(said, "safety_identifier")
        or fields.optional_text(said, "user")
        or None,
        extra={name: given for name, given in said.items() if name not in known and given is not None},
    )
    return Request(
        id="",
        capability=capability,
        model=fields.optional_text(said, "model") or "",
        input=asked,
        stream=fields.flag(said, "stream"),
        original=original,
        unsaid=tuple(unsaid),
        fallbacks=fields.texts(said, "fallbacks"),
    )


def _meant(said: Json, key: str) -> str | None:
    """A choice; `auto` leaves it to the model, as saying nothing does."""
    given = fields.optional_text(said, key)
    return None if given in ("auto", "") else given


def _references(said: Json) -> list[Material]:
    """The pictures of a JSON body."""
    if "images" in said:
        return [_referred(it, path) for it, path in fields.objects(said, "images")]
    given = said.get("image")
    if isinstance(given, str):
        return [material(given)]
    return [] if given is None else [_referred(fields.as_mapping(given, "image"), "image")]


def _referred(said: Json, path: str) -> Material:
    """
    Raises:
        BadRequest: unsupported, it is a file that lies at a provider.
    """
    if (file_id := fields.optional_text(said, "file_id", path)) is not None:
        message = (
            f"{path}.file_id: {file_id!r} is known to one provider only; send the picture or its address"
        )
        raise BadRequest(message, Code.UNSUPPORTED, param=f"{path}.file_id")
    address = fields.optional_text(said, "url", path) or fields.text(said, "image_url", path)
    return material(address)


def _settings(asked: Draw, model: str, dropped: list[str]) -> dict[str, JsonValue]:
    newer, openais = words.is_newer(model), words.is_openais(model)
    body: dict[str, JsonValue] = {}
    if asked.count > 1:
        body["n"] = asked.count
    if asked.size is not None:
        body["size"] = f"{asked.size[0]}x{asked.size[1]}"
    if asked.end_user is not None:
        body["user"] = asked.end_user
    for name in ("quality", "style", "background"):
        if (given := getattr(asked, name)) is not None:
            body[name] = given
    if asked.format is not None:
        body["output_format"] = words.format_of(asked.format) or asked.format.rpartition("/")[2]
    if newer:
        _leave_out(body, ("style",), dropped)
        if asked.aspect_ratio is not None and asked.size is None:
            body["size"] = words.size_for(asked.aspect_ratio)
            dropped.append(f"aspect_ratio: {body['size']} is the nearest size")
    else:
        body["response_format"] = "b64_json"  # addresses expire
    if openais and not newer:
        _leave_out(body, ("background", "output_format"), dropped)
    for name in _FOREIGN:
        if (given := getattr(asked, name)) is None or (name == "aspect_ratio" and newer):
            continue
        if openais:
            dropped.append(name)
        else:
            body[name] = given
    for name, given in asked.extra.items():
        if openais and name not in _OPTIONS:
            dropped.append(name)
        elif name not in _DOORS_OWN:
            body[name] = given
    return body


def _leave_out(body: dict[str, JsonValue], names: tuple[str, ...], dropped: list[str]) -> None:
    dropped += [name for name in names if body.pop(name, None) is not None]
