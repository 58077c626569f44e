"""A page in a real, headless Chromium that can reach this machine only."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import ConsoleMessage, Page, async_playwright, expect

CHROMIUM = shutil.which("chromium")
PATIENCE_MS = 20_000  # of what is expected: others use the machine as well
FLAGS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--no-first-run",
]
expect.set_options(timeout=PATIENCE_MS)

# How Chromium notes an error reply, and a WebSocket that was not let in; pages handle those.
REFUSED = ("Failed to load resource", "WebSocket connection to")


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    """An empty page; what it complains of, or throws and nobody in it catches, fails the test."""
    if CHROMIUM is None:
        pytest.skip("chromium is missing; tests/setup installs it where it may")
    as_root = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *as_root])
        page = await browser.new_page()
        complaints: list[str] = []

        def on_console(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning") and not message.text.startswith(REFUSED):
                complaints.append(message.text)

        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", on_console)
        yield page
        await browser.close()
    assert not complaints
