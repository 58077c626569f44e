"""The clouds themselves, where they are set up: two turns with a tool, with `RHETOR_LIVE=1`."""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.conftest import MakeGateway

ENVIRON = dict(os.environ)
"""Before a fixture takes the keys out."""
CLOUDS = {
    "gemini": ("GEMINI_API_KEY", "gemini/gemini-3.8-flash"),
    "vertex": ("GOOGLE_CLOUD_PROJECT", "vertex/gemini-3.8-flash"),
    "bedrock": ("AWS_REGION", "bedrock/global.anthropic.claude-sonnet-5-5"),
    "azure": ("AZURE_OPENAI_DEPLOYMENT", f"azure/{ENVIRON.get('AZURE_OPENAI_DEPLOYMENT')}"),
}
WEATHER = {"name": "weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(not ENVIRON.get("RHETOR_LIVE"), reason="RHETOR_LIVE is not set"),
]


@pytest.mark.parametrize("cloud", CLOUDS)
async def test_a_tool_is_called_and_its_result_understood(cloud: str, make_gateway: MakeGateway) -> None:
    variable, model = CLOUDS[cloud]
    if not ENVIRON.get(variable):
        pytest.skip(f"set {variable}")
    models = [model.partition("/")[2]]
    given = {"server": {"port": 0}, "store": {"folder": ":memory:"}, "providers": {cloud: {"models": models}}}
    gateway = await make_gateway(given, ENVIRON)

    async def ask(*messages: Any) -> list[dict[str, Any]]:
        body = {"model": model, "max_tokens": 2000, "tools": [WEATHER], "messages": list(messages)}
        status, answer = await gateway.post("/v1/messages", body)
        assert status == 200, answer
        assert answer["usage"]["output_tokens"] > 0
        content: list[dict[str, Any]] = answer["content"]
        return content

    question = {"role": "user", "content": "Use the tool: how warm is it in Oslo?"}
    said = await ask(question)
    [call] = [it for it in said if it["type"] == "tool_use"]
    assert call["input"]["city"] == "Oslo"
    result = {"type": "tool_result", "tool_use_id": call["id"], "content": "4 degrees"}
    answer = await ask(
        question, {"role": "assistant", "content": said}, {"role": "user", "content": [result]}
    )
    assert "4" in "".join(it.get("text", "") for it in answer)
