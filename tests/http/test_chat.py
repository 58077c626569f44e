"""The chat platform's door over HTTP: as its callers send, and as they are told."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest

from rhetor.core.content import Thinking
from rhetor.core.events import FinishReason
from rhetor.http.chat import following
from rhetor.http.chat.limits import Limits
from rhetor.tasks import spawn
from rhetor.testing import Gate, Upstream, cuts, fails, hangs, says, slow
from tests.conftest import MakeGateway
from tests.http.chat.platform import PASSWORD, SECRET, Person, Platform, frames, opened

TOKEN = "canary-ops-token-1234567890"
GUARDED: Any = {"server": {"tokens": {"ops": "env:OPS_TOKEN"}}, "environ": {"OPS_TOKEN": TOKEN}}
UNKNOWN = "ses_000000000000000000000000"


@pytest.fixture
async def platform(make_gateway: MakeGateway, upstream: Upstream) -> Platform:
    return await opened(make_gateway, upstream)


@pytest.fixture
async def ada(platform: Platform) -> Person:
    return await platform.join("ada", "ada@example.org")


def text_of(told: list[dict[str, Any]]) -> str:
    return "".join(frame["content"] for frame in told if frame["type"] == "token")


class TestSigningIn:
    async def test_who_registers_is_signed_in(self, platform: Platform) -> None:
        body = {"username": "ada", "email": "ada@example.org", "password": PASSWORD}
        status, told, headers = await platform.stranger.asked("POST", "/api/v1/auth/register", body)

        assert status == 201
        assert told["message"] == "User registered successfully"
        user = told["user"]
        assert (user["username"], user["email"], user["role"]) == ("ada", "ada@example.org", "user")
        assert user["preferences"]["defaultTemperature"] == 0.7
        assert headers["cache-control"] == "no-store"
        said = jwt.decode(told["token"], SECRET, algorithms=["HS256"], issuer="rhetor")
        assert (said["userId"], said["username"], said["role"]) == (user["id"], "ada", "user")
        assert said["exp"] - said["iat"] == 24 * 3600
        assert PASSWORD not in str(told)
        assert "password" not in user

    @pytest.mark.parametrize(
        "name", [{"email": "ada@example.org"}, {"username": "ada"}], ids=["email", "name"]
    )
    async def test_and_signs_in_again(self, platform: Platform, ada: Person, name: dict[str, str]) -> None:
        status, told = await platform.stranger.ask(
            "POST", "/api/v1/auth/login", {**name, "password": PASSWORD}
        )

        assert (status, told["message"]) == (200, "Login successful")
        again = platform.with_token(told["token"])
        assert (await again.ask("GET", "/api/v1/auth/profile"))[1]["user"]["username"] == "ada"

    @pytest.mark.parametrize(
        ("path", "body", "status", "error"),
        [
            ("login", {"email": "ada@example.org", "password": "wrong horse"}, 401, "Invalid credentials"),
            ("login", {"email": "nobody@example.org", "password": PASSWORD}, 401, "Invalid credentials"),
            ("login", {"email": {"$ne": None}, "password": PASSWORD}, 400, "Validation failed"),
            ("login", {"email": "ada@example.org"}, 400, "Missing credentials"),
            ("login", [], 400, "Validation failed"),
            ("register", {"username": "ada", "password": PASSWORD}, 409, "User already exists"),
            ("register", {"username": "grace"}, 400, "Missing required fields"),
            ("register", {"username": "grace", "password": "short"}, 400, "Validation failed"),
        ],
    )
    async def test_refusals(
        self, platform: Platform, ada: Person, path: str, body: Any, status: int, error: str
    ) -> None:
        got, told = await platform.stranger.ask("POST", f"/api/v1/auth/{path}", body)

        assert (got, told["error"]) == (status, error)
        assert isinstance(told["message"], str)

    async def test_an_unknown_user_is_told_what_a_known_one_is(self, platform: Platform, ada: Person) -> None:
        login = "/api/v1/auth/login"
        known = await platform.stranger.ask("POST", login, {"username": "ada", "password": "wrong"})
        unknown = await platform.stranger.ask("POST", login, {"username": "eve", "password": "wrong"})

        assert known == unknown

    async def test_who_signs_out_has_a_token_that_is_good_no_longer(
        self, platform: Platform, ada: Person
    ) -> None:
        login = {"username": "ada", "password": PASSWORD}
        other = platform.with_token(
            (await platform.stranger.ask("POST", "/api/v1/auth/login", login))[1]["token"]
        )

        assert await ada.ask("POST", "/api/v1/auth/logout") == (200, {"message": "Logout successful"})

        assert (await ada.ask("GET", "/api/v1/auth/profile"))[0] == 403
        assert (await ada.ask("POST", "/api/v1/auth/logout"))[0] == 403
        assert (await other.ask("GET", "/api/v1/auth/profile"))[0] == 200

    async def test_preferences(self, ada: Person) -> None:
        wanted = {
            "defaultProvider": "oai",
            "defaultModel": "m",
            "defaultTemperature": 0,
            "systemPrompt": "Hi.",
        }
        status, told = await ada.ask("PUT", "/api/v1/auth/preferences", wanted)

        assert (status, told["preferences"]) == (200, wanted)
        assert (await ada.ask("GET", "/api/v1/auth/profile"))[1]["user"]["preferences"] == wanted
        await ada.ask("PUT", "/api/v1/auth/preferences", {"systemPrompt": ""})
        kept = (await ada.ask("GET", "/api/v1/auth/profile"))[1]["user"]["preferences"]
        assert kept == {**wanted, "systemPrompt": ""}

    @pytest.mark.parametrize(
        "wrong", [{"defaultTemperature": 2.1}, {"defaultModel": 7}, {"systemPrompt": "x" * 2001}]
    )
    async def test_preferences_have_bounds(self, ada: Person, wrong: dict[str, Any]) -> None:
        status, told = await ada.ask("PUT", "/api/v1/auth/preferences", wrong)

        assert (status, told["param"]) == (400, next(iter(wrong)))

    async def test_accounts_outlive_their_gateway(self, make_gateway: MakeGateway, tmp_path: Path) -> None:
        folder = {"store": {"folder": str(tmp_path / "state")}}
        before = await opened(make_gateway, **folder)
        ada = await before.join("ada")
        gone = await before.join("grace")
        await gone.ask("POST", "/api/v1/auth/logout")
        await before.gateway.app.stop()

        after = await opened(make_gateway, **folder)

        assert ada.token
        assert gone.token
        assert (await after.with_token(ada.token).ask("GET", "/api/v1/auth/profile"))[0] == 200
        assert (await after.with_token(gone.token).ask("GET", "/api/v1/auth/profile"))[0] == 403
        login = {"username": "ada", "password": PASSWORD}
        assert (await after.stranger.ask("POST", "/api/v1/auth/login", login))[0] == 200
        for path in (tmp_path / "state").rglob("*"):
            if path.is_file():
                kept = path.read_bytes()
                assert PASSWORD.encode() not in kept
                assert SECRET.encode() not in kept
                assert ada.token.encode() not in kept


class TestRegistration:
    async def test_is_closed_to_strangers_where_tokens_are_asked_for(self, make_gateway: MakeGateway) -> None:
        platform = await opened(make_gateway, **GUARDED)
        body = {"username": "eve", "password": PASSWORD}
        status, told = await platform.stranger.ask("POST", "/api/v1/auth/register", body)
        assert (status, told["error"]) == (403, "Registration closed")
        assert "sessions.registration" in told["message"]

        ops = platform.with_token(TOKEN)
        assert (await ops.ask("POST", "/api/v1/auth/register", body))[0] == 201

    async def test_can_be_opened(self, make_gateway: MakeGateway) -> None:
        platform = await opened(make_gateway, sessions={"registration": True}, **GUARDED)
        assert (await platform.join("eve")).token


class TestWhoCalls:
    @pytest.mark.promise("P16", "P17", "P28")
    @pytest.mark.parametrize(
        ("headers", "status", "error"),
        [
            ({}, 401, "Access denied"),
            ({"authorization": "Basic YTpi"}, 401, "Access denied"),
            ({"authorization": "Bearer "}, 401, "Access denied"),
            ({"authorization": "Bearer nonsense"}, 403, "Invalid token"),
            ({"authorization": "Bearer eyJhbGciOiJub25lIn0.eyJ1c2VySWQiOiJ1c3JfMSJ9."}, 403, "Invalid token"),
            ({"x_api_key": "nonsense"}, 403, "Invalid token"),
        ],
    )
    async def test_strangers_are_refused(
        self, platform: Platform, headers: dict[str, str], status: int, error: str
    ) -> None:
        for method, path in (("POST", "/api/v1/chat/session"), ("GET", "/api/v1/chat/sessions")):
            got, told, answer = await platform.stranger.asked(
                method, path, {} if method == "POST" else None, **headers
            )
            assert (got, told["error"]) == (status, error)
            assert told["message"]
            assert ("www-authenticate" in answer) == (status == 401)

    async def test_a_token_of_the_gateway_will_do(
        self, make_gateway: MakeGateway, upstream: Upstream
    ) -> None:
        platform = await opened(make_gateway, upstream, **GUARDED)
        ops = platform.with_token(TOKEN)
        id = await ops.begin()
        assert (await ops.say(id, "hi"))[0] == 200
        assert (await ops.ask("GET", "/api/v1/auth/profile"))[0] == 404
        assert (await ops.ask("POST", "/api/v1/auth/logout"))[0] == 200

    async def test_without_accounts_nobody_signs_in_and_chats_go_on(
        self, make_gateway: MakeGateway, upstream: Upstream
    ) -> None:
        """A gateway that asks for no token, and has no secret."""
        platform = await opened(make_gateway, upstream, accounts=False)
        for path in ("register", "login"):
            status, told = await platform.stranger.ask("POST", f"/api/v1/auth/{path}", {})
            assert (status, told["error"]) == (503, "Accounts are off")
            assert "sessions.jwt_secret" in told["message"]
        assert (await platform.stranger.ask("GET", "/api/v1/auth/profile"))[0] == 503
        id = await platform.stranger.begin()
        assert (await platform.stranger.say(id, "hi"))[0] == 200

    async def test_everybody_has_their_own(self, platform: Platform, ada: Person) -> None:
        eve = await platform.join("eve")
        id = await ada.begin()
        one = f"/api/v1/chat/sessions/{id}"

        asked = [
            ("GET", f"{one}/messages", None),
            ("DELETE", f"{one}/context", None),
            ("POST", f"{one}/summarize", None),
            ("GET", f"{one}/export", None),
            ("GET", f"{one}/stats", None),
            ("GET", f"/api/v1/chat/stream/{id}", None),
            ("POST", "/api/v1/chat/message", {"sessionId": id, "message": "hi"}),
            ("POST", "/api/v1/chat/message/simple", {"sessionId": id, "message": "hi"}),
        ]
        for method, path, body in asked:
            status, told = await eve.ask(method, path, body)
            assert (status, told["error"]) == (404, "Session not found"), path
        assert (await eve.ask("GET", "/api/v1/chat/sessions"))[1] == {"sessions": [], "total": 0}

    async def test_pages_of_others_may_not_call(self, platform: Platform, ada: Person) -> None:
        status, _ = await ada.ask("POST", "/api/v1/chat/session", {}, Origin="https://evil.example")

        assert status == 403


class TestSessions:
    @pytest.mark.promise("P16")
    async def test_one_is_begun(self, ada: Person) -> None:
        wanted = {
            "provider": "oai",
            "model": "m",
            "systemPrompt": "Be kind.",
            "temperature": 0,
            "maxTokens": 4000,
        }
        status, told = await ada.ask("POST", "/api/v1/chat/session", wanted)

        assert status == 201
        assert told["sessionId"].startswith("ses_")
        assert (told["provider"], told["model"], told["systemPrompt"]) == ("oai", "m", "Be kind.")
        assert told["settings"] == {"temperature": 0, "maxTokens": 4000}

    async def test_who_wants_nothing_gets_what_is_usual(
        self, make_gateway: MakeGateway, upstream: Upstream
    ) -> None:
        routes = {"fast": {"targets": ["oai/m"]}}
        platform = await opened(make_gateway, upstream, routes=routes, rules={"default": "fast"})
        ada = await platform.join()
        status, told = await ada.ask("POST", "/api/v1/chat/session", {})
        assert status == 201
        assert (told["provider"], told["systemPrompt"]) == ("rhetor", "")
        assert told["settings"] == {"temperature": 0.7, "maxTokens": 1000}
        assert (await ada.say(told["sessionId"], "hi"))[0] == 200

    @pytest.mark.parametrize(
        ("wrong", "param"),
        [
            ({"temperature": 2.1}, "temperature"),
            ({"temperature": -0.1}, "temperature"),
            ({"temperature": "warm"}, "temperature"),
            ({"maxTokens": 0}, "maxTokens"),
            ({"maxTokens": 4001}, "maxTokens"),
            ({"maxTokens": 1.5}, "maxTokens"),
            ({"systemPrompt": "x" * 2001}, "systemPrompt"),
            ({"systemPrompt": ["x"]}, "systemPrompt"),
            ({"provider": "dialogflow"}, "provider"),
            ({"provider": 7}, "provider"),
            ({"model": "\0"}, "model"),
        ],
    )
    async def test_bounds(self, ada: Person, wrong: dict[str, Any], param: str) -> None:
        status, told = await ada.ask("POST", "/api/v1/chat/session", wrong)

        assert status in (400, 404)
        assert told["param"] == param
        assert told["error"]

    async def test_the_newest_are_listed_first(self, ada: Person) -> None:
        first, second, third = [await ada.begin() for _ in range(3)]
        await ada.say(first, "hi")

        _, told = await ada.ask("GET", "/api/v1/chat/sessions?limit=2")
        assert ([it["sessionId"] for it in told["sessions"]], told["total"]) == ([first, third], 3)
        _, told = await ada.ask("GET", "/api/v1/chat/sessions?limit=2&offset=2")
        assert [it["sessionId"] for it in told["sessions"]] == [second]
        one = told["sessions"][0]
        assert one["_id"] == one["sessionId"]
        assert one["title"] == "New Chat"
        for key in ("createdAt", "updatedAt", "lastActivityAt"):
            assert datetime.fromisoformat(one[key])
        assert (await ada.ask("GET", "/api/v1/chat/sessions?limit=x"))[0] == 400

    async def test_the_first_message_is_the_title(self, ada: Person) -> None:
        id = await ada.begin()
        await ada.say(id, "how do I\ncount the files of a folder, all of them, and quickly?")

        _, told = await ada.ask("GET", "/api/v1/chat/sessions")
        assert told["sessions"][0]["title"] == "how do I count the files of a folder, all of them,..."
        _, told = await ada.ask("GET", f"/api/v1/chat/sessions/{id}/messages")
        assert told["session"]["title"].startswith("how do I count")


class TestPreferences:
    async def test_new_sessions_are_as_their_owner_prefers(self, ada: Person) -> None:
        wanted = {
            "defaultProvider": "ant",
            "defaultModel": "x",
            "defaultTemperature": 0,
            "defaultMaxTokens": 7,
            "systemPrompt": "Be a pirate.",
        }
        assert (await ada.ask("PUT", "/api/v1/auth/preferences", wanted))[0] == 200

        _, told = await ada.ask("POST", "/api/v1/chat/session")
        assert (told["provider"], told["model"], told["systemPrompt"]) == ("ant", "x", "Be a pirate.")
        assert told["settings"] == {"temperature": 0, "maxTokens": 7}

        said = {"provider": "oai", "model": "m", "temperature": 1, "maxTokens": 9, "systemPrompt": ""}
        _, told = await ada.ask("POST", "/api/v1/chat/session", said)
        assert (told["provider"], told["model"], told["systemPrompt"]) == ("oai", "m", "")
        assert told["settings"] == {"temperature": 1, "maxTokens": 9}

    async def test_a_preference_that_cannot_be_had_hinders_nobody(self, ada: Person) -> None:
        wanted = {"defaultProvider": "gone", "defaultModel": "x"}
        await ada.ask("PUT", "/api/v1/auth/preferences", wanted)
        assert (await ada.ask("POST", "/api/v1/chat/session"))[0] == 201
        assert (await ada.ask("POST", "/api/v1/chat/session", {"provider": "gone"}))[0] == 404

    async def test_a_model_that_nobody_has_is_refused_at_once(self, ada: Person) -> None:
        wanted = {"provider": "offline", "model": "zzz"}
        status, told = await ada.ask("POST", "/api/v1/chat/session", wanted)
        assert (status, told["code"], told["param"]) == (404, "model_not_found", "model")
        assert "retryable" not in told


class TestMessages:
    @pytest.mark.promise("P02", "P05", "P06")
    async def test_an_answer_is_streamed(self, ada: Person, upstream: Upstream) -> None:
        upstream.next(says(Thinking("well"), "hello dear world"))
        id = await ada.begin(systemPrompt="Be kind.", temperature=0, maxTokens=50)

        told = await ada.hear(id, "hi")

        *tokens, done = told
        assert len(tokens) > 1
        assert {it["type"] for it in tokens} == {"token"}
        assert text_of(told) == "hello dear world"
        assert {it["messageId"] for it in tokens} == {done["messageId"]}
        assert done["type"] == "done"
        assert done["usage"] == {"promptTokens": 11, "completionTokens": 7, "totalTokens": 18}
        assert done["responseTime"] >= 0
        assert "fallback" not in done
        body = upstream.requests[0].json
        assert [it["content"] for it in body["messages"]] == ["Be kind.", "hi"]
        assert (body["temperature"], body["max_completion_tokens"]) == (0, 50)

    async def test_it_comes_as_it_is_said(self, ada: Person, upstream: Upstream) -> None:
        gate = Gate()
        upstream.next(says("one two").but(hangs(gate, after=1)))
        id = await ada.begin()

        async with ada.streaming(id, "hi") as reply:
            told = frames(reply)
            assert (await anext(told))["content"] == "one"
            gate.open()
            assert [it["type"] async for it in told] == ["token", "done"]

    @pytest.mark.promise("P03")
    async def test_an_answer_comes_in_one_piece(self, ada: Person, upstream: Upstream) -> None:
        upstream.next(says("hello"))
        id = await ada.begin()

        status, told = await ada.say(id, "hi")

        assert (status, told["success"]) == (200, True)
        user, answer = told["userMessage"], told["assistantMessage"]
        assert (user["role"], user["content"]) == ("user", "hi")
        assert (answer["role"], answer["content"]) == ("assistant", "hello")
        assert user["id"] != answer["id"]
        assert datetime.fromisoformat(user["createdAt"]) <= datetime.fromisoformat(answer["createdAt"])
        about = answer["metadata"]
        assert (about["provider"], about["model"]) == ("oai", "m")
        assert about["usage"] == {"promptTokens": 11, "completionTokens": 7, "totalTokens": 18}
        assert isinstance(about["responseTime"], int)

    @pytest.mark.promise("P06", "P07", "P29")
    async def test_usage_that_nobody_reports_is_estimated_and_says_so(
        self, ada: Person, upstream: Upstream
    ) -> None:
        upstream.next(says("x" * 41, usage=None))
        id = await ada.begin()

        done = (await ada.hear(id, "y" * 80))[-1]

        usage = {"promptTokens": 20, "completionTokens": 11, "totalTokens": 31, "estimated": True}
        assert done["usage"] == usage

    async def test_a_conversation_goes_on(self, ada: Person, upstream: Upstream) -> None:
        upstream.next(says("hello"), says("Ada"))
        id = await ada.begin()
        await ada.say(id, "I am Ada")
        await ada.hear(id, "who am I?")

        assert [it["content"] for it in upstream.requests[1].json["messages"]] == [
            "I am Ada",
            "hello",
            "who am I?",
        ]

    @pytest.mark.promise("P18", "P28")
    @pytest.mark.parametrize(
        ("step", "code", "status", "retryable"),
        [
            (fails(401), "upstream_authentication", 502, True),
            (fails(429, headers={"retry-after": "3000"}), "rate_limited", 429, True),
            (fails(500), "upstream_error", 502, True),
            (fails(400, "no such thing"), "invalid_request", 400, False),
        ],
    )
    async def test_what_a_provider_refuses_is_told(
        self, ada: Person, upstream: Upstream, step: Any, code: str, status: int, retryable: bool
    ) -> None:
        """A stable code and a message in both shapes, and never an invented answer."""
        upstream.always(step)
        id = await ada.begin()

        (error,) = await ada.hear(id, "hi")
        got, told = await ada.say(id, "hi")

        assert (error["type"], error["code"], error["retryable"]) == ("error", code, retryable)
        assert error["provider"] == "oai"
        assert (got, told["code"]) == (status, code)
        assert error["message"]
        assert told["message"]
        assert told.get("retryable", False) is retryable

    async def test_what_breaks_off_is_an_error_after_its_tokens(
        self, ada: Person, upstream: Upstream
    ) -> None:
        upstream.next(says("one two three").but(cuts(after=2), slow(gap_s=0.02)))
        id = await ada.begin()

        told = await ada.hear(id, "count")

        assert told[0]["type"] == "token"
        assert (told[-1]["type"], told[-1]["retryable"]) == ("error", True)
        _, history = await ada.ask("GET", f"/api/v1/chat/sessions/{id}/messages")
        assert [it["status"] for it in history["messages"]] == ["completed", "error"]

    async def test_an_answer_that_was_cut_at_its_limit_says_so(self, ada: Person, upstream: Upstream) -> None:
        upstream.next(says("not all", finish=FinishReason.LENGTH))

        assert (await ada.hear(await ada.begin(), "all?"))[-1]["finishReason"] == "length"

    @pytest.mark.parametrize(
        ("wrong", "status"),
        [
            ({"message": ""}, 400),
            ({"message": "  \n"}, 400),
            ({"message": "x" * 4001}, 400),
            ({"message": ["hi"]}, 400),
            ({"message": "a\0b"}, 400),
            ({"sessionId": None}, 400),
            ({"sessionId": 7}, 400),
            ({"sessionId": UNKNOWN}, 404),
            ({"sessionId": "../etc/passwd"}, 404),
            ({"provider": "dialogflow"}, 404),
        ],
    )
    async def test_bad_messages(self, ada: Person, wrong: dict[str, Any], status: int) -> None:
        body = {"sessionId": await ada.begin(), "message": "hi", **wrong}
        for path in ("message", "message/simple"):
            got, told = await ada.ask("POST", f"/api/v1/chat/{path}", body)
            assert got == status
            assert told.keys() >= {"error", "message", "code"}

    async def test_the_longest_message_is_taken(self, ada: Person) -> None:
        assert (await ada.say(await ada.begin(), "x" * 4000))[0] == 200

    async def test_a_body_that_is_no_json(self, platform: Platform, ada: Person) -> None:
        url = f"{platform.url}/api/v1/chat/message"
        async with platform.session.post(url, data=b"{", headers=ada.headers) as reply:
            assert reply.status == 400
            assert (await reply.json())["error"] == "Validation failed"

    async def test_one_turn_at_a_time(self, ada: Person, upstream: Upstream) -> None:
        gate = Gate()
        upstream.next(hangs(gate))
        id = await ada.begin()
        async with ada.streaming(id, "hi") as reply, asyncio.TaskGroup() as group:
            first = group.create_task(_whole(reply))
            await (await upstream.request()).hanging()
            status, told = await ada.say(id, "me too")
            assert (status, told["error"]) == (409, "Conflict")
            gate.open()
        assert first.result()[-1]["type"] == "done"

    @pytest.mark.promise("P20")
    async def test_a_message_that_comes_twice_is_answered_once(self, ada: Person, upstream: Upstream) -> None:
        id = await ada.begin()
        first = await ada.hear(id, "hi", messageId="mine-1")
        again = await ada.hear(id, "hi", messageId="mine-1")

        assert text_of(again) == text_of(first)
        assert again[-1] == first[-1]
        assert len(upstream.requests) == 1

    async def test_another_provider_can_be_asked_on_the_way(self, ada: Person, upstream: Upstream) -> None:
        id = await ada.begin()
        await ada.say(id, "hi", provider="oai")
        assert upstream.requests[-1].path == "/v1/chat/completions"
        status, told = await ada.say(id, "and you?", provider="ant")

        assert status in (200, 404), told
        if status == 200:
            assert upstream.requests[-1].path == "/v1/messages"

    async def test_correlation_ids_come_back(self, ada: Person) -> None:
        _, _, headers = await ada.asked("POST", "/api/v1/chat/session", {}, x_correlation_id="abc-1")

        assert headers["x-correlation-id"] == "abc-1"


async def _whole(reply: aiohttp.ClientResponse) -> list[dict[str, Any]]:
    return [frame async for frame in frames(reply)]


class TestLeaving:
    @pytest.mark.promise("P23", "P24")
    @pytest.mark.parametrize("path", ["message", "message/simple"])
    async def test_who_leaves_ends_the_call(
        self, platform: Platform, ada: Person, upstream: Upstream, path: str
    ) -> None:
        upstream.next(says("one two three").but(hangs(Gate(), after=1)))
        id = await ada.begin()
        url, body = f"{platform.url}/api/v1/chat/{path}", {"sessionId": id, "message": "count"}

        async def call() -> None:
            async with platform.session.post(url, json=body, headers=ada.headers) as reply:
                await reply.read()

        calling = asyncio.get_running_loop().create_task(call())
        seen = await upstream.request()
        await seen.hanging()
        calling.cancel()

        await seen.aborted()
        async with asyncio.timeout(5):
            while await platform.house.sessions.list(_owner(ada), states={"active"}):
                await asyncio.sleep(0)
        _, history = await ada.ask("GET", f"/api/v1/chat/sessions/{id}/messages")
        assert [(it["content"], it["status"]) for it in history["messages"]] == [
            ("count", "completed"),
            ("one", "cancelled"),
        ]
        assert (await ada.say(id, "again"))[0] == 200

    async def test_who_is_told_when_the_gateway_stops(
        self, platform: Platform, ada: Person, upstream: Upstream
    ) -> None:
        """The stream ends with an error that invites to come again, and what was said is kept."""
        upstream.next(says("one two").but(hangs(Gate(), after=1)))
        id = await ada.begin()
        async with ada.streaming(id, "count") as reply:
            told = frames(reply)
            assert (await anext(told))["content"] == "one"
            stopping = asyncio.get_running_loop().create_task(platform.gateway.app.stop())
            last = [it async for it in told][-1]
            await stopping

        assert (last["type"], last["retryable"]) == ("error", True)


def _owner(person: Person) -> str:
    assert person.token is not None
    return f"user:{jwt.decode(person.token, options={'verify_signature': False})['userId']}"


class TestMemory:
    async def test_messages_are_listed(self, ada: Person, upstream: Upstream) -> None:
        upstream.next(says("1"), says("2"), says("3"))
        id = await ada.begin()
        for text in ("one", "two", "three"):
            await ada.say(id, text)

        _, told = await ada.ask("GET", f"/api/v1/chat/sessions/{id}/messages")
        assert [it["content"] for it in told["messages"]] == ["one", "1", "two", "2", "three", "3"]
        assert told["session"]["sessionId"] == told["sessionId"] == id
        answer = told["messages"][1]
        assert (answer["_id"], answer["role"], answer["status"]) == (answer["id"], "assistant", "completed")
        assert answer["metadata"]["usage"]["totalTokens"] == 18
        assert answer["metadata"]["provider"] == "oai"
        _, told = await ada.ask("GET", f"/api/v1/chat/sessions/{id}/messages?limit=2")
        assert [it["content"] for it in told["messages"]] == ["three", "3"], "the last ones"

    async def test_context_is_cleared(self, ada: Person, upstream: Upstream) -> None:
        id = await ada.begin()
        await ada.say(id, "a secret")

        status, told = await ada.ask("DELETE", f"/api/v1/chat/sessions/{id}/context")
        await ada.say(id, "hi")

        assert (status, told["message"]) == (200, "Context cleared successfully")
        assert [it["content"] for it in upstream.requests[-1].json["messages"]] == ["hi"]
        _, told = await ada.ask("GET", f"/api/v1/chat/sessions/{id}/messages")
        assert "a secret" not in [it["content"] for it in told["messages"]]

    async def test_context_is_summed_up(self, make_gateway: MakeGateway, upstream: Upstream) -> None:
        memory = {"chat": {"keep_s": 0.000_001, "summarize_tokens": 0}}
        platform = await opened(make_gateway, upstream, sessions=memory)
        ada = await platform.join()
        id = await ada.begin()
        upstream.next(says("hello " * 100), says("Ada was greeted"))
        await ada.say(id, "I am Ada")

        status, told = await ada.ask("POST", f"/api/v1/chat/sessions/{id}/summarize")

        assert (status, told["message"]) == (200, "Context summarized successfully")
        assert told["result"]["messagesSummarized"] == 2
        assert told["result"]["tokensSaved"] > 0
        _, told = await ada.ask("GET", f"/api/v1/chat/sessions/{id}/messages")
        assert [(it["role"], it["content"]) for it in told["messages"]] == [("summary", "Ada was greeted")]
        _, told = await ada.ask("GET", f"/api/v1/chat/sessions/{id}/stats")
        assert told["lastSummarizedAt"]
        assert (told["messageCount"], told["needsSummarization"]) == (0, False)

    async def test_there_may_be_nothing_to_be_summed_up(self, ada: Person) -> None:
        id = await ada.begin()
        await ada.say(id, "hi")

        status, told = await ada.ask("POST", f"/api/v1/chat/sessions/{id}/summarize")

        assert (status, told["result"]) == (200, None)

    async def test_stats(self, ada: Person) -> None:
        id = await ada.begin()
        await ada.say(id, "hi")

        _, told = await ada.ask("GET", f"/api/v1/chat/sessions/{id}/stats")

        assert (told["messageCount"], told["userMessages"], told["assistantMessages"]) == (2, 1, 1)
        assert (told["maxTokens"], told["summarizationThreshold"]) == (16_000, 12_000)
        assert told["totalTokens"] > 0

    @pytest.mark.parametrize(
        ("format", "kind"),
        [("json", "application/json"), ("txt", "text/plain"), ("md", "text/markdown")],
    )
    async def test_export(self, ada: Person, upstream: Upstream, format: str, kind: str) -> None:
        upstream.next(says("hello"))
        id = await ada.begin()
        await ada.say(id, "hi")

        status, told, headers = await ada.asked("GET", f"/api/v1/chat/sessions/{id}/export?format={format}")

        assert status == 200
        assert headers["content-type"].startswith(kind)
        assert headers["content-disposition"] == f'attachment; filename="chat-{id}.{format}"'
        if format == "json":
            assert [(it["role"], it["content"]) for it in told["messages"]] == [
                ("user", "hi"),
                ("assistant", "hello"),
            ]
            assert told["exportedAt"]
            assert told["provider"] == "oai"
        elif format == "txt":
            assert told == b"USER: hi\n\nASSISTANT: hello\n\n"
        else:
            assert b"## Assistant\n\n> hello" in told

    async def test_a_chat_is_summed_up_once_at_a_time(
        self, make_gateway: MakeGateway, upstream: Upstream
    ) -> None:
        memory = {"chat": {"keep_s": 0.000_001, "summarize_tokens": 0}}
        platform = await opened(make_gateway, upstream, sessions=memory)
        ada = await platform.join()
        id, gate = await ada.begin(), Gate()
        upstream.next(says("hello " * 100), says("greeted").but(hangs(gate)))
        await ada.say(id, "I am Ada")
        path = f"/api/v1/chat/sessions/{id}/summarize"

        first = spawn(ada.asked("POST", path), "first")
        await gate.reached()
        status, told = await ada.ask("POST", path)
        gate.open()

        assert (status, told["code"]) == (409, "conflict")
        assert "already" in told["message"]
        status, told, headers = await first
        assert (status, told["result"]["messagesSummarized"]) == (200, 2)
        assert headers["x-ratelimit-limit"] == "50"

    async def test_a_turn_is_not_summed_up(self, ada: Person, upstream: Upstream) -> None:
        id, gate = await ada.begin(), Gate()
        upstream.next(says("hi").but(hangs(gate)))
        turn = spawn(ada.say(id, "hello"), "turn")
        await gate.reached()
        asked = len(upstream.requests)

        status, told = await ada.ask("POST", f"/api/v1/chat/sessions/{id}/summarize")

        assert (status, told["code"], len(upstream.requests)) == (409, "conflict", asked)
        gate.open()
        await turn

    async def test_an_unknown_format(self, ada: Person) -> None:
        status, told = await ada.ask("GET", f"/api/v1/chat/sessions/{await ada.begin()}/export?format=pdf")

        assert (status, told["param"]) == (400, "format")


class TestFollowing:
    async def test_whatever_happens_is_told(self, ada: Person, upstream: Upstream) -> None:
        upstream.next(says("hello world"))
        id = await ada.begin()
        async with ada.following(id) as reply:
            told = frames(reply)
            assert await anext(told) == {"type": "connected", "sessionId": id, "message": "Stream connected"}
            await ada.say(id, "hi")
            heard = []
            while not heard or heard[-1]["type"] != "done":
                heard.append(await anext(told))

        assert text_of(heard) == "hello world"
        assert heard[-1]["usage"]["totalTokens"] == 18

    async def test_who_was_cut_off_comes_back(self, ada: Person, upstream: Upstream) -> None:
        id = await ada.begin()
        upstream.next(says("hello"), says("again"))
        await ada.say(id, "hi")
        async with ada.following(id, Last_Event_ID="0") as reply:
            told = frames(reply)
            await anext(told)
            heard = [await anext(told), await anext(told)]
        assert [it["type"] for it in heard] == ["token", "done"]
        for wrong in ("x", "-1", "9" * 30):
            status, _ = await ada.ask("GET", f"/api/v1/chat/stream/{id}", None, Last_Event_ID=wrong)
            assert status == 400

    async def test_a_place_that_there_is_not(self, ada: Person) -> None:
        path = f"/api/v1/chat/stream/{await ada.begin()}"
        status, told = await ada.ask("GET", path, None, Last_Event_ID="999")
        assert (status, told["param"]) == (400, "after")

    async def test_a_probe_gets_the_head_alone(self, ada: Person) -> None:
        path = f"/api/v1/chat/stream/{await ada.begin()}"
        status, body, headers = await ada.asked("HEAD", path)
        assert (status, body, headers["content-type"]) == (200, b"", "text/event-stream")

    async def test_who_signs_out_hears_no_more(self, platform: Platform, ada: Person) -> None:
        id = await ada.begin()
        login = {"username": "ada", "password": PASSWORD}
        _, signed_in = await platform.stranger.ask("POST", "/api/v1/auth/login", login)
        other = platform.with_token(signed_in["token"])
        async with ada.following(id) as reply:
            told = frames(reply)
            await anext(told)
            await ada.ask("POST", "/api/v1/auth/logout")
            await other.say(id, "a secret")
            rest = [it async for it in told]
        assert [(it["type"], it["code"]) for it in rest] == [("error", "forbidden")]

    async def test_who_signs_out_hears_no_end_of_a_turn(
        self, ada: Person, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(following, "LOOK_S", 0.0)
        gate = Gate()
        upstream.next(says("one two").but(hangs(gate, after=1)))
        async with ada.streaming(await ada.begin(), "hi") as reply:
            told = frames(reply)
            await anext(told)
            await ada.ask("POST", "/api/v1/auth/logout")
            gate.open()
            rest = [it async for it in told]
        assert [(it["type"], it["code"]) for it in rest] == [("error", "forbidden")]

    async def test_a_heart_beats(self, make_gateway: MakeGateway) -> None:
        platform = await opened(make_gateway, server={"keepalive_s": 0.05})
        ada = await platform.join()
        _, told = await ada.ask("POST", "/api/v1/chat/session", {})
        async with ada.following(told["sessionId"]) as reply:
            heard = frames(reply)
            assert [(await anext(heard))["type"] for _ in range(3)] == [
                "connected",
                "heartbeat",
                "heartbeat",
            ]

    async def test_it_ends_with_its_session(self, platform: Platform, ada: Person) -> None:
        id = await ada.begin()
        async with ada.following(id) as reply:
            told = frames(reply)
            await anext(told)
            await platform.house.sessions.terminate(_owner(ada), id)
            assert [it async for it in told] == []
        assert (await ada.ask("GET", f"/api/v1/chat/stream/{id}"))[0] == 404


class TestLimits:
    @pytest.mark.promise("P28")
    async def test_messages_and_sessions_are_limited_together(self, platform: Platform, ada: Person) -> None:
        for n in range(50):
            status, _, headers = await ada.asked(
                "POST", "/api/v1/chat/message", {"sessionId": UNKNOWN, "message": "x"}
            )
            assert status == 404
            assert headers["x-ratelimit-limit"] == "50"
            assert headers["x-ratelimit-remaining"] == str(49 - n)
        for path in ("message", "message/simple", "session"):
            status, told, headers = await ada.asked("POST", f"/api/v1/chat/{path}", {})
            assert (status, told["error"]) == (429, "Too Many Requests")
            assert 0 < told["retryAfter"] <= 900
            assert headers["retry-after"] == str(told["retryAfter"])
            assert datetime.fromisoformat(headers["x-ratelimit-reset"])
            assert told["message"]
        assert (await ada.ask("GET", "/api/v1/chat/sessions"))[0] == 200
        eve = await platform.join("eve")
        assert await eve.begin()

    async def test_streams_tell_the_limit_too(self, ada: Person) -> None:
        id = await ada.begin()
        async with ada.streaming(id, "hi") as reply:
            assert reply.headers["x-ratelimit-remaining"] == "48"

    async def test_who_signs_in_may_do_it_often(self, platform: Platform, ada: Person) -> None:
        login = {"username": "ada", "password": PASSWORD}
        for _ in range(12):
            assert (await platform.stranger.ask("POST", "/api/v1/auth/login", login))[0] == 200

    async def test_every_spelling_of_a_name_is_one_account(self, platform: Platform, ada: Person) -> None:
        """From as many addresses as one likes."""
        limits, clock = Limits(), platform.house.clock
        for n, name in enumerate(("ada", "ADA", " ada", "\uff41da", "a\U0001d41da")):
            assert limits.sign_in(clock, f"192.0.2.{n}", name).retry_after_s is None
        assert limits.sign_in(clock, "192.0.2.99", "\uff41\uff44\uff41").retry_after_s is not None

    async def test_nobody_guesses_for_long(self, platform: Platform) -> None:
        """Whatever comes after five attempts is refused, the right password as well."""
        login = {"email": "ada@example.org", "password": "wrong"}
        for _ in range(5):
            assert (await platform.stranger.ask("POST", "/api/v1/auth/login", login))[0] == 401

        status, told = await platform.stranger.ask("POST", "/api/v1/auth/login", login)
        assert (status, told["error"]) == (429, "Too Many Requests")
        other = {"email": "grace@example.org", "password": "wrong"}
        assert (await platform.stranger.ask("POST", "/api/v1/auth/login", other))[0] == 429, "same address"


class TestBeforeItsHandlers:
    @pytest.mark.promise("P18")
    @pytest.mark.parametrize(
        ("method", "path", "headers", "status"),
        [
            ("GET", "/api/v1/auth/login", {}, 405),
            ("PUT", "/api/v1/chat/session", {}, 405),
            ("GET", "/api/v1/chat/sessions/x/none", {}, 404),
            ("POST", "/api/v1/chat/session", {"Host": "evil.example"}, 403),
            ("POST", "/api/v1/chat/message", {"Origin": "http://evil.example"}, 403),
        ],
    )
    async def test_refusals_have_its_shape(
        self, platform: Platform, method: str, path: str, headers: dict[str, str], status: int
    ) -> None:
        got, told = await platform.stranger.ask(method, path, {}, **headers)
        assert got == status
        assert isinstance(told["error"], str)
        assert isinstance(told["message"], str)
        assert told["code"]
