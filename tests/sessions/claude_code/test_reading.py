"""Lines become happenings; most of them are recorded, see recordings/README.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.errors import Code, RhetorError
from rhetor.sessions.backend import Asked, Bound, TurnEnded, Withdrawn
from rhetor.sessions.claude_code.reading import STRAYS, Confirmed, Reader, Refused, Reply
from rhetor.sessions.event import Event, EventType
from tests.sessions.claude_code.replay import DIRECTORY, RECORDINGS, line, lines, replay

NAMES = sorted(path.stem for path in RECORDINGS.glob("*.jsonl"))


@pytest.fixture
def reader() -> Reader:
    """In a turn."""
    reader = Reader(DIRECTORY)
    reader.begin_turn()
    return reader


def asks(id: str = "r1", tool: str = "Bash", **fields: object) -> bytes:
    request = {"subtype": "can_use_tool", "tool_name": tool, "input": {"command": "ls"}, **fields}
    return line(type="control_request", request_id=id, request=request)


def replies(heard: Sequence[object]) -> list[Any]:
    return [orjson.loads(each.data)["response"] for each in heard if isinstance(each, Reply)]


def test_turns_of_one_process() -> None:
    first, second = replay("two_turns")
    assert first.contents(EventType.THINKING) == ["let", " me", " see"]
    assert first.contents(EventType.ASSISTANT) == ["hello", " world"]
    assert (second.text, second.ended) == ("it is done", TurnEnded("end"))
    assert len(first.all(Bound)) == 1
    assert not second.all(Bound)


def test_it_introduces_itself_once() -> None:
    first, second = replay("two_turns")
    (init,) = first.events(EventType.SYSTEM)
    assert init.data["model"] == "small"
    assert init.data["permissionMode"] == "default"
    assert not second.events(EventType.SYSTEM)


def test_approvals() -> None:
    allowed, denied, both, question = replay("approvals")
    (asked,) = allowed.all(Asked)
    assert (asked.tool, asked.question) == ("Bash", "May it run echo one > made.txt?")
    assert asked.input == {"command": "echo one > made.txt", "description": "make it"}
    assert [it.data["is_error"] for it in allowed.events(EventType.TOOL_RESULT)] == [False]

    (refused,) = denied.events(EventType.TOOL_RESULT)
    assert (refused.content, refused.data["is_error"]) == ("not today", True)
    assert len(both.all(Asked)) == 2
    assert [it.data["name"] for it in both.events(EventType.TOOL_RESULT)] == ["Read", "Read"]
    assert [it.question for it in question.all(Asked)] == ["Which way?"]
    assert all(it.always is False for it in question.all(Asked))


def test_changes_of_files() -> None:
    (turn,) = replay("files")
    changes = [(it.content, it.data["kind"]) for it in turn.events(EventType.FILE_CHANGE)]
    assert changes == [
        ("/mnt/work/f.txt", "create"),
        ("/mnt/work/f.txt", "edit"),
        ("/mnt/work/f.txt", "edit"),
        ("/mnt/work/n.ipynb", "create"),
        ("/mnt/work/n.ipynb", "edit"),
    ]
    failed = [it for it in turn.events(EventType.TOOL_RESULT) if it.data["is_error"]]
    assert len(failed) == 1


def test_changes_of_the_directory() -> None:
    """They last as long as a turn."""
    first, second = replay("directory")
    assert [it.data for it in first.events(EventType.DIRECTORY_CHANGE)] == [
        {"directory": "/mnt/work/sub", "before": "/mnt/work"}
    ]
    assert [it.data for it in second.events(EventType.DIRECTORY_CHANGE)] == [
        {"directory": "/mnt/work", "before": "/mnt/work/sub"}
    ]


def test_a_directory_s_other_name_is_no_change() -> None:
    """The session's directory may be behind a symbolic link."""
    first, _ = replay("directory", Reader("/elsewhere/work"))
    assert first.contents(EventType.DIRECTORY_CHANGE) == ["/mnt/work/sub"]


def test_interrupts() -> None:
    streaming, asking, working, after = replay("interrupted", answered=False)
    assert [turn.ended for turn in (streaming, asking, working)] == [TurnEnded("interrupted")] * 3
    assert streaming.contents(EventType.ASSISTANT) == ["one", " two"]
    assert [it.request_id for it in asking.all(Asked)] == [it.request_id for it in asking.all(Withdrawn)]
    assert [it.data["is_error"] for it in working.events(EventType.TOOL_RESULT)] == [True]
    assert after.ended == TurnEnded("end")


def test_model_calls_that_fail() -> None:
    turns = replay("errors")
    errors = [turn.ended.error for turn in turns[:-1]]
    assert [error.code for error in errors if error is not None] == [
        Code.UPSTREAM_AUTH,
        Code.RATE_LIMITED,
        Code.OVERLOADED,
        Code.INVALID_REQUEST,
        Code.UPSTREAM_BILLING,
        Code.UPSTREAM_ERROR,
        Code.CONTENT_POLICY,
        Code.UPSTREAM_ERROR,
    ]
    assert all(error is not None and error.origin == "claude_code" for error in errors)
    assert "the script says 429" in str(errors[1])
    said = [turn.text for turn in turns]
    assert said == ["", "", "", "", "", "a b", "a b", "", "it is done"], "its apologies are no answer"


def test_too_many_turns() -> None:
    (turn,) = replay("max_turns")
    assert turn.ended == TurnEnded("max_turns")


def test_a_subagent_s_words_are_not_the_answer() -> None:
    (turn,) = replay("subagent")
    assert turn.text == "delegatingall is done"
    uses = {it.data["name"]: it.data.get("parent") for it in turn.events(EventType.TOOL_USE)}
    assert uses == {"Task": None, "Bash": "toolu_task", "Write": "toolu_task"}
    changes = [(it.data["kind"], it.data["parent"]) for it in turn.events(EventType.FILE_CHANGE)]
    assert changes == [("create", "toolu_task"), ("edit", "toolu_task")]
    (result,) = [it for it in turn.events(EventType.TOOL_RESULT) if it.data["name"] == "Task"]
    assert "the subagent is done" in result.content
    assert not turn.events(EventType.DIRECTORY_CHANGE), "where a subagent goes is its own"


def test_commands_of_its_own() -> None:
    """`/clear` begins another conversation; what it says again after summing up is not told again."""
    reader = Reader(DIRECTORY)
    told: list[str] = []
    bound: list[str] = []
    for said in lines("commands"):
        if not reader.in_turn:
            reader.begin_turn()
        heard = reader.feed(said)
        told += [it.content for it in heard if isinstance(it, Event) and it.type is EventType.ASSISTANT]
        bound += [it.native_id for it in heard if isinstance(it, Bound)]
    text = "".join(told)
    assert text.count("Total cost") == 1
    assert "Unknown command: /nonsense" in text
    assert "no content" not in text
    assert len(set(bound)) == 2


def test_summing_up() -> None:
    """It is told; and a conversation that cannot be made shorter says so."""
    _, too_long, _, summed_up = replay("summed_up")
    assert too_long.ended.error is not None
    assert too_long.ended.error.code is Code.CONTEXT_LENGTH
    assert "compact_boundary" in summed_up.contents(EventType.SYSTEM)
    assert summed_up.text == "it is done"


def test_what_is_denied_beforehand() -> None:
    (turn,) = replay("denied")
    assert not turn.all(Asked)
    assert [it.data["is_error"] for it in turn.events(EventType.TOOL_RESULT)] == [True]
    assert "permission_denied" in [it.data["subtype"] for it in turn.events(EventType.SYSTEM)]


def test_who_only_plans_is_not_asked() -> None:
    reader = Reader(DIRECTORY, only_plans=True)
    (turn,) = replay("planning", reader)
    assert not turn.all(Asked)
    assert [it["response"]["behavior"] for it in replies(turn.heard)] == ["deny", "deny"]


def test_an_unknown_conversation() -> None:
    (heard,) = [heard for said in lines("unknown") for heard in Reader(DIRECTORY).feed(said)]
    assert isinstance(heard, Refused)
    assert "No conversation found" in heard.why


def test_a_question_between_turns_is_denied() -> None:
    """Nobody would answer it, and it would wait for ever."""
    assert [it["response"]["behavior"] for it in replies(Reader(DIRECTORY).feed(asks()))] == ["deny"]


def test_a_question_after_an_interrupt_is_denied(reader: Reader) -> None:
    reader.stopping = True
    assert not reader.open
    assert len(replies(reader.feed(asks()))) == 1


def test_a_question_that_nobody_answered_is_withdrawn_with_the_turn(reader: Reader) -> None:
    reader.feed(asks("r1"))
    heard = reader.feed(line(type="result", subtype="success", is_error=False, result="", uuid="u"))
    assert heard == [Withdrawn("r1"), TurnEnded("end")]
    assert not reader.in_turn


def test_a_cancelled_question_is_withdrawn_once(reader: Reader) -> None:
    reader.feed(asks("r1"))
    cancel = line(type="control_cancel_request", request_id="r1")
    assert reader.feed(cancel) == [Withdrawn("r1")]
    assert reader.feed(cancel) == []


def test_a_question_keeps_the_input_with_its_secrets() -> None:
    """Nobody is told them, and the tool is used as the agent meant it."""
    reader = Reader(DIRECTORY, lambda said: said.replace(b"hunter2-hunter2", b"[redacted]"))
    reader.begin_turn()
    given = {"command": "login hunter2-hunter2"}
    (asked,) = reader.feed(asks("r1", input=given))
    assert isinstance(asked, Asked)
    assert asked.input == {"command": "login [redacted]"}
    assert "hunter2" not in asked.question
    assert reader.open["r1"].input == given


@pytest.mark.parametrize(
    ("subtype", "answer"),
    [
        ("elicitation", {"subtype": "success", "response": {"action": "decline"}}),
        ("request_user_dialog", {"subtype": "success", "response": {"behavior": "cancelled"}}),
        ("what_comes_next", {"subtype": "error", "error": "not supported: what_comes_next"}),
    ],
)
def test_whatever_else_it_asks_has_an_answer(reader: Reader, subtype: str, answer: dict[str, object]) -> None:
    """It waits for one."""
    heard = reader.feed(line(type="control_request", request_id="r1", request={"subtype": subtype}))
    assert replies(heard) == [{**answer, "request_id": "r1"}]


def test_answers_to_our_requests(reader: Reader) -> None:
    done = line(type="control_response", response={"subtype": "success", "request_id": "r1"})
    failed = line(type="control_response", response={"subtype": "error", "request_id": "r2", "error": "no"})
    assert reader.feed(done) == [Confirmed("r1", "")]
    assert reader.feed(failed) == [Confirmed("r2", "no")]


def test_kinds_of_lines_that_nobody_knows_are_told(reader: Reader) -> None:
    (event,) = reader.feed(line(type="rate_limit_event", uuid="u", session_id="s", level="high"))
    assert event == Event(
        EventType.SYSTEM, "rate_limit_event", {"level": "high", "subtype": "rate_limit_event"}
    )
    (event,) = reader.feed(line(type="system", subtype="informational", content="mind the gap"))
    assert isinstance(event, Event)
    assert event.content == "mind the gap"


@pytest.mark.parametrize("kind", ["thinking_tokens", "hook_started", "task_progress"])
def test_crowds_are_not(reader: Reader, kind: str) -> None:
    assert reader.feed(line(type="system", subtype=kind)) == []


def test_a_turn_that_it_began_by_itself_does_not_end_ours(reader: Reader) -> None:
    ended = line(type="result", subtype="success", is_error=False, origin={"kind": "task-notification"})
    assert reader.feed(ended) == []
    assert reader.in_turn


def test_between_turns_nothing_is_told() -> None:
    reader = Reader(DIRECTORY)
    assert reader.feed(line(type="system", subtype="informational", content="x")) == []
    assert reader.feed(b"just text") == []
    assert reader.feed(line(type="result", subtype="success", is_error=False, result="late")) == []


def test_a_result_whose_text_was_not_told_is_the_answer(reader: Reader) -> None:
    """Of commands that ask no model."""
    heard = reader.feed(line(type="result", subtype="success", is_error=False, result="four", uuid="u1"))
    assert heard == [Event(EventType.ASSISTANT, "four", {"message_id": "u1"}), TurnEnded("end")]


def test_one_stray_line_is_told_and_many_are_an_error(reader: Reader) -> None:
    assert reader.feed(b"warning: something\xff") == [
        Event(EventType.SYSTEM, "warning: something�", {"subtype": "output"})
    ]
    for _ in range(STRAYS - 1):
        reader.feed(b"[1, 2]")
    with pytest.raises(RhetorError, match="nobody understands") as raised:
        reader.feed(b"[1, 2]")
    assert raised.value.code is Code.PROTOCOL


def test_strays_are_counted_in_a_row(reader: Reader) -> None:
    for _ in range(3 * STRAYS):
        reader.feed(b"stray")
        reader.feed(line(type="keep_alive"))
    assert reader.feed(b"  ") == []


@pytest.mark.parametrize("name", NAMES)
def test_every_recording_ends_its_turns(name: str) -> None:
    reader = Reader(DIRECTORY)
    reader.begin_turn()
    ended = 0
    for said in lines(name):
        ended += sum(isinstance(it, TurnEnded) for it in reader.feed(said))
        if not reader.in_turn:
            reader.begin_turn()
    assert ended == sum(b'"type":"result"' in said for said in lines(name))


values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(data=st.data())
def test_nothing_that_is_json_breaks_it(data: st.DataObject) -> None:
    """Any field may be missing, or of another kind."""
    name = data.draw(st.sampled_from(NAMES))
    said = data.draw(st.sampled_from([it for it in lines(name) if b"commands" not in it[:200]]))
    fields = orjson.loads(said)
    _spoil(fields, data)
    reader = Reader(DIRECTORY)
    reader.begin_turn()
    reader.feed(orjson.dumps(fields))


def _spoil(fields: dict[str, object], data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(sorted(fields)))
    inner = fields[key]
    if isinstance(inner, list) and inner and isinstance(inner[0], dict):
        inner = inner[0]
    if isinstance(inner, dict) and inner and data.draw(st.booleans()):
        _spoil(inner, data)
    elif key != "type" or data.draw(st.booleans()):
        fields[key] = data.draw(values)
