"""The paths of sessions are those that are documented, and the page knows every word."""

from __future__ import annotations

import re

import pytest

from rhetor.http.jelmore.table import jelmore_table
from rhetor.http.sessions.bodies import CREATING
from rhetor.http.sessions.table import session_table
from rhetor.sessions.event import EventType
from rhetor.sessions.states import State
from tests.test_docs import ROOT

PAGE = (ROOT / "docs" / "sessions.md").read_text("utf-8")
SERVED = [*session_table(""), *jelmore_table()]


@pytest.mark.parametrize("call", [f"{served.method} {served.path}" for served in SERVED])
def test_every_call_is_documented(call: str) -> None:
    assert f"`{call}`" in PAGE


def test_no_call_is_documented_that_is_not_served() -> None:
    documented = set(re.findall(r"`((?:GET|POST|DELETE) /(?:v1|api/v1)/[^` ?]+)`", PAGE))
    assert documented == {f"{served.method} {served.path}" for served in SERVED}


@pytest.mark.parametrize("word", [*State, *EventType, *CREATING])
def test_every_word_is_explained(word: str) -> None:
    assert f"`{word}`" in PAGE


def test_what_is_no_id_comes_first() -> None:
    paths = [served.path for served in session_table("")]
    assert max(
        paths.index(f"/v1/sessions/{word}") for word in ("backends", "choose", "cleanup")
    ) < paths.index("/v1/sessions/{id}")
