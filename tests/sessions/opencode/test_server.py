"""Calls that are answered badly are errors; messages are read as far back as they are needed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from rhetor.core.errors import Code, RhetorError
from rhetor.sessions.opencode.server import PAGE, Refused, Server

pytestmark = pytest.mark.usefixtures("no_leaks")


class Answers:
    """What is answered to any call."""

    def __init__(self) -> None:
        self.status, self.body = 200, "{}"
        self.messages: list[Any] = []
        self.limits: list[int] = []

    async def answer(self, request: web.Request) -> web.Response:
        if request.path.endswith("/message"):
            self.limits.append(int(request.query["limit"]))
            return web.json_response(self.messages[-self.limits[-1] :])
        return web.Response(status=self.status, text=self.body)


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
async def server(answers: Answers, no_leaks: None) -> AsyncIterator[Server]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answers.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server = Server(
        f"http://127.0.0.1:{runner.addresses[0][1]}", "pw", lambda data: data.replace(b"pw", b"-")
    )
    yield server
    await server.close()
    await runner.cleanup()


@pytest.mark.parametrize(
    ("status", "body", "code", "said"),
    [
        (404, '{"data": {"message": "no such session"}}', Code.NOT_FOUND, "no such session"),
        (500, "<html>", Code.UPSTREAM_ERROR, "500 to GET /session/ses_1: <html>"),
        (200, "<html>", Code.PROTOCOL, "no JSON"),
    ],
)
async def test_bad_answers(
    status: int, body: str, code: Code, said: str, answers: Answers, server: Server
) -> None:
    answers.status, answers.body = status, body
    with pytest.raises(RhetorError, match=said) as raised:
        await server.find("ses_1")
    assert raised.value.code is code
    assert isinstance(raised.value, Refused) == (status >= 400)


async def test_what_is_no_list_is_refused(answers: Answers, server: Server) -> None:
    for body in ("{}", "[1]", "null"):
        answers.body = body
        with pytest.raises(RhetorError) as raised:
            await server.pending()
        assert raised.value.code is Code.PROTOCOL


async def test_an_event_stream_that_is_none_is_refused(answers: Answers, server: Server) -> None:
    answers.status = 401
    with pytest.raises(RhetorError, match="401 to GET /event"):
        async with server.events():
            pass


async def test_messages_are_read_back_to_the_last_known_one(answers: Answers, server: Server) -> None:
    answers.messages = [{"info": {"id": f"msg_{n}"}, "parts": []} for n in range(1000)]
    assert len(await server.messages_since("ses_1", {"msg_950"})) == PAGE
    assert answers.limits == [PAGE]
    assert len(await server.messages_since("ses_1", {"msg_700"})) == 4 * PAGE
    assert len(await server.messages_since("ses_1", ())) == 1000


@pytest.mark.parametrize(
    ("body", "busy"),
    [("{}", False), ('{"ses_1": {"type": "busy"}}', True), ('{"ses_1": {"type": "retry"}}', True),
     ('{"ses_1": {"type": "idle"}}', False), ('{"ses_2": {"type": "busy"}}', False), ("[]", False)],
)  # fmt: skip
async def test_whether_it_is_busy(body: str, busy: bool, answers: Answers, server: Server) -> None:
    answers.body = body
    assert await server.is_busy("ses_1") is busy


async def test_secrets_are_taken_out_of_all_that_it_says(answers: Answers, server: Server) -> None:
    answers.body = '[{"said": "the pw"}]'
    assert await server.pending() == [{"said": "the -"}]
    answers.body = 'data: {"said": "the pw"}\n\n'
    async with server.events() as events:
        assert [event async for batch in events for event in batch] == [{"said": "the -"}]
