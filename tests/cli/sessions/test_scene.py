"""How a session is, as its events tell it, and in which pieces a text is shown."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.cli.sessions.calls import Told
from rhetor.cli.sessions.scene import Blocks, Scene

SESSION: dict[str, Any] = {
    "id": "ses_1",
    "backend": "claude_code",
    "state": "waiting_input",
    "turn": 3,
    "model": "m",
    "current_directory": "/src",
    "waiting_for": [{"request_id": "a1", "tool": "Bash", "input": {}, "always": True}],
    "usage": {"calls": 2, "input_tokens": 10, "output_tokens": 5, "cost_micros": 7},
}


def test_a_session_as_the_gateway_tells_it() -> None:
    scene = Scene.of(SESSION)
    assert (scene.state, scene.turn, scene.directory, scene.in_turn) == ("waiting_input", 3, "/src", True)
    assert list(scene.asks) == ["a1"]
    assert scene.usage.told() == SESSION["usage"]
    bare = Scene.of({"id": "ses_1", "state": "idle", "usage": {"calls": 1, "cost_micros": None}})
    assert (bare.usage.calls, bare.usage.cost_micros, bare.asks) == (1, None, {})


def test_what_events_change() -> None:
    scene = Scene.of(SESSION)
    for event in (
        Told(1, "approval_request", "May it?", {"request_id": "a2", "tool": "Read"}, 4),
        Told(2, "approval_resolved", "allow", {"request_id": "a1"}, 4),
        Told(3, "usage", "", {"input_tokens": 1, "output_tokens": 1, "cost_micros": 3}, 4),
        Told(4, "directory_change", "/x", {"directory": "/x"}, 4),
        Told(5, "of_tomorrow", "?", {}, 4),
    ):
        scene.on_event(event)
    assert (list(scene.asks), scene.turn, scene.directory) == (["a2"], 4, "/x")
    assert scene.usage.told() == {"calls": 3, "input_tokens": 11, "output_tokens": 6, "cost_micros": 10}
    scene.on_event(Told(6, "usage", "", {"input_tokens": 1, "cost_micros": None}, 4))
    assert scene.usage.cost_micros is None
    scene.on_event(Told(7, "status_change", "idle", {"to": "idle"}, 4))
    assert (scene.state, scene.asks) == ("idle", {})


@pytest.mark.parametrize(
    ("text", "blocks", "rest"),
    [
        ("one", [], "one"),
        ("one\n\ntwo", ["one"], "two"),
        ("one\ntwo\n", [], "one\ntwo\n"),
        ("```py\na\n\nb\n```\nc", ["```py\na\n\nb\n```"], "c"),
        ("see:\n```\na\n\nb", [], "see:\n```\na\n\nb"),
        ("~~~\n```\n\n~~~\n", ["~~~\n```\n\n~~~"], ""),
        ("\n\n\none\n\n\n\ntwo\n\n", ["one", "two"], ""),
    ],
)
def test_a_text_in_blocks(text: str, blocks: list[str], rest: str) -> None:
    found = Blocks()
    assert (found.feed(text), found.rest) == (blocks, rest)


@given(pieces=st.lists(st.sampled_from(["a", "\n", "```", "~~~", "\n\n", " ", "b c"]), max_size=12))
def test_nothing_said_is_lost(pieces: list[str]) -> None:
    blocks = Blocks()
    shown = [block for piece in pieces for block in blocks.feed(piece)] + [blocks.flush()]
    assert "".join("".join(shown).split()) == "".join("".join(pieces).split())
