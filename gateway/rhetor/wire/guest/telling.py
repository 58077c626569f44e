"""What a guest tells: frames → events.

A guest may be mistaken, or lie: what breaks the grammar fails its call.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Literal, TypeVar

from rhetor.core.capability import CONVERSING, Capability
from rhetor.core.content import Json
from rhetor.core.errors import MEANING, Code, UpstreamError
from rhetor.core.events import (
    Failed,
    Finished,
    FinishReason,
    MediumDelta,
    MediumLink,
    MediumStarted,
    Progress,
    Ranked,
    RefusalDelta,
    Spoken,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    Timed,
    ToolUseDelta,
    ToolUseStarted,
    UsageReport,
    Vector,
)
from rhetor.core.usage import Usage
from rhetor.wire.base import WHOLE_LIMIT_BYTES, BodyDecoder, Chunk, Narrator
from rhetor.wire.guest.frames import Frame, FrameSplitter
from rhetor.wire.refusals import shortened

MEDIA_LIMIT_BYTES = 512 << 20  # an hour of uncompressed speech is 350 MB
MOST_INDEX = 10_000  # of tool calls and media in one reply
MOST_COUNT = 10**12  # of whatever usage counts
MOST_NAME_CHARS = 500
SECONDS_MOST = 1e9

SAYABLE = frozenset(
    {
        *(Code.INVALID_REQUEST, Code.MODEL_NOT_FOUND, Code.UNSUPPORTED, Code.TOO_LARGE, Code.CONTEXT_LENGTH),
        *(Code.CONTENT_POLICY, Code.UPSTREAM_AUTH, Code.UPSTREAM_BILLING, Code.RATE_LIMITED),
        *(Code.OVERLOADED, Code.UNAVAILABLE, Code.UPSTREAM_ERROR),
    }
)
"""Codes that a guest may fail with; the others are for the gateway to say."""

_TALK = frozenset({"text", "refusal", "thinking", "tool_use", "tool_use_delta"})
_SHOW = frozenset({"medium", "medium_delta", "link", "text"})
_ALWAYS = frozenset({"started", "progress", "usage", "finished", "failed", "cancelled"})
_OF: Mapping[Capability, frozenset[str]] = {
    **dict.fromkeys(CONVERSING, _TALK),
    Capability.EMBEDDINGS: frozenset({"vector"}),
    Capability.RERANK: frozenset({"ranked"}),
    Capability.AUDIO_TO_TEXT: frozenset({"text", "timed", "spoken"}),
}


class GuestDecoder(BodyDecoder):
    """Decodes the frames of one call.

    Args:
        capability: what was asked for; events that it has no use for are a failure.
        count: how many inputs there are to have an index, where that is known.
    """

    in_step = False

    def __init__(self, capability: Capability, count: int | None = None) -> None:
        self._splitter = FrameSplitter()
        self._narrator = Narrator()
        self._allowed = _OF.get(capability, _SHOW) | _ALWAYS
        self._capability = capability
        self._count = MOST_INDEX if count is None else count
        self._tools: set[int] = set()
        self._media: set[int] = set()
        self._indexed: set[int] = set()
        self._line_bytes = 0
        self._media_bytes = 0

    def feed(self, data: bytes) -> Chunk:
        if self._narrator.ended:
            return Chunk([])
        try:
            for frame in self._splitter.feed(data):
                self._see(frame)
        except UpstreamError as error:
            self._narrator.end(Failed(error))
        return Chunk(self._narrator.take())

    def close(self) -> Chunk:
        self._narrator.hang_up()
        return Chunk(self._narrator.take())

    def _see(self, frame: Frame) -> None:
        if self._narrator.ended:
            return
        said = frame.fields.get("event")
        if not isinstance(said, str) or said not in _READERS:
            raise _wrong(f"an unknown event {said!r}"[:120])
        if said not in self._allowed:
            raise _wrong(f"{said!r}, which is no part of {self._capability}")
        if (frame.data is not None) != (said == "medium_delta"):
            raise _wrong(f"{said!r} {'with' if frame.data is not None else 'without'} bytes")
        self._measure(frame)
        _READERS[said](self, frame)

    def _measure(self, frame: Frame) -> None:
        size = len(frame.data or b"")
        self._media_bytes += size
        self._line_bytes += len(frame.raw) - size
        if self._line_bytes > WHOLE_LIMIT_BYTES or self._media_bytes > MEDIA_LIMIT_BYTES:
            raise _wrong("a reply that is larger than any real one")

    # One method an event.

    def _started(self, frame: Frame) -> None:
        self._narrator.start(_name(frame.fields, "id"), _name(frame.fields, "model"))

    def _text(self, frame: Frame) -> None:
        self._narrator.emit(TextDelta(_text(frame.fields, "text")))

    def _refusal(self, frame: Frame) -> None:
        self._narrator.emit(RefusalDelta(_text(frame.fields, "text")))

    def _thinking(self, frame: Frame) -> None:
        fields = frame.fields
        if "text" in fields:
            self._narrator.emit(ThinkingDelta(_text(fields, "text")))
        if fields.get("signature") is not None:
            self._narrator.emit(ThinkingSigned(_text(fields, "signature")))

    def _tool_use(self, frame: Frame) -> None:
        fields = frame.fields
        index = _index(fields, MOST_INDEX)
        if index != len(self._tools):
            raise _wrong(f"tool call {index} after {len(self._tools)}")
        self._tools.add(index)
        self._narrator.emit(ToolUseStarted(index, _name(fields, "id"), _name(fields, "name")))
        if fields.get("arguments") is not None:
            self._narrator.emit(ToolUseDelta(index, _text(fields, "arguments")))

    def _tool_use_delta(self, frame: Frame) -> None:
        index = _index(frame.fields, MOST_INDEX)
        if index not in self._tools:
            raise _wrong(f"arguments of tool call {index}, which has not begun")
        self._narrator.emit(ToolUseDelta(index, _text(frame.fields, "arguments")))

    def _medium(self, frame: Frame) -> None:
        fields = frame.fields
        index = self._next_medium(fields)
        self._media.add(index)
        prompt = _optional(fields, "prompt", _text)
        self._narrator.emit(MediumStarted(index, _media_type(fields), prompt))

    def _medium_delta(self, frame: Frame) -> None:
        index = _index(frame.fields, MOST_INDEX)
        if index not in self._media:
            raise _wrong(f"bytes of medium {index}, which has not begun")
        if frame.data:
            self._narrator.emit(MediumDelta(index, frame.data))

    def _link(self, frame: Frame) -> None:
        fields = frame.fields
        index = self._next_medium(fields)
        url = _text(fields, "url")
        if not _URL.fullmatch(url):
            raise _wrong("a link that is no http(s) URL")
        media_type = _optional(fields, "media_type", lambda of, key: _media_type(of))
        prompt = _optional(fields, "prompt", _text)
        self._narrator.emit(MediumLink(index, url, media_type, prompt))

    def _next_medium(self, fields: Json) -> int:
        index = _index(fields, MOST_INDEX)
        if index in self._indexed:
            raise _wrong(f"medium {index} again")
        self._indexed.add(index)
        return index

    def _vector(self, frame: Frame) -> None:
        values = frame.fields.get("values")
        if not isinstance(values, list) or not all(type(it) is float or type(it) is int for it in values):
            raise _wrong("a vector whose values are no list of numbers")
        self._narrator.emit(Vector(self._next_index(frame.fields), [float(it) for it in values]))  # type: ignore[arg-type]  # looked at above

    def _ranked(self, frame: Frame) -> None:
        score = _number(frame.fields, "score", -math.inf, math.inf)
        self._narrator.emit(Ranked(self._next_index(frame.fields), score))

    def _next_index(self, fields: Json) -> int:
        """Of an input, each of which is told once."""
        index = _index(fields, self._count)
        if index in self._indexed:
            raise _wrong(f"number {index} again")
        self._indexed.add(index)
        return index

    def _timed(self, frame: Frame) -> None:
        fields = frame.fields
        kind: Literal["segment", "word"] = "word" if fields.get("kind") == "word" else "segment"
        if fields.get("kind") != kind:
            raise _wrong("a timed kind that is neither segment nor word")
        start_s, end_s = _seconds(fields, "start_s"), _seconds(fields, "end_s")
        speaker = _optional(fields, "speaker", _name)
        confidence = _optional(fields, "confidence", _share)
        self._narrator.emit(Timed(kind, _text(fields, "text"), start_s, end_s, speaker, confidence))

    def _spoken(self, frame: Frame) -> None:
        duration_s = _optional(frame.fields, "duration_s", _seconds)
        self._narrator.emit(Spoken(_optional(frame.fields, "language", _name), duration_s))

    def _progress(self, frame: Frame) -> None:
        fraction = _optional(frame.fields, "fraction", _share)
        self._narrator.emit(Progress(fraction, _name(frame.fields, "note")))

    def _usage(self, frame: Frame) -> None:
        counts = {name: _count(frame.fields, name) for name in _COUNTED if frame.fields.get(name) is not None}
        estimated = frame.fields.get("estimated") is True
        usage = Usage(**counts, source="estimated" if estimated else "provider")
        self._narrator.emit(UsageReport(usage))

    def _finished(self, frame: Frame) -> None:
        said = _name(frame.fields, "reason") or FinishReason.STOP
        reason = FinishReason(said) if said in set(FinishReason) else FinishReason.OTHER
        if self._capability is Capability.EMBEDDINGS and len(self._indexed) < self._count < MOST_INDEX:
            raise _wrong(f"{len(self._indexed)} vectors for {self._count} inputs")
        self._narrator.end(Finished(reason, _optional(frame.fields, "stop_sequence", _name)))

    def _failed(self, frame: Frame) -> None:
        self._narrator.end(Failed(read_failure(frame.fields)))

    def _cancelled(self, frame: Frame) -> None:
        self._narrator.fail("the guest gave the call up", Code.UPSTREAM_ERROR)


_READERS: Mapping[str, Callable[[GuestDecoder, Frame], None]] = {
    name: getattr(GuestDecoder, f"_{name}")
    for name in (*_ALWAYS, *_TALK, *_SHOW, "vector", "ranked", "timed", "spoken")
}
_COUNTED = (
    *("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens"),
    *("characters", "audio_ms", "images", "video_ms"),
)
_MEDIA_TYPE = re.compile(r"[\w.+-]{1,64}/[\w.+-]{1,64}(; ?[\w.+-]{1,32}=[\w.+\"-]{1,64}){0,4}", re.ASCII)
_URL = re.compile(r"https?://[^\s\"'<>\\]{1,4096}")


def read_failure(fields: Json) -> UpstreamError:
    """What a guest failed of, in its own words."""
    said = fields.get("code")
    code = Code(said) if isinstance(said, str) and said in SAYABLE else Code.UPSTREAM_ERROR
    message = fields.get("message") or "the guest failed and does not say why"
    after_s = fields.get("retry_after_s")
    return UpstreamError(
        shortened(str(message)),
        code,
        status=MEANING[code].status,
        param=_optional(fields, "param", _name),
        retry_after_s=float(after_s) if isinstance(after_s, int | float) and 0 <= after_s < 1e6 else None,
    )


# Reading what may be anything.

Value = TypeVar("Value")


def _optional(fields: Json, key: str, read: Callable[[Json, str], Value]) -> Value | None:
    return None if fields.get(key) is None else read(fields, key)


def _text(fields: Json, key: str) -> str:
    value = fields.get(key)
    if not isinstance(value, str):
        raise _wrong(f"an event whose {key!r} is no text")
    return value


def _name(fields: Json, key: str) -> str:
    """A short text; empty where there is none."""
    value = fields.get(key)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > MOST_NAME_CHARS or not value.isprintable():
        raise _wrong(f"an event whose {key!r} is no short text")
    return value


def _index(fields: Json, most: int) -> int:
    value = fields.get("index", 0)
    if type(value) is not int or not 0 <= value < most:
        raise _wrong(f"an index that is no number from 0 to {most - 1}")
    return value


def _number(fields: Json, key: str, least: float, most: float) -> float:
    value = fields.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise _wrong(f"an event whose {key!r} is no number in its range")
    return float(value)


def _seconds(fields: Json, key: str) -> float:
    return _number(fields, key, 0.0, SECONDS_MOST)


def _share(fields: Json, key: str) -> float:
    return _number(fields, key, 0.0, 1.0)


def _count(fields: Json, key: str) -> int:
    value = fields.get(key)
    if type(value) is not int or not 0 <= value <= MOST_COUNT:
        raise _wrong(f"usage whose {key!r} is no count")
    return value


def _media_type(fields: Json) -> str:
    value = fields.get("media_type")
    if not isinstance(value, str) or not _MEDIA_TYPE.fullmatch(value):
        raise _wrong("a medium without a proper media_type")
    return value


def _wrong(what: str) -> UpstreamError:
    return UpstreamError(f"the guest told {what}", Code.PROTOCOL)
