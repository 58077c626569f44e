"""The page of services in a real browser: they are started, watched while they speak, and stopped."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.conftest import Gateway, MakeGateway, settings
from tests.services.children import is_alive
from tests.test_serving import PROVIDER, chat, said, service, starts

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

PAGE = "/console/services.html"
PHONE = {"width": 390, "height": 844}
TOKEN = "t0ken-of-the-services"
PATH = {"PATH": os.environ["PATH"]}
SLOWLY_MS = 30_000  # a server is started in a second on an idle machine


@pytest.fixture
async def lab(make_gateway: MakeGateway, tmp_path: Path) -> Gateway:
    services = {
        "tiny": service(tmp_path, "--say", "loading <b>weights</b>", requires={"memory_mb": 1}),
        "flux": service(tmp_path, requires={"memory_mb": 10**9, "only_warn": False}),
    }
    return await make_gateway(settings(services=services, providers={"local": PROVIDER}), PATH)


async def test_from_the_desk_to_a_running_service_and_back(page: Page, lab: Gateway, tmp_path: Path) -> None:
    await page.goto(lab.url)
    await page.get_by_role("link", name="Services").click()
    tiny = page.locator(".service", has_text="tiny")
    await expect(tiny.locator(".state")).to_have_text("stopped")
    await expect(tiny).to_contain_text("provider local")
    await expect(tiny.locator(".needs .missing")).to_have_count(0)
    await page.get_by_role("button", name="tiny", exact=True).click()
    await expect(page.locator("#logs-title")).to_have_text("What tiny says")
    await expect(page.locator("#connection")).to_have_text("live")
    await tiny.get_by_role("button", name="Start").click()
    await expect(tiny.locator(".state")).to_have_text("ready", timeout=SLOWLY_MS)
    (pid,) = starts(tmp_path)
    await expect(tiny).to_contain_text(f"pid {pid}")
    await expect(page.locator("#count")).to_have_text("1 of 2 ready")
    await expect(page.locator("#log")).to_contain_text("loading <b>weights</b>")
    assert "hello" in await said(lab, chat())
    await expect(page.locator("#log p").last).to_contain_text("POST /v1/chat/completions")
    await tiny.get_by_role("button", name="Restart").click()
    await expect(tiny).not_to_contain_text(f"pid {pid}")
    await expect(tiny.locator(".state")).to_have_text("ready", timeout=SLOWLY_MS)
    await tiny.get_by_role("button", name="Stop").click()
    await expect(tiny.locator(".state")).to_have_text("stopped", timeout=SLOWLY_MS)
    await expect(page.locator("#log .ours").last).to_contain_text("stopped")
    assert not any(map(is_alive, starts(tmp_path)))
    await page.click("#cleanup")
    await expect(page.locator("#cleaned")).to_have_text("There was nothing to clean up.")


async def test_what_is_missing_is_seen_before_and_said_after(page: Page, lab: Gateway) -> None:
    await page.set_viewport_size(PHONE)
    await page.goto(f"{lab.url}{PAGE}#flux")
    flux = page.locator(".service", has_text="flux")
    await expect(flux.locator(".needs .missing")).to_have_text("memory 1,000,000,000 MB")
    await expect(page.locator("#logs-title")).to_have_text("What flux says")
    await flux.get_by_role("button", name="Start").click()
    await expect(flux.locator(".state")).to_have_text("failed")
    await expect(flux.locator(".wrong")).to_contain_text("flux is not started, since something is missing")
    await page.get_by_role("button", name="tiny", exact=True).click()
    await expect(page.locator("#logs-title")).to_have_text("What tiny says")
    assert page.url.endswith("#tiny")
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_where_there_are_none_it_says_how_to_add_one(page: Page, make_gateway: MakeGateway) -> None:
    gateway = await make_gateway(settings(server={"tokens": {"me": "env:T"}}), {"T": TOKEN})
    await page.goto(gateway.url + PAGE)
    await page.fill("#token", TOKEN)
    await page.click("#token-form button")
    await expect(page.locator("#none")).to_contain_text("There are none yet")
    await expect(page.locator("#example")).to_contain_text("services:")
    await expect(page.locator("#saying")).to_be_hidden()
    await expect(page.locator("#token-form")).to_be_hidden()
