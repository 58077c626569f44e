"""The page of sessions in a real browser: they are begun, stopped, and found again."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from rhetor.sessions.backend import Ability, Condition
from rhetor.testing import Gate as UpstreamGate
from rhetor.testing import Upstream, hangs
from rhetor.testing import says as answers
from tests.browser.network import network
from tests.browser.watching import PAGE, log, say, show, state
from tests.browser.watching import house as house  # the fixture
from tests.conftest import MakeGateway, MakeProcess, settings
from tests.http.conversing import Sessions, admit
from tests.http.conversing import house as sessions_house
from tests.sessions.scripted import Scripted, asks, says, uses, waits

PHONE = {"width": 390, "height": 844}
TOKEN = "t0ken-of-a-page"


# Begun.


async def test_a_chat(page: Page, make_gateway: MakeGateway, upstream: Upstream) -> None:
    """From the console's page to an answer that streams, with what it used."""
    gate = UpstreamGate()
    upstream.next(answers("hello world").but(hangs(gate, after=1)))
    gateway = await make_gateway(settings(upstream))
    await page.goto(gateway.url)
    await page.get_by_role("link", name="Sessions").click()
    await expect(page.locator("#list-note")).to_have_text("None yet.")
    await page.fill("#model", "oai/small")
    await page.fill("#first", "a question\nwith two lines")
    await page.press("#first", "Control+Enter")
    await expect(page.locator("#title")).to_have_text("a question")
    await expect(page.locator(".question")).to_have_text("a question\nwith two lines")
    await expect(page.locator(".prose")).to_have_text("hello")
    await expect(state(page)).to_have_text("at work")
    gate.open()
    await expect(page.locator(".prose")).to_have_text("hello world")
    await expect(state(page)).to_have_text("idle")
    await expect(page.locator("#facts")).to_contain_text("11 + 7 tokens")
    await expect(page.locator(".foot")).to_contain_text("1 call · 11 + 7 tokens")
    entry = page.locator("#list li")
    await expect(entry).to_have_count(1)
    await expect(entry).to_contain_text("a question")
    await expect(entry).to_contain_text("idle")
    await expect(entry.locator("a")).to_have_attribute("aria-current", "page")
    upstream.next(answers("and more"))
    await say(page, "go on")
    await expect(page.locator(".prose").nth(1)).to_have_text("and more")
    await expect(page.locator("#message")).to_have_value("")
    await expect(page).to_have_title("a question · Rhetor")


async def test_an_agent_is_begun_with_what_the_form_says(
    page: Page, make_gateway: MakeGateway, tmp_path: Path
) -> None:
    house = await sessions_house(make_gateway, sessions={"directories": [str(tmp_path)]})
    (tmp_path / "work").mkdir()
    await show(page, house)
    await expect(page.locator("#for-agents")).to_be_hidden()
    await page.select_option("#backend", "scripted")
    await expect(page.locator("#backend-note")).to_contain_text("version 1.0")
    await page.fill("#directory", str(tmp_path / "work"))
    await page.select_option("#permissions", "plan")
    await page.click("#beginning summary")
    await page.fill("#new-title", "Kettle")
    await page.fill("#system", "be brief")
    await page.click("#begin")
    await expect(page.locator("#title")).to_have_text("Kettle")
    await expect(page.locator("#facts")).to_contain_text(str(tmp_path / "work"))
    await expect(page.locator("#facts")).to_contain_text("plan")
    await say(page, "hello")
    await expect(page.locator(".prose")).to_have_text("You said: hello")
    setup = house.backend.last.setup
    assert (setup.system, setup.permissions, setup.directory) == ("be brief", "plan", tmp_path / "work")


async def test_what_cannot_be_begun_says_why(page: Page, house: Sessions) -> None:
    broken = Scripted("broken", abilities=frozenset({Ability.STREAMING}))
    broken.condition = Condition(healthy=False, error="broken is not installed: install it")
    admit(house.gateway, broken)
    await show(page, house)
    await page.fill("#model", "nobody/m")
    await page.fill("#first", "hello")
    await page.click("#begin")
    await expect(page.locator("#begin-wrong")).to_contain_text("nobody/m")
    await expect(page.locator("#first")).to_have_value("hello")
    await page.select_option("#backend", "broken")
    await expect(page.locator("#backend-note")).to_have_text("broken is not installed: install it")


# Stopped, and begun again.


async def test_interrupting(page: Page, house: Sessions) -> None:
    house.backend.next(says("well"), waits())
    id = await house.begin()
    await show(page, house, id)
    await say(page, "go")
    await expect(log(page)).to_contain_text("well")
    await expect(page.locator("#send")).to_be_hidden()
    await page.fill("#message", "what I say next")
    await page.press("#message", "Enter")
    await page.press("#message", "Escape")
    await expect(page.locator(".foot")).to_contain_text("interrupted")
    await expect(page.locator("#stop")).to_be_hidden()
    await expect(page.locator("#message")).to_have_value("what I say next")
    assert len(house.backend.last.said) == 1


async def test_suspending_resuming_ending_and_deleting(page: Page, house: Sessions) -> None:
    id = await house.begin("hello", title="Work")
    await show(page, house, id)
    await page.click("#suspend")
    await expect(state(page)).to_have_text("suspended")
    await expect(page.locator(".moved")).to_contain_text(["Suspended"])
    await page.click("#resume")
    await expect(state(page)).to_have_text("idle")
    await page.click("#suspend")
    await expect(page.locator("#resume")).to_be_visible()
    await say(page, "still there?")
    await expect(log(page)).to_contain_text("You said: still there?")
    await page.click("#menu summary")
    await page.click("#terminate")
    await page.get_by_role("button", name="Cancel").click()
    await expect(state(page)).to_have_text("idle")
    await page.click("#menu summary")
    await page.click("#terminate")
    await page.get_by_role("button", name="End it").click()
    await expect(state(page)).to_have_text("ended")
    await expect(page.locator("#connection")).to_have_text("ended")
    await expect(page.locator("#message")).to_be_disabled()
    await page.click("#menu summary")
    await page.click("#forget")
    await page.get_by_role("button", name="Delete it").click()
    await expect(page.locator("#beginning")).to_be_visible()
    await expect(page.locator("#list li")).to_have_count(0)
    assert (await house.ask("GET", f"/v1/sessions/{id}")).status == 404


@pytest.mark.parametrize(("format", "name"), [("md", "Markdown"), ("txt", "text"), ("json", "JSON")])
async def test_exporting(page: Page, make_gateway: MakeGateway, format: str, name: str) -> None:
    """Also where a token is needed, which a link cannot send."""
    tokens = {"server": {"tokens": {"page": "env:PAGE_TOKEN"}}, "environ": {"PAGE_TOKEN": TOKEN}}
    house = await sessions_house(make_gateway, **tokens)
    house.headers = {"Authorization": f"Bearer {TOKEN}"}
    id = await house.begin()
    await house.speak(id, "hello")
    await page.goto(house.gateway.url)
    await page.fill("#token", TOKEN)
    await page.get_by_role("button", name="Use it").click()
    await show(page, house, id)
    await page.click("#menu summary")
    async with page.expect_download() as download:
        await page.get_by_role("button", name=f"Export as {name}").click()
    file = await download.value
    assert file.suggested_filename == f"{id}.{format}"
    assert "You said: hello" in Path(await file.path()).read_text()


# Found again.


async def test_a_gateway_that_restarts_costs_nothing(
    page: Page, gateway_process: MakeProcess, upstream: Upstream, tmp_path: Path
) -> None:
    """Killed in the middle of a turn: the page says so, comes back, and has every event once."""
    given = settings(upstream, store={"folder": str(tmp_path / "state")})
    upstream.next(answers("one two three four").but(hangs(after=2)))
    first = await gateway_process(given)
    async with network(first.url) as way:
        await page.goto(f"{way.url}{PAGE}")
        await page.fill("#model", "oai/small")
        await page.fill("#first", "count")
        await page.click("#begin")
        await expect(page.locator(".prose")).to_have_text("one two")
        first.process.kill()
        await first.process.wait()
        await expect(page.locator("#connection")).to_have_text("reconnecting …")
        way.to = (await gateway_process(given)).url
        await expect(page.locator("#connection")).to_have_text("live", timeout=15_000)
        await expect(state(page)).to_have_text("suspended")
        upstream.next(answers("three four"))
        await say(page, "go on")
        await expect(page.locator(".prose").last).to_have_text("three four")
        await expect(state(page)).to_have_text("idle")
        shown = await page.locator(".question, .prose").all_inner_texts()
        assert shown == ["count", "one two", "go on", "three four"]
        await page.reload()
        await expect(page.locator(".prose").last).to_have_text("three four")
        assert await page.locator(".question, .prose").all_inner_texts() == shown


async def test_sessions_are_found_in_the_list(page: Page, house: Sessions) -> None:
    ids = [await house.begin(f"number {n}", title=f"Session {n}") for n in range(3)]
    await house.said("POST", f"/v1/sessions/{ids[0]}/suspend")
    await show(page, house)
    entries = page.locator("#list li")
    await expect(entries).to_have_count(3)
    await entries.filter(has_text="Session 1").click()
    await expect(log(page)).to_contain_text("You said: number 1")
    await entries.filter(has_text="Session 2").click()
    await expect(log(page)).to_contain_text("You said: number 2")
    await expect(log(page)).not_to_contain_text("number 1")
    await page.fill("#message", "half a sen")
    await expect(page.locator("#list [aria-current]")).to_contain_text("Session 2")
    await page.go_back()
    await expect(page.locator("#title")).to_have_text("Session 1")
    await expect(page.locator("#message")).to_have_value("")
    await page.go_forward()
    await expect(page.locator("#message")).to_have_value("half a sen")
    await page.select_option("#wanted", "suspended,failed")
    await expect(entries).to_have_count(1)
    await expect(entries).to_contain_text("Session 0")
    await page.select_option("#wanted", "terminated")
    await expect(page.locator("#list-note")).to_have_text("None of these.")


async def test_the_list_tells_what_others_do(page: Page, house: Sessions) -> None:
    await show(page, house)
    await expect(page.locator("#list-note")).to_have_text("None yet.")
    house.backend.next(asks("a1"))
    id = await house.begin(title="Elsewhere")
    await house.waiting(id)
    await expect(page.locator("#list li")).to_contain_text("Elsewhere", timeout=10_000)
    await expect(page.locator("#list li")).to_contain_text("waits for you", timeout=10_000)


async def test_a_session_that_is_not_there_is_told(page: Page, house: Sessions) -> None:
    await show(page, house, f"ses_{'0' * 24}")
    await expect(page.locator("#wrong")).to_contain_text("session")
    await page.click("#new")
    await expect(page.locator("#beginning")).to_be_visible()


# Around it.


async def test_a_token_is_asked_for(page: Page, make_gateway: MakeGateway) -> None:
    tokens = {"server": {"tokens": {"page": "env:PAGE_TOKEN"}}, "environ": {"PAGE_TOKEN": TOKEN}}
    house = await sessions_house(make_gateway, **tokens)
    house.headers = {"Authorization": f"Bearer {TOKEN}"}
    id = await house.begin(title="Mine")
    await show(page, house, id)
    await expect(page.locator("#token-form")).to_be_visible()
    await page.fill("#token", "wrong")
    await page.get_by_role("button", name="Use it").click()
    await expect(page.locator("#token-wrong")).to_have_text("This token is not known here.")
    await page.fill("#token", TOKEN)
    await page.get_by_role("button", name="Use it").click()
    await expect(page.locator("#token-form")).to_be_hidden()
    await expect(page.locator("#title")).to_have_text("Mine")
    await say(page, "hello")
    await expect(log(page)).to_contain_text("You said: hello")
    await expect(page.locator("#backend option")).to_have_count(2)
    assert TOKEN not in await page.content()


async def test_the_keyboard_is_enough(page: Page, house: Sessions) -> None:
    house.backend.next(uses("Bash", {"command": "ls"}, "nothing"), asks("a1"), says("thanks"))
    await show(page, house)
    await page.focus("#new")
    await page.keyboard.press("Enter")
    await expect(page.locator("#first")).to_be_focused()
    await page.focus("#backend")
    await page.keyboard.type("scripted")
    await page.focus("#first")
    await page.keyboard.type("go")
    await page.keyboard.press("Control+Enter")
    await expect(page.locator(".ask")).to_be_visible()
    await expect(page.locator("#message")).to_be_focused()
    await page.focus(".tool summary")
    await page.keyboard.press("Space")
    await expect(page.locator(".tool .inside")).to_contain_text("nothing")
    await page.focus(".ask input")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(log(page)).to_contain_text("thanks")
    await expect(page.locator("#message")).to_be_focused()
    await page.focus("#menu summary")
    await page.keyboard.press("Enter")
    await expect(page.locator("#forget")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.locator("#forget")).to_be_hidden()
    await page.focus("#list a")
    await page.keyboard.press("Enter")
    await expect(page.locator("#title")).to_have_text("go")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_on_a_phone(page: Page, house: Sessions, scheme: str) -> None:
    """The list, or what was chosen; nothing sticks out to the right."""
    house.backend.next(
        uses("Bash", {"command": "x" * 300}, "y" * 300), asks("a1", command="z" * 300), says("w" * 300)
    )
    await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of its words
    await page.set_viewport_size(PHONE)
    id = await house.begin(title="A title that is longer than a phone is wide, by far")
    await show(page, house)
    await expect(page.locator("main")).to_be_hidden()
    await page.locator("#list a").click()
    await expect(page.locator("aside")).to_be_hidden()
    await say(page, "v" * 300)
    await page.locator(".tool summary").click()
    await expect(page.locator(".ask")).to_be_visible()
    assert await page.evaluate("() => document.documentElement.scrollWidth") <= PHONE["width"]
    assert await log(page).evaluate("(log) => log.scrollWidth <= log.clientWidth")
    for control in (".ask button >> nth=2", "#stop", "#message", "#menu summary"):
        box = await page.locator(control).bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= PHONE["width"]
        assert box["y"] + box["height"] <= PHONE["height"]
    await page.get_by_role("button", name="Approve").click()
    await expect(state(page)).to_have_text("idle")
    await page.locator("#session .back").click()
    await expect(page.locator("#list li")).to_contain_text("A title")
    paper = await page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    brightness = sum(map(int, paper.removeprefix("rgb(").removesuffix(")").split(",")))
    assert (brightness > 3 * 128) is (scheme == "light")
    assert (await house.get(id))["state"] == "idle"


async def test_the_page_obeys_its_own_policy(page: Page, house: Sessions) -> None:
    """It has no code or style of its own beside its files; a violation would be a complaint."""
    id = await house.begin("hello")
    await show(page, house, id)
    await expect(log(page)).to_contain_text("You said: hello")
    assert await page.locator("[style], [onclick], script:not([src]), style").count() == 0
