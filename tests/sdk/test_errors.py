"""What goes wrong is an exception of its kind in both SDKs, and one exception is one request of the SDK.

The SDKs repeat by themselves what may pass (their default, two times). The
gateway has tried what there was to try, and says so: `x-should-retry: false`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterable, Callable
from typing import Any, TypeVar

import anthropic
import openai
import pytest
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI

from rhetor.core.errors import Code
from rhetor.testing import Gate, Step, Upstream, cuts, error_in_200, fails, hangs, raw_frames, resets, says
from tests.conftest import KEY, Gateway, MakeGateway, settings
from tests.sdk.clients import anthropic_at, openai_at
from tests.sdk.conversation import BOTH_WAYS, EVERY, HEARD

T = TypeVar("T")

ASK: list[Any] = [{"role": "user", "content": "hello"}]


async def ask_openai(sdk: AsyncOpenAI, model: str, streamed: bool) -> str:
    """The text of a reply, gone through to its end."""
    if not streamed:
        reply = await sdk.chat.completions.create(model=model, messages=ASK)
        return reply.choices[0].message.content or ""
    async with await sdk.chat.completions.create(model=model, messages=ASK, stream=True) as stream:
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])


async def ask_anthropic(sdk: AsyncAnthropic, model: str, streamed: bool) -> str:
    if not streamed:
        reply = await sdk.messages.create(model=model, max_tokens=9, messages=ASK)
        return "".join(block.text for block in reply.content if block.type == "text")
    async with sdk.messages.stream(model=model, max_tokens=9, messages=ASK) as stream:
        return await stream.get_final_text()


LATER = {"retry-after": "70"}  # the gateway does not wait so long, but openai-python would

OPENAI: dict[str, tuple[Step, type[openai.APIStatusError], str]] = {
    "400": (fails(400, "no such knob"), openai.BadRequestError, "invalid_request_error"),
    "401": (fails(401, f"bad key {KEY}"), openai.InternalServerError, "server_error"),
    "403": (fails(403, f"bad key {KEY}"), openai.InternalServerError, "server_error"),
    "404": (fails(404, "the model is gone"), openai.NotFoundError, "invalid_request_error"),
    "429": (fails(429, "take a break", headers=LATER), openai.RateLimitError, "rate_limit_error"),
    "500": (fails(500, "it broke"), openai.InternalServerError, "server_error"),
    "503": (fails(503, "not now"), openai.InternalServerError, "server_error"),
    "529": (fails(529, "too much"), openai.InternalServerError, "server_error"),
}
"""What the provider does → what a caller of the OpenAI door gets."""

ANTHROPIC: dict[str, tuple[Step, type[anthropic.APIStatusError], str]] = {
    "400": (OPENAI["400"][0], anthropic.BadRequestError, "invalid_request_error"),
    "401": (OPENAI["401"][0], anthropic.InternalServerError, "api_error"),
    "403": (OPENAI["403"][0], anthropic.InternalServerError, "api_error"),
    "404": (OPENAI["404"][0], anthropic.NotFoundError, "not_found_error"),
    "429": (OPENAI["429"][0], anthropic.RateLimitError, "rate_limit_error"),
    "500": (OPENAI["500"][0], anthropic.InternalServerError, "api_error"),
    "503": (OPENAI["503"][0], anthropic.InternalServerError, "overloaded_error"),
    "529": (OPENAI["529"][0], anthropic.InternalServerError, "overloaded_error"),
}

WAYS = {"whole": False, "streamed": True}
"""Models of these names are asked for a reply in this way: what one of them did says nothing of the other."""


def attempts_at(case: str) -> int:
    """How often the gateway asks its only target: what may pass is seen to twice, before anybody is told."""
    return 2 if case in ("500", "503", "529") else 1


@EVERY
@pytest.mark.parametrize("case", OPENAI)
async def test_refusals_at_the_openai_door(
    openai_sdk: AsyncOpenAI, upstream: Upstream, provider: str, case: str
) -> None:
    step, kind, type_ = OPENAI[case]
    upstream.always(step)

    asking = [ask_openai(openai_sdk, f"{provider}/{model}", streamed) for model, streamed in WAYS.items()]
    errors = await asyncio.gather(*asking, return_exceptions=True)

    for model, error in zip(WAYS, errors, strict=True):
        assert isinstance(error, openai.APIStatusError), error
        assert type(error) is kind
        assert error.type == type_
        assert_decent(error, f"{provider}/{model}", case)
    assert Counter(seen.model for seen in upstream.requests) == dict.fromkeys(WAYS, attempts_at(case))


@EVERY
@pytest.mark.parametrize("case", ANTHROPIC)
async def test_refusals_at_the_anthropic_door(
    anthropic_sdk: AsyncAnthropic, upstream: Upstream, provider: str, case: str
) -> None:
    step, kind, type_ = ANTHROPIC[case]
    upstream.always(step)

    asking = [
        ask_anthropic(anthropic_sdk, f"{provider}/{model}", streamed) for model, streamed in WAYS.items()
    ]
    errors = await asyncio.gather(*asking, return_exceptions=True)

    for model, error in zip(WAYS, errors, strict=True):
        assert isinstance(error, kind), error
        assert isinstance(error.body, dict)
        assert error.body["type"] == "error"
        assert error.body["error"]["type"] == type_
        assert_decent(error, f"{provider}/{model}", case)
    assert Counter(seen.model for seen in upstream.requests) == dict.fromkeys(WAYS, attempts_at(case))


def assert_decent(error: openai.APIStatusError | anthropic.APIStatusError, target: str, case: str) -> None:
    """It says who failed, what it said and how long to wait, and nothing of our key."""
    assert error.response.headers["x-should-retry"] == "false"
    assert error.response.headers["x-rhetor-generation-id"] == error.request_id
    assert error.response.headers["x-rhetor-attempts"].count(target) == attempts_at(case)
    assert_not_repeated(error)
    if case in ("401", "403"):
        assert error.status_code == 502
        assert f"{target}: the provider answered {case}" in error.message
        assert KEY not in error.response.text
    if case == "429":
        assert error.response.headers["retry-after"] == "70"
        assert "take a break" in error.message


def assert_not_repeated(error: BaseException) -> None:
    """It is what came of the SDK's first request."""
    assert isinstance(error, (openai.APIError, anthropic.APIError))
    assert error.request.headers["x-stainless-retry-count"] == "0"


AT_ONCE = {"retry-after-ms": "1"}  # both SDKs believe this rather than what they would wait by themselves


@BOTH_WAYS
async def test_the_openai_sdk_does_not_multiply_the_attempts_of_the_gateway(
    openai_sdk: AsyncOpenAI, upstream: Upstream, streamed: bool
) -> None:
    """What it repeats when the provider itself fails, it leaves to the gateway."""
    upstream.always(fails(500, "it broke", headers=AT_ONCE))

    with pytest.raises(openai.InternalServerError) as caught:
        await ask_openai(openai_sdk.with_options(base_url=f"{upstream.base_url}/v1"), "direct", streamed)
    assert caught.value.request.headers["x-stainless-retry-count"] == "2"
    with pytest.raises(openai.InternalServerError) as caught:
        await ask_openai(openai_sdk, "oai/small", streamed)
    assert_not_repeated(caught.value)

    assert Counter(seen.model for seen in upstream.requests) == {"direct": 3, "small": 2}


@BOTH_WAYS
async def test_the_anthropic_sdk_does_not_multiply_the_attempts_of_the_gateway(
    anthropic_sdk: AsyncAnthropic, upstream: Upstream, streamed: bool
) -> None:
    upstream.always(fails(500, "it broke", headers=AT_ONCE))

    with pytest.raises(anthropic.InternalServerError) as caught:
        await ask_anthropic(anthropic_sdk.with_options(base_url=upstream.base_url), "direct", streamed)
    assert caught.value.request.headers["x-stainless-retry-count"] == "2"
    with pytest.raises(anthropic.InternalServerError) as caught:
        await ask_anthropic(anthropic_sdk, "ant/small", streamed)
    assert_not_repeated(caught.value)

    assert Counter(seen.model for seen in upstream.requests) == {"direct": 3, "small": 2}


@BOTH_WAYS
@pytest.mark.parametrize(
    "fault",
    [fails(429, headers=AT_ONCE), fails(500), resets(), cuts(after=0), error_in_200()],
    ids=["429", "500", "reset", "cut", "error in 200"],
)
async def test_what_passes_is_no_exception(
    openai_sdk: AsyncOpenAI, anthropic_sdk: AsyncAnthropic, upstream: Upstream, streamed: bool, fault: Step
) -> None:
    """The gateway asks once more, and the SDKs hear nothing of it: they are told not to repeat anything."""
    upstream.next(fault)
    assert await ask_openai(openai_sdk.with_options(max_retries=0), "oai/small", streamed) == "hello world"
    upstream.next(fault)
    said = await ask_anthropic(anthropic_sdk.with_options(max_retries=0), "ant/small", streamed)
    assert said == "hello world"

    assert len(upstream.requests) == 4


async def test_the_providers_own_words_reach_callers_of_its_language(
    openai_sdk: AsyncOpenAI, anthropic_sdk: AsyncAnthropic, upstream: Upstream
) -> None:
    """Every field of an error object, also those that nobody knows."""
    upstream.next(
        fails(400, body=b'{"error":{"message":"no","type":"odd","param":"x","code":"c9","more":1}}'),
        fails(400, body=b'{"type":"error","error":{"type":"odd","message":"no","more":1}}'),
    )

    with pytest.raises(openai.BadRequestError) as from_oai:
        await ask_openai(openai_sdk, "oai/small", False)
    with pytest.raises(anthropic.BadRequestError) as from_ant:
        await ask_anthropic(anthropic_sdk, "ant/small", False)

    assert from_oai.value.body == {"message": "no", "type": "odd", "param": "x", "code": "c9", "more": 1}
    assert isinstance(from_ant.value.body, dict)
    assert from_ant.value.body["error"] == {"type": "odd", "message": "no", "more": 1}


@HEARD
async def test_a_conversation_that_is_too_long(
    openai_sdk: AsyncOpenAI, anthropic_sdk: AsyncAnthropic, upstream: Upstream, provider: str
) -> None:
    """Callers shorten it and try again, so they must be able to tell."""
    upstream.always(fails(400, code=Code.CONTEXT_LENGTH))

    with pytest.raises(openai.BadRequestError) as caught:
        await ask_openai(openai_sdk, f"{provider}/small", False)
    assert caught.value.code == "context_length_exceeded"
    with pytest.raises(anthropic.BadRequestError, match="too long"):
        await ask_anthropic(anthropic_sdk, f"{provider}/small", False)


async def test_a_model_that_nobody_has(
    openai_sdk: AsyncOpenAI, anthropic_sdk: AsyncAnthropic, upstream: Upstream
) -> None:
    with pytest.raises(openai.NotFoundError, match="absent") as caught:
        await ask_openai(openai_sdk, "absent", False)
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    with pytest.raises(anthropic.NotFoundError, match="absent"):
        await ask_anthropic(anthropic_sdk, "absent", False)
    assert upstream.requests == []


async def test_a_mistake_of_the_caller(openai_sdk: AsyncOpenAI, anthropic_sdk: AsyncAnthropic) -> None:
    wrong: Any = [{"role": "user", "content": [{"type": "text"}]}]

    with pytest.raises(openai.BadRequestError) as caught:
        await openai_sdk.chat.completions.create(model="oai/small", messages=wrong)
    assert caught.value.param == "messages[0].content[0].text"
    with pytest.raises(anthropic.BadRequestError, match=r"messages\[0\]\.content\[0\]\.text"):
        await anthropic_sdk.messages.create(model="ant/small", max_tokens=9, messages=wrong)


# Streams that fail.


async def until_it_breaks(pieces: AsyncIterable[T], heard: Gate) -> tuple[list[T], Exception | None]:
    """What a stream gave before it raised, and what it raised; the gate opens with the first piece."""
    given: list[T] = []
    try:
        async for piece in pieces:
            given.append(piece)
            heard.open()
    except Exception as error:
        return given, error
    return given, None


def broken(fault: Step, gate: Gate) -> Step:
    """Says one word, and the fault follows when the gate opens.

    A failure that comes along with the word is noticed before anybody has heard it.
    """
    return says("one two three").but(hangs(gate, after=1), fault)


FAULTS = pytest.mark.parametrize(
    "fault", [error_in_200(Code.OVERLOADED, "too much", after=1), cuts(after=1)], ids=["error", "cut"]
)


@EVERY
@FAULTS
async def test_a_stream_that_breaks_at_the_openai_door(
    openai_sdk: AsyncOpenAI, upstream: Upstream, provider: str, fault: Step
) -> None:
    """What was said was said; then comes an exception, not a reply that looks complete, nor another one."""
    heard = Gate()
    upstream.always(broken(fault, heard))
    stream = await openai_sdk.chat.completions.create(model=f"{provider}/small", messages=ASK, stream=True)
    said = (chunk.choices[0].delta.content async for chunk in stream)

    pieces, error = await until_it_breaks(said, heard)

    assert "".join(filter(None, pieces)) == "one"
    assert isinstance(error, openai.APIError)
    assert isinstance(error.body, dict)
    assert error.body["message"]
    assert_not_repeated(error)
    assert len(upstream.requests) == 1


@EVERY
@FAULTS
async def test_a_stream_that_breaks_at_the_anthropic_door(
    anthropic_sdk: AsyncAnthropic, upstream: Upstream, provider: str, fault: Step
) -> None:
    heard = Gate()
    upstream.always(broken(fault, heard))

    async with anthropic_sdk.messages.stream(model=f"{provider}/small", max_tokens=9, messages=ASK) as stream:
        pieces, error = await until_it_breaks(stream.text_stream, heard)

    assert pieces == ["one"]
    assert isinstance(error, anthropic.APIStatusError)
    assert isinstance(error.body, dict)
    assert error.body["type"] == "error"
    assert_not_repeated(error)
    assert len(upstream.requests) == 1


@EVERY
async def test_a_failure_before_the_first_word_has_a_status(
    openai_sdk: AsyncOpenAI, anthropic_sdk: AsyncAnthropic, upstream: Upstream, provider: str
) -> None:
    """A provider that begins with 200 and then only has an error to tell is a refusal like any other."""
    upstream.always(says("one").but(error_in_200(Code.OVERLOADED, "too much")))

    await assert_refused(openai_sdk, anthropic_sdk, provider)

    assert len(upstream.requests) == 4


async def test_so_has_one_that_comes_along_with_the_first_word(
    openai_sdk: AsyncOpenAI, anthropic_sdk: AsyncAnthropic, upstream: Upstream
) -> None:
    """Nobody has heard the word yet: it is taken back, and the provider is asked once more."""
    word = b'data: {"id":"1","model":"m","choices":[{"index":0,"delta":{"content":"one"}}]}'
    error = b'data: {"error":{"message":"too much","type":"server_error","code":500}}'
    upstream.always(raw_frames([b"%b\n\n%b\n\n" % (word, error)]))

    await assert_refused(openai_sdk, anthropic_sdk, "oai")

    assert len(upstream.requests) == 4


async def assert_refused(openai_sdk: AsyncOpenAI, anthropic_sdk: AsyncAnthropic, provider: str) -> None:
    """Both SDKs raise when they ask for a stream, not while they read it."""
    errors = await asyncio.gather(
        openai_sdk.chat.completions.create(model=f"{provider}/small", messages=ASK, stream=True),
        anthropic_sdk.messages.create(model=f"{provider}/large", messages=ASK, max_tokens=9, stream=True),
        return_exceptions=True,
    )
    kinds = (openai.InternalServerError, anthropic.InternalServerError)
    for kind, error in zip(kinds, errors, strict=True):
        assert isinstance(error, kind), error
        assert "too much" in str(error)
        assert_not_repeated(error)


@EVERY
@BOTH_WAYS
async def test_a_provider_that_is_gone(
    openai_sdk: AsyncOpenAI, anthropic_sdk: AsyncAnthropic, upstream: Upstream, provider: str, streamed: bool
) -> None:
    await upstream.stop()

    with pytest.raises(openai.InternalServerError, match=f"{provider}/small") as caught:
        await ask_openai(openai_sdk, f"{provider}/small", streamed)
    assert (caught.value.status_code, caught.value.code) == (502, "connect_failed")
    with pytest.raises(anthropic.InternalServerError):
        await ask_anthropic(anthropic_sdk, f"{provider}/small", streamed)


# Who is let in.


@pytest.fixture
async def guarded(make_gateway: MakeGateway, upstream: Upstream) -> Gateway:
    """A gateway that asks for a token."""
    server = {"tokens": {"me": "env:GATE"}}
    return await make_gateway(settings(upstream, server=server), {"GATE": "let-me-in"})


Connect = Callable[[str], AsyncOpenAI | AsyncAnthropic]


@pytest.mark.parametrize("door", ["openai", "anthropic by key", "anthropic by bearer"])
async def test_the_sdks_key_is_the_gateways_token(guarded: Gateway, door: str) -> None:
    connect: dict[str, Connect] = {
        "openai": lambda key: openai_at(guarded, key),
        "anthropic by key": lambda key: anthropic_at(guarded, key),
        "anthropic by bearer": lambda key: anthropic_at(guarded, None, bearer=key),
    }
    for key, lets_in in (("let-me-in", True), ("something", False)):
        async with connect[door](key) as sdk:
            asking = (
                ask_openai(sdk, "oai/small", False)
                if isinstance(sdk, AsyncOpenAI)
                else ask_anthropic(sdk, "ant/small", False)
            )
            if lets_in:
                assert await asking == "hello world"
                continue
            with pytest.raises((openai.AuthenticationError, anthropic.AuthenticationError)):
                await asking
