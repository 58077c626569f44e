"""How each door is asked, and what its callers make of the answer: the official SDKs where there are any.

SDKs take a stream that merely stops for a whole one, so what came on the wire is kept beside them, and
the language's own last word is looked for in it.
"""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any, Self, TypeAlias

import aiohttp
import anthropic
import openai

from tests.faults.observation import Heard, Refusal

ASK: list[Any] = [{"role": "user", "content": "Tell me of the river and the stone."}]
MAX_TOKENS = 500
CALL_LIMIT_S = 180.0  # whoever has not answered by now is taken to hang
PATIENCE_S = 2 * CALL_LIMIT_S  # the libraries' own limits shall not be what ends a call
NOBODY = "http://nobody.invalid"  # each call says where its gateway is
KEPT = "heard"  # where a response keeps the bytes it was read from


class Callers:
    """The clients of every door, opened once for many gateways."""

    async def __aenter__(self) -> Self:
        self._stack = AsyncExitStack()
        connector = aiohttp.TCPConnector(limit=0)
        self.session = await self._stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        shared: dict[str, Any] = {"verify": False, "trust_env": False, "event_hooks": {"response": [_keep]}}
        self._openai = await self._stack.enter_async_context(
            openai.AsyncOpenAI(
                base_url=NOBODY,
                api_key="any",
                max_retries=0,
                timeout=PATIENCE_S,
                http_client=openai.DefaultAsyncHttpxClient(**shared),
            )
        )
        self._anthropic = await self._stack.enter_async_context(
            anthropic.AsyncAnthropic(
                base_url=NOBODY,
                api_key="any",
                max_retries=0,
                timeout=PATIENCE_S,
                http_client=anthropic.DefaultAsyncHttpxClient(**shared),
            )
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def openai(self, url: str) -> openai.AsyncOpenAI:
        return self._openai.with_options(base_url=f"{url}/v1")

    def anthropic(self, url: str) -> anthropic.AsyncAnthropic:
        return self._anthropic.with_options(base_url=url)


async def _keep(response: Any) -> None:
    """Let a response keep what is read of it. Any: each SDK has an HTTP library of its own."""
    kept = response.extensions[KEPT] = bytearray()
    read = response.aiter_raw

    async def aiter_raw(chunk_size: int | None = None) -> AsyncIterator[bytes]:
        async for data in read(chunk_size):
            kept.extend(data)
            yield data

    response.aiter_raw = aiter_raw


Ask: TypeAlias = Callable[[Callers, str, str, Heard], Awaitable[None]]
"""Asks a gateway at a URL for a model, and writes down what is heard as it comes."""


async def call(ask: Ask, callers: Callers, url: str, model: str) -> Heard:
    """One call to its end, whatever that is."""
    loop = asyncio.get_running_loop()
    heard = Heard(began_s=loop.time())
    try:
        async with asyncio.timeout(CALL_LIMIT_S):
            await ask(callers, url, model, heard)
    except TimeoutError:
        heard.hung = True
    except (openai.APIStatusError, anthropic.APIStatusError) as error:
        _refused(heard, error.response.status_code, error.body)
    except openai.APIConnectionError as error:
        heard.wrong.append(f"the connection broke: {error.__cause__!r}")
    except anthropic.APIConnectionError as error:
        heard.wrong.append(f"the connection broke: {error.__cause__!r}")
    except (openai.APIError, anthropic.APIError) as error:  # inside a stream
        _refused(heard, None, error.body)
    except Exception as error:  # whatever it is, the SDK's user would have to live with it
        heard.wrong.append(f"the caller's library fails: {error!r}")
    heard.ended_s = loop.time()
    return heard


def _refused(heard: Heard, status: int | None, body: Any) -> None:
    """OpenAI's SDK hands out the object below `error`, Anthropic's the whole."""
    said = body.get("error", body) if isinstance(body, Mapping) else None
    if not isinstance(said, Mapping) or not isinstance(said.get("type"), str):
        heard.wrong.append(f"an error that is none in the door's language: {body!r}")
    message = said.get("message") if isinstance(said, Mapping) else None
    if not isinstance(message, str) or not message:
        heard.wrong.append(f"an error without a message: {body!r}")
        message = ""
    heard.refusal = Refusal(status if status != 200 else None, message)


def _told(heard: Heard, headers: Mapping[str, str]) -> None:
    heard.served_by = headers.get("x-rhetor-served-by", "")


def _tool(heard: Heard, name: str, arguments: str) -> None:
    try:
        heard.tools.append((name, json.loads(arguments)))
    except ValueError:
        heard.tools.append((name, arguments))


async def _openai_whole(callers: Callers, url: str, model: str, heard: Heard) -> None:
    raw = await callers.openai(url).chat.completions.with_raw_response.create(
        model=model, messages=ASK, max_tokens=MAX_TOKENS
    )
    _told(heard, raw.headers)
    reply = raw.parse()
    message: Any = reply.choices[0].message  # only functions are called here
    heard.text = message.content or ""
    for use in message.tool_calls or ():
        _tool(heard, use.function.name, use.function.arguments)
    if reply.usage is not None:
        heard.usage = reply.usage.prompt_tokens, reply.usage.completion_tokens


async def _openai_stream(callers: Callers, url: str, model: str, heard: Heard) -> None:
    stream = await callers.openai(url).chat.completions.create(
        model=model, messages=ASK, max_tokens=MAX_TOKENS, stream=True, stream_options={"include_usage": True}
    )
    _told(heard, stream.response.headers)
    calls: dict[int, list[str]] = {}
    async for chunk in stream:
        if chunk.usage is not None:
            heard.usage = chunk.usage.prompt_tokens, chunk.usage.completion_tokens
        for choice in chunk.choices:
            heard.text += choice.delta.content or ""
            for use in choice.delta.tool_calls or ():
                said = calls.setdefault(use.index, ["", ""])
                said[0] += (use.function and use.function.name) or ""
                said[1] += (use.function and use.function.arguments) or ""
    for name, arguments in calls.values():
        _tool(heard, name, arguments)
    if not stream.response.extensions[KEPT].endswith(b"data: [DONE]\n\n"):
        heard.wrong.append("the stream stops without [DONE], and the SDK takes it for whole")


async def _responses_whole(callers: Callers, url: str, model: str, heard: Heard) -> None:
    raw = await callers.openai(url).responses.with_raw_response.create(
        model=model, input=ASK, max_output_tokens=MAX_TOKENS
    )
    _told(heard, raw.headers)
    _responses_reply(heard, raw.parse())


async def _responses_stream(callers: Callers, url: str, model: str, heard: Heard) -> None:
    stream = await callers.openai(url).responses.create(
        model=model, input=ASK, max_output_tokens=MAX_TOKENS, stream=True
    )
    _told(heard, stream.response.headers)
    ended = False
    async for event in stream:
        if event.type == "response.output_text.delta":
            heard.text += event.delta
        elif event.type in ("response.completed", "response.incomplete"):
            ended, pieces = True, heard.text
            _responses_reply(heard, event.response)
            if heard.text != pieces:
                heard.wrong.append("the whole says something else than its pieces")
    if not ended:
        heard.wrong.append("the stream stops without response.completed, and the SDK takes it for whole")


def _responses_reply(heard: Heard, reply: Any) -> None:
    heard.text = reply.output_text
    for item in reply.output:
        if item.type == "function_call":
            _tool(heard, item.name, item.arguments)
    heard.usage = reply.usage.input_tokens, reply.usage.output_tokens


async def _anthropic_whole(callers: Callers, url: str, model: str, heard: Heard) -> None:
    raw = await callers.anthropic(url).messages.with_raw_response.create(
        model=model, messages=ASK, max_tokens=MAX_TOKENS
    )
    _told(heard, raw.headers)
    reply: Any = raw.parse()  # some versions of the SDK parse at once, others want to be waited for
    _anthropic_reply(heard, await reply if inspect.isawaitable(reply) else reply)


async def _anthropic_stream(callers: Callers, url: str, model: str, heard: Heard) -> None:
    asking = callers.anthropic(url).messages.stream(model=model, messages=ASK, max_tokens=MAX_TOKENS)
    async with asking as stream:
        _told(heard, stream.response.headers)
        reply = await stream.get_final_message()
        _anthropic_reply(heard, reply)
        if b"event: message_stop" not in stream.response.extensions[KEPT]:
            heard.wrong.append("the stream stops without message_stop, and the SDK takes it for whole")


def _anthropic_reply(heard: Heard, reply: Any) -> None:
    heard.text = "".join(block.text for block in reply.content if block.type == "text")
    heard.tools += [(block.name, block.input) for block in reply.content if block.type == "tool_use"]
    heard.usage = reply.usage.input_tokens, reply.usage.output_tokens


def _tekton_body(model: str) -> dict[str, Any]:
    return {"messages": ASK, "model_id": model, "max_tokens": MAX_TOKENS}


async def _tekton_whole(callers: Callers, url: str, model: str, heard: Heard) -> None:
    async with callers.session.post(f"{url}/api/v1/chat", json=_tekton_body(model)) as reply:
        body = await reply.json()
        if reply.status != 200 or "error" in body:
            _tekton_refused(heard, reply.status, body)
        else:
            heard.text = body["content"]
            _tekton_ending(heard, body)


async def _tekton_stream(callers: Callers, url: str, model: str, heard: Heard) -> None:
    async with callers.session.post(f"{url}/api/v1/chat/stream", json=_tekton_body(model)) as reply:
        if reply.status != 200:
            _tekton_refused(heard, reply.status, await reply.json())
            return
        last = ""
        async for line in reply.content:
            if line.startswith(b"data: "):
                last = line.removeprefix(b"data: ").decode().strip()
                if last != "[DONE]":
                    _tekton_chunk(heard, json.loads(last))
        if last != "[DONE]":
            heard.wrong.append("the stream stops without [DONE]")


async def _ws_whole(callers: Callers, url: str, model: str, heard: Heard) -> None:
    async for frame in _frames(callers, url, model, "CHAT"):
        if frame["type"] == "RESPONSE":
            heard.text = frame["content"]
            _tekton_ending(heard, frame)
        elif frame["type"] == "ERROR":
            _tekton_refused(heard, None, frame)


async def _ws_stream(callers: Callers, url: str, model: str, heard: Heard) -> None:
    async for frame in _frames(callers, url, model, "CHAT_STREAM"):
        if frame["type"] == "CHUNK":
            _tekton_chunk(heard, frame)
        elif frame["type"] == "ERROR":
            _tekton_refused(heard, None, frame)


async def _frames(callers: Callers, url: str, model: str, kind: str) -> AsyncIterator[Any]:
    """What a WebSocket says to one request, up to its end."""
    async with callers.session.ws_connect(f"{url}/ws") as socket:
        await socket.send_json({"type": kind, "request_id": "1", **_tekton_body(model)})
        async for message in socket:
            frame = json.loads(message.data)
            yield frame
            if frame["type"] in ("RESPONSE", "ERROR") or frame.get("done"):
                return
        raise ConnectionError(f"the WebSocket was closed with {socket.close_code}")


def _tekton_chunk(heard: Heard, chunk: Any) -> None:
    if "error" in chunk:
        _tekton_refused(heard, None, chunk)
        return
    heard.text += chunk.get("chunk", "")
    if chunk.get("done"):
        _tekton_ending(heard, chunk)


def _tekton_ending(heard: Heard, said: Any) -> None:
    heard.served_by = said["meta"].get("served_by") or ""
    if usage := said.get("usage"):
        heard.usage = usage["prompt_tokens"], usage["completion_tokens"]
    for use in said.get("tool_calls", ()):
        _tool(heard, use["function"]["name"], use["function"]["arguments"])


def _tekton_refused(heard: Heard, status: int | None, said: Any) -> None:
    if not isinstance(said.get("error"), str) or not isinstance(said.get("code"), str):
        heard.wrong.append(f"an error that is none in the door's language: {said!r}")
    heard.refusal = Refusal(status, str(said.get("error")))


ASKS: Mapping[tuple[str, bool], Ask] = {
    ("openai", False): _openai_whole,
    ("openai", True): _openai_stream,
    ("responses", False): _responses_whole,
    ("responses", True): _responses_stream,
    ("anthropic", False): _anthropic_whole,
    ("anthropic", True): _anthropic_stream,
    ("tekton", False): _tekton_whole,
    ("tekton", True): _tekton_stream,
    ("ws", False): _ws_whole,
    ("ws", True): _ws_stream,
}
"""By door, and whether the answer is streamed."""
