"""A soft error is a reply in every way but its `error`, whatever was asked."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.errors import MEANING, Code, RhetorError, UpstreamError
from rhetor.wire.tekton.ask import NAME_LIMIT
from rhetor.wire.tekton.chunks import LINE_LIMIT_BYTES
from rhetor.wire.tekton.reply import ERROR_LIMIT
from rhetor.wire.tekton.soft import SoftTekton, names_of
from tests.wire.tekton.stock import CompletionResponse, StreamingChunk, chunks_of

VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.lists(st.text(max_size=3))
FIELDS = ["model_id", "model", "provider_id", "provider", "context_id", "component", "options"]
SAID = st.dictionaries(st.sampled_from(FIELDS), VALUES | st.dictionaries(st.sampled_from(FIELDS), VALUES))


@given(SAID, st.sampled_from(Code))
def test_law_it_is_what_the_stock_client_accepts(said: Any, code: Code) -> None:
    error = RhetorError("no", code)
    whole = orjson.loads(SoftTekton(said, False, 0).render_error(error, "req_1"))
    CompletionResponse.model_validate(whole)
    assert (whole["content"], whole["error"]) == ("", "no")
    (chunk,) = chunks_of(SoftTekton(said, True, 0).render_error(error, "req_1"))
    StreamingChunk.model_validate(chunk)
    assert (chunk["chunk"], chunk["error"]) == ("", "no")
    assert None not in [*whole.values(), *chunk.values()]


@pytest.mark.parametrize("code", MEANING)
def test_its_status_is_always_200(code: Code) -> None:
    assert SoftTekton({}, False, 0).error_status(RhetorError("no", code)) == 200


def test_it_names_who_was_asked_and_who_failed() -> None:
    said = {"options": {"provider": "ant", "model": "m"}, "context_id": "terma"}
    wire = SoftTekton(said, False, 1_700_000_000)
    asked = orjson.loads(wire.render_error(RhetorError("no"), "req_1"))
    assert (asked["provider"], asked["model"], asked["context_id"]) == ("ant", "m", "terma")
    assert asked["timestamp"] == "2023-11-14T22:13:20Z"
    failed = UpstreamError("no", Code.RATE_LIMITED, origin="oai", retry_after_s=3)
    told = orjson.loads(wire.render_error(failed, "req_1"))
    assert (told["provider"], told["retry_after_s"], told["request_id"]) == ("oai", 3, "req_1")


def test_a_long_message_still_fits_into_a_line() -> None:
    (chunk,) = chunks_of(SoftTekton({}, True, 0).render_error(RhetorError("x" * 100_000), "req_1"))
    assert len(chunk["error"]) == ERROR_LIMIT


@pytest.mark.parametrize("size", [NAME_LIMIT, NAME_LIMIT + 1, 700_000])
@pytest.mark.parametrize("char", ["x", "\0", "😀"])
def test_names_without_end_still_fit_into_a_line(char: str, size: int) -> None:
    """Nobody has understood the request: its names may be anything."""
    said = dict.fromkeys(("model_id", "provider_id", "context_id"), char * size)
    error = RhetorError("\0" * 100_000)
    rendered = SoftTekton(said, True, 0).render_error(error, "req_1")
    assert max(map(len, rendered.split(b"\n"))) < LINE_LIMIT_BYTES
    (chunk,) = chunks_of(rendered)
    assert chunk["model"] == (char * size if size <= NAME_LIMIT else "")


def test_a_component_has_many_ways_to_name_itself() -> None:
    assert names_of({"component": "a", "component_id": "b", "context_id": "c"}) == {"a", "b", "c"}
    assert names_of({"component": ["a"], "context_id": None}) == set()
