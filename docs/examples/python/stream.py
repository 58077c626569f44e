"""An answer appears word by word. Ctrl-C stops it, here and at the provider."""

import asyncio
import sys

from tekton_llm_client import TektonLLMClient

PROMPT = "Why is the sky blue?"


async def main(prompt: str) -> None:
    async with TektonLLMClient("examples") as client, client.generate_text(prompt, streaming=True) as stream:
        async for chunk in stream:
            print(chunk.chunk, end="", flush=True)
    print(f"\n\n[{chunk.provider}/{chunk.model}, {chunk.usage}]")
    if chunk.error:
        sys.exit(f"it broke off: {chunk.error}")


try:
    asyncio.run(main(" ".join(sys.argv[1:]) or PROMPT))
except KeyboardInterrupt:
    sys.exit("\nstopped")

# You said: Why is the sky blue?
# [offline/echo, {'prompt_tokens':
