"""What may be done to a reply after it was rendered: the ways in which providers differ from the book.

An edit works on the pieces of a reply: what the language sends before the
content, one piece for each content event, and the ending. A reply in one
piece is a single one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeAlias

import orjson

from rhetor.testing.eventstream import message

Edit: TypeAlias = Callable[[list[bytes]], list[bytes]]

GARBAGE = b'{"choices": [{"delta": {"content": "lo'
FINISH_FIELDS = frozenset({"finish_reason", "stop_reason", "done_reason"})
TERMINATOR = re.compile(rb"data: ?\[DONE\]\n\n|event: ?message_stop\ndata:[^\n]*\n\n")


def with_garbage(at: int) -> Edit:
    """A frame that is not JSON, as the content event number `at`."""

    def edit(pieces: list[bytes]) -> list[bytes]:
        if len(pieces) == 1:
            return [GARBAGE]
        if not 0 < at < len(pieces):
            raise ValueError(f"garbage as event {at} of a reply with {len(pieces) - 2}")
        before, after = pieces[:at], pieces[at:]
        if before[0].startswith(b"\0"):  # the length of a message
            frame = message("event", "contentBlockDelta", GARBAGE)
        else:
            frame = b"data: %b\n\n" % GARBAGE if _are_sse(pieces) else GARBAGE + b"\n"
        return [*before, frame + after[0], *after[1:]]

    return edit


def without_terminator(pieces: list[bytes]) -> list[bytes]:
    return [TERMINATOR.sub(b"", piece) for piece in pieces]


def without_finish_reason(pieces: list[bytes]) -> list[bytes]:
    return [_edit_json(piece, _drop_finish) for piece in pieces]


def with_usage_in_last_chunk(pieces: list[bytes]) -> list[bytes]:
    """OpenAI streams only: the chunk without choices goes, its usage moves to the one before."""
    *content, ending = pieces
    frames = ending.split(b"\n\n")
    at = next((n for n, frame in enumerate(frames) if b'"choices":[]' in frame), 0)
    if at == 0:
        return pieces
    usage = orjson.loads(frames[at].removeprefix(b"data: "))["usage"]
    frames[at - 1] = _edit_json(frames[at - 1], lambda chunk: {**chunk, "usage": usage})
    del frames[at]
    return [*content, b"\n\n".join(frames)]


def _are_sse(pieces: list[bytes]) -> bool:
    return b"".join(pieces).startswith((b"data:", b"event:", b":"))


def _edit_json(piece: bytes, change: Callable[[dict[str, Any]], dict[str, Any]]) -> bytes:
    """The same lines with each JSON object in them changed."""

    def edit(line: bytes) -> bytes:
        prefix = b"data: " if line.startswith(b"data: ") else b""
        text = line.removeprefix(prefix)
        if not text.startswith(b"{"):
            return line
        return prefix + orjson.dumps(change(orjson.loads(text)))

    return b"\n".join(map(edit, piece.split(b"\n")))


def _drop_finish(value: dict[str, Any]) -> dict[str, Any]:
    return {key: None if key in FINISH_FIELDS else _deeper(inner) for key, inner in value.items()}


def _deeper(value: Any) -> Any:
    if isinstance(value, dict):
        return _drop_finish(value)
    return [_deeper(item) for item in value] if isinstance(value, list) else value
