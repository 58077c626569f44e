"""Embeddings in Ollama's language."""

from __future__ import annotations

import struct
from base64 import b64encode
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.capability import Capability
from rhetor.core.errors import BadRequest, Code, UpstreamError
from rhetor.core.events import Event, Failed, Finished, FinishReason, Started, UsageReport, Vector, fold
from rhetor.core.request import Embed, Original, Request
from rhetor.core.usage import Usage
from rhetor.wire.base import PLAIN, Outgoing, Quirks
from rhetor.wire.ollama import OLLAMA
from rhetor.wire.ollama.doors import EMBED_DOOR, EMBEDDING_DOOR
from tests.wire.ollama.speech import INFO, TOOK
from tests.wire.strategies import texts

GOLDEN = Path(__file__).parents[2] / "golden" / "ollama"
UPSTREAM = OLLAMA.upstream[Capability.EMBEDDINGS]


def build(embed: Embed, quirks: Quirks = PLAIN) -> Outgoing:
    request = Request(id="", capability=Capability.EMBEDDINGS, model="m", input=embed)
    return UPSTREAM.build(request, "embeddinggemma", quirks)


def read(body: bytes) -> list[Event]:
    decoder = UPSTREAM.decoder(False, Outgoing("/api/embed", b""))
    assert decoder.feed(body).events == []
    return decoder.close().events


def test_texts_go_out_as_a_list_and_are_never_cut_silently() -> None:
    outgoing = build(Embed(inputs=("a", "b")))

    assert outgoing.path == "/api/embed"
    assert orjson.loads(outgoing.body) == {
        "model": "embeddinggemma",
        "input": ["a", "b"],
        "truncate": False,
    }
    assert outgoing.dropped == ()


def test_dimensions_are_said_and_the_end_user_is_not() -> None:
    outgoing = build(Embed(inputs=("a",), dimensions=64, end_user="u1"))

    assert orjson.loads(outgoing.body)["dimensions"] == 64
    assert outgoing.dropped == ("end_user",)


def test_a_provider_may_refuse_a_field() -> None:
    outgoing = build(Embed(inputs=("a",), dimensions=64), Quirks(drop_fields=frozenset({"dimensions"})))

    assert "dimensions" not in orjson.loads(outgoing.body)
    assert outgoing.dropped == ("dimensions",)


def test_token_ids_cannot_be_said() -> None:
    with pytest.raises(BadRequest) as caught:
        build(Embed(inputs=("a", (15339, 1917))))

    assert (caught.value.code, caught.value.param) == (Code.UNSUPPORTED, "input[1]")


def test_a_caller_of_the_same_language_keeps_every_field() -> None:
    body: dict[str, Any] = {"model": "m", "input": "a", "keep_alive": 0}

    outgoing = UPSTREAM.retarget(Original("ollama", orjson.dumps(body), body), "embeddinggemma", PLAIN)

    assert orjson.loads(outgoing.body) == {"model": "embeddinggemma", "input": "a", "keep_alive": 0}


def test_a_reply_is_one_vector_an_input() -> None:
    assert read((GOLDEN / "embed_reply.json").read_bytes()) == [
        Started("", "embeddinggemma"),
        Vector(0, [0.010071029, -0.0017594862, 0.05007221]),
        Vector(1, [-0.0098027075, 0.06042469, 0.025257962]),
        UsageReport(Usage(8, 0)),
        Finished(FinishReason.STOP),
    ]


@given(st.lists(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=4), max_size=4))
def test_law_every_vector_arrives(vectors: list[list[float]]) -> None:
    folded = fold(read(orjson.dumps({"model": "m", "embeddings": vectors})))

    assert folded.vectors == dict(enumerate(vectors))
    assert folded.usage is None


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"error":"the input length exceeds the context length"}', Code.CONTEXT_LENGTH),
        (b'{"model":"m"}', Code.PROTOCOL),
        (b'{"embeddings":null}', Code.PROTOCOL),
        (b'{"embeddings":[1]}', Code.PROTOCOL),
        (b"[]", Code.PROTOCOL),
        (b"", Code.PROTOCOL),
    ],
)
def test_what_is_no_embedding_is_a_failure(body: bytes, code: Code) -> None:
    events = read(body)

    assert isinstance(events[-1], Failed)
    assert events[-1].error.code is code


def parse(**body: Any) -> Request:
    return EMBED_DOOR.parse(orjson.dumps({"model": "m", "input": "a", **body}), {})


def render(*vectors: list[float] | str, door: Any = EMBED_DOOR) -> Any:
    told: list[Event] = [Vector(at, values) for at, values in enumerate(vectors)]
    events = [Started("", "served"), *told, UsageReport(Usage(8)), Finished(FinishReason.STOP)]
    return orjson.loads(door.renderer(parse(), INFO).render(events))


@given(st.lists(texts, min_size=1, max_size=3).map(tuple), st.none() | st.integers(1, 4096))
def test_law_what_is_built_is_parsed_back(inputs: tuple[str, ...], dimensions: int | None) -> None:
    asked = Embed(inputs=inputs, dimensions=dimensions)
    assert EMBED_DOOR.parse(build(asked).body, {}).input == asked


@pytest.mark.parametrize(
    ("input", "inputs"), [("a", ("a",)), (["a", "b"], ("a", "b")), ("", ()), ([], ()), (None, ())]
)
def test_one_text_or_several(input: Any, inputs: tuple[str, ...]) -> None:
    asked = parse(input=input, dimensions=64).input
    assert asked == Embed(inputs=inputs, dimensions=64)


def test_what_other_providers_cannot_be_told_is_named() -> None:
    """Who does not want long texts cut is understood by all."""
    assert parse(truncate=True, options={"num_ctx": 1}, keep_alive="5m").unsaid == ("truncate", "options")
    assert parse(truncate=False, options=None).unsaid == ()


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"model": None}, "model"),
        ({"input": 1}, "input"),
        ({"input": [1]}, "input[0]"),
        ({"input": [["a"]]}, "input[0]"),
        ({"dimensions": 0}, "dimensions"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(body: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse(**body)
    assert caught.value.param == param


def test_the_reply_has_a_vector_for_each_text() -> None:
    said = render([0.5], [1.5])
    assert (said["model"], said["embeddings"]) == ("served", [[0.5], [1.5]])
    assert (said["prompt_eval_count"], said["total_duration"]) == (8, TOOK["total_duration"])


def test_vectors_that_come_as_base64_are_unpacked() -> None:
    packed = b64encode(struct.pack("<2f", 0.25, -0.5)).decode()
    assert render(packed)["embeddings"] == [[0.25, -0.5]]


@pytest.mark.parametrize("packed", ["%%%", "AAA=", "AAAA"])
def test_base64_of_no_floats_is_a_failure(packed: str) -> None:
    with pytest.raises(UpstreamError, match="base64 of floats"):
        render(packed)


def test_the_older_way_is_one_text_and_one_vector() -> None:
    body = {"model": "m", "prompt": "a"}
    request = EMBEDDING_DOOR.parse(orjson.dumps(body), {})
    assert request.input == Embed(inputs=("a",))
    assert render([0.5], door=EMBEDDING_DOOR) == {"embedding": [0.5]}
    assert request.original is not None
    outgoing = UPSTREAM.retarget(request.original, "embeddinggemma", PLAIN)
    assert outgoing.path == "/api/embeddings"
    assert orjson.loads(outgoing.body) == {"model": "embeddinggemma", "prompt": "a"}
    assert fold(read(b'{"embedding":[0.5]}')).vectors == {0: [0.5]}


def test_several_texts_are_no_prompt() -> None:
    with pytest.raises(BadRequest, match="/api/embed"):
        EMBEDDING_DOOR.parse(b'{"model":"m","input":["a"]}', {})
