"""What happens in a session, on its page in a real browser: told as it comes, and answered."""

from __future__ import annotations

import re
from typing import Any

from playwright.async_api import Page, expect

from rhetor.sessions.event import Event, EventType
from tests.browser.watching import changes, log, say, show, state, thinks
from tests.browser.watching import house as house  # the fixture
from tests.http.conversing import Sessions
from tests.sessions.scripted import Gate, asks, breaks, fails, moves, says, uses, waits

HOSTILE = "<img src=x onerror=\"document.title='stolen'\"><script>document.title='stolen'</script><b>bold</b>"


# Watched.


async def test_what_an_agent_does_is_folded(page: Page, house: Sessions) -> None:
    gate = Gate()
    house.backend.next(
        thinks("well, ", "well"),
        says("I look at it. ", "Then `more`:\n\n```py\nx = 1\n```\n"),
        uses("Bash", {"command": "ls -l\npwd"}, "total 0"),
        uses("Edit", {"file_path": "a.py", "old_string": "x = 1", "new_string": "x = 2"}, "done", id="t2"),
        uses("Odd", {"n": 1, "deep": {"m": 2}}, "it broke", id="t3", is_error=True),
        changes("src/new.py", "create"),
        changes("src/old.py", "delete"),
        moves("/shop/src", "/shop"),
        waits(gate),
        says("Done.", message_id="m2"),
    )
    id = await house.begin(title="Work")
    await show(page, house, id)
    await say(page, "do it")
    await expect(log(page)).to_contain_text("now in")
    assert await page.locator(".body details[open]").count() == 0
    assert await page.locator(".inside").count() == 0
    await page.get_by_text("Thinking").click()
    await expect(page.locator(".thinking .inside")).to_have_text("well, well")
    prose = page.locator(".body > .prose").first
    await expect(prose.locator("p")).to_have_text("I look at it. Then more:")
    await expect(prose.locator("pre code")).to_have_text("x = 1")
    bash, edit, odd = (page.locator(".tool", has_text=name) for name in ("Bash", "Edit", "Odd"))
    await expect(bash.locator("summary")).to_contain_text("ls -l")
    await bash.locator("summary").click()
    assert await bash.locator("pre").all_inner_texts() == ["ls -l\npwd", "total 0"]
    await edit.locator("summary").click()
    await expect(edit.locator("pre.before")).to_have_text("x = 1")
    await expect(edit.locator("pre.after")).to_have_text("x = 2")
    await expect(odd.locator("summary")).to_contain_text("failed")
    await odd.locator("summary").press("Enter")
    await expect(odd.locator("pre").first).to_contain_text('"deep"')
    await expect(page.locator(".file")).to_have_text(
        ["createdsrc/new.py", "deletedsrc/old.py", "now in/shop/src"]
    )
    gate.open()
    await expect(page.locator(".body > .prose").last).to_have_text("Done.")
    await expect(page.locator(".foot")).to_contain_text(" s")


async def test_what_went_wrong_is_told(page: Page, house: Sessions) -> None:
    house.backend.next(says("so "), fails("the model is overloaded"))
    house.backend.next(breaks("the agent fell over"))
    id = await house.begin()
    await show(page, house, id)
    await say(page, "one")
    await expect(page.locator(".wrong").first).to_contain_text("the model is overloaded")
    await expect(state(page)).to_have_text("idle")
    await say(page, "two")
    await expect(page.locator(".wrong").nth(1)).to_contain_text("the agent fell over")
    await expect(state(page)).to_have_text("failed")
    await expect(page.locator("#message")).to_have_attribute("placeholder", re.compile("failed"))
    await say(page, "three")
    await expect(log(page)).to_contain_text("You said: three")
    await expect(log(page)).to_contain_text("Resumed")


async def test_whatever_is_said_is_text(page: Page, house: Sessions) -> None:
    """In every place where the page shows what somebody else wrote."""
    data: dict[str, Any] = {"subtype": HOSTILE, HOSTILE: HOSTILE}
    house.backend.next(
        thinks(HOSTILE),
        says(
            f"{HOSTILE}\n# {HOSTILE}\n```{HOSTILE}\n{HOSTILE}\n```\n`{HOSTILE}` **{HOSTILE}**",
            message_id=HOSTILE,
        ),
        uses(HOSTILE, {HOSTILE: HOSTILE, "path": HOSTILE}, HOSTILE, id=HOSTILE, is_error=True),
        uses("Edit", {"file_path": HOSTILE, "old_string": HOSTILE, "new_string": HOSTILE}, HOSTILE, id="t2"),
        changes(HOSTILE, HOSTILE),
        moves(HOSTILE),
        [Event(EventType.SYSTEM, HOSTILE, data)],
        [Event(EventType.ERROR, HOSTILE, {"code": HOSTILE, "origin": HOSTILE})],
        asks("a1", HOSTILE, command=HOSTILE),
    )
    id = await house.begin(title=HOSTILE)
    await show(page, house, id)
    await say(page, HOSTILE)
    await expect(page.locator(".ask")).to_contain_text(HOSTILE)
    for each in await page.locator(".body summary").all():
        await each.click()
    await expect(page.locator(".wrong")).to_contain_text(HOSTILE)
    await expect(page.locator("#title")).to_have_text(HOSTILE)
    await expect(page.locator("#list li")).to_contain_text(HOSTILE)
    assert await page.locator("body :is(img, b, iframe, script), [onerror]").count() == 0
    assert await page.title() == f"(?) {HOSTILE} · Rhetor"


async def test_a_long_log_stays_usable(page: Page, house: Sessions) -> None:
    """Its end is there at once; the rest comes in pieces, each in its place, and nothing twice."""
    steps: list[Any] = []
    for n in range(1250):
        steps += says(f"step {n}", message_id=f"m{n}")
        steps += uses("Read", {"path": f"file {n}"}, f"text {n}", id=f"t{n}")
        steps += changes(f"changed {n}", "edit")
    house.backend.next(steps)
    id = await house.begin("work hard")
    await show(page, house, id)
    steps_shown = page.locator(".body > .prose")
    await expect(steps_shown.last).to_have_text("step 1249")
    assert await steps_shown.count() <= 101
    await page.evaluate("""() => {
      window.longest = 0;
      const look = (list) => {
        window.longest = Math.max(window.longest, ...list.getEntries().map(({ duration }) => duration));
      };
      new PerformanceObserver(look).observe({ type: "longtask" });
    }""")
    await page.locator(".tool summary").last.click()
    earlier = page.locator("#earlier")
    for _ in range(10):
        if await earlier.is_hidden():
            break
        first = steps_shown.first
        before = await first.inner_text()
        await earlier.click()
        await expect(first).not_to_have_text(before)
    assert await steps_shown.all_inner_texts() == [f"step {n}" for n in range(1250)]
    await expect(page.locator(".tool .state", has_text="done")).to_have_count(1250)
    await expect(page.locator(".tool").last.locator("pre").last).to_have_text("text 1249")
    await say(page, "and now?")
    await expect(steps_shown.last).to_have_text("You said: and now?")
    await expect(steps_shown.last).to_be_in_viewport()
    longest_ms = await page.evaluate("window.longest")
    assert longest_ms < 2000, f"the page stood still for {longest_ms} ms"


async def test_who_reads_further_up_is_left_alone(page: Page, house: Sessions) -> None:
    gate = Gate()
    house.backend.next(says("\n\n".join(map(str, range(200)))), waits(gate), says("the end"))
    id = await house.begin()
    await show(page, house, id)
    await say(page, "count")
    await expect(log(page)).to_contain_text("199")
    await log(page).evaluate("(log) => { log.scrollTop = 0; }")
    gate.open()
    await expect(page.locator("#latest")).to_be_visible()
    assert await log(page).evaluate("(log) => log.scrollTop") == 0
    await page.click("#latest")
    await expect(page.get_by_text("the end")).to_be_in_viewport()
    await expect(page.locator("#latest")).to_be_hidden()


# Answered.


async def test_approvals(page: Page, house: Sessions) -> None:
    """Approved, denied with a word, allowed for good; each is in the transcript with what became of it."""
    house.backend.next(asks("a1", "Bash", command="rm -r build"), says("1"))
    house.backend.next(asks("a2", "Bash", always=False, command="ls"), says("2"))
    house.backend.next(asks("a3", "Write", path="a.py"), says("3"))
    id = await house.begin(title="Work")
    await show(page, house, id)
    card = page.locator(".ask")

    await say(page, "one")
    await expect(card).to_contain_text("May Bash be used?")
    await expect(card.locator("pre")).to_have_text("rm -r build")
    await expect(state(page)).to_have_text("waits for you")
    await expect(page).to_have_title("(?) Work · Rhetor")
    await expect(page.locator("#list li")).to_contain_text("waits for you")
    await card.get_by_role("button", name="Approve").click()
    await expect(card).to_have_count(0)
    await expect(page.locator(".asked").nth(0)).to_contain_text("allowed")
    await expect(state(page)).to_have_text("idle")

    await say(page, "two")
    await expect(card.get_by_role("button", name="Always")).to_have_count(0)
    await card.get_by_role("textbox").fill("not now")
    await card.get_by_role("textbox").press("Enter")
    await expect(card).to_have_count(0)
    await expect(page.locator(".asked").nth(1)).to_contain_text("denied: not now")
    await expect(state(page)).to_have_text("idle")

    await say(page, "three")
    await card.get_by_role("button", name="Always").press("Enter")
    await expect(log(page)).to_contain_text("3")
    verdicts = house.backend.last.verdicts
    assert (verdicts["a1"].decision, verdicts["a1"].always) == ("allow", False)
    assert (verdicts["a2"].decision, verdicts["a2"].message) == ("deny", "not now")
    assert (verdicts["a3"].decision, verdicts["a3"].always) == ("allow", True)


async def test_what_somebody_else_answered_is_not_asked_any_more(page: Page, house: Sessions) -> None:
    house.backend.next(asks("a1"), says("thanks"))
    id = await house.begin()
    await house.waiting(id)
    await show(page, house, id)
    await expect(page.locator(".ask")).to_be_visible()
    await house.said("POST", f"/v1/sessions/{id}/approvals/a1", {"decision": "allow"})
    await expect(page.locator(".ask")).to_have_count(0)
    await expect(log(page)).to_contain_text("thanks")


async def test_a_question_without_an_answer_goes_with_its_turn(page: Page, house: Sessions) -> None:
    house.backend.next(asks("a1"))
    id = await house.begin()
    await show(page, house, id)
    await say(page, "go")
    await expect(page.locator(".ask")).to_be_visible()
    await page.click("#stop")
    await expect(page.locator(".ask")).to_have_count(0)
    await expect(page.locator(".asked")).to_contain_text("withdrawn")
    await expect(page.locator(".foot")).to_contain_text("interrupted")
