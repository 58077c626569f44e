"""How Claude sounds behind a prediction service: as its vendor's own client expects it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from anthropic import APIStatusError, AsyncAnthropicVertex

from rhetor.core.capability import Capability
from rhetor.core.errors import BadRequest
from rhetor.testing import Upstream, fails, says
from rhetor.testing.google import PATH
from rhetor.testing.raw_predict import RawPredictVoice

MODEL = "claude-haiku-4-5@20251001"
HI: Any = {"role": "user", "content": "hi"}
SAID = {"anthropic_version": "vertex-2023-10-16", "max_tokens": 5, "messages": [HI]}


async def test_the_vendors_client_understands_it(upstream: Upstream) -> None:
    upstream.next(says("one"), says("one two"))
    async with AsyncAnthropicVertex(
        base_url=f"{upstream.base_url}/v1", region="here", project_id="lab", access_token="t", max_retries=0
    ) as client:
        reply = await client.messages.create(model=MODEL, max_tokens=5, messages=[HI])
        assert [it.text for it in reply.content if it.type == "text"] == ["one"]
        async with client.messages.stream(model=MODEL, max_tokens=5, messages=[HI]) as stream:
            assert await stream.get_final_text() == "one two"
        assert (await client.messages.count_tokens(model=MODEL, messages=[HI])).input_tokens > 0
        upstream.next(fails(429))
        with pytest.raises(APIStatusError) as caught:
            await client.messages.create(model=MODEL, max_tokens=5, messages=[HI])
    assert caught.value.status_code == 429
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["error"]["status"] == "RESOURCE_EXHAUSTED"
    assert [(seen.model, seen.heard is not None) for seen in upstream.requests] == [(MODEL, True)] * 4


@pytest.mark.parametrize(
    ("said", "path", "complaint"),
    [
        (SAID, "/v1/messages", "nothing that a model can do"),
        ({"max_tokens": 5, "messages": [HI]}, "/models/m:rawPredict", "anthropic_version"),
        ({**SAID, "model": "m"}, "/models/m:rawPredict", "model"),
        (SAID, "/models/m:streamRawPredict", "do not want the same"),
    ],
)
def test_what_it_refuses(said: dict[str, Any], path: str, complaint: str) -> None:
    with pytest.raises(BadRequest, match=complaint):
        RawPredictVoice(Capability.CHAT).hear(orjson.dumps(said), {PATH: path})
