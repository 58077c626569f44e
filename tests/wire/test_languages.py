"""The table of languages, as configurations name them."""

from __future__ import annotations

import pytest

from rhetor.wire.languages import WIRES


@pytest.mark.parametrize("name", WIRES)
def test_a_language_is_called_what_it_calls_itself(name: str) -> None:
    assert WIRES[name].name == name


@pytest.mark.parametrize("name", WIRES)
def test_a_language_is_spoken_or_heard(name: str) -> None:
    assert WIRES[name].upstream or WIRES[name].doors
