"""Many questions at the same time, over one WebSocket. Answers come as they are ready."""

import asyncio

from tekton_llm_client import TektonLLMError, TektonLLMWebSocketClient

AT_ONCE = 8  # the gateway and its providers have others to serve, too
QUESTIONS = [f"What is {n} times {n}?" for n in range(20)]


async def main() -> None:
    places = asyncio.Semaphore(AT_ONCE)
    async with TektonLLMWebSocketClient("examples") as client:

        async def ask(question: str) -> str:
            async with places:
                try:
                    return str((await client.generate(question))["content"])
                except TektonLLMError as error:
                    return f"no answer: {error.message}"

        for answer in asyncio.as_completed([ask(question) for question in QUESTIONS]):
            print(await answer)


asyncio.run(main())
# You said: What is 0 times 0?
# You said: What is 19 times 19?
