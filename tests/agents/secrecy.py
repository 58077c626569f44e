"""What an agent's own key is good for, and that no secret is left anywhere."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rhetor.testing import hangs, says
from tests.agents.house import House, Json, ends_turn, environment_of, holding, told_of, until
from tests.conftest import KEY

TOKEN = "t0ken-canary-5b8e2d914c"
VARIABLE = "CALLERS_SECRET"
SECRET = "s3cret-canary-c07d66f1a9"
HERE = Path()
QUESTION = "Is it set, I wonder?"
FORMATS = ("json", "txt", "md")
MOST_TURNS = 3
MOST_S = 1.0


def configured(folder: Path) -> dict[str, Json]:
    """A gateway that asks for a token, and lets callers set a variable."""
    file = folder / "token"
    file.write_text(TOKEN)
    return {"server": {"tokens": {"ann": f"file:{file}"}}, "sessions": {"environment": [VARIABLE]}}


class Secrecy:
    """A session of one agent, whose caller has a secret."""

    def __init__(self, house: House) -> None:
        self.house = house
        house.headers = {"authorization": f"Bearer {TOKEN}"}
        self.id = ""
        self.key = ""
        self.told: list[str] = []
        """Whatever the gateway has told of the session."""

    async def go(self) -> None:
        await self.begin()
        await self.look_at_processes()
        await self.use_its_key()
        await self.limits()
        await self.suspend()
        await self.come_back()

    async def begin(self) -> None:
        """The agent has the variable, and its key answers no question of its own."""
        house = self.house
        command = f'test "${VARIABLE}" && echo it is set'
        house.upstream.next(house.agent.runs(command, HERE), says("There it is."))
        self.id = await house.begin(message=QUESTION, environment={VARIABLE: SECRET}, max_turns=MOST_TURNS)
        session = await house.becomes(self.id, "waiting_input")
        self.key = self.key_now()
        (asked,) = session["waiting_for"]
        path = f"/v1/sessions/{self.id}/approvals/{asked['request_id']}"
        status, said = await house.ask("POST", path, {"decision": "allow"}, **bearer(self.key))
        assert (status, said["code"]) == (403, "forbidden")
        await house.answer(self.id)
        assert await self.results(1) == ["it is set"]

    def key_now(self) -> str:
        (leader,) = self.house.leaders(self.id)
        return self.house.agent.key_in(environment_of(leader))

    async def look_at_processes(self) -> None:
        """Nobody but the agent knows its key and its caller's secret, and it knows nothing else."""
        house = self.house
        its = house.processes(self.id)
        assert its
        for pid in house.ours():
            told = told_of(pid)
            assert KEY.encode() not in told
            assert TOKEN.encode() not in told
            for secret in (SECRET, self.key):
                assert (secret.encode() in told) is (pid in its)
        for pid in its:
            assert SECRET not in arguments_of(pid)
            assert self.key not in arguments_of(pid)

    async def use_its_key(self) -> None:
        """It is for model calls, which are the session's."""
        house = self.house
        status, _ = await self.call_model(self.key)
        assert status == 200

        async def counted() -> bool:
            return bool((await house.session(self.id))["usage"]["calls"] == len(house.upstream.requests))

        await until(counted, "the call is counted")
        for method, path in ELSEWHERE:
            status, said = await house.ask(method, path.format(self.id), {}, **bearer(self.key))
            assert status == 403, (method, path, said)
        assert (await house.ask("GET", "/v1/sessions", authorization="Bearer somebody"))[0] == 401

    async def call_model(self, key: str) -> tuple[int, Json]:
        body = {
            "model": self.house.agent.model,
            "max_tokens": 10,
            "messages": [{"role": "user", "content": "hello"}],
        }
        return await self.house.ask("POST", "/v1/messages", body, **bearer(key))

    async def limits(self) -> None:
        """Calls to its model for one message, and the time of a turn."""
        house = self.house
        before = len(house.upstream.requests)
        house.upstream.always(house.agent.runs("ls", HERE))
        await house.say(self.id, "Look around, again and again.")
        while (await house.becomes(self.id, "waiting_input", "idle"))["state"] == "waiting_input":
            await house.answer(self.id)
        house.upstream.always(hangs())
        assert await self.ending(self.id) == "max_turns"
        assert MOST_TURNS <= len(house.upstream.requests) - before <= MOST_TURNS + 1
        id = await house.begin(message="Hurry!", timeout_s=MOST_S)
        await house.becomes(id, "idle", "failed")
        assert await self.ending(id) == "timeout"
        await house.well("DELETE", f"/v1/sessions/{id}?forget=true")
        await house.gone(id)
        house.upstream.always(says("well"))

    async def ending(self, id: str) -> str:
        return str([event for event in await self.house.log(id) if ends_turn(event)][-1]["data"]["reason"])

    async def suspend(self) -> None:
        """Nothing of it is left but what was said."""
        house = self.house
        self.told.append(json.dumps(await house.well("POST", f"/v1/sessions/{self.id}/suspend")))
        await house.gone(self.id)
        assert (await self.call_model(self.key))[0] == 401
        await self.search(self.key)

    async def come_back(self) -> None:
        """With another key, and without the variable, which nobody has stored."""
        house = self.house
        await house.kill()
        await house.nothing_left()
        await house.start()
        await house.well("POST", f"/v1/sessions/{self.id}/resume", {"state": json.loads(self.told[0])})
        house.upstream.next(house.agent.runs(f"echo ${{{VARIABLE}-it is gone}}", HERE), says("It is not."))
        turn = (await house.session(self.id))["turn"] + 1
        await house.say(self.id, "And now?")
        await house.answer(self.id)
        assert await self.results(turn) == ["it is gone"]
        key = self.key_now()
        assert key != self.key
        assert (await self.call_model(self.key))[0] == 401
        assert (await self.call_model(key))[0] == 200
        await self.search(self.key, key)
        await self.print_environment(turn + 1)
        await house.kill()
        await self.search(self.key, key, own=False)

    async def print_environment(self, turn: int) -> None:
        """Its model is told, and so its own transcript has it; nobody else."""
        self.house.upstream.next(self.house.agent.runs("env", HERE), says("There it is."))
        await self.house.say(self.id, "Who are you?")
        await self.house.answer(self.id)
        (printed,) = await self.results(turn)
        assert "[redacted]" in printed
        self.told.append(json.dumps(await self.house.log(self.id)))

    async def results(self, turn: int) -> Sequence[str]:
        """What came of the tools of a turn, once it has ended well."""
        await self.house.becomes(self.id, "idle")
        assert await self.ending(self.id) == "end"
        log = await self.house.log(self.id)
        told = [it for it in log if it["turn"] == turn and it["type"] == "tool_result"]
        return [str(it["content"]).strip() for it in told]

    async def search(self, *keys: str, own: bool = True) -> None:
        """In whatever is stored, logged or told; also in what the agent itself has kept."""
        house = self.house
        if house.runs_now:
            for path in (f"/v1/sessions/{self.id}", "/v1/sessions/backends", "/api/v1/trips", "/metrics"):
                self.told.append(json.dumps(await house.well("GET", path)))
            self.told.append(json.dumps(await house.log(self.id)))
            for format in FORMATS:
                said = await house.well("GET", f"/v1/sessions/{self.id}/export?format={format}")
                self.told.append(json.dumps(said))
        secrets = (KEY, TOKEN, SECRET, *keys)
        assert holding(house.kept, QUESTION), "nothing is found at all"
        found = [*holding(house.kept, *secrets), *holding(house.work, *secrets)]
        assert [(path, secret) for path, secret in found if own or "home" not in path.parts] == []
        log, told = house.log_file.read_text(), "".join(self.told)
        assert [secret for secret in secrets if secret in log or secret in told] == []


ELSEWHERE = (
    ("GET", "/v1/sessions"),
    ("POST", "/v1/sessions"),
    ("GET", "/v1/sessions/{}"),
    ("GET", "/v1/sessions/{}/events"),
    ("POST", "/v1/sessions/{}/messages"),
    ("POST", "/v1/sessions/{}/resume"),
    ("DELETE", "/v1/sessions/{}"),
    ("GET", "/api/v1/sessions"),
    ("GET", "/api/v1/trips"),
)


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def arguments_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()
