"""The page of sessions, and an agent that does as it is told."""

from __future__ import annotations

import pytest
from playwright.async_api import Locator, Page

from rhetor.sessions.event import Event, EventType
from tests.conftest import MakeGateway
from tests.http.conversing import Sessions
from tests.http.conversing import house as sessions_house

PAGE = "/console/sessions.html"


@pytest.fixture
async def house(make_gateway: MakeGateway) -> Sessions:
    """A gateway with chats, and with the agent."""
    return await sessions_house(make_gateway)


async def show(page: Page, house: Sessions, id: str = "") -> None:
    await page.goto(f"{house.gateway.url}{PAGE}{'#' if id else ''}{id}")


async def say(page: Page, text: str) -> None:
    await page.fill("#message", text)
    await page.press("#message", "Enter")


def state(page: Page) -> Locator:
    return page.locator("#state")


def log(page: Page) -> Locator:
    return page.locator("#log")


def thinks(*pieces: str) -> list[Event]:
    return [Event(EventType.THINKING, piece, {"message_id": "m1"}) for piece in pieces]


def changes(path: str, kind: str) -> list[Event]:
    return [Event(EventType.FILE_CHANGE, path, {"path": path, "kind": kind})]
