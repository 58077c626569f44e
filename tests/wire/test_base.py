"""What all decoders and renderers have in common: the grammar, and replies in one piece."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.errors import Code, UpstreamError
from rhetor.core.events import (
    Event,
    Failed,
    Finished,
    FinishReason,
    Folded,
    Grammar,
    Started,
    TextDelta,
    UsageReport,
    fold,
)
from rhetor.core.usage import Usage
from rhetor.wire.base import Narrator, WholeDecoder, WholeRenderer
from tests.wire.strategies import replies

STOPPED = Finished(FinishReason.STOP)
FAILURE = UpstreamError("gone", Code.TRUNCATED)

DEEDS: dict[str, Callable[[Narrator], None]] = {
    "start": lambda narrator: narrator.start("id", "model"),
    "emit": lambda narrator: narrator.emit(TextDelta("a")),
    "usage": lambda narrator: narrator.emit(UsageReport(Usage(1))),
    "end": lambda narrator: narrator.end(STOPPED),
    "fail": lambda narrator: narrator.fail("no", Code.PROTOCOL),
    "hang up": lambda narrator: narrator.hang_up(),
}


class TestNarrator:
    @given(st.lists(st.sampled_from(sorted(DEEDS))))
    def test_whatever_a_decoder_does_the_reply_keeps_the_grammar(self, deeds: list[str]) -> None:
        narrator, grammar = Narrator(), Grammar()
        for deed in [*deeds, "hang up"]:
            DEEDS[deed](narrator)
            for event in narrator.take():
                grammar.see(event)
        assert grammar.ended

    def test_who_answers_is_told_once(self) -> None:
        narrator = Narrator()
        narrator.start("id", "model")
        narrator.start("other", "other")
        assert narrator.take() == [Started("id", "model")]

    def test_content_starts_a_reply_that_nobody_started(self) -> None:
        narrator = Narrator()
        narrator.emit(TextDelta("a"))
        assert narrator.take() == [Started("", ""), TextDelta("a")]

    def test_what_was_taken_is_not_told_again(self) -> None:
        narrator = Narrator()
        narrator.emit(TextDelta("a"))
        narrator.take()
        assert narrator.take() == []

    def test_calls_without_an_id_are_named_after_the_reply_and_differ_where_that_has_none(self) -> None:
        named, *nameless = Narrator(), Narrator(), Narrator()
        named.start("r1", "model")
        assert [named.call_id(0), named.call_id(1)] == ["call_r1_0", "call_r1_1"]
        assert len({it.call_id(number) for it in nameless for number in range(2)}) == 4

    def test_ids_of_calls_are_short(self) -> None:
        narrator = Narrator()
        narrator.start("chatcmpl-" + "a" * 40, "m")
        assert len(narrator.call_id(127)) <= 40

    def test_a_silent_hang_up_is_a_failure(self) -> None:
        narrator = Narrator()
        narrator.emit(TextDelta("a"))
        narrator.hang_up()
        ending = narrator.take()[-1]
        assert isinstance(ending, Failed)
        assert ending.error.code is Code.TRUNCATED

    def test_a_hang_up_after_the_ending_is_none(self) -> None:
        narrator = Narrator()
        narrator.end(STOPPED)
        narrator.hang_up()
        assert narrator.take() == [Started("", ""), STOPPED]


class Shouting(WholeDecoder):
    def read(self, body: bytes) -> list[Event]:
        return [Started("id", "model"), TextDelta(body.decode().upper()), STOPPED]


class Telling(WholeRenderer):
    def write(self, folded: Folded) -> bytes:
        return f"{folded.model}: {folded.text}".encode()


class TestWholeReplies:
    @given(st.data())
    def test_any_split_of_a_body_means_the_same(self, data: st.DataObject) -> None:
        body = b"one two three"
        marks = sorted(data.draw(st.lists(st.integers(0, len(body)))))
        pieces = [body[begin:end] for begin, end in zip([0, *marks], [*marks, len(body)], strict=True)]
        decoder = Shouting()
        assert all(decoder.feed(piece).events == [] for piece in pieces)
        chunk = decoder.close()
        assert fold(chunk.events).text == "ONE TWO THREE"
        assert chunk.raw == body

    @given(replies(), st.data())
    def test_a_reply_is_written_once_with_its_ending(self, events: list[Event], data: st.DataObject) -> None:
        at = data.draw(st.integers(0, len(events) - 1))
        renderer = Telling()
        assert renderer.render(events[:at]) == b""
        folded = fold(events)
        assert renderer.render(events[at:]) == f"{folded.model}: {folded.text}".encode()

    def test_a_failed_reply_is_not_written(self) -> None:
        renderer = Telling()
        renderer.render([Started("id", "model"), TextDelta("half a")])
        with pytest.raises(UpstreamError) as caught:
            renderer.render([Failed(FAILURE)])
        assert caught.value is FAILURE
