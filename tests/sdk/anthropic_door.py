"""The Anthropic door, as the tests of the `anthropic` SDK use it."""

from __future__ import annotations

from typing import Any

from anthropic import AsyncAnthropic
from anthropic.types import Message as Reply

from tests.sdk.conversation import CITY_SCHEMA, WEATHER

ASK: list[Any] = [{"role": "user", "content": "hello"}]
TOOLS: list[Any] = [
    {"name": "weather", "description": "The weather of a city", "input_schema": CITY_SCHEMA},
]
INPUTS = [{"city": city} for city in WEATHER]


async def ask(sdk: AsyncAnthropic, streamed: bool, **asked: Any) -> Reply:
    """A whole reply, or what the SDK's own streaming helper collects from a streamed one."""
    asked = {"max_tokens": 100, "messages": ASK, **asked}
    if not streamed:
        return await sdk.messages.create(**asked)  # type: ignore[no-any-return]
    async with sdk.messages.stream(**asked) as stream:
        return await stream.get_final_message()


def text_of(reply: Reply) -> str:
    return "".join(block.text for block in reply.content if block.type == "text")


def calls_of(reply: Reply) -> list[Any]:
    return [block for block in reply.content if block.type == "tool_use"]
