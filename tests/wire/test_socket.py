"""What all languages over WebSocket share."""

from __future__ import annotations

import orjson
import pytest

from rhetor.core.errors import BadRequest
from rhetor.wire.socket import PONG, BadFrame, Register, opened, text, with_id


def test_a_frame_is_an_object_as_text_or_bytes() -> None:
    assert opened('{"a":"é"}') == ({"a": "é"}, '{"a":"é"}'.encode())
    assert opened(b'{"a":1}') == ({"a": 1}, b'{"a":1}')


@pytest.mark.parametrize("data", ["", "{", "[]", "7", "null", '"\ud800"', b"\xff", b"\x00"])
def test_anything_else_is_a_bad_frame_of_nobody(data: str | bytes) -> None:
    with pytest.raises(BadFrame) as caught:
        opened(data)
    assert (caught.value.request_id, caught.value.source, caught.value.context_id) == ("", "", None)


def test_a_bad_frame_keeps_what_was_wrong() -> None:
    wrong = BadFrame(BadRequest("no", param="x"), "r", "ui", "ctx")
    assert (wrong.message, wrong.param, wrong.status) == ("no", "x", 400)


def test_ids_change_nothing_else() -> None:
    frame = text({"chunk": "}"})
    assert orjson.loads(with_id(frame, "gen_1", "bare-ws:3.1")) == {
        "chunk": "}",
        "generation_id": "gen_1",
        "event_id": "bare-ws:3.1",
    }


def test_who_registers_is_the_same_however_it_is_answered() -> None:
    assert Register("c", answer="x") == Register("c", answer="y")
    assert orjson.loads(PONG) == {"type": "PONG"}
