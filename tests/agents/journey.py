"""What every agent must be able to do in a session, step by step, and how it is seen."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import Page

from rhetor.testing import Seen, hangs, says
from tekton_llm_client.sessions import SessionsClient
from tests.agents.house import House, Json, ends_turn, texts, until
from tests.agents.surfaces import Surfaces, in_order
from tests.cli.conftest import Rhetor
from tests.cli.sessions.terminal import CTRL_C, ENTER

DEEP = Path("deep")
KEEP = "keep it"


@dataclass(frozen=True, kw_only=True)
class Step:
    """One message, and what the model makes of it."""

    say: str
    on: str
    """Where it is said."""
    command: str | None = None
    """What the model wants to run first, in `DEEP`."""
    allowed_on: str | None = None
    """Where that is allowed; else it is denied over the WebSocket."""
    answer: str
    interrupted: bool = False
    """After two words, with Ctrl-C in the terminal."""


INTRODUCTION = "My name is Ada."
STEPS: Sequence[Step] = (
    Step(say="Make a file.", on="window", command="echo first >made.txt; ls", allowed_on="window",
         answer="It is made."),
    Step(say="Copy it.", on="chair", command="cp made.txt copied.txt; ls", allowed_on="chair",
         answer="It is copied."),
    Step(say="Remove it.", on="cable", command="rm made.txt", answer="It stays."),
    Step(say="Count to four.", on="lines", answer="one two three four", interrupted=True),
)  # fmt: skip
SALIENT = ("command", "file_path", "filePath")
"""What the input of a tool is about."""
BEGINNING = 20  # of a result, of which a line may show no more
QUESTION = "Who am I?"
ANSWER = "You are Ada."


def history() -> Iterator[str]:
    """What the model is told with the last message, in this order."""
    yield from (INTRODUCTION, "Hello Ada.")
    for step in STEPS:
        yield step.say
        if step.command is not None:
            yield step.command
            yield KEEP if step.allowed_on is None else "made.txt"
        yield step.answer.split()[0] if step.interrupted else step.answer
    yield QUESTION


class Journey:
    """A session of one agent on all surfaces."""

    def __init__(self, house: House, client: SessionsClient, rhetor: Rhetor, page: Page) -> None:
        self.house = house
        self.client = client
        self.page = page
        self._rhetor = rhetor
        self.id = ""
        self.surfaces: Surfaces

    async def go(self) -> None:
        """All of it."""
        self.house.upstream.next(says("Hello Ada."))
        house = self.house
        begun = await self.client.create_session(
            INTRODUCTION,
            backend=house.agent.backend,
            model=house.agent.model,
            directory=str(house.work),
            title="Ada",
        )
        self.id = begun.id
        async with Surfaces(house.folder, self.client, self.id, self.page) as self.surfaces:
            await self.surfaces.turn_ends(0)
            await self.surfaces.chair.shows("Enter sends")
            for step in STEPS:
                await self.take(step)
            await self.paid()
            await self.survive()
            await self.ask_again()
            await self.client.terminate(self.id)
            for surface in self.surfaces.all:
                await surface.to_the_end()
            await self.compare(await house.log(self.id))

    async def command(self, *arguments: str) -> str:
        """What `rhetor sessions …` prints."""
        done = await self._rhetor("sessions", *arguments, environ={"RHETOR_URL": self.house.url})
        assert done.code == 0, done.err
        return done.out

    # --- the steps

    async def take(self, step: Step) -> None:
        house, before = self.house, self.surfaces.lines.heard[-1]["seq"]
        if step.command is not None:
            house.upstream.next(house.agent.runs(step.command, DEEP))
        answer = says(step.answer)
        house.upstream.next(answer.but(hangs(after=2)) if step.interrupted else answer)
        await getattr(self, f"say_on_{step.on}")(step.say)
        if step.command is not None:
            asked = await self.surfaces.until(lambda event: event["type"] == "approval_request", before)
            await self.refused("messages", {"message": "And now?"}, "waiting_input")
            await getattr(self, f"allow_on_{step.allowed_on}" if step.allowed_on else "deny")(asked)
        if step.interrupted:
            await self.interrupt(step, before)
        await self.surfaces.turn_ends(before)
        if step.command is not None:  # once is enough
            await self.refused(f"approvals/{asked['data']['request_id']}", {"decision": "allow"}, "idle")
        await self.refused("interrupt", {}, "idle")
        self.check(step, [event for event in self.surfaces.lines.heard if event["seq"] > before])

    async def refused(self, action: str, body: Json, state: str) -> None:
        """It is not the time for that."""
        status, said = await self.house.ask("POST", f"/v1/sessions/{self.id}/{action}", body)
        assert (status, said["code"], said["state"]) == (409, "conflict", state)

    def check(self, step: Step, told: list[Json]) -> None:
        """The log of the turn says what happened."""
        (end,) = [event for event in told if ends_turn(event)]
        assert end["data"]["reason"] == ("interrupted" if step.interrupted else "end")
        answer = texts(told, end["turn"])
        if step.interrupted:
            assert answer
            assert step.answer.startswith(answer)
            return
        assert answer == step.answer
        (used,), (result,), (resolved,) = (
            [event for event in told if event["type"] == type]
            for type in ("tool_use", "tool_result", "approval_resolved")
        )
        assert used["data"]["name"] == self.house.agent.tool
        assert step.command
        assert step.command in used["data"]["input"]["command"]
        assert result["data"]["id"] == used["data"]["id"]
        assert result["data"]["is_error"] is (step.allowed_on is None)
        assert resolved["data"]["decision"] == ("allow" if step.allowed_on else "deny")
        assert resolved["data"]["by"] == "caller"

    async def say_on_window(self, text: str) -> None:
        await self.surfaces.window.say(text)

    async def say_on_chair(self, text: str) -> None:
        self.surfaces.chair.type(text + ENTER)

    async def say_on_cable(self, text: str) -> None:
        await self.surfaces.cable.do("message", message=text)

    async def say_on_lines(self, text: str) -> None:
        await self.house.say(self.id, text)

    async def allow_on_window(self, asked: Json) -> None:
        await self.surfaces.window.approve()

    async def allow_on_chair(self, asked: Json) -> None:
        data = asked["data"]
        await self.surfaces.chair.shows(f"May it use {data['tool']}({data['input']['command']})?")
        self.surfaces.chair.type(f"y{ENTER}")

    async def deny(self, asked: Json) -> None:
        id = asked["data"]["request_id"]
        await self.surfaces.cable.do("approve", request_id=id, decision="deny", message=KEEP)

    async def interrupt(self, step: Step, before: int) -> None:
        """Once the model has fallen silent, and what it said has been seen."""
        upstream = self.house.upstream
        await self.surfaces.until(lambda event: event["type"] == "assistant", before)
        await upstream.requests[-1].hanging()
        await self.surfaces.chair.shows(f"› {step.say}\n")
        self.surfaces.chair.type(CTRL_C)
        await upstream.requests[-1].aborted(10)

    async def survive(self) -> None:
        """Suspended, killed, started again, resumed."""
        house, file = self.house, self.house.folder / "state.json"
        assert house.processes(self.id)
        await self.command("suspend", self.id, "-o", str(file))
        await house.gone(self.id)
        busy = await self.busy()
        await house.kill()
        await house.nothing_left()
        await house.start()

        row = (await self.command("list", "--state", "suspended")).splitlines()
        assert {line.split("\t")[0] for line in row} == {self.id, busy}
        await self.killed_in_a_turn(busy)
        session = await self.client.resume(self.id, json.loads(file.read_text()))
        assert (session.state, session.turn) == ("idle", 1 + len(STEPS))

    async def busy(self) -> str:
        """Another session, in the middle of a turn."""
        self.house.upstream.next(says("one two three").but(hangs(after=2)))
        id = await self.house.begin(message="Begin!")

        async def speaks() -> bool:
            return any(event["type"] == "assistant" for event in await self.house.log(id))

        await until(speaks, "it speaks")
        return id

    async def killed_in_a_turn(self, id: str) -> None:
        """What it said until then is there, and it goes on from there."""
        log = await self.house.log(id)
        assert [event["seq"] for event in log] == list(range(1, len(log) + 1))
        assert [event["data"].get("code") for event in log if event["type"] == "error"] == ["shutting_down"]
        assert texts(log, 1)
        self.house.upstream.next(self.house.agent.runs("ls >listed.txt", Path()), says("here again"))
        answer = await self.client.ask(id, "Go on.", resume=True, on_approval=lambda request: True)
        assert answer.text == "here again"
        assert (self.house.work / "listed.txt").exists()
        in_order(told_to_model(self.house.upstream.requests[-1]), ("Begin!", "Go on."))
        await self.client.forget(id)

    async def ask_again(self) -> None:
        """The agent knows what was said."""
        before = self.surfaces.lines.heard[-1]["seq"]
        self.house.upstream.next(self.house.agent.writes(self.house.work / "name.txt", "Ada\n"), says(ANSWER))
        assert await self.command("send", self.id, QUESTION, "--yes") == f"{ANSWER}\n"
        assert (self.house.work / "name.txt").read_text() == "Ada\n"
        await self.surfaces.turn_ends(before)
        in_order(told_to_model(self.house.upstream.requests[-1]), list(history()))

    async def paid(self) -> None:
        """Every call of the agent went through the gateway, and is in the books as the session's."""
        house = self.house
        calls = [seen for seen in house.upstream.requests if seen.method == "POST"]
        trips = await house.trips(self.id, len(calls))
        assert [seen.model for seen in calls] == [house.agent.model.partition("/")[2]] * CALLS
        assert len(trips) == CALLS
        assert {trip["served_by"] for trip in trips} == {house.agent.model}
        await until(lambda: self._counted(CALLS), "the session's use is counted")

    async def _counted(self, calls: int) -> bool:
        usage = (await self.house.session(self.id))["usage"]
        return bool(usage["calls"] == calls and usage["cost_micros"])

    # --- what all of them have told

    async def compare(self, log: list[Json]) -> None:
        surfaces = self.surfaces
        assert [event["seq"] for event in log] == list(range(1, len(log) + 1))
        for surface in (surfaces.lines, surfaces.cable, surfaces.library, surfaces.window):
            assert surface.heard == log, type(surface).__name__
        assert json.loads(await self.command("export", self.id, "--format", "json"))["events"] == log
        deep, work = str(self.house.work / DEEP), str(self.house.work)
        assert contents(log, "directory_change") == [deep, work, deep, work]
        assert contents(log, "file_change") == [str(self.house.work / "name.txt")]
        assert sum(event["data"]["cost_micros"] for event in log if event["type"] == "usage")
        self.compare_terminal(log)
        await self.compare_page(log)
        await self.compare_commands(log)

    def compare_terminal(self, log: list[Json]) -> None:
        assert self.surfaces.chair.code == 0
        assert self.surfaces.chair.seat is not None
        shown = self.surfaces.chair.seat.paper.text
        in_order(shown, list(lines_of(log)))
        for text in contents(log, "user"):
            assert shown.count(f"› {text}\n") == 1, shown
        for text in messages(log):
            assert len(re.findall(rf"^{re.escape(text)}$", shown, re.MULTILINE)) == 1, shown

    async def compare_page(self, log: list[Json]) -> None:
        async def all_of(what: str) -> list[str]:
            return await self.page.locator(f"#log {what}").all_inner_texts()

        assert await all_of(".question") == contents(log, "user")
        assert await all_of(".body > .prose") == messages(log)
        assert await all_of(".tool .name") == [it["data"]["name"] for it in log if it["type"] == "tool_use"]
        assert await all_of(".asked .state") == ["allowed", "allowed", f"denied: {KEEP}", "allowed"]
        for shown, path in zip(
            await all_of(".file code"), contents(log, "directory_change", "file_change"), strict=True
        ):
            assert path.endswith(shown)  # those below the session's own are shortened
        moved = [text.partition(" ")[0] for text in await all_of(".moved")]
        assert moved == ["Suspended", "Resumed", "Ended"]
        assert "interrupted" in " ".join(await all_of(".foot"))

    async def compare_commands(self, log: list[Json]) -> None:
        (row,) = (await self.command("list")).splitlines()
        id, state, who, turns, *_ = row.split("\t")
        assert (id, state, turns) == (self.id, "terminated", str(log[-1]["turn"]))
        assert self.house.agent.backend in who
        shown = await self.command("show", self.id)
        for told in (str(len(log)), "terminated", self.house.agent.model, f"{CALLS + 2} calls"):
            assert told in shown
        in_order(await self.command("attach", self.id), [*contents(log, "user")])


CALLS = 1 + sum(1 + (step.command is not None) for step in STEPS)
"""Of the model, until the session is suspended."""


def told_to_model(seen: Seen) -> str:
    """What was said so far, as it is told in a request."""
    return json.dumps(seen.json["messages"], ensure_ascii=False)


def contents(log: Sequence[Json], *types: str) -> list[str]:
    return [event["content"] for event in log if event["type"] in types]


def messages(log: Sequence[Json]) -> list[str]:
    """What was answered, message by message."""
    found: dict[tuple[int, str], str] = {}
    for event in log:
        if event["type"] == "assistant":
            key = event["turn"], event["data"]["message_id"]
            found[key] = found.get(key, "") + event["content"]
    return [text.strip() for text in found.values()]


def lines_of(log: Sequence[Json]) -> Iterator[str]:
    """What a terminal shows of a log, in this order; pieces of messages apart."""
    uses = {event["data"]["id"]: event["data"] for event in log if event["type"] == "tool_use"}
    for event in log:
        data = event["data"]
        match event["type"]:
            case "user":
                yield f"› {event['content']}"
            case "tool_result":
                use = uses[data["id"]]
                mark = "✗" if data["is_error"] else "✓"
                about = next(use["input"][name] for name in SALIENT if name in use["input"])
                yield f"{mark} {use['name']}({about})  {event['content'].splitlines()[0][:BEGINNING]}"
            case "approval_resolved":
                yield "allowed" if data["decision"] == "allow" else f"denied: {KEEP}"
            case "file_change":
                yield f"± created {event['content']}"
            case "directory_change":
                yield f"→ {event['content']}"
            case "status_change" if data["to"] in ("suspended", "terminated"):
                yield f"● {data['to']}"
            case "status_change" if data["reason"] == "interrupted":
                yield "● idle (interrupted)"
