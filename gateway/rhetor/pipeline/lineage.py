"""What a result was made of: what is noted of each generation, and the chain that leads to one of them.

What is noted is small, whatever was asked: texts are cut, media are named instead of copied, addresses lose
their queries, which may hold somebody's key. A chain refers to what is noted of earlier generations instead
of repeating it, so it grows by one entry with each step.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from itertools import islice
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import orjson

from rhetor.core.capability import Capability
from rhetor.core.content import Audio, File, Image, Inline, Json, JsonValue, Part, Source, Text, Url
from rhetor.core.media import Bytes, Draw, Make, Material, Rank, Speak, Transcribe, inlined
from rhetor.core.request import Chat, Embed, Input, Request
from rhetor.core.value import value
from rhetor.store.assets import Assets, Generation

TEXT_CHARS = 2_000  # of any text that is noted
RESULT_CHARS = 16_000  # of a text that others are made of: a page or two
NOTED_CHARS = 24_000  # of one generation's input, with all its texts and names
VALUE_CHARS = 8  # what anything else than a text counts for
LONGEST_ADDRESS = 64_000  # characters; signed ones have some thousands
MOST_ITEMS = 32
MOST_LEVELS = 6
MOST_DEPTH = 20
MOST_STEPS = 100
CONTENT_CHARS = 100
PROMPT_BYTES = 64 << 10  # of a projection with all that it holds
REDACTED = "[redacted]"
SECRET = re.compile(
    r"(?i)^(api_?key|key|token|secret|password|passwd|auth|authorization|bearer|cookie|credentials?)$"
    r"|[_-](key|secret|token|password)$"
    r"|(?-i:[a-z0-9](Key|Secret|Token|Password)$)"
)
ADDRESS = re.compile(r"(?i)https?://\S+")
CONTENT_KEYS = frozenset({"base64", "b64_json", "data"})
OUTCOMES: Mapping[Capability, str] = {
    Capability.EMBEDDINGS: "embedding",
    Capability.RERANK: "ranking",
    Capability.COUNT_TOKENS: "count",
}
OURSELVES = frozenset({"prompt", "images", "mask", "text", "audio", "query", "documents", "sources", "extra"})
"""Fields of canonical inputs that are no options."""


@value
class Lineage:
    """A generation and those that it was made of, the oldest first."""

    id: str
    generations: tuple[Generation, ...]
    complete: bool
    """Nothing is missing: neither forgotten, nor further away than was asked for."""


async def lineage_of(assets: Assets, owner: str, id: str, depth: int = MOST_DEPTH) -> Lineage:
    """What a generation was made of, so many steps back.

    Raises:
        RhetorError: the store cannot be read.
    """
    known: dict[str, Generation] = {}
    wanted, complete = [id], True
    for _ in range(min(depth, MOST_DEPTH) + 1):
        room = MOST_STEPS - len(known)
        found = await assets.generations(owner, wanted[:room])
        complete = complete and len(found) == len(wanted)
        known |= found
        wanted = list(dict.fromkeys(p for it in found.values() for p in it.parents if p not in known))
        if not wanted:
            break
    ordered = sorted(known.values(), key=lambda it: (it.at, it.id))
    return Lineage(id, tuple(ordered), complete and not wanted)


def described(noted: Generation, output: bool = True) -> dict[str, JsonValue]:
    """A generation as callers read it.

    Args:
        output: with what came of it.
    """
    said = {name: told for name, told in noted.document.items() if output or name != "output"}
    return {"id": noted.id, **said, "time": noted.at.isoformat(), "parents": [*noted.parents]}


def steps_of(lineage: Lineage) -> list[JsonValue]:
    """The chain as one list, the first step first; contents are cut."""
    steps: list[JsonValue] = []
    for number, noted in enumerate(lineage.generations, 1):
        said = noted.document
        steps.append(
            {
                "step": number,
                "generation_id": noted.id,
                "asset_type": outcome_of(str(said.get("capability", ""))),
                "model": said.get("model"),
                "provider": said.get("provider"),
                "timestamp": noted.at.isoformat(),
                "options": said.get("options"),
                "content": _shown(said),
            }
        )
    return steps


def outcome_of(capability: str) -> str:
    """What comes of a capability: `image`, `text`, `audio`, `video`, `3d`."""
    if capability in OUTCOMES:
        return OUTCOMES[Capability(capability)]
    return capability.rpartition("-")[2]


def prompt_of(lineage: Lineage) -> dict[str, JsonValue]:
    """MediaConduit's `generation_prompt`: the input holds how it was made itself, as far as there is room."""
    known = {noted.id: noted for noted in lineage.generations}
    return _Prompts(known).of(lineage.id, MOST_DEPTH)


class _Prompts:
    def __init__(self, known: Mapping[str, Generation]) -> None:
        self._known = known
        self._left = MOST_STEPS
        self._left_bytes = PROMPT_BYTES

    def of(self, id: str, depth: int) -> dict[str, JsonValue]:
        noted = self._known.get(id)
        if noted is None or depth < 0 or self._left <= 0 or self._left_bytes <= 0:
            return {"generationId": id, "truncated": True}
        said = noted.document
        own: dict[str, JsonValue] = {
            "input": said.get("input"),
            "options": said.get("options"),
            "modelId": said.get("model"),
            "modelName": said.get("model"),
            "provider": said.get("provider"),
            "transformationType": said.get("capability"),
            "timestamp": noted.at.isoformat(),
            "metadata": {"generationId": id},
        }
        self._left -= 1
        self._left_bytes -= len(orjson.dumps(own))
        earlier: list[JsonValue] = [
            {"metadata": {"generation_prompt": self.of(parent, depth - 1)}} for parent in noted.parents
        ]
        if earlier:
            own["input"] = {"raw": own["input"], "sources": earlier}
        return own


def input_of(request: Request) -> JsonValue:
    """What a request asks about, to be noted."""
    return bounded(_told(request.input))


def options_of(input: Input) -> dict[str, JsonValue]:
    """The settings of a request that were not left as they are."""
    if isinstance(input, Chat | Embed):
        return {}
    said: dict[str, JsonValue] = {}
    for each in fields(input):
        given: Any = getattr(input, each.name)
        if each.name not in OURSELVES and given not in (None, each.default):
            said[each.name] = list(given) if isinstance(given, tuple) else given
    return {**said, **getattr(input, "extra", {})}


def bounded(said: JsonValue) -> JsonValue:
    """The same, small enough to be noted, without secrets and without media."""
    return _Bounds().of(said, MOST_LEVELS)


class _Bounds:
    def __init__(self) -> None:
        self._left = NOTED_CHARS

    def of(self, said: JsonValue, levels: int) -> JsonValue:
        if isinstance(said, str):
            return self._text(said)
        self._left -= VALUE_CHARS
        if isinstance(said, Mapping):
            return {} if levels <= 0 else self._mapping(said, levels)
        if isinstance(said, list):
            kept: list[JsonValue] = []
            for each in said[:MOST_ITEMS] if levels > 0 else ():
                if self._left <= 0:
                    break
                kept.append(self.of(each, levels - 1))
            return [*kept, f"… and {len(said) - len(kept)} more"] if len(said) > len(kept) else kept
        return said

    def _mapping(self, said: Mapping[str, JsonValue], levels: int) -> JsonValue:
        kept: dict[str, JsonValue] = {}
        for name, given in islice(said.items(), MOST_ITEMS):
            if self._left <= 0:
                break
            self._left -= len(name[:CONTENT_CHARS])
            if SECRET.search(name) and given is not None:
                kept[name[-CONTENT_CHARS:]] = REDACTED
            elif name in CONTENT_KEYS and isinstance(given, str):
                kept["bytes"] = len(given) * 3 // 4
            else:
                kept[name[:CONTENT_CHARS]] = self.of(given, levels - 1)
        return kept

    def _text(self, said: str) -> JsonValue:
        if (inline := inlined(said)) is not None:
            media_type, at = inline
            return {"media_type": media_type or None, "bytes": (len(said) - at) * 3 // 4}
        address = said[:LONGEST_ADDRESS]
        if ADDRESS.fullmatch(address):
            said = bare_url(address)
        room = max(0, min(TEXT_CHARS, self._left))
        kept = said if len(said) <= room else f"{said[:room]}…"
        self._left -= len(kept)
        return kept


def bare_url(url: str) -> str:
    """An address without what may be secret in it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return REDACTED
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _told(input: Input) -> JsonValue:
    match input:
        case Chat(messages=messages):
            return [_part(part) for message in messages for part in message.parts]
        case Embed(inputs=inputs):
            return [it if isinstance(it, str) else {"tokens": len(it)} for it in inputs]
        case Draw(prompt=prompt, images=images, mask=mask):
            told: dict[str, JsonValue] = {"prompt": prompt}
            if images:
                told["images"] = [_material(image) for image in images]
            return told | ({"mask": _material(mask)} if mask is not None else {})
        case Speak(text=text):
            return text
        case Transcribe(audio=audio):
            return {"audio": _material(audio)}
        case Rank(query=query, documents=documents):
            return {"query": query, "documents": [*documents]}
        case Make(prompt=prompt, sources=sources):
            return {"prompt": prompt, "sources": [_material(source) for source in sources]}


def _part(part: Part) -> JsonValue:
    match part:
        case Text(text):
            return text
        case Image(source) | Audio(source) | File(source):
            return {type(part).__name__.lower(): _source(source)}
    return {"type": type(part).__name__.lower()}


def _source(source: Source) -> JsonValue:
    return _material(source) if isinstance(source, Url | Inline) else {"uploaded": True}


def _material(material: Material) -> JsonValue:
    match material:
        case Url(url):
            return url
        case Inline(media_type, base64):
            return {"media_type": media_type, "bytes": len(base64) * 3 // 4}
        case Bytes(media_type, data, name):
            named: dict[str, JsonValue] = {"name": name} if name else {}
            return {"media_type": media_type, "bytes": len(data), **named}


def _shown(said: Json) -> str:
    """A few words of what came of a generation, or was asked for."""
    output = said.get("output")
    text = output.get("text") if isinstance(output, Mapping) else None
    if not isinstance(text, str):
        text = _words(said.get("input"))
    return text[:CONTENT_CHARS]


def _words(said: JsonValue) -> str:
    if isinstance(said, str):
        return said
    if isinstance(said, Mapping):
        for name in ("prompt", "text", "query"):
            if isinstance(found := said.get(name), str):
                return found
    return ""
