"""The OpenAI door, as the tests of the `openai` SDK use it."""

from __future__ import annotations

from typing import Any, cast

import openai
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletion

from tests.sdk.conversation import CITY_SCHEMA

ASK: list[Any] = [{"role": "user", "content": "hello"}]
SYSTEM: Any = {"role": "system", "content": "Be brief."}
TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {"name": "weather", "description": "The weather of a city", "parameters": CITY_SCHEMA},
    }
]


async def ask(sdk: AsyncOpenAI, streamed: bool, **asked: Any) -> ChatCompletion:
    """A whole reply, or what the SDK's own streaming helper collects from a streamed one."""
    asked = {"messages": ASK, **asked}
    if not streamed:
        return await sdk.chat.completions.create(**asked)  # type: ignore[no-any-return]
    asked.setdefault("stream_options", {"include_usage": True})
    async with sdk.chat.completions.stream(**asked) as stream:
        try:
            return await stream.get_final_completion()
        except (openai.LengthFinishReasonError, openai.ContentFilterFinishReasonError) as error:
            return cast(ChatCompletion, error.completion)  # the helper's way to say why it ended


def message_of(reply: ChatCompletion) -> Any:
    """The one message of a reply; Any: some of its fields are ours."""
    assert len(reply.choices) == 1
    return reply.choices[0].message
