"""A page in a real, headless Chromium that can reach this machine only."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Page, async_playwright

CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--no-first-run",
]


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    """An empty page; an exception that nobody in it catches fails the test."""
    if CHROMIUM is None:
        pytest.skip("chromium is missing; tests/setup installs it where it may")
    as_root = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *as_root])
        page = await browser.new_page()
        uncaught: list[str] = []
        page.on("pageerror", lambda error: uncaught.append(str(error)))
        yield page
        await browser.close()
    assert not uncaught
