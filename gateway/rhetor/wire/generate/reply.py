"""What came of a generation, as its callers read it: one object, or events as they happen.

    event: started    {"id", "capability", "model", "provider"}
    event: progress   {"fraction", "note"}
    event: text       {"text"}
    event: asset      {"id", "url", "media_type", "bytes", …}
    event: usage      {"input_tokens", "output_tokens", …}
    event: finished   all of it, but for the text
    event: failed     {"error", "code", …}

What is known of stored media, and of what the result was made of, is in the trip's metadata.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict

import orjson

from rhetor.core.capability import Capability
from rhetor.core.content import JsonValue
from rhetor.core.events import (
    Event,
    Failed,
    Finished,
    Folded,
    Folder,
    Medium,
    Progress,
    Ranked,
    RefusalDelta,
    TextDelta,
    ThinkingDelta,
    Timed,
)
from rhetor.core.media import Rank
from rhetor.core.request import Request
from rhetor.core.usage import Usage
from rhetor.wire.base import STREAM_TYPE, ReplyInfo, WholeRenderer
from rhetor.wire.sse import frame
from rhetor.wire.tekton.reply import whole_error

MADE, LINEAGE, PROMPT, CHAIN = "assets", "generation", "generation_prompt", "generation_chain"
"""Where the metadata tell what came of the trip; `pipeline/shelving.py` writes them."""
DRAWING = frozenset({Capability.TEXT_TO_IMAGE, Capability.IMAGE_TO_IMAGE})


class WholeGeneration(WholeRenderer):
    """The answer to `/v1/generate`."""

    def __init__(self, request: Request, info: ReplyInfo) -> None:
        super().__init__()
        self._request = request
        self._info = info

    def write(self, folded: Folded) -> bytes:
        return orjson.dumps(whole(folded, self._request, self._info))


class StreamedGeneration:
    """The same as server-sent events."""

    content_type = STREAM_TYPE

    def __init__(self, request: Request, info: ReplyInfo) -> None:
        self._request = request
        self._info = info
        self._folder = Folder()
        self._begun = False

    def render(self, events: Iterable[Event]) -> bytes:
        return b"".join(piece for event in events for piece in self._frames(event))

    def _frames(self, event: Event) -> Iterable[bytes]:
        self._folder.add(event)
        if isinstance(event, Failed):
            yield _frame("failed", whole_error(event.error, self._info.id))
            return
        if not self._begun:
            self._begun = True
            yield _frame("started", _head(self._request, self._info))
        match event:
            case TextDelta(text):
                yield _frame("text", {"text": text})
            case RefusalDelta(text):
                yield _frame("text", {"text": text, "refusal": True})
            case ThinkingDelta(text):
                yield _frame("thinking", {"text": text})
            case Progress(fraction, note):
                yield _frame("progress", {"fraction": fraction, "note": note})
            case Finished():
                yield from self._ending()

    def _ending(self) -> Iterable[bytes]:
        said = whole(self._folder.result(), self._request, self._info)
        said.pop("text", None)
        assets = said.get("assets")
        if isinstance(assets, list):
            for asset in assets:
                yield _frame("asset", asset)
            said["assets"] = [_without_content(asset) for asset in assets]
        yield _frame("usage", said["usage"])
        yield _frame("finished", said)


def whole(folded: Folded, request: Request, info: ReplyInfo) -> dict[str, JsonValue]:
    """A reply as one object; what it has not is left out."""
    said = _head(request, info)
    if text := folded.text + folded.refusal:
        said["text"] = text
    if folded.thinking:
        said["thinking"] = folded.thinking
    if folded.finish is not None:
        said["finish_reason"] = folded.finish.value
    if folded.media:
        said["assets"] = _assets(folded, info)
    if folded.ranked:
        said["ranked"] = [_ranked(each, request) for each in folded.ranked]
    if folded.vectors:
        vectors: dict[int, JsonValue] = dict(folded.vectors)  # type: ignore[arg-type]  # numbers are JSON
        said["embeddings"] = [{"index": n, "embedding": vectors[n]} for n in sorted(vectors)]
    said |= _transcript(folded)
    said["usage"] = usage_of(folded, request)
    meta = info.meta
    said["cost_micros"] = meta.get("cost_micros")
    said["meta"] = {name: told for name, told in meta.items() if name not in (MADE, LINEAGE, PROMPT, CHAIN)}
    for name in (LINEAGE, PROMPT):
        if name in meta:
            said[name] = meta[name]
    return said


def usage_of(folded: Folded, request: Request) -> dict[str, JsonValue]:
    """What was consumed, in all the measures that counted something."""
    usage = folded.usage or Usage(source="estimated")
    measures = {name: number for name, number in asdict(usage).items() if name != "source"}
    measures["total_tokens"] = usage.total_tokens
    if request.capability in DRAWING and not usage.images:
        measures["images"] = len(folded.media)
    told: dict[str, JsonValue] = {
        name: number
        for name, number in measures.items()
        if number or name in ("input_tokens", "output_tokens")
    }
    return told | ({"estimated": True} if usage.source == "estimated" else {})


def _head(request: Request, info: ReplyInfo) -> dict[str, JsonValue]:
    served = info.meta.get("served_by")
    provider, _, model = served.partition("/") if isinstance(served, str) else ("", "", "")
    return {
        "id": info.id,
        "object": "generation",
        "capability": request.capability.value,
        "model": model or info.model,
        "provider": provider,
    }


def _assets(folded: Folded, info: ReplyInfo) -> list[JsonValue]:
    made = info.meta.get(MADE)
    stored = [it for it in made if isinstance(it, Mapping)] if isinstance(made, list) else []
    known = {it.get("index"): it for it in stored}
    told: list[JsonValue] = []
    for index, medium in sorted(folded.media.items()):
        said: dict[str, JsonValue] = {
            name: given for name, given in known.get(index, {}).items() if name != "index"
        }
        said.setdefault("id", None)
        if isinstance(medium, Medium):
            said |= {"media_type": medium.media_type, "base64": medium.base64}
        else:
            said["url"] = medium.url
            said.setdefault("media_type", medium.media_type)
        if medium.prompt is not None:
            said["revised_prompt"] = medium.prompt
        told.append(said)
    return told


def _without_content(asset: JsonValue) -> JsonValue:
    if not isinstance(asset, Mapping):
        return asset
    return {name: given for name, given in asset.items() if name != "base64"}


def _ranked(ranked: Ranked, request: Request) -> JsonValue:
    said: dict[str, JsonValue] = {"index": ranked.index, "score": ranked.score}
    documents = request.input.documents if isinstance(request.input, Rank) else ()
    if 0 <= ranked.index < len(documents):
        said["document"] = documents[ranked.index]
    return said


def _transcript(folded: Folded) -> dict[str, JsonValue]:
    said: dict[str, JsonValue] = {}
    if folded.spoken is not None:
        said["language"] = folded.spoken.language
        said["duration_s"] = folded.spoken.duration_s
    for kind, name in (("segment", "segments"), ("word", "words")):
        if timed := [_timed(each) for each in folded.timed if each.kind == kind]:
            said[name] = timed
    return said


def _timed(timed: Timed) -> JsonValue:
    said: dict[str, JsonValue] = {"text": timed.text, "start_s": timed.start_s, "end_s": timed.end_s}
    if timed.speaker is not None:
        said["speaker"] = timed.speaker
    if timed.confidence is not None:
        said["confidence"] = timed.confidence
    return said


def _frame(name: str, said: JsonValue) -> bytes:
    return frame(orjson.dumps(said), name)
