"""Pages of ours in a browser, as somebody would write them who uses the gateway's scripts."""

from __future__ import annotations

from playwright.async_api import Page

from tests.browser.network import PAGE, Network

SCRIPT = '<script src="/static/js/tekton-llm-client.js"></script>'


async def show(page: Page, way: Network, html: str) -> None:
    """Open a page with this in it, at an address on this way to the gateway."""
    way.page = html
    await page.goto(way.url + PAGE)
