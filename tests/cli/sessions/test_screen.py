"""What goes up the screen of somebody who is attached."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from rhetor.cli.sessions.calls import Told
from rhetor.cli.sessions.editor import Editor
from rhetor.cli.sessions.scene import Scene
from rhetor.cli.sessions.screen import Screen


def told(seq: int, type: str, content: str = "", **data: object) -> Told:
    return Told(seq, type, content, data, 1)


@pytest.mark.parametrize("unseen", ["usage", "system"])
def test_what_is_not_shown_parts_no_sentence(unseen: str) -> None:
    """A model call is booked when it is, also in the middle of the next answer."""
    paper = io.StringIO()
    screen = Screen(Scene("ses_1"), Editor(), Console(file=paper, width=80))
    for event in (
        told(1, "assistant", "It ", message_id="m1"),
        told(2, unseen),
        told(3, "assistant", "is copied.", message_id="m1"),
        told(4, "directory_change", "/shop"),
    ):
        screen.show(event)
    assert [line.rstrip() for line in paper.getvalue().split("\n")][:3] == ["It is copied.", "", "→ /shop"]
