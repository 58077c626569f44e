"""What guests tell, and what they may not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.capability import Capability
from rhetor.core.errors import Code, UpstreamError
from rhetor.core.events import (
    Event,
    Failed,
    Finished,
    FinishReason,
    Grammar,
    MediumLink,
    Progress,
    Ranked,
    Spoken,
    Timed,
    fold,
)
from rhetor.core.media import Rank
from rhetor.core.request import Embed, Input, Request
from rhetor.wire.base import PLAIN
from rhetor.wire.guest import GUEST, result_of, telling
from rhetor.wire.guest.frames import frame
from rhetor.wire.guest.telling import GuestDecoder
from tests.wire.strategies import splits

CHAT = Capability.CHAT
DRAW = Capability.TEXT_TO_IMAGE


def says(event: str, data: bytes | None = None, **fields: Any) -> bytes:
    return frame({"call": 1, "event": event, **fields}, data)


def decode(*pieces: bytes, of: Capability = CHAT, count: int | None = None) -> list[Event]:
    decoder = GuestDecoder(of, count)
    decoder.begin(200, {})
    events = [event for piece in pieces for event in decoder.feed(piece).events] + decoder.close().events
    grammar = Grammar()
    for event in events:
        grammar.see(event)
    assert grammar.ended
    return events


def failure(*pieces: bytes, of: Capability = CHAT, count: int | None = None) -> UpstreamError:
    last = decode(*pieces, of=of, count=count)[-1]
    assert isinstance(last, Failed), last
    assert isinstance(last.error, UpstreamError)
    return last.error


def test_a_conversation() -> None:
    folded = fold(
        decode(
            says("started", model="cow-2"),
            says("thinking", text="grass?", signature="s"),
            says("progress", fraction=0.5, note="chewing"),
            says("text", text="mo") + says("text", text="o"),
            says("tool_use", index=0, id="t", name="eat"),
            says("tool_use_delta", index=0, arguments="{}"),
            says("usage", input_tokens=3, output_tokens=2),
            says("finished", reason="tool_use"),
        )
    )
    assert (folded.model, folded.text, folded.thinking) == ("cow-2", "moo", "grass?")
    assert [(it.id, it.name, it.arguments) for it in folded.tool_uses] == [("t", "eat", "{}")]
    assert folded.usage is not None
    assert (folded.usage.input_tokens, folded.finish) == (3, FinishReason.TOOL_USE)


def test_media() -> None:
    folded = fold(
        decode(
            says("medium", index=0, media_type="image/png", prompt="a red cow"),
            says("medium_delta", b"\x89PNG\n", index=0),
            says("link", index=1, url="https://x/y.png"),
            says("medium_delta", b"", index=0) + says("medium_delta", b"end", index=0),
            says("finished"),
            of=DRAW,
        )
    )
    picture, link = folded.media[0], folded.media[1]
    assert not isinstance(picture, MediumLink)
    assert (picture.data, picture.media_type, picture.prompt) == (b"\x89PNG\nend", "image/png", "a red cow")
    assert isinstance(link, MediumLink)


def test_the_rest() -> None:
    timed = decode(
        says("spoken", language="en", duration_s=1.5),
        says("text", text="moo"),
        says("timed", kind="word", text="moo", start_s=0, end_s=1.5, confidence=1),
        says("finished"),
        of=Capability.AUDIO_TO_TEXT,
    )
    assert Spoken("en", 1.5) in timed
    assert Timed("word", "moo", 0.0, 1.5, None, 1.0) in timed
    ranked = decode(says("ranked", index=1, score=0.5), says("finished"), of=Capability.RERANK)
    assert Ranked(1, 0.5) in ranked
    vectors = decode(says("vector", values=[1, 0.5]), says("finished"), of=Capability.EMBEDDINGS, count=1)
    assert fold(vectors).vectors == {0: [1.0, 0.5]}
    assert Progress(None, "") in decode(says("progress"), says("finished"))


LIES: list[tuple[str, bytes, Capability]] = [
    ("unknown event", says("moo"), CHAT),
    ("unknown event", frame({"call": 1}), CHAT),
    ("no part of text-to-text", says("medium", index=0, media_type="image/png"), CHAT),
    ("no part of embeddings", says("text", text="x"), Capability.EMBEDDINGS),
    ("'text' with bytes", says("text", b"x", text="x"), CHAT),
    ("'medium_delta' without bytes", says("medium_delta", index=0), DRAW),
    ("'text' is no text", says("text", text=7), CHAT),
    ("'text' is no text", says("text"), CHAT),
    ("'model' is no short text", says("started", model="x" * 1000), CHAT),
    ("'model' is no short text", says("started", model="x\r\nset-cookie: a"), CHAT),
    ("tool call 1 after 0", says("tool_use", index=1, id="a", name="b"), CHAT),
    ("has not begun", says("tool_use_delta", index=0, arguments=""), CHAT),
    ("has not begun", says("medium_delta", b"x", index=0), DRAW),
    ("medium 0 again", 2 * says("medium", index=0, media_type="image/png"), DRAW),
    ("proper media_type", says("medium", index=0, media_type="image/png\r\nx: y"), DRAW),
    ("proper media_type", says("medium", index=0), DRAW),
    ("no http(s) URL", says("link", index=0, url="file:///etc/passwd"), DRAW),
    ("an index", says("medium", index=10**9, media_type="image/png"), DRAW),
    ("an index", says("ranked", index=5, score=1), Capability.RERANK),
    ("number 0 again", 2 * says("ranked", index=0, score=1), Capability.RERANK),
    ("no list of numbers", says("vector", values=["a"]), Capability.EMBEDDINGS),
    ("no list of numbers", says("vector", values=[True]), Capability.EMBEDDINGS),
    ("0 vectors for 2 inputs", says("finished"), Capability.EMBEDDINGS),
    ("no count", says("usage", input_tokens=-1), CHAT),
    ("no count", says("usage", input_tokens=10**15), CHAT),
    ("in its range", says("progress", fraction=7), CHAT),
    (
        "neither segment",
        says("timed", kind="x", text="", start_s=0, end_s=0),
        Capability.AUDIO_TO_TEXT,
    ),
    ("gave the call up", says("cancelled"), CHAT),
    ("not JSON", b"moo\n", CHAT),
]


@pytest.mark.parametrize(("why", "lie", "of"), LIES, ids=[f"{it[0]} {n}" for n, it in enumerate(LIES)])
def test_a_guest_that_lies_fails_its_call(why: str, lie: bytes, of: Capability) -> None:
    """And what it says after that is not heard."""
    error = failure(lie, says("finished"), of=of, count=2)
    assert why in error.message
    assert error.code in (Code.PROTOCOL, Code.UPSTREAM_ERROR)


@pytest.mark.parametrize(
    ("fields", "code", "after_s"),
    [
        ({"code": "rate_limited", "message": "slow down", "retry_after_s": 2}, Code.RATE_LIMITED, 2.0),
        ({"code": "content_policy_violation", "message": "no"}, Code.CONTENT_POLICY, None),
        ({"code": "internal_error", "message": "x"}, Code.UPSTREAM_ERROR, None),
        ({"code": ["x"], "message": 7, "retry_after_s": "x"}, Code.UPSTREAM_ERROR, None),
        ({}, Code.UPSTREAM_ERROR, None),
    ],
)
def test_a_guest_says_why_it_failed(fields: dict[str, Any], code: Code, after_s: float | None) -> None:
    error = failure(says("failed", **fields))
    assert (error.code, error.retry_after_s) == (code, after_s)
    assert error.message


def test_a_guest_that_hangs_up_has_failed() -> None:
    assert failure(says("text", text="mo")).code is Code.TRUNCATED
    assert failure().code is Code.TRUNCATED


def test_no_reply_is_endless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "WHOLE_LIMIT_BYTES", 1000)
    monkeypatch.setattr(telling, "MEDIA_LIMIT_BYTES", 1000)
    assert "larger than any real" in failure(*[says("text", text="")] * 100).message
    begun = says("medium", index=0, media_type="image/png")
    assert "larger than" in failure(begun, *[says("medium_delta", b"x" * 500, index=0)] * 3, of=DRAW).message


REPLY = b"".join(
    [
        says("text", text="mo\n"),
        says("medium", index=0, media_type="image/png"),
        says("medium_delta", b"\n{}\n", index=0),
        says("usage", images=1),
        says("finished", reason="length"),
    ]
)


@given(splits(REPLY))
def test_law_any_split_of_the_bytes_means_the_same(pieces: list[bytes]) -> None:
    assert decode(*pieces, of=DRAW) == decode(REPLY, of=DRAW)


EVENTS = ["started", "text", "medium", "medium_delta", "tool_use", "finished", "failed", "vector", "usage"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(EVENTS),
            st.dictionaries(
                st.sampled_from(["text", "index", "values", "media_type", "id", "reason", "code"]),
                st.none()
                | st.integers(-1, 3)
                | st.sampled_from(["image/png", "stop"])
                | st.lists(st.floats(0, 1)),
            ),
            st.none() | st.binary(max_size=3),
        )
    ),
    st.sampled_from(list(Capability)),
)
def test_law_whatever_comes_the_grammar_holds_and_folds(
    told: list[tuple[str, dict[str, Any], bytes | None]], of: Capability
) -> None:
    fold(decode(*(frame({**fields, "event": event}, data) for event, fields, data in told), of=of))


@pytest.mark.parametrize(
    ("capability", "given", "last"),
    [
        (Capability.RERANK, Rank(query="q", documents=("a", "b")), "ranked"),
        (Capability.EMBEDDINGS, Embed(inputs=("a", "b")), "vector"),
    ],
)
def test_the_decoder_knows_how_many_inputs_there_are(capability: Capability, given: Input, last: str) -> None:
    upstream = GUEST.upstream[capability]
    request = Request(id="g", capability=capability, model="m", input=given)
    for index, ends in ((1, False), (2, True)):
        decoder = upstream.decoder(False, upstream.build(request, "m", PLAIN))
        decoder.begin(200, {})
        events = decoder.feed(says(last, index=index, score=1, values=[1])).events
        assert isinstance(events[-1], Failed) is ends


def test_models() -> None:
    listed = [{"id": "cow", "name": "Cow", "capabilities": ["text-to-text", "moo"]}, {"id": "a\nb"}, {}, 7]
    body = frame({"call": 1, "event": "result", "value": {"models": listed}})
    (cow,) = GUEST.read_models(body)
    assert (cow.id, cow.name, cow.capabilities, cow.features) == ("cow", "Cow", {CHAT}, None)
    with pytest.raises(UpstreamError, match="no barn"):
        result_of(says("failed", message="no barn"))
    with pytest.raises(UpstreamError, match="did not say"):
        result_of(b"")
    assert isinstance(decode(says("finished"))[-1], Finished)
