"""`<rhetor-chat>` in a real browser: a streaming conversation that a page gets by one tag."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Locator, Page, expect

from rhetor.core.content import Thinking
from rhetor.testing import Gate, Upstream, cuts, fails, hangs, says
from tests.browser.network import Network, network
from tests.browser.pages import show
from tests.conftest import Gateway, MakeGateway, settings

TOKEN = "t0ken-of-a-page"
PHONE = {"width": 390, "height": 844}
ELEMENT = '<script src="/static/js/rhetor-chat.js"></script><rhetor-chat {}></rhetor-chat>'


@pytest.fixture
async def gateway(make_gateway: MakeGateway, upstream: Upstream) -> Gateway:
    return await make_gateway(settings(upstream, routes={"default": {"targets": ["oai/small", "ant/large"]}}))


@pytest.fixture
async def way(gateway: Gateway) -> AsyncIterator[Network]:
    async with network(gateway.url) as way:
        yield way


async def chat(page: Page, way: Network, attributes: str = "") -> Locator:
    await show(page, way, ELEMENT.format(attributes))
    return page.locator("rhetor-chat")


async def ask(element: Locator, text: str = "hello") -> Locator:
    """The answer to this, once it is begun."""
    await element.get_by_role("textbox").fill(text)
    await element.get_by_role("textbox").press("Enter")
    return element.locator(".answer").last


async def test_a_conversation(page: Page, way: Network, upstream: Upstream) -> None:
    """The answer streams, its end tells who gave it, and the next question has all that was said before."""
    gate = Gate()
    upstream.next(says("hello world").but(hangs(gate, after=1)), says("again"))
    element = await chat(page, way, 'system="Be brief." component="notes"')
    answer = await ask(element, "a question")
    await expect(answer.locator(".text")).to_have_text("hello")
    await expect(element.get_by_role("button", name="Stop")).to_be_visible()
    gate.open()
    await expect(answer.locator(".text")).to_have_text("hello world")
    await expect(answer).to_contain_text("answered by oai/small")
    await expect(element.get_by_role("status")).to_have_text("hello world")
    await ask(element, "another")
    await expect(element.locator(".answer")).to_have_count(2)
    await expect(element.locator(".answer").last).to_contain_text("answered by")
    assert [(each["role"], each["content"]) for each in upstream.requests[1].json["messages"]] == [
        ("system", "Be brief."),
        ("user", "a question"),
        ("assistant", "hello world"),
        ("user", "another"),
    ]
    assert way.upgrades == 1


async def test_stop_reaches_the_provider(page: Page, way: Network, upstream: Upstream) -> None:
    """What was heard stays; Escape does as the button."""
    element = await chat(page, way)
    for press in ("button", "key"):
        upstream.next(says("hello world").but(hangs(after=1)))
        answer = await ask(element)
        await expect(answer.locator(".text")).to_have_text("hello")
        if press == "button":
            await element.get_by_role("button", name="Stop").click()
        else:
            await page.keyboard.press("Escape")
        await upstream.requests[-1].aborted()
        await expect(answer).to_contain_text("stopped")
        await expect(element.get_by_role("button", name="Send")).to_be_visible()
        await expect(element.get_by_role("textbox")).to_be_focused()


async def test_retry_asks_the_same_again(page: Page, way: Network, upstream: Upstream) -> None:
    element = await chat(page, way)
    upstream.next(says("first"), says("second"))
    answer = await ask(element, "q")
    await expect(answer).to_contain_text("answered by")
    await element.get_by_role("button", name="Retry").click()
    await expect(element.locator(".answer .text")).to_have_text("second")
    assert upstream.requests[1].json["messages"] == upstream.requests[0].json["messages"]


async def test_asking_while_it_answers_gives_that_up(page: Page, way: Network, upstream: Upstream) -> None:
    """The model is told what it had said till then; only the newest answer can be retried."""
    element = await chat(page, way)
    upstream.next(says("hello world").but(hangs(after=1)))
    await expect((await ask(element, "one")).locator(".text")).to_have_text("hello")
    answer = await ask(element, "two")
    await upstream.requests[0].aborted()
    await expect(answer).to_contain_text("answered by")
    said = [each["content"] for each in upstream.requests[1].json["messages"]]
    assert said == ["one", "hello", "two"]
    await expect(element.get_by_role("button", name="Retry")).to_have_count(1)


async def test_a_fallback_is_told(page: Page, way: Network, upstream: Upstream) -> None:
    upstream.next(fails(503))
    answer = await ask(await chat(page, way))
    await expect(answer).to_contain_text("answered by ant/large")
    await expect(answer).to_contain_text("after oai/small: unavailable")


@pytest.mark.parametrize("attributes", ['model="oai/m"', 'provider="oai" model="m"'])
async def test_an_error_is_shown_and_can_be_retried(
    page: Page, way: Network, upstream: Upstream, attributes: str
) -> None:
    """Before the first word and in the middle of the answer, of which the beginning stays."""
    element = await chat(page, way, attributes)
    upstream.next(fails(400, "out to lunch"))
    answer = await ask(element)
    await expect(answer.locator(".wrong")).to_contain_text("out to lunch")
    upstream.next(cuts(after=1))
    await element.get_by_role("button", name="Retry").click()
    await expect(element.locator(".wrong")).to_contain_text("lost")
    await expect(element.locator(".answer .text")).to_have_text("hello")
    await element.get_by_role("button", name="Retry").click()
    await expect(element.locator(".answer .text")).to_have_text("hello world")
    await expect(element.locator(".wrong")).to_have_count(0)


async def test_a_cut_network_is_not_noticed(page: Page, way: Network, upstream: Upstream) -> None:
    gate = Gate()
    upstream.next(says("hello world").but(hangs(gate, after=1)))
    answer = await ask(await chat(page, way))
    await expect(answer.locator(".text")).to_have_text("hello")
    way.cut()
    gate.open()
    await expect(answer.locator(".text")).to_have_text("hello world")
    assert len(upstream.requests) == 1


async def test_an_answer_is_text(page: Page, way: Network, upstream: Upstream) -> None:
    """Whatever a model says or thinks, it says nothing to the browser."""
    said = "<img src=x onerror=\"document.title='stolen'\"><b>bold</b>"
    upstream.next(says(Thinking(said), said))
    answer = await ask(await chat(page, way), said)
    await expect(answer.locator(".text").last).to_have_text(said)
    await answer.locator("summary").click()
    await expect(answer.locator(".thoughts .text")).to_have_text(said)
    assert await page.locator("img, b").count() == 0
    assert await page.title() == "page"


async def test_the_token_is_a_property(page: Page, make_gateway: MakeGateway, upstream: Upstream) -> None:
    """Without it the gateway's words are shown; with it all is well, and nothing in the page tells it."""
    server = {"tokens": {"page": "env:PAGE_TOKEN"}}
    gateway = await make_gateway(settings(upstream, server=server), {"PAGE_TOKEN": TOKEN})
    async with network(gateway.url) as way:
        element = await chat(page, way, 'model="oai/m"')
        await expect((await ask(element)).locator(".wrong")).to_contain_text("token")
        await element.evaluate(f"(chat) => {{ chat.token = '{TOKEN}' }}")
        await element.get_by_role("button", name="Retry").click()
        await expect(element.locator(".answer .text")).to_have_text("hello world")
        assert TOKEN not in await page.content()


async def test_a_page_can_steer_it(page: Page, way: Network, upstream: Upstream) -> None:
    """It tells its events, and answers to its methods; gone from the page, it stops."""
    element = await chat(page, way, 'placeholder="Say it" label="Help"')
    await expect(element.get_by_role("textbox")).to_have_attribute("placeholder", "Say it")
    await expect(element.get_by_role("log", name="Help")).to_be_visible()
    told = await element.evaluate("""async (chat) => {
      const told = [];
      chat.addEventListener("rhetor-answer", ({ detail }) => told.push(detail.provider));
      await chat.ask("q");
      told.push(chat.messages.length);
      chat.clear();
      return [...told, chat.messages.length];
    }""")
    assert told == ["oai", 2, 0]
    await expect(element.get_by_text("Ask something.")).to_be_visible()
    upstream.next(hangs(after=1))
    await expect((await ask(element)).locator(".text")).to_have_text("hello")
    await element.evaluate("(chat) => chat.remove()")
    await upstream.requests[-1].aborted()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_follows_its_page_and_fits_a_phone(
    page: Page, way: Network, upstream: Upstream, scheme: str
) -> None:
    upstream.says("a word that is long: " + "o" * 300)
    await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of its words
    await page.set_viewport_size(PHONE)
    await show(page, way, '<meta name="color-scheme" content="light dark">' + ELEMENT.format(""))
    element = page.locator("rhetor-chat")
    answer = await ask(element)
    await expect(answer).to_contain_text("answered by")
    assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    paper = await element.evaluate("(chat) => getComputedStyle(chat).backgroundColor")
    brightness = sum(map(int, paper.removeprefix("rgb(").removesuffix(")").split(",")))
    assert (brightness > 3 * 128) is (scheme == "light")


async def test_long_answers_are_followed_unless_somebody_reads_further_up(
    page: Page, way: Network, upstream: Upstream
) -> None:
    gate, lines = Gate(), "line\n" * 80
    upstream.next(says(lines).but(hangs(gate, after=60)))
    element = await chat(page, way)
    answer = await ask(element)
    await expect(answer).to_contain_text("line\n" * 50)
    log = element.get_by_role("log")
    rest = "(log) => log.scrollHeight - log.scrollTop - log.clientHeight"
    assert await log.evaluate(rest) < 2
    await log.evaluate("(log) => { log.scrollTop = 0 }")
    gate.open()
    await expect(answer).to_contain_text("answered by")
    assert await log.evaluate("(log) => log.scrollTop") == 0
