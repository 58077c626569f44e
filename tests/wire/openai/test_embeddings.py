"""Embeddings: every form of input, both encodings, both directions."""

from __future__ import annotations

import struct
from base64 import b64decode, b64encode
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.capability import Capability
from rhetor.core.errors import BadRequest, Code, UpstreamError
from rhetor.core.events import Event, Failed, Finished, FinishReason, Started, UsageReport, Vector
from rhetor.core.request import Embed, Request
from rhetor.core.usage import Usage
from rhetor.wire.base import PLAIN, Outgoing, Quirks, ReplyInfo
from rhetor.wire.openai import OPENAI
from tests.wire.openai.speech import GOLDEN, decode
from tests.wire.strategies import texts

UPSTREAM = OPENAI.upstream[Capability.EMBEDDINGS]
DOOR = OPENAI.doors[Capability.EMBEDDINGS]
tokens = st.lists(st.integers(0, 200_000), min_size=1, max_size=3).map(tuple)
embeds = st.builds(
    Embed,
    inputs=st.one_of(st.lists(texts, min_size=1, max_size=3), st.lists(tokens, min_size=1, max_size=3)).map(
        tuple
    ),
    dimensions=st.none() | st.integers(1, 4096),
    encoding=st.sampled_from(("float", "base64")),
    end_user=st.none() | texts,
)
floats = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=4)


def parse(**body: Any) -> Request:
    return DOOR.parse(orjson.dumps({"model": "m", "input": "a", **body}), {})


def read(body: bytes) -> list[Event]:
    return decode(UPSTREAM.decoder(False, Outgoing("", b"")), body).events


def render(events: list[Event], **asked: Any) -> Any:
    return orjson.loads(DOOR.renderer(parse(**asked), ReplyInfo("i", 1, "asked")).render(events))


def reply(*vectors: list[float] | str) -> list[Event]:
    told: list[Event] = [Vector(at, values) for at, values in enumerate(vectors)]
    return [Started("", "served"), *told, UsageReport(Usage(8)), Finished(FinishReason.STOP)]


@given(embeds)
def test_what_is_built_is_parsed_back(asked: Embed) -> None:
    request = Request(id="", capability=Capability.EMBEDDINGS, model="m", input=asked)
    outgoing = UPSTREAM.build(request, "target", PLAIN)
    assert DOOR.parse(outgoing.body, {}).input == asked
    assert (outgoing.path, outgoing.dropped) == ("/embeddings", ())


@pytest.mark.parametrize(
    ("value", "inputs"),
    [
        ("a", ("a",)),
        ("", ("",)),
        (["a", "b"], ("a", "b")),
        ([15339, 1917], ((15339, 1917),)),
        ([[15339, 1917], [3]], ((15339, 1917), (3,))),
    ],
)
def test_every_form_of_input(value: Any, inputs: tuple[Any, ...]) -> None:
    request = parse(input=value)
    assert isinstance(request.input, Embed)
    assert request.input.inputs == inputs
    assert request.capability is Capability.EMBEDDINGS


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": 5}, "input"),
        ({"input": ["a", 5]}, "input[1]"),
        ({"input": [1, "a"]}, "input[1]"),
        ({"input": [[1, 2.5]]}, "input[0][1]"),
        ({"input": [{}]}, "input[0]"),
        ({"encoding_format": "int8"}, "encoding_format"),
        ({"dimensions": 0}, "dimensions"),
        ({"model": None}, "model"),
    ],
)
def test_a_mistake_is_named_by_its_path(body: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as refused:
        parse(**body)
    assert refused.value.param == param


def test_other_fields_are_kept_and_named() -> None:
    request = parse(input_type="query", fallbacks=["a/b"], user="u")
    assert (request.unsaid, request.fallbacks) == (("input_type",), ("a/b",))


def test_the_callers_body_for_another_model() -> None:
    request = DOOR.parse(b'{"input":"a", "model":"m","encoding_format":"base64"}', {})
    assert request.original is not None
    assert UPSTREAM.retarget(request.original, "target", PLAIN) == Outgoing(
        "/embeddings", b'{"input":"a", "model":"target","encoding_format":"base64"}'
    )
    refusing = Quirks(drop_fields=frozenset({"encoding_format"}))
    outgoing = UPSTREAM.retarget(request.original, "target", refusing)
    assert outgoing.body == b'{"input":"a","model":"target"}'
    assert outgoing.dropped == ("encoding_format",)


def test_a_reply_is_read() -> None:
    assert read((GOLDEN / "embeddings.json").read_bytes()) == [
        Started("", "text-embedding-3-small"),
        Vector(0, [0.5, -0.25]),
        Vector(1, [1.0, 0.0]),
        UsageReport(Usage(8)),
        Finished(FinishReason.STOP),
    ]


def test_a_reply_is_written() -> None:
    assert render(reply([0.5, -0.25])) == {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -0.25]}],
        "model": "served",
        "usage": {"prompt_tokens": 8, "total_tokens": 8},
    }


@given(floats)
def test_numbers_become_base64_for_those_who_ask_and_back(values: list[float]) -> None:
    packed = b64encode(struct.pack(f"<{len(values)}f", *values)).decode()
    written = render(reply(values), encoding_format="base64")["data"][0]["embedding"]
    assert struct.unpack(f"<{len(values)}f", b64decode(written)) == tuple(values)
    assert render(reply(packed))["data"][0]["embedding"] == values


def test_the_form_that_was_asked_for_passes_untouched() -> None:
    assert render(reply("AAAAPw=="), encoding_format="base64")["data"][0]["embedding"] == "AAAAPw=="


@pytest.mark.parametrize("text", ["%%%", "AAA=", "é"])
def test_base64_that_is_none_is_the_providers_fault(text: str) -> None:
    with pytest.raises(UpstreamError) as refused:
        render(reply(text))
    assert refused.value.code is Code.PROTOCOL


@pytest.mark.parametrize("values", [["a"], [1e300]])
def test_numbers_that_are_none_are_the_providers_fault(values: list[Any]) -> None:
    with pytest.raises(UpstreamError) as refused:
        render(reply(values), encoding_format="base64")
    assert refused.value.code is Code.PROTOCOL


def test_vectors_come_back_in_the_order_of_the_inputs() -> None:
    events: list[Event] = [Started("", ""), Vector(1, [1.0]), Vector(0, [0.0]), Finished(FinishReason.STOP)]
    written = render(events)
    assert [it["embedding"] for it in written["data"]] == [[0.0], [1.0]]
    assert written["model"] == "asked"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"error":{"message":"x","code":429}}', Code.RATE_LIMITED),
        (b'{"data":[{"index":0}]}', Code.PROTOCOL),
        (b"{}", Code.PROTOCOL),
        (b"<html>", Code.PROTOCOL),
    ],
)
def test_a_200_that_is_no_reply_is_a_failure(body: bytes, code: Code) -> None:
    failed = read(body)[-1]
    assert isinstance(failed, Failed)
    assert failed.error.code is code
