"""The older dialects without a gateway: what is read, what is answered, and who speaks what."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.capability import Capability
from rhetor.core.content import Text
from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.core.events import Event, Finished, FinishReason, Started, TextDelta, fold
from rhetor.core.request import Chat, Message, Role
from rhetor.wire.rhetor import RHETOR, Soft, chat_door
from rhetor.wire.rhetor.asking import claims, parse_body
from rhetor.wire.rhetor.dialects import USUAL, dialect_of
from rhetor.wire.rhetor.envelopes import ENVELOPE_BYTES, ENVELOPES
from rhetor.wire.rhetor.plain import ATHENA, BARE
from rhetor.wire.rhetor.replies import StreamReply, WholeReply, soft_error
from rhetor.wire.socket import FRAME_LIMIT_BYTES, BadFrame, Dialect, Facts, Generate, Register, Status
from rhetor.wire.tekton.ask import NAME_LIMIT, context_of
from rhetor.wire.tekton.chunks import LINE_LIMIT_BYTES
from rhetor.wire.tekton.dialect import TEKTON_SOCKET
from tests.wire.strategies import Speech, replies
from tests.wire.tekton.samples import CREATED_S, FAILED, FAILURE, HELLO, INFO
from tests.wire.tekton.stock import chunks_of as tektons_chunks_of
from tests.wire.tekton.stock import read_chunks
from tests.wire.tekton.test_chunks import said as reread

SPEECH = Speech(logprobs=False, signatures=False)
HI = (Message(Role.USER, (Text("hi"),)),)
DIALECTS = [TEKTON_SOCKET, ENVELOPES, BARE, ATHENA]
EACH = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)


def body(**said: Any) -> bytes:
    return orjson.dumps(said)


def chunks_of(stream: bytes) -> list[dict[str, Any]]:
    """Of a stream whose every chunk is an event called `message`."""
    frames = stream.split(b"\n\n")
    assert all(frame.startswith(b"event: message\ndata: ") for frame in frames[:-2])
    return tektons_chunks_of(stream.replace(b"event: message\n", b""))


def chat_of(raw: bytes) -> Chat:
    input = parse_body(raw).input
    assert isinstance(input, Chat)
    return input


@pytest.mark.parametrize(
    "said",
    [
        {"message": "hi"},
        {"prompt": "hi"},
        {"messages": [{"role": "user", "content": "hi"}]},
        {"message": None, "prompt": "hi", "messages": None},
    ],
)
def test_what_is_said_has_three_names(said: dict[str, Any]) -> None:
    assert chat_of(body(**said)).messages == HI


def test_settings_stand_at_three_places() -> None:
    chat = chat_of(
        body(
            message="hi",
            max_tokens=1,
            options={
                "max_tokens": 2,
                "temperature": 0.2,
                "top_p": 0.2,
                "options": {"temperature": 0.3, "seed": 3},
            },
        )
    )
    assert (chat.max_tokens, chat.top_p, chat.temperature, chat.seed) == (1, 0.2, 0.3, 3)


@pytest.mark.parametrize(
    ("said", "model"),
    [
        ({}, ""),
        ({"provider": None, "model": None}, ""),
        ({"provider": "claude", "model": "m"}, "m"),
        ({"provider": "gpt4"}, ""),
        ({"provider": "lab", "model": "m"}, "lab/m"),
        ({"model": "claude-3-sonnet"}, "claude-3-sonnet"),
        ({"options": {"provider": "lab", "model": "m"}}, "lab/m"),
    ],
)
def test_the_model(said: dict[str, Any], model: str) -> None:
    assert parse_body(body(message="hi", **said)).model == model


@pytest.mark.parametrize(
    ("said", "context_id"),
    [
        ({"context_id": "a"}, "a"),
        ({"context": "b"}, "b"),
        ({"context_id": "a", "context": "b"}, "a"),
        ({"component": "c"}, "c"),
        ({}, "default"),
    ],
)
def test_the_context_has_two_names(said: dict[str, Any], context_id: str) -> None:
    assert context_of(parse_body(body(message="hi", **said))) == context_id


@pytest.mark.parametrize("key", ["streaming", "stream"])
def test_whether_to_stream_has_two_names(key: str) -> None:
    assert parse_body(body(message="hi", **{key: True})).stream
    assert not parse_body(body(message="hi")).stream


@pytest.mark.parametrize(
    ("said", "claimed"),
    [
        ({"message": "hi", "provider": None, "model": None}, True),
        ({"prompt": "hi", "provider": "claude", "component_id": "athena", "system_prompt": ""}, True),
        ({"model": "m", "messages": [{"role": "user", "content": "hi"}]}, False),
        ({"model": "m", "prompt": 'say "message"', "system": "", "options": {"provider": 1}}, False),
        ({}, False),
    ],
)
def test_whose_body_it_is(said: dict[str, Any], claimed: bool) -> None:
    assert claims(body(**said)) is claimed


@pytest.mark.parametrize("raw", [b"", b"{", b'["message"]', b'"message"', b'{"message"', b"\xff"])
def test_what_is_no_body_is_nobodys(raw: bytes) -> None:
    assert claims(raw) is False


@pytest.mark.parametrize(
    ("said", "tektons"),
    [
        ({"provider_id": "lab", "model_id": "m"}, True),
        ({"provider_id": "lab", "model": "m"}, True),
        ({}, True),
        ({"model": None}, True),
        ({"model": "m"}, False),
        ({"model": "m", "provider_id": None}, False),
    ],
)
def test_who_reads_a_chat_on_the_shared_path(said: dict[str, Any], tektons: bool) -> None:
    door = chat_door(said)
    whole = door.renderer(parse_body(body(message="hi")), INFO)
    assert ("response" in orjson.loads(whole.render(HELLO))) is not tektons


def test_a_whole_reply_says_the_text_in_every_word_for_it() -> None:
    said = orjson.loads(WholeReply(INFO, "ctx").render(HELLO))
    assert [said[key] for key in ("content", "message", "response")] == ["Hello"] * 3
    assert (said["context"], said["context_id"], said["finished"]) == ("ctx", "ctx", True)


@given(replies(SPEECH))
def test_law_a_stream_reads_as_what_was_said(events: list[Event]) -> None:
    """Tekton's readers can read it as well."""
    stream = StreamReply(INFO, "comp").render(events)
    assert stream.endswith(b"\n\ndata: [DONE]\n\n")
    chunks = chunks_of(stream)
    assert all(chunk["content"] == chunk["chunk"] and chunk["context"] == "comp" for chunk in chunks)
    assert fold(read_chunks(chunks)) == reread(fold(events))


@pytest.mark.parametrize("size", [LINE_LIMIT_BYTES // 2 - spare for spare in range(0, 600, 20)])
def test_lines_stay_short_though_the_text_stands_twice(size: int) -> None:
    events: list[Event] = [Started("", ""), TextDelta("x" * size), Finished(FinishReason.STOP)]
    stream = StreamReply(INFO, "c" * NAME_LIMIT).render(events)
    assert max(map(len, stream.split(b"\n"))) <= LINE_LIMIT_BYTES


def test_a_soft_error_in_one_piece() -> None:
    said = orjson.loads(soft_error(FAILURE, INFO, "ctx", stream=False))
    assert (said["error"], said["code"], said["context"]) == (FAILURE.message, "truncated", "ctx")
    assert said["timestamp"] == "2026-11-20T09:24:59Z"


def test_a_soft_error_as_a_stream() -> None:
    (chunk,) = chunks_of(soft_error(FAILURE, INFO, "ctx", stream=True))
    assert (chunk["error"], chunk["chunk"], chunk["done"]) == (FAILURE.message, "", True)


def test_a_soft_exchange_knows_whom_its_errors_are_for() -> None:
    soft = Soft(CREATED_S)
    assert not soft.streams
    soft.parse(body(message="hi", context_id="ctx", streaming=True), {})
    assert soft.streams
    assert soft.error_status(FAILURE) == 200
    assert chunks_of(soft.render_error(FAILURE, "gen_1"))[0]["context_id"] == "ctx"


@pytest.mark.parametrize("code", [Code.POOL_FULL, Code.SHUTTING_DOWN])
def test_who_may_well_ask_again_hears_so_by_the_status(code: Code) -> None:
    assert Soft(CREATED_S).error_status(RhetorError("later", code)) == 503


def test_all_others_hear_of_errors_by_the_status() -> None:
    assert RHETOR.error_status(FAILURE) == 502
    assert orjson.loads(RHETOR.render_error(FAILURE, "gen_1"))["error"] == FAILURE.message
    assert set(RHETOR.doors) == {Capability.CHAT}
    assert not RHETOR.upstream


# WebSocket.


@pytest.mark.parametrize(
    ("said", "dialect"),
    [
        ({"type": "LLM_REQUEST", "payload": {}}, ENVELOPES),
        ({"type": "LLM_REQUEST"}, ENVELOPES),
        ({"type": "STATUS"}, ENVELOPES),
        ({"type": "ANYTHING", "payload": {}}, ENVELOPES),
        ({"type": "REGISTER", "source": "UI"}, ENVELOPES),
        ({"type": "REGISTER", "payload": {}}, ENVELOPES),
        ({"type": "REGISTER", "component_id": "c"}, TEKTON_SOCKET),
        ({"type": "REGISTER"}, TEKTON_SOCKET),
        ({"type": "GENERATE", "prompt": "hi"}, TEKTON_SOCKET),
        ({"type": "CHAT_STREAM"}, TEKTON_SOCKET),
        ({"type": "RESUME"}, TEKTON_SOCKET),
        ({"type": "generate", "data": {}}, ATHENA),
        ({"type": "chat", "data": {}}, ATHENA),
        ({"messages": []}, BARE),
        ({"type": None, "messages": []}, BARE),
        ({"request_id": "r", "action": "cancel"}, BARE),
        ({"type": "generate", "prompt": "hi"}, None),
        ({"type": "DESTROY"}, None),
        ({"type": 7, "payload": {}}, None),
        ({"prompt": "hi"}, None),
        ({}, None),
    ],
)
def test_the_first_frame_tells_who_speaks(said: dict[str, Any], dialect: Dialect | None) -> None:
    assert dialect_of(said) is dialect
    assert USUAL is TEKTON_SOCKET


@EACH
@given(
    st.dictionaries(
        st.sampled_from(["type", "payload", "data", "messages", "message", "source", "req_id", "request_id"]),
        st.none()
        | st.sampled_from(["LLM_REQUEST", "REGISTER", "GENERATE", "generate", "STATUS", ""])
        | st.integers(-9, 9)
        | st.lists(st.integers(), max_size=1)
        | st.dictionaries(
            st.sampled_from(["message", "context", "options", "streaming"]), st.text(max_size=3) | st.none()
        ),
    )
)
def test_any_frame_is_understood_or_bad(dialect: Dialect, said: dict[str, Any]) -> None:
    try:
        dialect.parse(said, b"", CREATED_S)
    except BadFrame as error:
        (*_, frame) = dialect.failed(error, error, INFO, "ctx")
        assert isinstance(orjson.loads(frame), dict)


def asked(dialect: Dialect, stream: bool = True) -> Generate:
    frames: dict[str, dict[str, Any]] = {
        "tekton-ws": {"type": "STREAM" if stream else "GENERATE", "request_id": "r", "prompt": "hi"},
        "rhetor-ws": {
            "type": "LLM_REQUEST",
            "source": "ui",
            "req_id": "r",
            "payload": {"message": "hi", "streaming": stream},
        },
        "bare-ws": {"request_id": "r", "messages": [{"role": "user", "content": "hi"}]},
        "athena-ws": {"type": "generate", "data": {"prompt": "hi"}},
    }
    frame = dialect.parse(said := frames[dialect.name], orjson.dumps(said), CREATED_S)
    assert isinstance(frame, Generate)
    return frame


@EACH
@given(events=replies(SPEECH))
def test_law_frames_read_as_what_was_said(dialect: Dialect, events: list[Event]) -> None:
    """However a dialect wraps them, its chunks are Tekton's."""
    ask = asked(dialect)
    frames = [orjson.loads(frame) for frame in dialect.voice(ask, ask.request, INFO).frames(events)]
    chunks = [payload for payload in (frame.get("payload", frame) for frame in frames) if "chunk" in payload]
    assert [chunk["done"] for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert fold(read_chunks(chunks)) == reread(fold(events))


@EACH
def test_frames_of_a_failure_end_with_an_error(dialect: Dialect) -> None:
    ask = asked(dialect)
    frames = [orjson.loads(frame) for frame in dialect.voice(ask, ask.request, INFO).frames(FAILED)]
    errors = [frame for frame in frames if str(frame.get("type")).lower() == "error"]
    assert [error.get("payload", error)["error"] for error in errors] == [FAILURE.message]
    assert not any(frame.get("type") in ("stream_complete", "done") for frame in frames)


@EACH
def test_frames_stay_below_one_mib(dialect: Dialect) -> None:
    ask = asked(dialect)
    text = 'a"é\x00' * 400_000
    events: list[Event] = [Started("", ""), TextDelta(text), Finished(FinishReason.STOP)]
    frames = dialect.voice(ask, ask.request, INFO).frames(events)
    assert max(len(frame.encode()) for frame in frames) <= FRAME_LIMIT_BYTES + 200
    payloads = (frame.get("payload", frame) for frame in map(orjson.loads, frames))
    assert "".join(payload.get("chunk") or "" for payload in payloads) == text


def test_the_longest_names_fit_into_an_envelope() -> None:
    names = len(orjson.dumps(["\x00" * NAME_LIMIT] * 2))
    assert names + 200 < ENVELOPE_BYTES


def test_a_whole_answer_waits_for_its_ending() -> None:
    ask = asked(ENVELOPES, stream=False)
    voice = ENVELOPES.voice(ask, ask.request, INFO)
    assert voice.frames(HELLO[:-1]) == []
    response, idle = map(orjson.loads, voice.frames(HELLO[-1:]))
    assert (response["type"], response["req_id"], response["target"]) == ("RESPONSE", "r", "ui")
    assert response["payload"]["message"] == "Hello"
    assert idle["payload"] == {"status": "typing", "isTyping": False, "context": "ui"}


def test_a_name_is_the_source_or_in_the_payload() -> None:
    for said in ({"source": "ui"}, {"payload": {"component_id": "ui"}}):
        frame = ENVELOPES.parse({"type": "REGISTER", **said}, b"", CREATED_S)
        assert isinstance(frame, Register)
        assert frame.component_id == "ui"
        assert orjson.loads(frame.answer)["payload"] == {"status": "registered"}


def test_status_tells_the_facts() -> None:
    frame = ENVELOPES.parse({"type": "STATUS", "req_id": "r"}, b"", CREATED_S)
    assert isinstance(frame, Status)
    facts = Facts(version="1", providers={"lab": True}, default_provider="lab", default_model="m")
    said = orjson.loads(frame.answer(facts))
    assert (said["req_id"], said["target"], said["payload"]["providers"]) == ("r", "UI", {"lab": True})


def test_what_is_wrong_knows_where_it_belongs() -> None:
    said = {"type": "LLM_REQUEST", "source": "ui", "req_id": "r", "payload": {"context": "ctx"}}
    with pytest.raises(BadFrame) as caught:
        ENVELOPES.parse(said, b"", CREATED_S)
    wrong = caught.value
    assert (wrong.request_id, wrong.source, wrong.context_id, wrong.param) == ("r", "ui", "ctx", "message")


def test_nothing_said_is_nothing_asked() -> None:
    with pytest.raises(BadRequest) as caught:
        parse_body(b"{}")
    assert caught.value.param == "message"
