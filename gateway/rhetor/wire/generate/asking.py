"""A request to generate anything: the body of `/v1/generate` and `/v1/jobs` → Request.

{"capability": "text-to-image", "input": "a fox", "model": "openai/gpt-image-1", "options": {"seed": 7}}
{"capability": "image-to-text", "input": {"asset": "asset_…"}, "requirements": {"prefer": "cost"}}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rhetor.core.capability import CONVERSING, Capability
from rhetor.core.content import Audio, Image, Inline, Json, Part, Text, Url
from rhetor.core.errors import BadRequest
from rhetor.core.media import Bytes, Draw, Make, Material, Rank, Speak, Transcribe, base64_of
from rhetor.core.request import Chat, Embed, Input, Message, Original, Request, Role
from rhetor.wire import fields
from rhetor.wire.generate.inputs import NOTHING, Given, Library, references
from rhetor.wire.generate.options import PATH, read_options
from rhetor.wire.wanted import KEY, read_wanted

WIRE = "generate"
KNOWN = frozenset(
    {
        "capability",
        "input",
        "model",
        "provider",
        "options",
        "stream",
        "result",
        "parents",
        "component",
        "task",
        "fallbacks",
        "detach_s",
        "resume_s",
        "timeout_s",
        KEY,
    }
)
RESULTS = ("asset", "inline")
MOST_PARENTS = 32
ID_CHARS = 100
LOOK = "Describe this image."
"""What is asked of a picture when nothing else is."""


def read_generate(said: Json, body: bytes, found: Library = NOTHING) -> Request:
    """The request of a body that is parsed already.

    Args:
        found: what its input refers to.

    Raises:
        BadRequest: says which field is wrong and what was expected.
    """
    capability = capability_of(said)
    given = Given(said, found, capability in _FROM_TEXT)
    options = fields.optional_mapping(said, PATH) or {}
    kind, make = _MAKERS.get(capability, (Make, _make))
    settings, left = read_options(options, kind)
    unsaid = [key for key, value in said.items() if key not in KNOWN and value is not None]
    if kind in (Chat, Embed):
        unsaid += [f"{PATH}.{name}" for name in left]
    elif left:
        settings["extra"] = left
    asked = make(given, settings, capability)
    unsaid += given.unread
    medium_bytes = sum(len(it.medium.data) for it in found.values() if it.medium is not None)
    return Request(
        id="",
        capability=capability,
        model=_model(said),
        input=asked,
        stream=fields.flag(said, "stream"),
        original=Original(WIRE, body, said),
        recalled_bytes=medium_bytes,
        unsaid=tuple(unsaid),
        fallbacks=fields.texts(said, "fallbacks"),
        component=fields.optional_text(said, "component") or None,
        task=fields.optional_text(said, "task") or None,
        wanted=read_wanted(said),
        parents=_parents(said, found),
        timeout_s=_seconds(said, "timeout_s"),
        detach_s=fields.optional_number(said, "detach_s"),
        resume_s=fields.optional_number(said, "resume_s"),
    )


def capability_of(said: Json) -> Capability:
    """
    Raises:
        BadRequest: there is none, or none of this name.
    """
    word = fields.text(said, "capability")
    try:
        return Capability(word)
    except ValueError:
        known = ", ".join(Capability)
        raise BadRequest(
            f"capability: expected one of {known}, got {word[:50]!r}", param="capability"
        ) from None


def wants_inline(said: Json) -> bool:
    """Whether media are wanted in the reply itself."""
    return fields.one_of(said, "result", RESULTS) == "inline"


def named_parents(said: Json) -> tuple[str, ...]:
    """The generations that a caller says its request is made of."""
    ids = fields.texts(said, "parents")
    if len(ids) > MOST_PARENTS:
        raise BadRequest(f"parents: at most {MOST_PARENTS}, got {len(ids)}", param="parents")
    for n, id in enumerate(ids):
        if not 0 < len(id) <= ID_CHARS:
            raise BadRequest(f"parents[{n}]: expected the id of a generation", param=f"parents[{n}]")
    return ids


def _parents(said: Json, found: Library) -> tuple[str, ...]:
    referred = [found[reference].generation for reference, _ in references(said) if reference in found]
    return tuple(dict.fromkeys([*named_parents(said), *(id for id in referred if id is not None)]))


def _model(said: Json) -> str:
    model = fields.optional_text(said, "model") or ""
    provider = fields.optional_text(said, "provider")
    if not provider or model.startswith(f"{provider}/"):
        return model
    return f"{provider}/{model}"


def _seconds(said: Json, key: str) -> float | None:
    seconds = fields.optional_number(said, key)
    if seconds is not None and seconds <= 0:
        raise BadRequest(f"{key}: must be more than 0 seconds, got {seconds}", param=key)
    return seconds


Maker = Callable[[Given, dict[str, Any], Capability], Input]


def _chat(given: Given, settings: dict[str, Any], capability: Capability) -> Chat:
    images = given.media("image", "images")
    sees = capability is Capability.IMAGE_TO_TEXT
    if sees and not images:
        raise fields.missing("input", "an image: {asset}, {generation}, {url} or {base64, media_type}")
    text = given.text() if images else given.needed_text()
    parts: list[Part] = [Text(text or LOOK), *(Image(_source(image)) for image in images)]
    if not sees:
        parts += [Audio(_source(sound)) for sound in given.media("audio")]
    system = given.system()
    first = (Message(Role.SYSTEM, (Text(system),)),) if system else ()
    return Chat(messages=(*first, Message(Role.USER, tuple(parts))), **settings)


def _embed(given: Given, settings: dict[str, Any], capability: Capability) -> Embed:
    texts = given.texts()
    if not texts:
        raise fields.missing("input", "at least one text")
    return Embed(inputs=texts, **settings)


def _draw(given: Given, settings: dict[str, Any], capability: Capability) -> Draw:
    if capability is Capability.TEXT_TO_IMAGE:
        return Draw(prompt=given.needed_text(), **settings)
    masks = given.media("mask") if given.has("mask") else ()
    return Draw(
        prompt=given.text() or "",
        images=_needed(given.media("image", "images"), "image"),
        mask=masks[0] if masks else None,
        **settings,
    )


def _speak(given: Given, settings: dict[str, Any], capability: Capability) -> Speak:
    return Speak(text=given.needed_text(), **settings)


def _transcribe(given: Given, settings: dict[str, Any], capability: Capability) -> Transcribe:
    sounds = _needed(given.media("audio"), "audio")
    if len(sounds) > 1:
        raise BadRequest("input.audio: expected one recording", param="input.audio")
    settings.setdefault("prompt", given.text())
    return Transcribe(audio=sounds[0], **settings)


def _rank(given: Given, settings: dict[str, Any], capability: Capability) -> Rank:
    query, documents = given.query()
    return Rank(query=query, documents=documents, **settings)


def _make(given: Given, settings: dict[str, Any], capability: Capability) -> Make:
    if capability in _FROM_TEXT:
        return Make(prompt=given.needed_text(), **settings)
    of = capability.partition("-")[0]
    sources = given.media("source", "sources", "image", "images", "video", "videos", "audio")
    return Make(prompt=given.text() or "", sources=_needed(sources, of), **settings)


def _needed(media: tuple[Material, ...], what: str) -> tuple[Material, ...]:
    if not media:
        ways = "{asset}, {generation}, {url} or {base64, media_type}"
        raise fields.missing(f"input.{what}", ways)
    return media


def _source(material: Material) -> Url | Inline:
    if isinstance(material, Bytes):
        return Inline(material.media_type, base64_of(material))
    return material


_MAKERS: Mapping[Capability, tuple[type, Maker]] = {
    **dict.fromkeys(CONVERSING, (Chat, _chat)),
    Capability.EMBEDDINGS: (Embed, _embed),
    Capability.TEXT_TO_IMAGE: (Draw, _draw),
    Capability.IMAGE_TO_IMAGE: (Draw, _draw),
    Capability.TEXT_TO_AUDIO: (Speak, _speak),
    Capability.AUDIO_TO_TEXT: (Transcribe, _transcribe),
    Capability.RERANK: (Rank, _rank),
}
"""What is not listed is made."""
_FROM_TEXT = frozenset(
    {
        *(capability for capability in Capability if capability.startswith("text-")),
        Capability.COUNT_TOKENS,
        Capability.EMBEDDINGS,
        Capability.RERANK,
    }
)
