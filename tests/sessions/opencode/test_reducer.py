"""Whatever is lost, doubled or cut on the way: everything is told once, whole, and in order."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rhetor.core.errors import Code, RhetorError
from rhetor.sessions.backend import Asked, Bound, Happening, TurnEnded, Withdrawn
from rhetor.sessions.event import Event, EventType
from rhetor.sessions.opencode.reducer import MOST_RETRIES, Reducer
from tests.sessions.conformance import Grammar
from tests.sessions.opencode.recordings import DIRECTORY, NAMES, Memory, Object, Recording, recording

RECORDED = {name: recording(name) for name in NAMES}

names = st.sampled_from(NAMES)


class Listener:
    """A reducer in a turn, whose happenings are held to the grammar."""

    def __init__(self, recorded: Recording, max_calls: int | None = None) -> None:
        self.recorded = recorded
        self.reducer = Reducer(recorded.session, DIRECTORY, max_calls)
        self.told: list[Happening] = []
        self._grammar = Grammar()
        self._grammar.on_told(Bound(recorded.session))
        self._grammar.on_sent()
        self.reducer.begin()

    def hear(self, told: Sequence[Happening]) -> None:
        """Nobody answers here: that the recordings' caller did withdraws the questions."""
        for happening in told:
            self._grammar.on_told(happening)
            self.told.append(happening)

    def events(self, events: Sequence[Object]) -> None:
        self.hear(self.reducer.on_events(events))
        if self.reducer.holds_asks:
            self.hear(self.reducer.release_asks())

    def look(self, messages: Sequence[Object], busy: bool) -> None:
        self.hear(self.reducer.on_messages(messages, busy=busy))

    def look_at_the_end(self) -> None:
        if self.reducer.in_turn:
            self.look(self.recorded.messages, False)

    @property
    def text(self) -> str:
        return "".join(it.content for it in self.pieces(EventType.ASSISTANT))

    def pieces(self, type: EventType) -> list[Event]:
        return [it for it in self.told if isinstance(it, Event) and it.type is type]

    @property
    def ended(self) -> TurnEnded:
        assert isinstance(self.told[-1], TurnEnded)
        return self.told[-1]


def whole(recorded: Recording) -> Listener:
    listener = Listener(recorded)
    listener.events(recorded.events)
    listener.look_at_the_end()
    return listener


def check(listener: Listener) -> None:
    """Everything is told, once, and ends as it does when nothing goes wrong."""
    recorded, plain = listener.recorded, whole(listener.recorded)
    assert listener.text == recorded.text
    assert [it.data["id"] for it in listener.pieces(EventType.TOOL_USE)] == recorded.tools
    for type in (EventType.THINKING, EventType.TOOL_RESULT, EventType.FILE_CHANGE):
        assert joined(listener, type) == joined(plain, type)
    ended, expected = listener.ended, plain.ended
    assert (ended.reason, str(ended.error)) == (expected.reason, str(expected.error))


def joined(listener: Listener, type: EventType) -> dict[str, str]:
    """What was told of each thing."""
    told: dict[str, str] = {}
    for it in listener.pieces(type):
        key = str(it.data.get("message_id") or it.data.get("id") or it.data.get("path"))
        told[key] = told.get(key, "") + it.content
    return told


# What the recordings say.


def test_an_answer_comes_as_it_is_said() -> None:
    listener = Listener(RECORDED["answer"])
    listener.events(listener.recorded.events)
    assert [it.content for it in listener.pieces(EventType.THINKING)] == ["let", " me", " think"]
    assert [it.content for it in listener.pieces(EventType.ASSISTANT)] == [
        "hello",
        " there,",
        " dear",
        " friend",
    ]
    assert listener.reducer.wants_messages, "it was said to be idle"
    listener.look_at_the_end()
    assert listener.ended == TurnEnded("end")


def test_a_command_is_told_before_it_is_asked_for() -> None:
    told = [
        it
        for it in whole(RECORDED["command"]).told
        if not isinstance(it, Event) or it.type.startswith("tool")
    ]
    use, asked, withdrawn, result, ended = told
    assert isinstance(use, Event)
    assert isinstance(asked, Asked)
    assert isinstance(result, Event)
    assert asked.input == use.data["input"] == {"command": "echo hi; echo there", "description": "d"}
    assert asked.question == "May it run echo hi; echo there?"
    assert asked.always
    assert withdrawn == Withdrawn(asked.request_id)
    assert (result.content, result.data["is_error"]) == ("hi\nthere\n", False)
    assert ended == TurnEnded("end")


def test_text_before_a_tool_is_whole_though_it_ends_after_it() -> None:
    listener = whole(RECORDED["said_and_done"])
    told = [(it.type.value, it.content) for it in listener.told if isinstance(it, Event)]
    texts = [content for type, content in told if type == "assistant"]
    assert "".join(texts) == "I shall lookI have looked"
    assert [type for type, _ in told].index("tool_use") == 2
    assert len({it.data["message_id"] for it in listener.pieces(EventType.ASSISTANT)}) == 2


def test_files_that_were_changed() -> None:
    changes = whole(RECORDED["files"]).pieces(EventType.FILE_CHANGE)
    path = f"{DIRECTORY}/new.txt"
    assert [(it.content, it.data["kind"]) for it in changes] == [(path, "create"), (path, "edit")]


def test_denied_tools_are_errors() -> None:
    results = whole(RECORDED["denied"]).pieces(EventType.TOOL_RESULT)
    assert [it.data["is_error"] for it in results] == [True, True]
    assert "not here" in results[0].content


@pytest.mark.parametrize("name", ["aborted", "aborted_asking"])
def test_an_abort_is_an_interruption_and_waits_for_the_last_word(name: str) -> None:
    """It is said to be idle before its tools and its last message are."""
    recorded = RECORDED[name]
    listener, memory = Listener(recorded), Memory(recorded.session)
    idle = next(n for n, event in enumerate(recorded.events) if event["type"] == "session.idle")
    for event in recorded.events[: idle + 1]:
        memory.on_event(event)
    listener.events(recorded.events[: idle + 1])
    listener.look(memory.messages, memory.busy)
    assert listener.reducer.in_turn, "what comes after would be lost"
    listener.events(recorded.events[idle + 1 :])
    listener.look_at_the_end()
    assert listener.ended == TurnEnded("interrupted")
    check(listener)


def test_a_question_that_is_open_in_the_end_is_withdrawn() -> None:
    recorded = RECORDED["aborted_asking"]
    reducer = Reducer(recorded.session, DIRECTORY)
    reducer.begin()
    told = [*reducer.on_events(recorded.events), *reducer.on_messages(recorded.messages, busy=False)]
    assert [type(it) for it in told if isinstance(it, Asked | Withdrawn | TurnEnded)] == [
        Asked,
        Withdrawn,
        TurnEnded,
    ]


def test_a_refusal_ends_the_turn_and_says_why() -> None:
    error = whole(RECORDED["refused"]).ended.error
    assert error is not None
    assert (error.message, error.code, error.origin) == (
        "the script does not like it", Code.INVALID_REQUEST, "opencode",
    )  # fmt: skip


def test_another_attempt_is_told() -> None:
    listener = whole(RECORDED["retried"])
    (system,) = listener.pieces(EventType.SYSTEM)
    assert (system.content, system.data["attempt"]) == ("busy", 1)
    assert (listener.text, listener.ended) == ("better now", TurnEnded("end"))


def test_of_a_subagent_only_the_questions_are_told() -> None:
    listener = whole(RECORDED["subagent"])
    assert listener.text == "all is done"
    assert [it.data["name"] for it in listener.pieces(EventType.TOOL_USE)] == ["task"]
    assert [(it.tool, it.input["command"]) for it in listener.told if isinstance(it, Asked)] == [
        ("bash", "ls")
    ]


# Laws.


@settings(max_examples=150, deadline=None)
@given(names, st.data())
def test_any_cut_into_batches_tells_the_same(name: str, data: st.DataObject) -> None:
    recorded = RECORDED[name]
    listener, at = Listener(recorded), 0
    while at < len(recorded.events):
        size = data.draw(st.integers(1, 12))
        listener.events(recorded.events[at : at + size])
        at += size
    listener.look_at_the_end()
    check(listener)


@settings(max_examples=300, deadline=None)
@given(names, st.data())
def test_what_a_lost_connection_swallows_is_filled_in(name: str, data: st.DataObject) -> None:
    recorded = RECORDED[name]
    start = data.draw(st.integers(0, len(recorded.events)))
    end = data.draw(st.integers(start, len(recorded.events)))
    late = data.draw(st.integers(0, 5))  # events that come before the list was read
    listener, memory = Listener(recorded), Memory(recorded.session)
    for n, event in enumerate(recorded.events):
        if n == end:
            listener.reducer.on_gap()
        if n >= end and listener.reducer.wants_messages and n == end + late:
            listener.look(memory.messages, memory.busy)
        memory.on_event(event)
        if not start <= n < end and listener.reducer.in_turn:
            listener.events([event])
    listener.look_at_the_end()
    check(listener)


@settings(max_examples=150, deadline=None)
@given(names, st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=6))
def test_doubled_events_are_told_once(name: str, doubles: list[tuple[int, int]]) -> None:
    recorded = RECORDED[name]
    events = list(recorded.events)
    for source, target in doubles:
        event = recorded.events[source % len(recorded.events)]
        first = events.index(event)
        events.insert(first + 1 + target % (len(events) - first), event)
    listener = Listener(recorded)
    for event in events:
        listener.events([event])
    listener.look_at_the_end()
    check(listener)


@settings(max_examples=150, deadline=None)
@given(names, st.randoms(use_true_random=False), st.integers(2, 10))
def test_within_a_batch_order_does_not_matter(name: str, random: object, size: int) -> None:
    recorded = RECORDED[name]
    listener = Listener(recorded)
    for at in range(0, len(recorded.events), size):
        batch = recorded.events[at : at + size]
        random.shuffle(batch)  # type: ignore[attr-defined]
        listener.events(batch)
    listener.look_at_the_end()
    check(listener)


@settings(max_examples=200, deadline=None)
@given(names, st.sets(st.integers(0, 60), max_size=8))
def test_looking_at_any_moment_changes_nothing(name: str, moments: set[int]) -> None:
    """The list of messages is behind while a text is being written."""
    recorded = RECORDED[name]
    listener, memory = Listener(recorded), Memory(recorded.session)
    for n, event in enumerate(recorded.events):
        memory.on_event(event)
        listener.events([event])
        if n in moments and listener.reducer.in_turn:
            listener.look(memory.messages, memory.busy)
    listener.look_at_the_end()
    check(listener)


@settings(max_examples=200, deadline=None)
@given(names, st.integers(1, 60), st.integers(0, 60))
def test_looking_ahead_of_the_events_tells_nothing_twice(name: str, ahead: int, at: int) -> None:
    """The list is newer than the events that still wait to be read."""
    recorded = RECORDED[name]
    listener, memory = Listener(recorded), Memory(recorded.session)
    for event in recorded.events[: at + ahead]:
        memory.on_event(event)
    for n, event in enumerate(recorded.events):
        if n == at:
            listener.look(memory.messages, True)
        if n >= at + ahead:
            memory.on_event(event)
        listener.events([event])
    listener.look_at_the_end()
    check(listener)


@pytest.mark.parametrize("name", NAMES)
def test_without_any_event_the_list_tells_it_all(name: str) -> None:
    listener = Listener(RECORDED[name])
    listener.look_at_the_end()
    recorded = RECORDED[name]
    assert listener.text == recorded.text
    assert [it.data["id"] for it in listener.pieces(EventType.TOOL_USE)] == recorded.tools


# What else there is.


def updated(role: str, id: str, session: str = "ses_1", **info: object) -> Object:
    return {
        "type": "message.updated",
        "properties": {"info": {"id": id, "sessionID": session, "role": role, **info}},
    }


def made(*events: Object) -> Reducer:
    reducer = Reducer("ses_1", DIRECTORY, max_calls=2)
    reducer.begin()
    reducer.on_events(events)
    return reducer


def test_the_end_of_an_earlier_turn_does_not_end_this_one() -> None:
    """An aborted turn is said to be over twice, the second time when the next one may have begun."""
    reducer = made({"type": "session.idle", "properties": {"sessionID": "ses_1"}})
    assert reducer.wants_messages
    assert reducer.on_messages([], busy=False) == []
    assert reducer.in_turn
    reducer.on_events(
        [{"type": "session.status", "properties": {"sessionID": "ses_1", "status": {"type": "busy"}}}]
    )
    assert not reducer.wants_messages


def test_a_model_is_called_only_so_often() -> None:
    done = {"time": {"completed": 1}, "finish": "tool-calls"}
    reducer = made(updated("user", "msg_0"), updated("assistant", "msg_1", **done))
    assert not reducer.wants_abort
    reducer.on_events([updated("assistant", "msg_2", **done), updated("assistant", "msg_3")])
    assert reducer.wants_abort
    assert reducer.give_up_waiting() == [TurnEnded("max_turns")]


def test_a_model_that_stays_away_is_given_up() -> None:
    status = {"type": "retry", "attempt": MOST_RETRIES + 1, "message": "nobody there", "next": 0}
    reducer = made({"type": "session.status", "properties": {"sessionID": "ses_1", "status": status}})
    assert reducer.wants_abort
    (ended,) = reducer.give_up_waiting()
    assert isinstance(ended, TurnEnded)
    assert str(ended.error) == "nobody there"


def test_an_agent_that_says_nothing_more_ends_the_turn() -> None:
    (ended,) = made(updated("user", "msg_0")).give_up_waiting()
    assert isinstance(ended, TurnEnded)
    assert ended.error is not None
    assert ended.error.code is Code.PROTOCOL
    interrupted = made(updated("user", "msg_0"))
    interrupted.interrupt()
    assert interrupted.give_up_waiting() == [TurnEnded("interrupted")]


def test_a_message_that_was_not_taken_ends_the_turn() -> None:
    error = RhetorError("no", Code.UPSTREAM_ERROR)
    reducer = made()
    assert reducer.refuse(error) == [TurnEnded("error", error)]
    assert not reducer.in_turn


def test_another_directory_is_told() -> None:
    reducer = made()
    (event,) = reducer.on_events([updated("assistant", "msg_1", path={"cwd": "/elsewhere", "root": "/"})])
    assert isinstance(event, Event)
    assert (event.type, event.data) == (
        EventType.DIRECTORY_CHANGE, {"directory": "/elsewhere", "before": DIRECTORY},
    )  # fmt: skip


def test_an_error_without_an_answer_ends_the_turn() -> None:
    error = {"name": "UnknownError", "data": {"message": "no such model"}}
    reducer = made({"type": "session.error", "properties": {"sessionID": "ses_1", "error": error}})
    user: Object = {"info": {"id": "msg_0", "sessionID": "ses_1", "role": "user"}, "parts": []}
    (ended,) = reducer.on_messages([user], busy=False)
    assert isinstance(ended, TurnEnded)
    assert str(ended.error) == "no such model"


def test_an_interrupt_before_the_first_call_of_its_model() -> None:
    """It may come before the agent has begun, and is not the end then."""
    status: Object = {"type": "busy"}
    busy: Object = {"type": "session.status", "properties": {"sessionID": "ses_1", "status": status}}
    user: Object = {"info": {"id": "msg_0", "sessionID": "ses_1", "role": "user"}, "parts": []}
    reducer = made()
    reducer.interrupt()
    assert reducer.on_messages([user], busy=False) == []
    reducer.on_events([busy])
    assert reducer.on_messages([user], busy=True) == []
    assert reducer.on_messages([user], busy=False) == [TurnEnded("interrupted")]


def test_what_was_there_before_is_not_told() -> None:
    recorded = RECORDED["answer"]
    reducer = Reducer(recorded.session, DIRECTORY)
    reducer.remember(recorded.messages)
    reducer.begin()
    assert reducer.on_events(recorded.events) == []
    assert reducer.on_messages(recorded.messages, busy=False) == []


def test_between_turns_nothing_is_told() -> None:
    recorded = RECORDED["answer"]
    reducer = Reducer(recorded.session, DIRECTORY)
    assert reducer.on_events(recorded.events) == []
    reducer.on_gap()
    assert reducer.on_messages(recorded.messages, busy=False) == []
    reducer.begin()
    assert reducer.on_messages(recorded.messages, busy=False) == []


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        ["id", "type", "properties", "info", "part", "state", "sessionID", "status", "time"]
                    ),
                    inner
                    | st.sampled_from(["message.updated", "message.part.updated", "tool", "text", "ses_1"]),
                    max_size=5,
                )
            ),
            max_leaves=15,
        ),
        max_size=5,
    )
)
def test_garbage_is_left_out(events: list[object]) -> None:
    reducer = made(updated("user", "msg_0"), updated("assistant", "msg_1"))
    reducer.on_events([event if isinstance(event, dict) else {} for event in events])
    reducer.on_messages([event if isinstance(event, dict) else {} for event in events], busy=True)
