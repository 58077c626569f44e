"""The states of a session, and which of them follows what, as one table."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from rhetor.core.errors import BadRequest, Code


class State(StrEnum):
    INITIALIZING = "initializing"
    """It has a first message, and its backend is being opened."""
    ACTIVE = "active"
    """A turn is under way."""
    IDLE = "idle"
    """It waits for a message."""
    WAITING_INPUT = "waiting_input"
    """A turn is under way, and the backend asks whether it may go on."""
    SUSPENDED = "suspended"
    """Nothing of it runs; it can be resumed."""
    TERMINATED = "terminated"
    FAILED = "failed"
    """Its backend broke; it can be resumed."""


class Move(StrEnum):
    """What makes a session change its state."""

    OPENED = "opened"
    SEND = "send"
    ASK = "ask"
    ANSWER = "answer"
    INTERRUPT = "interrupt"
    TURN_ENDED = "turn_ended"
    FAIL = "fail"
    SUSPEND = "suspend"
    RESUME = "resume"
    TERMINATE = "terminate"


_STOPS: Mapping[Move, State] = {
    Move.FAIL: State.FAILED,
    Move.SUSPEND: State.SUSPENDED,
    Move.TERMINATE: State.TERMINATED,
}
_IN_TURN: Mapping[Move, State] = {
    Move.ASK: State.WAITING_INPUT,
    Move.INTERRUPT: State.ACTIVE,
    Move.TURN_ENDED: State.IDLE,
    **_STOPS,
}
_STOPPED: Mapping[Move, State] = {Move.RESUME: State.IDLE, Move.TERMINATE: State.TERMINATED}

MOVES: Mapping[State, Mapping[Move, State]] = {
    State.INITIALIZING: {
        Move.OPENED: State.ACTIVE,
        Move.INTERRUPT: State.INITIALIZING,
        Move.TURN_ENDED: State.IDLE,
        **_STOPS,
    },
    State.IDLE: {Move.SEND: State.ACTIVE, **_STOPS},
    State.ACTIVE: _IN_TURN,
    State.WAITING_INPUT: {**_IN_TURN, Move.ANSWER: State.ACTIVE},
    State.SUSPENDED: _STOPPED,
    State.FAILED: _STOPPED,
    State.TERMINATED: {},
}

IN_TURN = frozenset({State.INITIALIZING, State.ACTIVE, State.WAITING_INPUT})
"""A turn is under way."""
LIVE = IN_TURN | {State.IDLE}
"""What a gateway that died leaves behind, and its successor finds suspended."""

REMEDY: Mapping[State, str] = {
    State.INITIALIZING: "a turn is under way: wait for its end, or interrupt it",
    State.ACTIVE: "a turn is under way: wait for its end, or interrupt it",
    State.WAITING_INPUT: "it waits for an answer to its approval request",
    State.IDLE: "no turn is under way",
    State.SUSPENDED: "resume it first",
    State.FAILED: "resume it first",
    State.TERMINATED: "it has ended; begin another one",
}


def after(state: State, move: Move) -> State:
    """The state that follows.

    Raises:
        BadRequest: conflict, the move is not possible in this state.
    """
    if (following := MOVES[state].get(move)) is None:
        raise BadRequest(f"cannot {move.value}: the session is {state.value}; {REMEDY[state]}", Code.CONFLICT)
    return following
