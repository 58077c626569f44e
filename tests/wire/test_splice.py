"""Changing the model and nothing else."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.request import Original
from rhetor.wire.splice import with_member, with_model
from tests.wire.strategies import texts


def original(body: bytes) -> Original:
    return Original("openai", body, orjson.loads(body))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"model":"a","n":1}', b'{"model":"b","n":1}'),
        (b'{ "n" : 1,\n\t"model" \r: "a" }', b'{ "n" : 1,\n\t"model" \r: "b" }'),
        (b'{"model":"a\\"\\\\","x":12345678901234567890123}', b'{"model":"b","x":12345678901234567890123}'),
        (b'{"model":"a","t":"the \\"model\\" word"}', b'{"model":"b","t":"the \\"model\\" word"}'),
        (b'{"model":"a","x":1,"x":2}', b'{"model":"b","x":1,"x":2}'),
        (b'{"model":"a","tools":[{"model":"x"}]}', b'{"model":"b","tools":[{"model":"x"}]}'),
        (b' { "model":"a","t":"model"}', b' { "model":"b","t":"model"}'),
        ('{"model":"é","t":"\\u00e9"}'.encode(), b'{"model":"b","t":"\\u00e9"}'),
    ],
)  # fmt: skip
def test_every_other_byte_stays(body: bytes, expected: bytes) -> None:
    assert with_model(original(body), "b") == expected


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"a","model":"b"}',
        b'{"tools":[{"model":"x"}],"model":"a"}',
        b'{"t":"model","model":"a"}',
        b'{"mod\\u0065l":"a","x":{"model":"a"}}',
        b'{"model":"a","mod\\u0065l":"b"}',
        b'{"model":5}',
        b"{}",
    ],
)
def test_where_the_bytes_leave_doubt_it_declines(body: bytes) -> None:
    """A key in disguise must not let the caller's own name through to the provider."""
    assert with_model(original(body), "b") is None


@given(
    st.dictionaries(
        texts, st.recursive(st.none() | texts, lambda inner: st.dictionaries(texts, inner)), max_size=3
    ),
    texts,
    texts,
)
def test_what_is_spliced_parses_to_the_same_with_another_model(
    said: dict[str, object], before: str, after: str
) -> None:
    said = {**said, "model": before}
    body = orjson.dumps(said)
    spliced = with_model(Original("openai", body, said), after)  # type: ignore[arg-type]  # plain JSON
    assert spliced is None or orjson.loads(spliced) == {**said, "model": after}
    assert spliced is not None or body.count(b'"model"') > 1


def test_a_member_goes_to_the_front() -> None:
    assert with_member(b' \n{ "a":1}', b'"b":2') == b' \n{"b":2, "a":1}'
