"""What is summed up, when, and what its model is asked."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rhetor.core.content import Text
from rhetor.core.request import Chat
from rhetor.sessions.chat.asking import Asker
from rhetor.sessions.chat.summary import INSTRUCTION, due, older, summary_request
from rhetor.sessions.chat.transcript import Spoken, remembered
from tests.sessions.chat.logs import Log

ASKER = Asker(owner="ada", session_id="ses_1", model="fast")
LONG = "word " * 800  # a thousand tokens


def texts(spoken: list[Spoken] | tuple[Spoken, ...]) -> list[str]:
    return [each.text for each in spoken]


def chat_of(log: Log) -> tuple[Spoken, ...]:
    return tuple(remembered(log.events).spoken)


class TestOlder:
    def test_whole_exchanges(self) -> None:
        log = Log().exchange("one", "1").exchange("two", "2").after(100).exchange("three", "3")
        before = log.now - timedelta(seconds=50)

        assert texts(tuple(older(chat_of(log), before))) == ["one", "1", "two", "2"]

    def test_a_question_stays_with_its_answer(self) -> None:
        log = Log().exchange("one", "1").user("two")
        asked_at = log.now
        log.after(100).says("2")

        assert texts(tuple(older(chat_of(log), asked_at + timedelta(seconds=50)))) == ["one", "1"]

    def test_the_question_that_waits_for_its_answer_stays(self) -> None:
        log = Log().exchange("one", "1").user("two")

        assert texts(tuple(older(chat_of(log), log.now + timedelta(1)))) == ["one", "1"]

    def test_a_question_that_nobody_answered_is_an_exchange(self) -> None:
        log = Log().user("one").exchange("two", "2").user("three")

        assert texts(tuple(older(chat_of(log), log.now + timedelta(1)))) == ["one", "two", "2"]

    def test_nothing_is_older(self) -> None:
        log = Log().exchange("one", "1")

        assert not older(chat_of(log), log.events[0].at)
        assert not older((), log.now)


class TestDue:
    @pytest.mark.parametrize(
        ("from_tokens", "seconds", "due_now"),
        [(1500, 1, True), (5000, 1, False), (0, 1, False), (1500, -1000, False)],
        ids=["long enough", "short", "never", "all of it is young"],
    )
    def test_when(self, from_tokens: int, seconds: float, due_now: bool) -> None:
        log = Log().exchange("one", LONG).exchange("two", LONG).user("three")
        found = due(remembered(log.events), from_tokens, log.now + timedelta(seconds=seconds))

        assert bool(found) is due_now

    def test_a_little_is_not_worth_a_call(self) -> None:
        log = Log().exchange("one", "1").after(1000)
        before = log.now - timedelta(seconds=500)
        log.exchange("two", LONG).user("three")

        assert not due(remembered(log.events), 500, before)


class TestRequest:
    def test_says_who_asks_and_what_was_said(self) -> None:
        log = Log().exchange("one", "1")

        request = summary_request(ASKER, "they greeted", chat_of(log), 1000)

        assert (request.model, request.principal, request.session) == ("fast", "ada", "ses_1")
        assert (request.task, request.stream) == ("summary", True)
        assert isinstance(request.input, Chat)
        system, user = request.input.messages
        assert system.parts == (Text(INSTRUCTION),)
        (told,) = user.parts
        assert isinstance(told, Text)
        assert told.text.split("\n\n") == [
            "Summary of what was said before:\nthey greeted",
            "user: one",
            "assistant: 1",
        ]

    def test_is_no_longer_than_a_model_may_be_told(self) -> None:
        log = Log()
        for n in range(20):
            log.exchange(f"question {n}", LONG)

        request = summary_request(ASKER, None, chat_of(log), 3000)

        assert isinstance(request.input, Chat)
        (told,) = request.input.messages[1].parts
        assert isinstance(told, Text)
        assert "question 19" in told.text
        assert "question 5 " not in told.text
        assert len(told.text) < 4 * 3000
