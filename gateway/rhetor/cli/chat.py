"""`rhetor chat MODEL "…"`: one question to a running gateway, the answer streamed to the terminal."""

from __future__ import annotations

import argparse
import asyncio
import sys

from rhetor.cli.remote import Remote, add_gateway_options
from rhetor.cli.terminal import show
from rhetor.core.capability import Capability
from rhetor.core.content import Text
from rhetor.core.errors import RhetorError
from rhetor.core.events import (
    Event,
    Failed,
    RefusalDelta,
    TextDelta,
    ThinkingDelta,
    ToolUseDelta,
    ToolUseStarted,
)
from rhetor.core.request import Chat, Message, Request, Role
from rhetor.transport.base import Progress

ERROR_BYTES = 64 * 1024
SERVED_BY = "x-rhetor-served-by"


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("chat", help="ask a model through the gateway, and stream the answer")
    parser.add_argument("model", help="a route, provider/model, or auto")
    parser.add_argument("prompt", nargs="?", help="the question; read from standard input when left out")
    parser.add_argument("--system", metavar="TEXT", help="a system prompt")
    parser.add_argument("--max-tokens", type=int, metavar="N")
    add_gateway_options(parser)
    parser.set_defaults(run=_run)


async def say(
    remote: Remote, model: str, prompt: str, system: str | None = None, max_tokens: int | None = None
) -> str:
    """Print the answer as it comes; gives back who answered.

    Raises:
        RhetorError: there was no answer, or it broke off.
    """
    messages = [Message(Role.USER, (Text(prompt),))]
    if system:
        messages.insert(0, Message(Role.SYSTEM, (Text(system),)))
    chat = Chat(messages=tuple(messages), max_tokens=max_tokens)
    request = Request(id="cli", capability=Capability.CHAT, model=model, input=chat, stream=True)
    prepared = remote.provider.prepare(request, model)
    response = await remote.provider.transport.open(prepared.call, Progress())
    try:
        if response.status != 200:
            headers = {name.lower(): value for name, value in response.headers.items()}
            raise remote.provider.refusal(response.status, headers, await response.read(ERROR_BYTES))
        decoder = prepared.decoder()
        async for data in response.chunks():
            _print(decoder.feed(data).events)
        _print(decoder.close().events)
        return response.headers.get(SERVED_BY, remote.url)
    finally:
        response.close()


def _print(events: list[Event]) -> None:
    for event in events:
        match event:
            case TextDelta(text=text) | RefusalDelta(text=text):
                show(text)
            case ThinkingDelta(text=text):
                show(text, sys.stderr)
            case ToolUseStarted(name=name):
                show(f"\n[{name}] ")
            case ToolUseDelta(arguments=arguments):
                show(arguments)
            case Failed(error=error):
                raise error


def _run(arguments: argparse.Namespace) -> int:
    prompt = arguments.prompt if arguments.prompt is not None else _read_prompt()
    if not prompt.strip():
        print("✗ nothing to ask: give a prompt, or pipe one in", file=sys.stderr)
        return 2
    return asyncio.run(_ask(arguments, prompt))


def _read_prompt() -> str:
    if sys.stdin.isatty():
        print("The prompt, please; Ctrl-D ends it.", file=sys.stderr)
    return sys.stdin.read()


async def _ask(arguments: argparse.Namespace, prompt: str) -> int:
    remote = Remote(arguments.url, arguments.token)
    try:
        served_by = await say(remote, arguments.model, prompt, arguments.system, arguments.max_tokens)
    except RhetorError as error:
        remote.complain(error)
        return 1
    finally:
        await remote.close()
    print()
    if sys.stderr.isatty():
        print(f"— {served_by}", file=sys.stderr)
    return 0
