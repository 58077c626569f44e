"""What is asked is told once, with its input, and never left open."""

from __future__ import annotations

from rhetor.sessions.backend import Asked, Withdrawn
from rhetor.sessions.opencode.asks import Asks
from tests.sessions.opencode.recordings import Object


def ask(id: str = "per_1", call: str = "call_1", **given: object) -> Object:
    tool = {"messageID": "msg_1", "callID": call}
    about: Object = {"command": "ls"}
    return {"id": id, "permission": "bash", "patterns": ["ls"], "metadata": about, "tool": tool, **given}


def tool(call: str = "call_1") -> Object:
    state = {"status": "running", "input": {"command": "ls", "description": "look"}}
    return {"id": "prt_1", "messageID": "msg_1", "callID": call, "tool": "bash", "state": state}


WHOLE = {"command": "ls", "description": "look"}


def test_a_question_has_its_tool_s_input_whichever_comes_first() -> None:
    first, second = Asks(), Asks()
    assert first.on_asked(ask()) == []
    assert first.held
    (one,) = first.on_tool(tool())
    assert second.on_tool(tool()) == []
    (two,) = second.on_asked(ask())
    assert one == two == Asked("per_1", "bash", WHOLE, "May it run ls?")
    assert not first.held


def test_a_question_whose_tool_stays_away_is_told_nevertheless() -> None:
    asks = Asks()
    asks.on_asked(ask())
    (asked,) = asks.release()
    assert asked == Asked("per_1", "bash", {"command": "ls"}, "May it run ls?")
    assert asks.on_tool(tool()) == []


def test_it_is_told_once() -> None:
    asks = Asks()
    asks.on_tool(tool())
    assert len(asks.on_asked(ask())) == 1
    assert asks.on_asked(ask()) == []
    asks.answered("per_1")
    assert asks.on_asked(ask()) == []


def test_what_somebody_else_answers_is_withdrawn() -> None:
    asks = Asks()
    asks.on_tool(tool())
    asks.on_asked(ask())
    assert asks.find("per_1") is not None
    assert asks.on_replied("per_1") == [Withdrawn("per_1")]
    assert asks.find("per_1") is None
    assert asks.on_replied("per_1") == []


def test_what_we_answer_is_not() -> None:
    asks = Asks()
    asks.on_tool(tool())
    asks.on_asked(ask())
    asks.answered("per_1")
    assert asks.on_replied("per_1") == []


def test_what_was_answered_before_it_was_told_is_never_told() -> None:
    asks = Asks()
    asks.on_asked(ask())
    assert asks.on_replied("per_1") == []
    assert asks.on_tool(tool()) == []
    assert asks.release() == []


def test_after_a_gap_the_list_of_what_waits_counts() -> None:
    asks = Asks()
    for call in ("call_1", "call_2", "call_3"):
        asks.on_tool(tool(call))
    asks.on_asked(ask("per_1", "call_1"))
    asks.on_asked(ask("per_2", "call_2"))
    told = asks.on_pending([ask("per_2", "call_2"), ask("per_3", "call_3", always=["ls *"])])
    assert told == [Withdrawn("per_1"), Asked("per_3", "bash", WHOLE, "May it run ls?", always=True)]


def test_in_the_end_nothing_is_open() -> None:
    asks = Asks()
    asks.on_tool(tool("call_1"))
    asks.on_asked(ask("per_1", "call_1"))
    asks.on_asked(ask("per_2", "call_2"))
    assert asks.end() == [Withdrawn("per_1")]
    assert asks.release() == []
