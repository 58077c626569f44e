"""The grammar of replies, and the laws of folding events into a reply and back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from rhetor.core.content import Opaque, Part, Refusal, Text, Thinking, ToolUse
from rhetor.core.errors import Code, UpstreamError
from rhetor.core.events import (
    ENDINGS,
    SILENT,
    Event,
    Failed,
    Finished,
    FinishReason,
    Folded,
    Folder,
    Grammar,
    GrammarError,
    Medium,
    MediumDelta,
    MediumLink,
    MediumStarted,
    OpaquePart,
    Ranked,
    RefusalDelta,
    Spoken,
    Started,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    Timed,
    ToolUseDelta,
    ToolUseStarted,
    UsageReport,
    Vector,
    fold,
    unfold,
)
from rhetor.core.usage import Usage
from tests.wire.strategies import replies

STARTED = Started("id", "model")
STOPPED = Finished(FinishReason.STOP)
FAILED = Failed(UpstreamError("gone", Code.TRUNCATED))
ONE_OF_EACH: tuple[Event, ...] = (
    TextDelta("a"),
    RefusalDelta("a"),
    ThinkingDelta("a"),
    ThinkingSigned("a"),
    ToolUseStarted(0, "a", "a"),
    ToolUseDelta(0, "a"),
    OpaquePart(Opaque("openai", {"type": "x"})),
    Vector(0, [1.0]),
    MediumStarted(0, "image/png"),
    MediumDelta(0, b"a"),
    MediumLink(1, "https://media.test/a.png"),
    Timed("word", "a", 0.0, 0.5),
    Spoken("en", 1.5),
    Ranked(0, 0.9),
    UsageReport(Usage()),
)


def see(events: Iterable[Event]) -> Grammar:
    grammar = Grammar()
    for event in events:
        grammar.see(event)
    return grammar


class TestGrammar:
    @pytest.mark.parametrize("ending", [STOPPED, FAILED])
    @pytest.mark.parametrize("event", ONE_OF_EACH, ids=lambda event: type(event).__name__)
    def test_a_reply(self, event: Event, ending: Event) -> None:
        grammar = see([STARTED, event, event, ending])
        assert grammar.started
        assert grammar.ended

    def test_an_empty_reply_is_one_too(self) -> None:
        assert see([STARTED, STOPPED]).ended

    def test_it_has_not_ended_before_its_ending(self) -> None:
        assert not see([STARTED, TextDelta("a")]).ended

    @pytest.mark.parametrize("event", [*ONE_OF_EACH, STOPPED, FAILED], ids=lambda event: type(event).__name__)
    def test_nothing_comes_before_the_start(self, event: Event) -> None:
        with pytest.raises(GrammarError, match=f"{type(event).__name__} before Started"):
            see([event])

    def test_nothing_starts_twice(self) -> None:
        with pytest.raises(GrammarError, match="Started again"):
            see([STARTED, STARTED])

    @pytest.mark.parametrize("ending", [STOPPED, FAILED])
    @pytest.mark.parametrize(
        "event", [*ONE_OF_EACH, STARTED, STOPPED, FAILED], ids=lambda event: type(event).__name__
    )
    def test_nothing_comes_after_the_ending(self, event: Event, ending: Event) -> None:
        with pytest.raises(GrammarError, match="after the ending"):
            see([STARTED, ending, event])

    def test_every_event_is_silent_content_or_an_ending(self) -> None:
        """A new kind of event has to be put somewhere, and is content unless it is said to be silent."""
        kinds = set(Event.__args__)
        content = {type(event) for event in ONE_OF_EACH} - {UsageReport}
        assert kinds == content | set(SILENT) | set(ENDINGS)


class TestFoldMedia:
    def test_media_that_are_interleaved_are_told_apart(self) -> None:
        events = [
            MediumStarted(0, "image/png", "a red fox"),
            MediumStarted(1, "image/png"),
            MediumDelta(0, b"ab"),
            MediumDelta(1, b"xy"),
            MediumDelta(0, b"c"),
        ]
        first, second = fold(events).media.values()
        assert isinstance(first, Medium)
        assert isinstance(second, Medium)
        assert (first.data, first.prompt, second.data) == (b"abc", "a red fox", b"xy")
        assert first.base64 == "YWJj"

    def test_base64_is_decoded_by_whoever_needs_the_bytes_and_by_nobody_else(self) -> None:
        whole = fold([MediumStarted(0, "image/png"), MediumDelta(0, b"YWJj", base64=True)]).media[0]
        assert isinstance(whole, Medium)
        assert (whole.base64, whole.data) == ("YWJj", b"abc")

        pieces = [MediumDelta(0, b"YQ==", base64=True), MediumDelta(0, b"YmM=", base64=True)]
        both = fold([MediumStarted(0, "audio/pcm"), *pieces]).media[0]
        assert isinstance(both, Medium)
        assert (both.base64, both.data) == ("YWJj", b"abc")

    def test_what_is_no_base64_is_the_providers_fault(self) -> None:
        broken = fold([MediumStarted(0, "image/png"), MediumDelta(0, b"!", base64=True)]).media[0]
        assert isinstance(broken, Medium)
        with pytest.raises(UpstreamError, match="no base64"):
            _ = broken.data

    def test_a_reply_of_everything_unfolds_to_one_that_folds_to_it(self) -> None:
        events = [
            STARTED,
            TextDelta("so it is"),
            MediumStarted(0, "audio/wav"),
            MediumDelta(0, b"a"),
            MediumLink(1, "https://media.test/a.png", "image/png"),
            Timed("word", "so", 0.0, 0.5, "A", 0.9),
            Spoken("en", 1.5),
            Ranked(1, 0.9),
            Ranked(0, 0.1),
            STOPPED,
        ]
        assert fold(unfold(fold(events))) == fold(events)


class TestFold:
    def test_deltas_of_a_kind_become_one_part(self) -> None:
        events = [TextDelta("a"), TextDelta("b"), ThinkingDelta("c"), RefusalDelta("d"), RefusalDelta("e")]
        assert fold(events).parts == [Text("ab"), Thinking("c"), Refusal("de")]

    def test_a_text_that_goes_on_later_is_a_part_of_its_own(self) -> None:
        events = [TextDelta("a"), ToolUseStarted(0, "id", "f"), TextDelta("b")]
        folded = fold(events)
        assert folded.parts == [Text("a"), ToolUse("id", "f", ""), Text("b")]
        assert folded.text == "ab"

    def test_usage_and_other_silence_do_not_part_a_text(self) -> None:
        assert fold([TextDelta("a"), UsageReport(Usage(1)), TextDelta("b")]).parts == [Text("ab")]

    def test_interleaved_calls_are_told_apart(self) -> None:
        events = [
            ToolUseStarted(0, "x", "f"),
            ToolUseDelta(0, '{"a"'),
            ToolUseStarted(1, "y", "g"),
            ToolUseDelta(1, "{"),
            ToolUseDelta(0, ":1}"),
            ToolUseDelta(1, "}"),
        ]
        assert fold(events).tool_uses == [ToolUse("x", "f", '{"a":1}'), ToolUse("y", "g", "{}")]

    def test_a_signature_ends_its_thought(self) -> None:
        events = [ThinkingDelta("a"), ThinkingSigned("s"), ThinkingDelta("b"), ThinkingSigned("t")]
        assert fold(events).parts == [Thinking("a", "s"), Thinking("b", "t")]

    def test_a_signature_alone_is_a_thought_that_was_not_shown(self) -> None:
        events = [TextDelta("a"), ThinkingSigned("s"), ThinkingSigned("t")]
        assert fold(events).parts == [Text("a"), Thinking("", "s"), Thinking("", "t")]

    def test_a_later_usage_replaces_an_earlier_one(self) -> None:
        assert fold([UsageReport(Usage(1, 1)), UsageReport(Usage(1, 5))]).usage == Usage(1, 5)

    def test_vectors_are_found_by_their_input(self) -> None:
        assert fold([Vector(1, [2.0]), Vector(0, "AAAA")]).vectors == {0: "AAAA", 1: [2.0]}

    def test_log_probabilities_are_joined(self) -> None:
        events = [TextDelta("a", [{"token": "a"}]), TextDelta("b"), TextDelta("c", [{"token": "c"}])]
        assert fold(events).logprobs == [{"token": "a"}, {"token": "c"}]

    def test_the_ending(self) -> None:
        folded = fold([STARTED, Finished(FinishReason.STOP_SEQUENCE, "END")])
        assert (folded.id, folded.model) == ("id", "model")
        assert (folded.finish, folded.stop_sequence, folded.error) == (
            FinishReason.STOP_SEQUENCE,
            "END",
            None,
        )
        assert fold([STARTED, FAILED]).error is FAILED.error

    def test_the_words_of_each_kind(self) -> None:
        folded = fold([ThinkingDelta("t"), TextDelta("a"), RefusalDelta("r"), ThinkingDelta("u")])
        assert (folded.text, folded.thinking, folded.refusal) == ("a", "tu", "r")

    def test_a_folder_may_be_asked_in_the_middle(self) -> None:
        folder = Folder()
        folder.add(TextDelta("a"))
        assert folder.result().text == "a"
        folder.add(TextDelta("b"))
        assert folder.result().text == "ab"


class TestLaws:
    @given(replies())
    def test_what_wires_are_tested_with_keeps_the_grammar(self, events: list[Event]) -> None:
        assert see(events).ended

    @given(replies(), st.data())
    def test_pieces_mean_the_same_as_the_whole(self, events: list[Event], data: st.DataObject) -> None:
        """However finely a provider cuts its deltas, the reply is the same."""
        cut = [piece for event in events for piece in data.draw(pieces_of(event))]
        assert fold(cut) == fold(events)

    @given(replies())
    def test_unfolding_loses_nothing(self, events: list[Event]) -> None:
        folded = fold(events)
        assert fold(unfold(folded)) == folded

    @given(st.deferred(lambda: folded_replies()))
    def test_a_reply_survives_as_a_stream(self, folded: Folded) -> None:
        events = unfold(folded)
        assert see(events).ended
        assert fold(events) == folded

    @given(st.deferred(lambda: folded_replies()))
    def test_a_stream_of_a_reply_needs_no_second_pass(self, folded: Folded) -> None:
        events = unfold(folded)
        assert unfold(fold(events)) == events

    def test_an_unfinished_reply_gets_an_ending(self) -> None:
        assert unfold(Folded()) == [Started("", ""), Finished(FinishReason.OTHER)]

    def test_a_failed_reply_ends_in_its_failure(self) -> None:
        folded = fold([STARTED, TextDelta("a"), FAILED])
        assert unfold(folded) == [STARTED, TextDelta("a"), FAILED]

    def test_vectors_survive_as_a_stream(self) -> None:
        folded = Folded("id", "model", vectors={0: [0.5], 1: "AAAA"}, finish=FinishReason.STOP)
        assert fold(unfold(folded)) == folded


def pieces_of(event: Event) -> SearchStrategy[list[Event]]:
    """The event in one piece or in two."""

    def cut(text: str, make: Any) -> SearchStrategy[list[Event]]:
        return st.integers(0, len(text)).map(lambda at: [make(text[:at]), make(text[at:])])

    match event:
        case TextDelta(text, None):
            return cut(text, TextDelta)
        case RefusalDelta(text):
            return cut(text, RefusalDelta)
        case ThinkingDelta(text):
            return cut(text, ThinkingDelta)
        case ToolUseDelta(index, arguments):
            return cut(arguments, lambda piece: ToolUseDelta(index, piece))
    return st.just([event])


words = st.text(max_size=8)
filled = st.text(min_size=1, max_size=8)


@st.composite
def folded_replies(draw: DrawFn) -> Folded:
    """Replies in one piece; two neighbours that would be one part in a stream are left out."""
    kinds: SearchStrategy[Part] = st.one_of(
        st.builds(Text, filled),
        st.builds(Refusal, filled),
        st.builds(Thinking, filled, st.none() | filled),
        st.builds(ToolUse, words, words, words),
        st.builds(lambda kind: Opaque("openai", {"type": kind}), words),
    )
    parts: list[Part] = []
    for part in draw(st.lists(kinds, max_size=6)):
        last = parts[-1] if parts else None
        joins = type(part) is type(last) and not isinstance(part, ToolUse | Opaque)
        if not joins or (isinstance(last, Thinking) and last.signature is not None):
            parts.append(part)
    has_text = any(isinstance(part, Text) for part in parts)
    return Folded(
        id=draw(words),
        model=draw(words),
        parts=parts,
        logprobs=draw(st.lists(st.builds(lambda token: {"token": token}, words), max_size=3))
        if has_text
        else [],
        usage=draw(st.none() | st.builds(Usage, st.integers(0, 99), st.integers(0, 99))),
        finish=draw(st.sampled_from(FinishReason)),
        stop_sequence=draw(st.none() | words),
    )
