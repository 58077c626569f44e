"""`rhetor chat`: one question, the answer as it comes; what goes wrong in a sentence, with exit code 1."""

from __future__ import annotations

import asyncio
import os
import pty
import sys
from dataclasses import replace

import pytest

from rhetor.core.content import Thinking
from rhetor.testing import Gate, Upstream, calls, cuts, fails, hangs, says
from rhetor.testing.nowhere import refused
from tests.cli.conftest import PATIENCE_S, Rhetor, Start, clean_environment
from tests.conftest import Gateway, MakeGateway, settings


async def test_an_answer(rhetor: Rhetor, gateway: Gateway, upstream: Upstream) -> None:
    finished = await rhetor("chat", "oai/small", "Why?", "--url", gateway.url)
    assert (finished.code, finished.out, finished.err) == (0, "hello world\n", "")
    assert upstream.requests[0].json["messages"] == [{"role": "user", "content": "Why?"}]


async def test_the_answer_comes_as_it_is_said(start: Start, gateway: Gateway, upstream: Upstream) -> None:
    gate = Gate()
    upstream.next(says("one two").but(hangs(gate, after=1)))
    process = await start("chat", "oai/small", "Count!", environ={"RHETOR_URL": gateway.url})
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE_S):
        assert await process.stdout.read(100) == b"one"
        gate.open()
        assert await process.stdout.read() == b" two\n"


async def test_a_prompt_from_standard_input(rhetor: Rhetor, gateway: Gateway, upstream: Upstream) -> None:
    finished = await rhetor("chat", "oai/small", "--url", gateway.url, stdin="Line one\nLine two\n")
    assert (finished.code, finished.out) == (0, "hello world\n")
    assert upstream.requests[0].json["messages"][0]["content"] == "Line one\nLine two\n"


async def test_nothing_to_ask_is_bad_usage(rhetor: Rhetor) -> None:
    finished = await rhetor("chat", "auto", stdin="")
    assert (finished.code, finished.err) == (2, "✗ nothing to ask: give a prompt, or pipe one in\n")


async def test_a_terminal_is_told_that_a_prompt_is_waited_for() -> None:
    """Otherwise `rhetor chat "Hello"` looks as if it hung: its one argument is the model."""
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "rhetor", "chat", "Hello!",
        stdin=theirs, stderr=asyncio.subprocess.PIPE, env=clean_environment(None),
    )  # fmt: skip
    os.close(theirs)
    assert process.stderr is not None
    async with asyncio.timeout(PATIENCE_S):
        assert b"The prompt, please" in await process.stderr.readline()
        os.write(ours, b"\x04")  # Ctrl-D
        assert await process.wait() == 2
    await process.stderr.read()
    os.close(ours)


async def test_a_system_prompt_and_a_limit(rhetor: Rhetor, gateway: Gateway, upstream: Upstream) -> None:
    options = ("--system", "Be brief.", "--max-tokens", "5")
    await rhetor("chat", "ant/small", "Why?", "--url", gateway.url, *options)
    sent = upstream.requests[0].json
    assert sent["max_tokens"] == 5
    assert "Be brief." in str(sent["system"])


async def test_thoughts_go_where_they_disturb_nobody(
    rhetor: Rhetor, gateway: Gateway, upstream: Upstream
) -> None:
    """`rhetor chat … > answer.txt` holds the answer alone."""
    upstream.says(Thinking("hmm", "signature"), "the answer")
    finished = await rhetor("chat", "ant/small", "Why?", "--url", gateway.url)
    assert (finished.out, finished.err) == ("the answer\n", "hmm")


async def test_tool_calls_are_shown(rhetor: Rhetor, gateway: Gateway, upstream: Upstream) -> None:
    upstream.next(calls(("weather", {"city": "Paris"})))
    finished = await rhetor("chat", "oai/small", "Weather?", "--url", gateway.url)
    assert finished.out == '\n[weather] {"city":"Paris"}\n'


async def test_no_gateway_is_a_sentence_and_a_remedy(rhetor: Rhetor) -> None:
    with refused() as url:
        finished = await rhetor("chat", "auto", "Hello!", "--url", url)
    assert (finished.code, finished.out) == (1, "")
    assert finished.err == (
        f"✗ cannot connect: Connection refused\n"
        f"  is the gateway running at {url}? start it with `rhetor up`\n"
    )


async def test_an_unknown_model_is_explained(rhetor: Rhetor, gateway: Gateway) -> None:
    finished = await rhetor("chat", "klingon", "Hello!", "--url", gateway.url)
    assert (finished.code, finished.out) == (1, "")
    assert finished.err == "✗ unknown model 'klingon'; GET /v1/models lists them\n"


async def test_a_provider_that_fails_is_named(rhetor: Rhetor, gateway: Gateway, upstream: Upstream) -> None:
    upstream.always(fails(503, "we are closed"))
    finished = await rhetor("chat", "oai/small", "Hello!", "--url", gateway.url)
    assert (finished.code, finished.out) == (1, "")
    assert "we are closed" in finished.err
    assert "Traceback" not in finished.err


async def test_an_answer_that_breaks_off_is_an_error(
    rhetor: Rhetor, gateway: Gateway, upstream: Upstream
) -> None:
    """What was said stays, and the exit code tells that it is not all."""
    upstream.next(says("one two three four").but(cuts(after=2)))
    finished = await rhetor("chat", "oai/small", "Count!", "--url", gateway.url)
    assert (finished.code, finished.out) == (1, "one two")
    assert finished.err.startswith("\n✗ ") or finished.err.startswith("✗ ")


async def test_a_token(rhetor: Rhetor, make_gateway: MakeGateway) -> None:
    gateway = await make_gateway(settings(server={"tokens": {"me": "env:T"}}), {"T": "t0ken"})
    refused = await rhetor("chat", "auto", "Hello!", "--url", gateway.url, "--token", "wrong")
    assert refused.code == 1
    assert "this token is not known here" in refused.err
    assert "RHETOR_AUTH_TOKEN" in refused.err
    environ = {"RHETOR_AUTH_TOKEN": "t0ken", "RHETOR_URL": gateway.url}
    assert (await rhetor("chat", "auto", "Hello!", environ=environ)).code == 0


async def test_interrupting_it_stops_the_provider(start: Start, gateway: Gateway, upstream: Upstream) -> None:
    upstream.next(hangs(after=1))
    process = await start("chat", "oai/small", "Hello!", environ={"RHETOR_URL": gateway.url})
    seen = await upstream.request(within_s=PATIENCE_S)
    await seen.hanging()
    process.send_signal(2)
    await seen.aborted()
    async with asyncio.timeout(PATIENCE_S):
        _, err = await process.communicate()
    assert process.returncode == 130
    assert b"Traceback" not in err


@pytest.mark.parametrize("model", ["offline/echo", "auto"])
async def test_without_any_provider_an_echo_answers(
    rhetor: Rhetor, make_gateway: MakeGateway, model: str
) -> None:
    gateway = await make_gateway(settings())
    finished = await rhetor("chat", model, "Is anybody there?", "--url", gateway.url)
    assert "no model was asked. You said: Is anybody there?" in finished.out


async def test_a_name_that_is_not_the_gateways_own_is_explained(rhetor: Rhetor, gateway: Gateway) -> None:
    """What looks like a refused token would send people the wrong way."""
    gateway.app.house.gatekeeping = replace(gateway.app.house.gatekeeping, hosts=frozenset({"elsewhere"}))
    finished = await rhetor("chat", "auto", "Hello!", "--url", gateway.url)
    assert (finished.code, finished.err) == (1, "✗ this Host is not ours; see server.allowed_hosts\n")
