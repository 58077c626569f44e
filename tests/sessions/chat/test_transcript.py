"""What is remembered of a chat, and what of that is told: a table of logs, and two laws."""

from __future__ import annotations

import itertools
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.content import Text
from rhetor.core.request import Message, Role
from rhetor.core.usage import estimate_tokens
from rhetor.sessions.backend import Said
from rhetor.sessions.chat.transcript import (
    LEAD,
    Transcript,
    asked,
    changed_model,
    cleared,
    remembered,
    summarized,
    tokens_of,
    told,
    window,
)
from rhetor.sessions.event import Event, EventType
from tests.sessions.chat.logs import BEGAN, Log

MUCH = 10_000


def spoken(log: Log) -> list[tuple[str, str]]:
    return [(each.role.value, each.text) for each in remembered(log.events).spoken]


def said(messages: list[Message]) -> list[tuple[str, str]]:
    texts = []
    for each in messages:
        (part,) = each.parts
        assert isinstance(part, Text)
        texts.append((each.role.value, part.text))
    return texts


def test_pieces_of_a_turn_are_one_answer() -> None:
    log = Log().exchange("hi", "hel", "lo").exchange("more?", "yes")

    assert spoken(log) == [("user", "hi"), ("assistant", "hello"), ("user", "more?"), ("assistant", "yes")]
    assert [each.seq for each in remembered(log.events).spoken] == [1, 3, 4, 5]


def test_a_second_message_of_a_turn_belongs_to_its_answer() -> None:
    log = Log().user("hi").says("one", id="a").says("two", id="b")

    assert spoken(log) == [("user", "hi"), ("assistant", "onetwo")]


def test_what_else_happened_is_not_told() -> None:
    log = Log().user("hi").add(Event(EventType.THINKING, "hm", {"message_id": "t"})).says("hello")
    log.add(Event(EventType.STATUS_CHANGE, "idle")).add(Event(EventType.SYSTEM, "", {"answered": {}}))

    assert spoken(log) == [("user", "hi"), ("assistant", "hello")]


def test_a_turn_without_an_answer_keeps_its_question() -> None:
    log = Log().user("one").add(Event(EventType.ERROR, "overloaded")).exchange("two", "both")

    messages, _ = told(remembered(log.events), None, MUCH)

    assert said(messages) == [("user", "one\n\ntwo"), ("assistant", "both")]


def test_an_answer_without_a_word_is_not_told() -> None:
    log = Log().exchange("one", " \n").user("two")

    assert said(told(remembered(log.events), None, MUCH)[0]) == [("user", "one\n\ntwo")]


def test_what_was_interrupted_keeps_what_was_said() -> None:
    log = Log().exchange("count", "one two").user("go on")

    assert said(told(remembered(log.events), None, MUCH)[0]) == [
        ("user", "count"),
        ("assistant", "one two"),
        ("user", "go on"),
    ]


def test_clearing_forgets_what_was_said_before() -> None:
    log = (
        Log().exchange("secret", "hush").add(summarized("a secret", 2)).add(cleared()).exchange("hi", "hello")
    )

    transcript = remembered(log.events)

    assert spoken(log) == [("user", "hi"), ("assistant", "hello")]
    assert transcript.summary is None


def test_a_summary_stands_for_what_it_sums_up() -> None:
    log = Log().exchange("one", "1").exchange("two", "2").add(summarized("they count", 2))

    transcript = remembered(log.events)

    assert transcript.summary == "they count"
    assert spoken(log) == [("user", "two"), ("assistant", "2")]
    assert said(told(transcript, "Be brief.", MUCH)[0])[0] == ("system", f"Be brief.\n\n{LEAD}\n\nthey count")


def test_a_summary_that_comes_twice_is_the_same() -> None:
    once = Log().exchange("one", "1").exchange("two", "2").add(summarized("they count", 2))
    twice = Log().exchange("one", "1").exchange("two", "2")
    twice.add(summarized("they count", 2)).add(summarized("they count", 2))

    assert spoken(once) == spoken(twice)
    assert remembered(twice.events).summary == "they count"


def test_a_summary_of_what_was_forgotten_since_counts_for_nothing() -> None:
    log = Log().exchange("one", "1").add(cleared()).add(summarized("they count", 2))

    assert remembered(log.events).summary is None


def test_a_system_event_that_only_looks_like_ours_changes_nothing() -> None:
    log = Log().exchange("one", "1")
    for data in ({"context": "summary"}, {"context": "summary", "until": "2", "text": "x"}, {"context": 7}):
        log.add(Event(EventType.SYSTEM, "", data))

    assert spoken(log) == [("user", "one"), ("assistant", "1")]


def test_the_last_change_of_the_model_counts() -> None:
    log = Log().add(changed_model("a/b")).add(changed_model("c/d"))

    assert remembered(log.events).model == "c/d"


def test_the_question_is_asked_once() -> None:
    log = Log().user("hi", "msg_x")
    transcript = remembered(log.events)

    assert asked(transcript, Said("hi", "msg_x"), BEGAN) == transcript
    late = asked(transcript, Said("again", "msg_y"), BEGAN)
    assert [each.text for each in late.spoken] == ["hi", "again"]


def test_the_newest_messages_are_told() -> None:
    log = Log()
    for n in range(10):
        log.exchange(f"question {n} " + "x" * 80, f"answer {n} " + "y" * 80)
    log.user("last")

    messages, left_out = told(remembered(log.events), None, 150)

    texts = said(messages)
    assert texts[0][0] == "user"
    assert texts[-1] == ("user", "last")
    assert left_out == 21 - len(texts) > 0


def test_the_last_message_is_told_however_long_it_is() -> None:
    log = Log().exchange("one", "1").user("x" * 10_000)

    messages, left_out = told(remembered(log.events), "system", 50)

    assert [role for role, _ in said(messages)] == ["system", "user"]
    assert left_out == 2


TEXT = st.text(max_size=60)
EXCHANGES = st.lists(st.tuples(TEXT, st.lists(TEXT, max_size=3)), min_size=1, max_size=12)
Exchanges = list[tuple[str, list[str]]]


@given(exchanges=EXCHANGES, most_tokens=st.integers(0, 200))
def test_a_window_fits_and_begins_with_the_user(exchanges: Exchanges, most_tokens: int) -> None:
    log = Log()
    for question, answer in exchanges:
        log.exchange(question, *answer)
    all_of_it = remembered(log.events).spoken

    heard = window(all_of_it, most_tokens)

    assert list(heard) == list(all_of_it[len(all_of_it) - len(heard) :])
    assert len(heard) >= 1
    assert len(heard) == 1 or heard[0].role is Role.USER
    assert len(heard) == 1 or sum(map(tokens_of, heard)) <= most_tokens


@given(exchanges=EXCHANGES)
def test_roles_take_turns(exchanges: Exchanges) -> None:
    log = Log()
    for question, answer in exchanges:
        log.exchange(question, *answer)

    roles = [role for role, _ in said(told(remembered(log.events), None, MUCH)[0])]

    assert all(one != other for one, other in itertools.pairwise(roles))


def test_its_tokens_are_those_of_its_parts() -> None:
    log = Log().exchange("abcd" * 10, "efgh" * 10)
    transcript = remembered(log.events)

    assert transcript.tokens == 2 * (10 + 4)
    with_summary = Transcript(spoken=transcript.spoken, summary="s" * 40, summary_at=BEGAN + timedelta(1))
    assert with_summary.tokens == transcript.tokens + estimate_tokens("s" * 40)
