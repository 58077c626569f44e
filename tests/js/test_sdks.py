"""Unmodified JavaScript SDKs hold their conversations through every pair of door and upstream."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from rhetor.testing import Seen, Step, Upstream, calls, cuts, fails, says, speaks
from tests.conftest import Gateway, MakeGateway, settings
from tests.http.media.recordings import media

HERE = Path(__file__).parent
PATIENCE_S = 60.0  # Node alone takes a second to start, more on a busy machine

pytestmark = [
    pytest.mark.skipif(shutil.which("node") is None, reason="Node is missing"),
    pytest.mark.skipif(not (HERE / "node_modules").is_dir(), reason="tests/js/node_modules is missing"),
]


def script(seen: Seen) -> Step:
    """How each model behaves; conversation.mjs says the same to the callers."""
    match seen.model.split("/")[0]:
        case "chat":
            return says("Hello from the upstream.")
        case "tools" if b"sunny" in seen.body:
            return says("Sunny in Paris, snow in Oslo.")
        case "tools":
            return calls(("weather", {"city": "Paris"}), ("weather", {"city": "Oslo"}))
        case "image" if b"iVBORw0KGgo" in seen.body:
            return says("A single pixel.")
        case "busy":
            return fails(429, "take a break", headers={"retry-after": "70"})  # longer than the gateway waits
        case "broken":
            return fails(500, "it broke")
    return fails(404, f"there is no model {seen.model}")


@pytest.fixture
async def gateway(make_gateway: MakeGateway, upstream: Upstream) -> Gateway:
    """The upstream as `oai` and `ant`, and as `res`, which speaks OpenAI Responses only."""
    responses = {"wire": "responses", "base_url": f"{upstream.base_url}/v1"}
    return await make_gateway(settings(upstream, providers={"res": responses}))


@pytest.mark.parametrize("provider", ["oai", "ant", "res"])
@pytest.mark.parametrize("conversation", ["openai", "responses", "anthropic", "ai-sdk", "ollama"])
async def test_sdk(gateway: Gateway, upstream: Upstream, conversation: str, provider: str) -> None:
    upstream.always(script)
    await hold(conversation, gateway, provider)


async def test_pictures_and_sounds(make_gateway: MakeGateway, upstream: Upstream) -> None:
    upstream.always(
        lambda seen: speaks(b"half", b"a").but(cuts(after=1)) if seen.model == "hoarse" else Step()
    )
    await hold("media", await make_gateway(media(upstream)), "oai")


async def hold(conversation: str, gateway: Gateway, provider: str) -> None:
    """Let Node hold one of the conversations."""
    environ = {"PATH": os.environ["PATH"], "GATEWAY_URL": gateway.url, "GATEWAY_PROVIDER": provider}
    node = await asyncio.create_subprocess_exec(
        "node",
        "--test",
        "--test-reporter=spec",
        f"{conversation}.test.mjs",
        cwd=HERE,
        env=environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(PATIENCE_S):
            output, _ = await node.communicate()
    except TimeoutError:
        node.kill()
        output, _ = await node.communicate()
    assert node.returncode == 0, output.decode()
