"""Strategies for what providers may send and callers may ask: whatever we know, and much that we do not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

IN_A_GATEWAY = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
"""One gateway takes all examples of a law; it must not care what came before."""

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NUMBERS = st.integers(-(2**62), 2**62) | st.floats(allow_nan=False, allow_infinity=False)
PLAIN = st.none() | st.booleans() | NUMBERS | TEXTS
JSON_VALUES: SearchStrategy[Any] = (
    PLAIN
    | st.lists(PLAIN, max_size=3)
    | st.dictionaries(TEXTS | st.just("model"), PLAIN | st.lists(PLAIN, max_size=2), max_size=3)
)
UNKNOWN = st.dictionaries(TEXTS.map("x_{}".format), JSON_VALUES, max_size=2)
"""Fields that nobody has heard of."""
WORDS = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8)


@st.composite
def json_texts(draw: DrawFn, value: Any) -> bytes:
    """A value as JSON, in one of the many ways to write it."""
    separators = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", " : ")]))
    return json.dumps(value, ensure_ascii=draw(st.booleans()), separators=separators).encode()


@st.composite
def frames(draw: DrawFn, said: Any, event: str | None = None) -> bytes:
    """A frame with this data; comments and fields of the protocol that say nothing may stand in it."""
    head = b"" if event is None else b"event: %b\n" % event.encode()
    before = draw(st.sampled_from([b"", b"", b": ping\n", b"id: 7\n", b"retry: 100\n"]))
    return before + head + b"data: " + draw(json_texts(said)) + b"\n\n"


@st.composite
def noise(draw: DrawFn) -> bytes:
    """What may stand between frames: comments, and events that nobody has heard of."""
    if draw(st.booleans()):
        return b": " + draw(WORDS).encode() + b"\n\n"
    return draw(frames(draw(UNKNOWN), "x_" + draw(WORDS)))


@st.composite
def openai_streams(draw: DrawFn) -> bytes:
    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta | draw(UNKNOWN), "finish_reason": finish} | draw(UNKNOWN)
        said = {"id": "c1", "model": "m", "choices": [choice]} | draw(UNKNOWN)
        return draw(frames(said)) + b"".join(draw(st.lists(noise(), max_size=1)))

    texts = draw(st.lists(TEXTS.filter(bool), min_size=1, max_size=4))
    body = [chunk({"role": "assistant"}), *(chunk({"content": text}) for text in texts), chunk({}, "stop")]
    return _line_ends(draw, b"".join(body) + b"data: [DONE]\n\n")


@st.composite
def anthropic_streams(draw: DrawFn) -> bytes:
    def event(kind: str, **said: Any) -> bytes:
        whole = {"type": kind, **said} | draw(UNKNOWN)
        return draw(frames(whole, kind)) + b"".join(draw(st.lists(noise(), max_size=1)))

    def delta(text: str) -> bytes:
        kind = draw(st.sampled_from(["text_delta", "text_delta", "x_delta"]))
        said = {"type": kind, "text": text} | draw(UNKNOWN)
        return event("content_block_delta", index=0, delta=said)

    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": []}
    usage = {"input_tokens": 3, "output_tokens": 1} | draw(UNKNOWN)
    texts = draw(st.lists(TEXTS.filter(bool), max_size=4))
    body = [
        event("message_start", message=message | {"usage": usage} | draw(UNKNOWN)),
        event("content_block_start", index=0, content_block={"type": "text", "text": ""} | draw(UNKNOWN)),
        event("ping"),
        event("content_block_delta", index=0, delta={"type": "text_delta", "text": "a"}),
        *map(delta, texts),
        event("content_block_stop", index=0),
        event("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage=usage),
        event("message_stop"),
    ]
    return _line_ends(draw, b"".join(body))


def _line_ends(draw: DrawFn, stream: bytes) -> bytes:
    return stream.replace(b"\n", b"\r\n") if draw(st.booleans()) else stream


@st.composite
def pieces(draw: DrawFn, data: bytes) -> Sequence[bytes]:
    """These bytes in pieces, cut anywhere."""
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(data) - 1)), max_size=6)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


@st.composite
def bodies(draw: DrawFn, known: dict[str, Any]) -> bytes:
    """A request with fields that nobody has heard of; the model comes first, as SDKs write it."""
    return draw(json_texts({"model": "MODEL", **known} | draw(UNKNOWN)))
