"""The examples do what they say: each runs as somebody would run it, and prints what its comments say."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from playwright.async_api import Page, expect

from rhetor.testing import Gate, Upstream, hangs, says
from tests.browser.conftest import page as page  # the fixture
from tests.conftest import MakeGateway, settings
from tests.test_docs import ADDRESS, ROOT, Block, installed, run, run_in_node, serve

FOLDER = ROOT / "docs" / "examples"
CONFIGURATION = (FOLDER / "rhetor.yaml").read_text("utf-8")
PYTHON = sorted(FOLDER.glob("python/*.py"))
JAVASCRIPT = sorted(FOLDER.glob("javascript/*.mjs"))
PAGE = FOLDER / "page" / "index.html"


def program(path: Path, language: str) -> Block:
    return Block(path, 1, language, path.read_text("utf-8"), CONFIGURATION)


@pytest.mark.parametrize("path", PYTHON, ids=lambda path: path.name)
async def test_python(path: Path, make_gateway: MakeGateway, tmp_path: Path) -> None:
    block = program(path, "python")
    url = await serve(block, make_gateway)
    complaints = await run(block, sys.executable, "-X", "dev", str(path), url=url, cwd=tmp_path)
    assert not complaints


@pytest.mark.skipif(not installed("node"), reason="Node is needed")
@pytest.mark.parametrize("path", JAVASCRIPT, ids=lambda path: path.name)
async def test_javascript(path: Path, make_gateway: MakeGateway, tmp_path: Path) -> None:
    block = program(path, "js")
    await run_in_node(block, await serve(block, make_gateway), tmp_path / "here")


@pytest.fixture
async def elsewhere(no_leaks: None) -> AsyncIterator[tuple[str, dict[str, str]]]:
    """A server that is not the gateway's, and the pages that it serves."""
    pages: dict[str, str] = {}

    async def handle(request: web.Request) -> web.Response:
        return web.Response(text=pages.get(request.path, ""), content_type="text/html")

    server = web.Application()
    server.router.add_get("/{path:.*}", handle)
    runner = web.AppRunner(server)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", pages
    await runner.cleanup()


async def test_page(
    page: Page,
    elsewhere: tuple[str, dict[str, str]],
    make_gateway: MakeGateway,
) -> None:
    """Served by another server, as the page of a program would be, which the gateway has been told of."""
    origin, pages = elsewhere
    gateway = await make_gateway(settings(server={"allowed_origins": [origin]}))
    pages["/"] = PAGE.read_text("utf-8").replace(ADDRESS, gateway.url)
    await page.goto(origin)

    chat = page.locator("rhetor-chat")
    await chat.get_by_role("textbox").fill("Hello!")
    await chat.get_by_role("textbox").press("Enter")
    await expect(chat.locator(".answer")).to_contain_text("You said: Hello!")
    await expect(chat.locator(".answer")).to_contain_text("answered by offline/echo")

    await page.get_by_role("button", name="Ask").click()
    await expect(page.locator("#answer")).to_contain_text("You said: Why is the sky blue?")
    await expect(page.locator("#told")).to_have_text("answered by offline/echo")
    await expect(page.get_by_role("button", name="Stop")).to_be_disabled()


async def test_the_page_stops_what_it_asked(
    page: Page,
    elsewhere: tuple[str, dict[str, str]],
    make_gateway: MakeGateway,
    upstream: Upstream,
) -> None:
    gate = Gate()
    upstream.next(says("one two").but(hangs(gate, after=1)))
    origin, pages = elsewhere
    routes = {"default": {"targets": ["oai/small"]}}
    gateway = await make_gateway(settings(upstream, server={"allowed_origins": [origin]}, routes=routes))
    pages["/"] = PAGE.read_text("utf-8").replace(ADDRESS, gateway.url)
    await page.goto(origin)

    await page.get_by_role("button", name="Ask").click()
    await expect(page.locator("#answer")).to_have_text("one")
    await page.get_by_role("button", name="Stop").click()
    await expect(page.locator("#told")).to_have_text("stopped")
    await upstream.connections.closed()
    gate.open()


def test_every_example_says_what_it_shows() -> None:
    for path in PYTHON:
        assert path.read_text("utf-8").startswith('"""'), path
    for path in JAVASCRIPT:
        assert path.read_text("utf-8").startswith("// "), path


def test_every_example_can_be_found() -> None:
    listed = (FOLDER / "README.md").read_text("utf-8")
    for path in [*PYTHON, *JAVASCRIPT, PAGE]:
        assert f"]({path.relative_to(FOLDER).as_posix()})" in listed, (
            f"docs/examples/README.md lacks {path.name}"
        )
