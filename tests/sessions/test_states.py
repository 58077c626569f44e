"""Which state follows which."""

from __future__ import annotations

import itertools

import pytest

from rhetor.core.errors import BadRequest, Code
from rhetor.sessions.states import IN_TURN, LIVE, MOVES, REMEDY, Move, State, after

LEGAL = {
    (State.INITIALIZING, Move.OPENED): State.ACTIVE,
    (State.IDLE, Move.SEND): State.ACTIVE,
    (State.ACTIVE, Move.ASK): State.WAITING_INPUT,
    (State.WAITING_INPUT, Move.ANSWER): State.ACTIVE,
    (State.ACTIVE, Move.TURN_ENDED): State.IDLE,
    (State.WAITING_INPUT, Move.INTERRUPT): State.ACTIVE,
    (State.IDLE, Move.SUSPEND): State.SUSPENDED,
    (State.ACTIVE, Move.SUSPEND): State.SUSPENDED,
    (State.SUSPENDED, Move.RESUME): State.IDLE,
    (State.FAILED, Move.RESUME): State.IDLE,
    (State.ACTIVE, Move.FAIL): State.FAILED,
}


@pytest.mark.parametrize(("state", "move"), LEGAL, ids=str)
def test_what_follows(state: State, move: Move) -> None:
    assert after(state, move) is LEGAL[state, move]


@pytest.mark.parametrize(("state", "move"), list(itertools.product(State, Move)), ids=str)
def test_what_is_not_in_the_table_is_a_conflict_that_names_the_state(state: State, move: Move) -> None:
    if move in MOVES[state]:
        assert after(state, move) in State
        return
    with pytest.raises(BadRequest) as caught:
        after(state, move)
    assert caught.value.code is Code.CONFLICT
    assert state.value in caught.value.message
    assert REMEDY[state] in caught.value.message


def test_every_state_but_the_last_can_be_terminated() -> None:
    assert [state for state in State if Move.TERMINATE not in MOVES[state]] == [State.TERMINATED]


def test_only_an_idle_session_takes_a_message() -> None:
    assert [state for state in State if Move.SEND in MOVES[state]] == [State.IDLE]


def test_a_turn_is_a_part_of_life() -> None:
    assert LIVE > IN_TURN
    assert all(Move.SUSPEND in MOVES[state] for state in LIVE)
