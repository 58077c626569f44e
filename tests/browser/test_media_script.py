"""The script of media in a real browser, on a page of the gateway's own."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import AsyncIterator

import orjson
import pytest
from playwright.async_api import Page

from rhetor.testing import PNG, Upstream, raw_frames, says
from tests.browser.network import network
from tests.browser.pages import show
from tests.conftest import MakeGateway
from tests.http.media.studio import CHAT, IMAGES, plays, studio

SCRIPT = '<script src="/static/js/tekton-llm-media.js"></script>'
CHAIN = """
async ({ authToken }) => {
  const registry = new TektonMedia.ProviderRegistry({ authToken });
  const lab = await registry.getProvider("lab");
  const { TEXT_TO_IMAGE: capability } = TektonMedia.MediaCapability;
  const drawn = await lab.getModel("brush").transform("a fox", { capability });
  const blob = await drawn.blob();
  const file = new File([blob], "fox.png", { type: blob.type });
  const said = await lab.getModel("small").transform([file, "what is it?"]);
  let told = "";
  for await (const text of lab.getModel("small").stream(drawn)) told += text;
  const { generation_chain: chain } = await said.lineage();
  const { type, size } = blob;
  return { content: said.content, type, size, told, url: drawn.url, steps: chain.length };
}
"""
TOKEN = "t0ken-of-a-page"


@pytest.fixture
async def upstream(no_leaks: None) -> AsyncIterator[Upstream]:
    async with Upstream(anything=True) as server:
        picture = {"created": 1, "data": [{"b64_json": b64encode(PNG).decode()}], "output_format": "png"}
        drawn = raw_frames([orjson.dumps(picture)], content_type="application/json")
        server.always(plays({IMAGES: drawn, CHAT: says("a red fox")}))
        yield server


async def test_a_page_makes_and_uploads_pictures(
    page: Page, make_gateway: MakeGateway, upstream: Upstream
) -> None:
    """With a token, which stands in no address."""
    given = studio(upstream, server={"tokens": {"page": "env:PAGE"}})
    gateway = await make_gateway(given, {"PAGE": TOKEN})
    async with network(gateway.url) as way:
        await show(page, way, SCRIPT)
        told = await page.evaluate(CHAIN, {"authToken": TOKEN})
    assert (told["content"], told["told"], told["steps"]) == ("a red fox", "a red fox", 1)
    assert (told["type"], told["size"]) == ("image/png", len(PNG))
    assert told["url"].startswith("/v1/assets/asset_")
    seen = orjson.loads(upstream.requests[-2].body)["messages"][0]["content"][1]["image_url"]["url"]
    assert b64decode(seen.partition(",")[2]) == PNG
