"""Who was asked, who answered, and what it cost; and an error when nobody could.

The first target of the route `fast` is not there, and the second one answers.
"""

import asyncio

from tekton_llm_client import TektonLLMClient, TektonLLMError


async def main() -> None:
    async with TektonLLMClient("examples", provider_id="rhetor", model_id="fast") as client:
        reply = await client.generate_text("Hello!")
        print(reply.content)
        for attempt in reply.attempts:
            print(f"  {attempt.target}: {attempt.outcome} after {attempt.ms:.0f} ms")
        print(f"answered by {reply.provider}/{reply.model}, fallback: {reply.fallback}")
        print("cost:", "unknown" if reply.cost is None else f"${reply.cost:.6f}", reply.usage)

        try:
            await client.generate_text(
                "Hello?", options={"provider": "lab", "model": "small", "retry_count": 0}
            )
        except TektonLLMError as error:
            print(f"{type(error).__name__} {error.code}: {error.message}")
            print(f"request {error.request_id}, after {len(error.attempts)} attempts")


asyncio.run(main())
# lab/small: connect_failed after
# offline/echo: ok after
# answered by offline/echo, fallback: True
# connect_failed:
