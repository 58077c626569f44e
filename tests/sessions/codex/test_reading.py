"""Lines become happenings; most of them are recorded, see recordings/README.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.errors import Code, RhetorError
from rhetor.sessions.backend import Asked, Bound, TurnEnded, Verdict, Withdrawn
from rhetor.sessions.codex.reading import STRAYS, Answered, Reader, Reply
from rhetor.sessions.event import Event, EventType
from tests.sessions.codex.replay import DIRECTORY, RECORDINGS, line, lines, replay

NAMES = sorted(path.stem for path in RECORDINGS.glob("*.jsonl"))
COMMAND = "item/commandExecution/requestApproval"
FILES = "item/fileChange/requestApproval"


@pytest.fixture
def reader() -> Reader:
    """In a turn that has started."""
    return make_reader()


def make_reader(**given: Any) -> Reader:
    reader = Reader(DIRECTORY, **given)
    reader.thread = "t1"
    reader.begin_turn()
    reader.feed(line(method="turn/started", params={"threadId": "t1", "turn": {"id": "u1"}}))
    return reader


def asks(method: str = COMMAND, id: int = 0, **params: object) -> bytes:
    return line(id=id, method=method, params={"threadId": "t1", "itemId": "c1", **params})


def starts(**item: object) -> bytes:
    return line(method="item/started", params={"threadId": "t1", "item": {"id": "c1", **item}})


def written(heard: Sequence[object]) -> list[Any]:
    return [orjson.loads(each.data) for each in heard if isinstance(each, Reply)]


def test_turns_of_one_process() -> None:
    first, second = replay("two_turns")
    assert first.contents(EventType.THINKING) == ["let", " me", " see"]
    assert first.contents(EventType.ASSISTANT) == ["hello", " world"]
    assert (second.text, second.ended) == ("it is done", TurnEnded("end"))
    assert len(first.all(Bound)) == 1
    assert not second.all(Bound)


def test_what_it_warns_of_is_told_once() -> None:
    first, second = replay("two_turns")
    assert len(first.events(EventType.SYSTEM)) == 1
    assert not second.events(EventType.SYSTEM)


def test_approvals() -> None:
    allowed, denied, always, again, failing = replay("approvals")
    (asked,) = allowed.all(Asked)
    assert (asked.tool, asked.always) == ("exec_command", True)
    assert asked.question == "May it run /bin/bash -lc 'echo hello'?"
    assert asked.input["cwd"] == "/mnt/work"
    assert allowed.contents(EventType.TOOL_RESULT) == ["hello\n"]
    assert [turn.events(EventType.TOOL_RESULT)[0].data["is_error"] for turn in (denied, failing)] == [
        True
    ] * 2
    assert [len(turn.all(Asked)) for turn in (always, again)] == [1, 0]


def test_changes_of_files() -> None:
    turn, elsewhere = replay("files")
    assert [(Path(it.content).name, it.data["kind"]) for it in turn.events(EventType.FILE_CHANGE)] == [
        ("a.txt", "create"),
        ("b.txt", "create"),
        ("a.txt", "edit"),
        ("a.txt", "delete"),
        ("c.txt", "create"),
        ("b.txt", "delete"),
    ]
    assert turn.all(Asked)[0].question == "May it change /mnt/work/a.txt, /mnt/work/b.txt?"
    assert not elsewhere.events(EventType.FILE_CHANGE)


def test_edits_are_accepted_below_the_directory_only() -> None:
    turn, elsewhere = replay("files", Reader(DIRECTORY, accepts_edits=True))
    assert not turn.all(Asked)
    assert [each["result"] for each in written(turn.heard)] == [{"decision": "accept"}] * 3
    assert [it.input["changes"][0]["path"] for it in elsewhere.all(Asked)] == ["/mnt/out.txt"]  # type: ignore[index,call-overload]


def test_a_link_that_leads_out_is_no_way_around(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "link").symlink_to(tmp_path)
    reader = Reader(str(tmp_path / "work"), accepts_edits=True)
    reader.thread = "t1"
    reader.begin_turn()
    changes = [{"path": str(tmp_path / "work" / "link" / "out.txt"), "kind": {"type": "add"}, "diff": ""}]
    reader.feed(starts(type="fileChange", changes=changes))
    assert [type(it) for it in reader.feed(asks(FILES))] == [Asked]


def test_changes_of_the_directory() -> None:
    (turn,) = replay("directory")
    assert turn.contents(EventType.DIRECTORY_CHANGE) == ["/mnt/work/sub", "/mnt/work"]


def test_interrupts() -> None:
    streaming, asking, working, after = replay("interrupted", answered=False)
    assert [turn.ended for turn in (streaming, asking, working)] == [TurnEnded("interrupted")] * 3
    assert streaming.text == "one two"
    assert [it.request_id for it in asking.all(Asked)] == [it.request_id for it in asking.all(Withdrawn)]
    assert after.ended == TurnEnded("end")


def test_model_calls_that_fail() -> None:
    *failed, summed_up = replay("errors")
    errors = [turn.ended.error for turn in failed]
    assert [error.code for error in errors if error is not None] == [
        Code.UPSTREAM_AUTH,
        Code.INVALID_REQUEST,
        Code.MODEL_NOT_FOUND,
        Code.RATE_LIMITED,
        Code.UNAVAILABLE,
        Code.UPSTREAM_ERROR,
        Code.UPSTREAM_ERROR,
        Code.CONTEXT_LENGTH,
    ]
    assert str(errors[1]) == "the script says 400"
    assert "compacted" in summed_up.contents(EventType.SYSTEM)
    assert summed_up.ended == TurnEnded("end")


def test_an_unknown_thread() -> None:
    reader = Reader(DIRECTORY)
    answers = [it for said in lines("unknown") for it in reader.feed(said) if isinstance(it, Answered)]
    assert "no rollout found" in answers[-1].error


def test_an_interrupt_waits_for_the_turn_to_start() -> None:
    """Before, there is nothing to be interrupted, and Codex would say so."""
    reader = Reader(DIRECTORY)
    reader.thread = "t1"
    reader.begin_turn()
    assert reader.stop() is None
    started = line(method="turn/started", params={"threadId": "t1", "turn": {"id": "u1"}})
    (interrupt,) = written(reader.feed(started))
    assert interrupt["method"] == "turn/interrupt"
    assert interrupt["params"] == {"threadId": "t1", "turnId": "u1"}


USED = line(method="thread/tokenUsage/updated", params={"threadId": "t1"})


def done(id: str = "c1") -> bytes:
    item = {"type": "commandExecution", "id": id, "status": "completed"}
    return line(method="item/completed", params={"threadId": "t1", "item": item})


def test_only_so_many_calls() -> None:
    """A turn that would go on afterwards is interrupted, once its tools are done."""
    reader = make_reader(max_calls=2)
    command = starts(type="commandExecution", command="ls")
    heard: list[list[Any]] = []
    for _ in range(2):
        heard += [written(reader.feed(each)) for each in (command, done(), USED)]
    assert [len(each) for each in heard] == [0, 0, 0, 0, 0, 1]
    assert heard[-1][0]["method"] == "turn/interrupt"
    ended = {"threadId": "t1", "turn": {"id": "u1", "status": "interrupted"}}
    assert reader.feed(line(method="turn/completed", params=ended))[-1] == TurnEnded("max_turns")


def test_an_answer_in_the_last_call_is_no_reason_to_interrupt() -> None:
    reader = make_reader(max_calls=2)
    for said in (starts(type="commandExecution", command="ls"), done(), USED, USED):
        assert not written(reader.feed(said))
    ended = {"threadId": "t1", "turn": {"id": "u1", "status": "completed"}}
    assert reader.feed(line(method="turn/completed", params=ended))[-1] == TurnEnded("end")


def decided(verdict: Verdict, **params: Any) -> list[Any]:
    reader = make_reader()
    reader.feed(starts(type="commandExecution", command="touch x"))
    (asked,) = reader.feed(asks(id=7, **params))
    assert isinstance(asked, Asked)
    return [orjson.loads(each) for each in reader.decide(asked.request_id, verdict)]


AMENDMENT = {"acceptWithExecpolicyAmendment": {"execpolicy_amendment": ["touch"]}}


@pytest.mark.parametrize(
    ("verdict", "decision"),
    [
        (Verdict("allow"), "accept"),
        (Verdict("deny"), "decline"),
        (Verdict("allow", always=True), AMENDMENT),
        (Verdict("deny", always=True), "decline"),
    ],
)
def test_decisions(verdict: Verdict, decision: object) -> None:
    (answer,) = decided(verdict, availableDecisions=["accept", AMENDMENT, "cancel"])
    assert answer == {"id": 7, "result": {"decision": decision}}


def test_what_cannot_last_is_allowed_once() -> None:
    (answer,) = decided(Verdict("allow", always=True), availableDecisions=["accept", "cancel"])
    assert answer["result"] == {"decision": "accept"}


def test_words_of_a_denial_are_a_remark() -> None:
    """A decision has none; the remark comes first, so that the next model call hears it."""
    remark, answer = decided(Verdict("deny", "not today"))
    assert (remark["method"], remark["params"]["input"][0]["text"]) == ("turn/steer", "not today")
    assert remark["params"]["expectedTurnId"] == "u1"
    assert answer["result"] == {"decision": "decline"}


def test_another_input_is_a_denial_and_a_remark() -> None:
    remark, answer = decided(Verdict("allow", input={"command": "ls"}))
    assert "{'command': 'ls'}" in remark["params"]["input"][0]["text"]
    assert answer["result"] == {"decision": "decline"}


def test_an_answer_that_comes_too_late_is_none(reader: Reader) -> None:
    (asked,) = reader.feed(asks(id=3))
    assert isinstance(asked, Asked)
    resolved = line(method="serverRequest/resolved", params={"threadId": "t1", "requestId": 3})
    assert reader.feed(resolved) == [Withdrawn(asked.request_id)]
    assert reader.decide(asked.request_id, Verdict("allow")) == []


def test_whatever_else_it_asks_is_refused(reader: Reader) -> None:
    (answer,) = written(reader.feed(asks("item/tool/requestUserInput", id=4)))
    assert (answer["id"], answer["error"]["code"]) == (4, -32601)


def test_a_question_between_turns_is_denied() -> None:
    reader = Reader(DIRECTORY)
    assert [each["result"] for each in written(reader.feed(asks()))] == [{"decision": "decline"}]


def test_other_threads_are_not_ours(reader: Reader) -> None:
    delta = {"threadId": "t2", "itemId": "m1", "delta": "hello"}
    assert reader.feed(line(method="item/agentMessage/delta", params=delta)) == []


def test_a_message_that_was_not_streamed_is_told_whole(reader: Reader) -> None:
    item = {"type": "agentMessage", "id": "m1", "text": "hello"}
    done = line(method="item/completed", params={"threadId": "t1", "item": item})
    assert reader.feed(done) == [Event(EventType.ASSISTANT, "hello", {"message_id": "m1"})]
    assert reader.feed(done) == []


def test_a_turn_that_does_not_begin_is_an_error(reader: Reader) -> None:
    *_, ended = reader.refuse_turn("thread not found")
    assert isinstance(ended, TurnEnded)
    assert str(ended.error) == "thread not found"
    assert reader.refuse_turn("again") == []


def test_one_stray_line_is_told_and_many_are_an_error(reader: Reader) -> None:
    assert reader.feed(b"warning") == [Event(EventType.SYSTEM, "warning", {"subtype": "output"})]
    for _ in range(STRAYS - 1):
        reader.feed(b"stray")
    with pytest.raises(RhetorError, match="nobody understands") as raised:
        reader.feed(b"stray")
    assert raised.value.code is Code.PROTOCOL


values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(data=st.data())
def test_nothing_that_is_json_breaks_it(data: st.DataObject) -> None:
    """Any field may be missing, or of another kind."""
    name = data.draw(st.sampled_from(NAMES))
    fields = orjson.loads(data.draw(st.sampled_from(lines(name))))
    _spoil(fields, data)
    make_reader().feed(orjson.dumps(fields).replace(b"threadId", b"thread"))


def _spoil(fields: dict[str, object], data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(sorted(fields)))
    inner = fields[key]
    if isinstance(inner, list) and inner and isinstance(inner[0], dict):
        inner = inner[0]
    if isinstance(inner, dict) and inner and data.draw(st.booleans()):
        _spoil(inner, data)
    elif key != "method":
        fields[key] = data.draw(values)
