"""Embeddings in Ollama's language."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.capability import Capability
from rhetor.core.errors import BadRequest, Code
from rhetor.core.events import Event, Failed, Finished, FinishReason, Started, UsageReport, Vector, fold
from rhetor.core.request import Embed, Original, Request
from rhetor.core.usage import Usage
from rhetor.wire.base import PLAIN, Outgoing, Quirks
from rhetor.wire.ollama import OLLAMA

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
