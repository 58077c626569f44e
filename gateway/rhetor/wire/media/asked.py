"""What is asked of clouds of models, by the names that most models give it; what callers add comes last."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import TypeAlias

from rhetor.core.capability import Capability
from rhetor.core.content import Image, JsonValue, Text, Uploaded, Url
from rhetor.core.errors import BadRequest, Code
from rhetor.core.media import Draw, Make, Material, Speak, Transcribe, extension_of, url_of
from rhetor.core.request import Chat, Message, Request, Role
from rhetor.core.value import value

Fields: TypeAlias = dict[str, JsonValue]


@value(kw_only=True)
class Names:
    """How a cloud calls what its models take, where models do not agree: as most of them do."""

    prompt: str = "prompt"
    text: str = "text"
    """To be spoken."""
    spoken_prompt: re.Pattern[str] | None = None
    """Models that call it a prompt."""
    image: str
    images: Sequence[tuple[re.Pattern[str], str]] = ()
    """Models that take pictures under another name; one that ends in `[]` takes a list of them."""
    several: str
    """Where several pictures go that a model has no word of its own for."""
    mask: str
    audio: str
    video: str
    count: str
    size: str | None = None
    """Where width and height go together; None: each for itself."""
    seconds: str = "duration"
    formats: Mapping[str, str] = field(default_factory=dict)
    """Their words for file formats, by our extensions."""


def inputs(request: Request, model: str, names: Names) -> tuple[Fields, tuple[str, ...]]:
    """What goes in, and what the caller said for which there is no usual name.

    Raises:
        BadRequest: unsupported, this is nothing for a cloud of models.
    """
    match request.input:
        case Draw() as draw:
            said, dropped = _drawn(draw, model, names)
        case Speak() as speak:
            said, dropped = _spoken(speak, model, names)
        case Transcribe() as transcribe:
            said, dropped = _heard(transcribe, names)
        case Make() as make:
            said, dropped = _made(make, request.capability, model, names)
        case Chat() as chat:
            return _conversed(chat, model, names)
        case _:
            raise BadRequest(f"there is no {request.capability} here", Code.UNSUPPORTED)
    said = {name: value for name, value in said.items() if value is not None}
    return {**said, **request.input.extra}, tuple(
        name for name, value in dropped.items() if value is not None
    )


_Said: TypeAlias = tuple[Fields, dict[str, object]]


def _drawn(draw: Draw, model: str, names: Names) -> _Said:
    said: Fields = {
        names.prompt: draw.prompt,
        names.count: draw.count if draw.count != 1 else None,
        "aspect_ratio": draw.aspect_ratio,
        "negative_prompt": draw.negative_prompt,
        "seed": draw.seed,
        "num_inference_steps": draw.steps,
        "guidance_scale": draw.guidance,
        "output_format": _format(draw.format, names),
        **_sized(draw.size, names),
        **_pictures(draw.images, model, names),
    }
    if draw.mask is not None:
        said[names.mask] = url_of(draw.mask)
    dropped = {"quality": draw.quality, "style": draw.style, "background": draw.background}
    return said, {**dropped, "user": draw.end_user}


def _spoken(speak: Speak, model: str, names: Names) -> _Said:
    prompted = names.spoken_prompt is not None and names.spoken_prompt.search(model)
    said: Fields = {
        names.prompt if prompted else names.text: speak.text,
        "voice": speak.voice,
        "speed": speak.speed,
        "language": speak.language,
    }
    # Formats are named in too many ways, and what comes says of which it is.
    return said, {"instructions": speak.instructions, "sample_rate": speak.sample_rate}


def _heard(transcribe: Transcribe, names: Names) -> _Said:
    said: Fields = {
        names.audio: url_of(transcribe.audio),
        "language": transcribe.language,
        "prompt": transcribe.prompt,
        "temperature": transcribe.temperature,
        "task": "translate" if transcribe.translate else None,
    }
    return said, {"words": transcribe.words or None, "speakers": transcribe.speakers or None}


def _made(make: Make, capability: Capability, model: str, names: Names) -> _Said:
    said: Fields = {
        names.prompt: make.prompt or None,
        names.seconds: _whole(make.seconds),
        "aspect_ratio": make.aspect_ratio,
        "seed": make.seed,
        **_sized(make.size, names),
    }
    usual = capability.partition("-to-")[0]
    kinds = [_kind(source) or usual for source in make.sources]
    pictures = [source for source, kind in zip(make.sources, kinds, strict=True) if kind == "image"]
    said |= _pictures(pictures, model, names)
    for source, kind in zip(make.sources, kinds, strict=True):
        if kind in ("audio", "video"):
            said[names.audio if kind == "audio" else names.video] = url_of(source)
    return said, {"format": make.format}


def _conversed(chat: Chat, model: str, names: Names) -> tuple[Fields, tuple[str, ...]]:
    """A conversation as one prompt: its system prompt apart, earlier turns written down as such."""
    if chat.tools:
        raise BadRequest(
            "models here take prompts, and know nothing of tools", Code.UNSUPPORTED, param="tools"
        )
    system = [_text(message) for message in chat.messages if message.role is Role.SYSTEM]
    turns = [message for message in chat.messages if message.role is not Role.SYSTEM]
    pictures = [
        part.source
        for message in turns
        for part in message.parts
        if isinstance(part, Image) and not isinstance(part.source, Uploaded)
    ]
    prompt = (
        _text(turns[0])
        if len(turns) == 1
        else "\n\n".join([*(f"{turn.role.capitalize()}: {_text(turn)}" for turn in turns), "Assistant:"])
    )
    said: Fields = {
        names.prompt: prompt,
        "system_prompt": "\n\n".join(system) or None,
        "max_tokens": chat.max_tokens,
        "temperature": chat.temperature,
        "top_p": chat.top_p,
        "top_k": chat.top_k,
        "seed": chat.seed,
        "presence_penalty": chat.presence_penalty,
        "frequency_penalty": chat.frequency_penalty,
        "stop_sequences": ",".join(chat.stop) or None,
        **_pictures(pictures, model, names),
    }
    lost = {"response_format": chat.response_format, "reasoning": chat.reasoning, "user": chat.end_user}
    dropped = [name for name, value in lost.items() if value is not None]
    return {name: value for name, value in said.items() if value is not None}, tuple(dropped)


def _text(message: Message) -> str:
    return "".join(part.text for part in message.parts if isinstance(part, Text))


def _pictures(pictures: Sequence[Material], model: str, names: Names) -> Fields:
    if not pictures:
        return {}
    places: list[JsonValue] = [url_of(picture) for picture in pictures]
    own = next((name for pattern, name in names.images if pattern.search(model)), None)
    if own is not None and own.endswith("[]"):
        return {own.removesuffix("[]"): places}
    if len(places) == 1:
        return {own or names.image: places[0]}
    if own is not None:
        raise BadRequest(f"{model} takes one picture, not {len(places)}", Code.UNSUPPORTED)
    return {names.several: places}


def _sized(size: tuple[int, int] | None, names: Names) -> Fields:
    if size is None:
        return {}
    sides: Fields = {"width": size[0], "height": size[1]}
    return sides if names.size is None else {names.size: sides}


def _format(media_type: str | None, names: Names) -> str | None:
    return names.formats.get(extension_of(media_type)) if media_type is not None else None


def _kind(source: Material) -> str | None:
    return None if isinstance(source, Url) else source.media_type.partition("/")[0]


def _whole(seconds: float | None) -> int | float | None:
    return int(seconds) if seconds is not None and seconds == int(seconds) else seconds
