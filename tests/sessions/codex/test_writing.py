"""What is written is one JSON object a line."""

from __future__ import annotations

import orjson

from rhetor.sessions.codex import writing


def test_a_message_of_several_lines_is_one_line() -> None:
    said = writing.message("r1", "t1", "one\ntwo")
    assert said.count(b"\n") == 1
    assert orjson.loads(said) == {
        "id": "r1",
        "method": "turn/start",
        "params": {"threadId": "t1", "input": [{"type": "text", "text": "one\ntwo"}]},
    }


def test_answers_repeat_the_id_as_it_came() -> None:
    assert orjson.loads(writing.decision(7, "accept")) == {"id": 7, "result": {"decision": "accept"}}
    assert orjson.loads(writing.refusal("a", "m"))["id"] == "a"
