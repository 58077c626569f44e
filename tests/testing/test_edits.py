"""What may be done to a reply after it was rendered."""

from __future__ import annotations

import orjson
import pytest

from rhetor.testing.edits import (
    GARBAGE,
    with_garbage,
    with_usage_in_last_chunk,
    without_finish_reason,
    without_terminator,
)

LINES = [b"", b'{"message":{"content":"a"},"done":false}\n', b'{"done":true,"done_reason":"stop"}\n']
ANTHROPIC = [
    b'event: message_start\ndata: {"type":"message_start","message":{"stop_reason":null}}\n\n',
    b'event: content_block_delta\ndata: {"type":"content_block_delta"}\n\n',
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"}}\n\n'
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
]


def test_garbage_is_a_line_where_the_language_has_lines() -> None:
    assert with_garbage(1)(LINES) == [LINES[0], GARBAGE + b"\n" + LINES[1], LINES[2]]


def test_garbage_is_a_frame_where_the_language_has_frames() -> None:
    assert with_garbage(1)(ANTHROPIC)[1] == b"data: " + GARBAGE + b"\n\n" + ANTHROPIC[1]


def test_garbage_after_the_last_event_comes_before_the_ending() -> None:
    assert with_garbage(2)(LINES)[2] == GARBAGE + b"\n" + LINES[2]


def test_garbage_has_a_place() -> None:
    with pytest.raises(ValueError, match="event 3"):
        with_garbage(3)(LINES)


def test_the_last_frame_of_anthropic_goes() -> None:
    *kept, ending = without_terminator(ANTHROPIC)
    assert kept == ANTHROPIC[:2]
    assert ending.count(b"event:") == 1


def test_the_reason_goes_wherever_it_stands() -> None:
    edited = b"".join(without_finish_reason([*LINES, *ANTHROPIC]))
    assert b'"done_reason":null' in edited
    assert b"end_turn" not in edited
    assert b'"content":"a"' in edited


def test_usage_moves_only_where_it_has_a_chunk_of_its_own() -> None:
    assert with_usage_in_last_chunk(LINES) == LINES
    whole = [orjson.dumps({"choices": [{}], "usage": {}})]
    assert with_usage_in_last_chunk(whole) == whole
