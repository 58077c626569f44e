"""A model uses Python functions until it knows the answer.

What a function is for, and what it takes, the model reads in its docstring and
its type hints.
"""

import asyncio
from collections.abc import Callable
from typing import Literal

from tekton_llm_client import FormatError, TektonLLMClient
from tekton_llm_client.models import Message, ToolCall

ROUNDS = 5  # a model that never comes to an end is stopped
CELSIUS = {"Paris": 21, "Oslo": 4}


def temperature(city: Literal["Paris", "Oslo"]) -> int:
    """How warm it is in a city, in degrees Celsius.

    Args:
        city: where.
    """
    return CELSIUS[city]


TOOLS: dict[str, Callable[..., object]] = {"temperature": temperature}


def use(call: ToolCall) -> str:
    """What the tool says; what is wrong with the call is told to the model, too."""
    try:
        return str(TOOLS[call.name](**call.parse()))
    except (FormatError, KeyError, TypeError) as error:
        return f"this did not work: {error!r}"


async def main() -> None:
    messages: list[Message] = [Message(role="user", content="Ask temperature: how warm is it in Paris?")]
    async with TektonLLMClient("examples") as client:
        for _ in range(ROUNDS):
            reply = await client.generate_chat_response(messages, tools=list(TOOLS.values()))
            messages.append(reply.message)
            if not reply.tool_calls:
                break
            for call in reply.tool_calls:
                print(f"{call.name}({call.function.arguments})")
                messages.append(Message.result_of(call, use(call)))
    print(reply.content)


asyncio.run(main())
# temperature({"city":"Paris"})
# temperature answered: 21
