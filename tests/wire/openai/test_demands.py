"""The caller's own body for another model: untouched where it may be, changed where a quirk demands it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.request import Original
from rhetor.wire.base import PLAIN, Outgoing, Quirks
from tests.wire.openai.speech import UPSTREAM
from tests.wire.strategies import texts

USAGE = {"include_usage": True}


def retarget(body: bytes | dict[str, Any], quirks: Quirks = PLAIN) -> Outgoing:
    if isinstance(body, dict):
        body = orjson.dumps({"model": "asked", **body})
    return UPSTREAM.retarget(Original("openai", body, orjson.loads(body)), "target", quirks)


def said(outgoing: Outgoing) -> Any:
    body = orjson.loads(outgoing.body)
    assert body.pop("model") == "target"
    return body


def test_only_the_model_changes() -> None:
    body = b'{ "messages":[],  "model" : "asked" ,"unknown":{"n":123456789012345678901234567890,"n":1}}'
    assert retarget(body) == Outgoing("/chat/completions", body.replace(b'"asked"', b'"target"'))


@given(
    st.dictionaries(
        texts, st.none() | texts | st.integers(0, 2**64 - 1) | st.lists(texts, max_size=2), max_size=4
    )
)
def test_fields_that_we_do_not_know_survive(unknown: dict[str, Any]) -> None:
    assert said(retarget({**unknown, "model": "asked"})) == {k: v for k, v in unknown.items() if k != "model"}


def test_where_the_models_place_is_in_doubt_the_body_is_written_anew() -> None:
    """A key in disguise, or one that occurs twice, must not reach the provider."""
    assert retarget(b'{"model":"a","model":"b","n":1}').body == b'{"model":"target","n":1}'
    assert retarget(b'{"mod\\u0065l":"a","x":{"model":"a"}}').body == b'{"model":"target","x":{"model":"a"}}'


class TestUsageInStreams:
    """We always want it; a caller who did not ask must not see it."""

    def test_is_asked_for_in_the_callers_place(self) -> None:
        outgoing = retarget(b'{"model":"asked","stream":true}')
        assert outgoing.body == b'{"stream_options":{"include_usage":true},"model":"target","stream":true}'
        assert outgoing.withhold_usage

    def test_is_left_alone_when_the_caller_asked(self) -> None:
        outgoing = retarget(b'{"model":"asked","stream":true,"stream_options":{"include_usage":true}}')
        assert outgoing.body == b'{"model":"target","stream":true,"stream_options":{"include_usage":true}}'
        assert not outgoing.withhold_usage

    @pytest.mark.parametrize("options", [None, {}, {"include_usage": False}, {"include_obfuscation": False}])
    def test_is_added_to_other_options(self, options: Any) -> None:
        outgoing = retarget({"stream": True, "stream_options": options})
        assert said(outgoing) == {"stream": True, "stream_options": {**(options or {}), **USAGE}}
        assert outgoing.withhold_usage

    def test_is_not_asked_for_without_a_stream(self) -> None:
        outgoing = retarget({"stream": False})
        assert (said(outgoing), outgoing.withhold_usage) == ({"stream": False}, False)

    @pytest.mark.parametrize(
        "quirks", [Quirks(usage_in_stream=False), Quirks(drop_fields=frozenset({"stream_options"}))]
    )
    def test_is_not_asked_of_those_who_refuse_the_question(self, quirks: Quirks) -> None:
        assert (
            retarget(b'{"model":"asked","stream":true}', quirks).body == b'{"model":"target","stream":true}'
        )
        outgoing = retarget({"stream": True, "stream_options": USAGE}, quirks)
        assert (said(outgoing), outgoing.dropped) == ({"stream": True}, ("stream_options",))
        assert not outgoing.withhold_usage


def test_our_own_field_never_reaches_a_provider() -> None:
    outgoing = retarget({"fallbacks": ["a/b"], "n": 2})
    assert (said(outgoing), outgoing.dropped) == ({"n": 2}, ())


def test_nor_does_what_a_chat_says_for_our_choice() -> None:
    ours = {"requirements": {"prefer": "cost"}, "component": "ergon", "task": "code"}
    outgoing = retarget({"messages": [], **ours})
    assert (said(outgoing), outgoing.dropped) == ({"messages": []}, ())
    assert said(retarget({"input": "x", "task": "query"})) == {"input": "x", "task": "query"}, (
        "an embedding's"
    )


def test_a_refused_field_is_left_out_and_named() -> None:
    outgoing = retarget(
        {"seed": 1, "store": True, "n": 2}, Quirks(drop_fields=frozenset({"store", "seed", "x"}))
    )
    assert (said(outgoing), outgoing.dropped) == ({"n": 2}, ("seed", "store"))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"max_completion_tokens": 5}, {"max_tokens": 5}),
        ({"max_completion_tokens": 5, "max_tokens": 9}, {"max_tokens": 5}),
        ({"max_tokens": 9}, {"max_tokens": 9}),
    ],
)
def test_the_output_limit_has_the_providers_name(body: dict[str, Any], expected: dict[str, Any]) -> None:
    assert said(retarget(body, Quirks(max_tokens_field="max_tokens"))) == expected


def test_a_caller_of_the_older_name_is_not_corrected() -> None:
    assert said(retarget({"max_tokens": 9})) == {"max_tokens": 9}


def test_a_temperature_that_would_be_refused_is_lowered_and_named() -> None:
    outgoing = retarget({"temperature": 1.7}, Quirks(max_temperature=1.0))
    assert (said(outgoing), outgoing.dropped) == ({"temperature": 1.0}, ("temperature: lowered to 1.0",))
    assert said(retarget({"temperature": 0.7}, Quirks(max_temperature=1.0))) == {"temperature": 0.7}


def test_calling_some_tool_has_the_providers_word() -> None:
    assert said(retarget({"tool_choice": "required"}, Quirks(tool_choice_required="any"))) == {
        "tool_choice": "any"
    }
    assert said(retarget({"tool_choice": "auto"}, Quirks(tool_choice_required="any"))) == {
        "tool_choice": "auto"
    }
