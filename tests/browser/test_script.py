"""The script that pages load, in a real browser."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from playwright.async_api import Page

ROOT = Path(__file__).parent.parent.parent
SCRIPT = ROOT / "gateway" / "rhetor" / "http" / "console" / "tekton-llm-client.js"
GOLDEN = ROOT / "tests" / "golden" / "tekton"
PAGE = '<!doctype html><title>page</title><script src="/static/js/tekton-llm-client.js"></script>'

CONVERSATION = """
async () => {
  const client = new TektonLLMClient({ componentId: "page" });
  const reply = await client.generateText("q");
  let streamed = "";
  for await (const { chunk } of client.stream("q")) streamed += chunk;
  const refused = await client.generateText("q", { modelId: "absent" }).catch((error) => error);
  return [reply.content, streamed, refused.name, refused.message, refused.status];
}
"""


@pytest.fixture
async def origin() -> AsyncIterator[str]:
    """A site that serves the script, and answers under `/api/llm` as the gateway would."""

    async def chat(request: web.Request) -> web.Response:
        if (await request.json()).get("model_id") == "absent":
            return web.json_response({"error": "no model 'absent'"}, status=404)
        return web.Response(body=(GOLDEN / "chat_reply.json").read_bytes(), content_type="application/json")

    async def stream(_request: web.Request) -> web.Response:
        return web.Response(body=(GOLDEN / "stream.sse").read_bytes(), content_type="text/event-stream")

    async def page(_request: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    async def script(_request: web.Request) -> web.Response:
        return web.Response(body=SCRIPT.read_bytes(), content_type="text/javascript")

    app = web.Application()
    app.router.add_get("/", page)
    app.router.add_get("/static/js/tekton-llm-client.js", script)
    app.router.add_post("/api/llm/api/v1/chat", chat)
    app.router.add_post("/api/llm/api/v1/chat/stream", stream)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield site.name
    await runner.cleanup()


async def test_a_page_talks_through_the_script(page: Page, origin: str) -> None:
    await page.goto(origin)
    said = await page.evaluate(CONVERSATION)
    assert said == ["Hello", "Hello", "TektonLLMError", "no model 'absent'", 404]
