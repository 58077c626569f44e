"""The page at `/` in a real browser: what is on, a prompt that streams, and how to point an SDK here."""

from __future__ import annotations

import asyncio
import shutil
import sys

import pytest
from playwright.async_api import Page, expect

from rhetor.core.content import Thinking
from rhetor.testing import Gate, Upstream, cuts, fails, hangs, says
from tests.conftest import Gateway, MakeGateway, settings

PHONE = {"width": 390, "height": 844}
TOKEN = "t0ken-of-the-console"


@pytest.fixture
async def gateway(make_gateway: MakeGateway, upstream: Upstream) -> Gateway:
    """A gateway with a route, which answers whoever names nobody."""
    route = {"targets": ["oai/small", "ant/large"]}
    return await make_gateway(settings(upstream, routes={"default": route}))


async def ask(page: Page, prompt: str = "hello", model: str | None = None) -> None:
    if model is not None:
        await page.fill("#model", model)
    await page.fill("#prompt", prompt)
    await page.click("#send")


async def test_what_is_on(page: Page, gateway: Gateway) -> None:
    """Who can be asked, and for all others what switches them on."""
    await page.goto(gateway.url)
    await expect(page.locator("#health")).to_contain_text("healthy")
    await expect(page.locator("#providers li")).to_have_count(3)
    await expect(page.locator("#providers")).to_contain_text("oai")
    await expect(page.locator("#off-title")).to_contain_text("more can be switched on")
    await page.click("#off-title")
    groq = page.locator("#off li", has_text="Groq")
    await expect(groq).to_contain_text("GROQ_API_KEY")
    await expect(page.locator("#models tr").first).to_contain_text("default")
    await expect(page.locator("#models tr").first).to_contain_text("oai/small → ant/large")
    await expect(page.locator("#trips")).to_contain_text("None yet")


async def test_models_can_be_found_and_chosen(page: Page, gateway: Gateway) -> None:
    await page.goto(gateway.url)
    await page.fill("#filter", "ECHO")
    await expect(page.locator("#models tr")).to_have_count(1)
    await page.locator("#models button").click()
    await expect(page.locator("#model")).to_have_value("offline/echo")
    await expect(page.locator("#snippet")).to_contain_text("offline/echo")
    await page.fill("#filter", "nobody")
    await expect(page.locator("#models")).to_contain_text("No model is called so.")


async def test_an_answer_streams(page: Page, gateway: Gateway, upstream: Upstream) -> None:
    """Its first words are shown while the provider still thinks about the next."""
    gate = Gate()
    upstream.next(says(Thinking("well, well"), "hello world").but(hangs(gate, after=3)))
    await page.goto(gateway.url)
    await ask(page, "a question")
    await expect(page.locator("#answer")).to_have_text("hello")
    await expect(page.locator("#stop")).to_be_visible()
    gate.open()
    await expect(page.locator("#answer")).to_have_text("hello world")
    await expect(page.locator("#answered")).to_contain_text("oai/small")
    await expect(page.locator("#answered")).to_contain_text("11 + 7 tokens")
    await expect(page.locator("#stop")).to_be_hidden()
    await page.click("#thoughts summary")
    await expect(page.locator("#thinking")).to_have_text("well, well")
    await expect(page.locator("#trips tr").first).to_contain_text("oai/small")
    assert upstream.requests[0].json["messages"] == [{"role": "user", "content": "a question"}]


async def test_the_keyboard_is_enough(page: Page, gateway: Gateway) -> None:
    await page.goto(gateway.url)
    await page.focus("#prompt")
    await page.keyboard.press("Control+Enter")
    await expect(page.locator("#answer")).to_have_text("hello world")
    await page.get_by_role("tab", name="curl").focus()
    await page.keyboard.press("ArrowRight")
    await expect(page.get_by_role("tab", name="OpenAI")).to_have_attribute("aria-selected", "true")
    await expect(page.locator("#snippet")).to_contain_text("from openai import OpenAI")


async def test_stop_reaches_the_provider(page: Page, gateway: Gateway, upstream: Upstream) -> None:
    upstream.next(hangs(after=1))
    await page.goto(gateway.url)
    await ask(page)
    await expect(page.locator("#answer")).to_have_text("hello")
    await page.click("#stop")
    await upstream.requests[0].aborted()
    await expect(page.locator("#answered")).to_contain_text("Stopped")
    await expect(page.locator("#answer")).to_have_text("hello")
    await expect(page.locator("#stop")).to_be_hidden()
    await expect(page.locator("#trips tr").first).to_contain_text("cancelled")


async def test_asking_again_gives_up_what_was_asked_before(
    page: Page, gateway: Gateway, upstream: Upstream
) -> None:
    upstream.next(hangs(after=1))
    await page.goto(gateway.url)
    await ask(page)
    await expect(page.locator("#answer")).to_have_text("hello")
    await ask(page, "again")
    await upstream.requests[0].aborted()
    await expect(page.locator("#answer")).to_have_text("hello world")
    await expect(page.locator("#stop")).to_be_hidden()


async def test_an_error_is_shown(page: Page, gateway: Gateway, upstream: Upstream) -> None:
    """Refused at once, refused by the provider, and broken off in the middle: said in words each time."""
    await page.goto(gateway.url)
    await ask(page, model="nobody/m")
    await expect(page.locator("#answer .bad")).to_contain_text("unknown model 'nobody/m'")
    upstream.next(fails(503, "out to lunch"), fails(503))
    await ask(page, model="oai/m")
    await expect(page.locator("#answer")).to_contain_text("out to lunch")
    upstream.next(cuts(after=1))
    await ask(page, model="oai/m")
    await expect(page.locator("#answer .bad")).to_contain_text("lost")
    await expect(page.locator("#answer")).to_contain_text("hello")
    await ask(page, model="oai/m")
    await expect(page.locator("#answer")).to_have_text("hello world")
    await expect(page.locator("#answer .bad")).to_have_count(0)


async def test_a_fallback_is_told(page: Page, gateway: Gateway, upstream: Upstream) -> None:
    upstream.next(fails(503))
    await page.goto(gateway.url)
    await ask(page)
    await expect(page.locator("#answered")).to_contain_text("ant/large")
    await expect(page.locator("#answered")).to_contain_text("after oai/small: unavailable")
    await expect(page.locator("#trips tr").first).to_contain_text("oai/small: unavailable")


async def test_an_answer_that_breaks_off_is_finished(
    page: Page, gateway: Gateway, upstream: Upstream
) -> None:
    upstream.next(cuts(after=1))
    await page.goto(gateway.url)
    await ask(page)
    await expect(page.locator("#answer")).to_have_text("hello world")
    await expect(page.locator("#answer .bad")).to_have_count(0)
    await expect(page.locator("#trips tr").first).to_contain_text("oai/small: connection lost")


async def test_how_targets_are_doing(page: Page, gateway: Gateway, upstream: Upstream) -> None:
    """Told while one looks, whoever asks; those that need attention first."""
    upstream.always(lambda seen: fails(503) if seen.model == "large" else says("yes"))
    await page.goto(gateway.url)
    await expect(page.locator("#targets")).to_have_text("Nobody was asked yet.")
    body = {"messages": [{"role": "user", "content": "q"}]}
    for model in ("ant/large", "ant/large", "ant/large", "oai/small"):
        await gateway.post("/v1/chat/completions", {"model": model, **body})
    targets = page.locator("#targets tr")
    await expect(targets).to_have_count(2)
    await expect(targets.nth(0)).to_contain_text("ant/large")
    await expect(targets.nth(0)).to_contain_text("open")
    await expect(targets.nth(0)).to_contain_text("probe in")
    await expect(targets.nth(1)).to_contain_text("oai/small")
    await expect(targets.nth(1)).to_contain_text("well")
    await expect(targets.nth(1)).to_contain_text("ms")


async def test_a_refused_key_is_told(page: Page, gateway: Gateway, upstream: Upstream) -> None:
    upstream.next(fails(401))
    await page.goto(gateway.url)
    await ask(page)
    await expect(page.locator("#answered")).to_contain_text("ant/large")
    await expect(page.locator("#targets tr").first).to_contain_text("oai/small")
    await expect(page.locator("#targets tr").first).to_contain_text("key refused")


async def test_a_gateway_that_is_gone_is_told(page: Page, gateway: Gateway) -> None:
    """What was known of the targets is not taken for what is."""
    await page.goto(gateway.url)
    await ask(page)
    await expect(page.locator("#targets tr").first).to_contain_text("oai/small")
    await gateway.app.stop()
    await expect(page.locator("#targets .bad")).to_contain_text("Not known at the moment")
    await expect(page.locator("#targets")).not_to_contain_text("oai/small")


async def test_an_answer_is_text(page: Page, gateway: Gateway, upstream: Upstream) -> None:
    """Whatever a model says, it says nothing to the browser."""
    said = (
        "<img src=x onerror=\"document.title='stolen'\"><script>document.title='stolen'</script><b>bold</b>"
    )
    upstream.says(said)
    await page.goto(gateway.url)
    await ask(page, model=f"oai/{said}")
    await expect(page.locator("#answer")).to_have_text(said)
    await expect(page.locator("#trips tr").first).to_contain_text("<b>bold</b>")
    assert await page.locator("#answer *, #trips img, #trips b").count() == 0
    assert await page.title() == "Rhetor"


async def test_a_token_is_asked_for_when_one_is_set(
    page: Page, make_gateway: MakeGateway, upstream: Upstream
) -> None:
    """Once for each tab; it is shown nowhere, and a wrong one is told."""
    server = {"tokens": {"console": "env:CONSOLE_TOKEN"}}
    gateway = await make_gateway(settings(upstream, server=server), {"CONSOLE_TOKEN": TOKEN})
    await page.goto(gateway.url)
    await expect(page.locator("#token-form")).to_be_visible()
    await page.fill("#token", "wrong")
    await page.click("#token-form button")
    await expect(page.locator("#token-wrong")).to_contain_text("not known")
    await page.fill("#token", TOKEN)
    await page.keyboard.press("Enter")
    await expect(page.locator("#token-form")).to_be_hidden()
    await expect(page.locator("#providers li")).to_have_count(3)
    await expect(page.locator("#snippet")).to_contain_text("authorization: Bearer YOUR_TOKEN")
    await ask(page, model="oai/m")
    await expect(page.locator("#answer")).to_have_text("hello world")
    await expect(page.locator("#targets")).to_contain_text("oai/m")
    assert TOKEN not in await page.content()
    await page.reload()
    await expect(page.locator("#providers li")).to_have_count(3)
    await expect(page.locator("#token-form")).to_be_hidden()


async def test_nobody_is_asked_for_a_token_without_need(page: Page, gateway: Gateway) -> None:
    await page.goto(gateway.url)
    await expect(page.locator("#providers li")).to_have_count(3)
    await expect(page.locator("#token-form")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_on_a_phone(page: Page, gateway: Gateway, scheme: str) -> None:
    """Nothing sticks out to the right, and asking works with a thumb."""
    await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of its words
    await page.set_viewport_size(PHONE)
    await page.goto(gateway.url)
    await expect(page.locator("#providers li")).to_have_count(3)
    await ask(page)
    await expect(page.locator("#answer")).to_have_text("hello world")
    await expect(page.locator("#trips tr").first).to_contain_text("oai/small")
    await expect(page.locator("#targets tr").first).to_contain_text("oai/small")
    assert await page.evaluate("() => document.documentElement.scrollWidth") <= PHONE["width"]
    for control in ("#send", "#model", "#prompt", "#filter", "#snippet"):
        box = await page.locator(control).bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= PHONE["width"]
    paper = await page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    brightness = sum(map(int, paper.removeprefix("rgb(").removesuffix(")").split(",")))
    assert (brightness > 3 * 128) is (scheme == "light")


async def test_the_page_obeys_its_own_policy(page: Page, gateway: Gateway) -> None:
    """It has no code or style of its own beside its files; a violation would be a complaint."""
    await page.goto(gateway.url)
    await expect(page.locator("#health")).to_contain_text("healthy")
    assert await page.locator("[style], [onclick], script:not([src]), style").count() == 0


@pytest.mark.parametrize("name", ["curl", "OpenAI", "Anthropic", "Tekton"])
async def test_snippets_work_as_they_are(page: Page, gateway: Gateway, name: str) -> None:
    """Copied from the page, run in a shell or by Python, answered."""
    if name == "curl" and shutil.which("curl") is None:
        pytest.skip("curl is missing")
    await page.goto(gateway.url)
    await page.fill("#model", "oai/m")
    await page.get_by_role("tab", name=name, exact=True).click()
    snippet = await page.locator("#snippet").inner_text()
    command = ["bash", "-c", snippet] if name == "curl" else [sys.executable, "-c", snippet]
    process = await asyncio.create_subprocess_exec(
        *command,
        env={"PATH": "/usr/bin:/bin"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(20):
        said, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()
    assert b"world" in said
