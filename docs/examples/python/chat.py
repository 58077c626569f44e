"""A conversation that the gateway remembers: only what is new is sent. The questions are the arguments."""

import asyncio
import sys
from uuid import uuid4

from tekton_llm_client import TektonLLMClient

QUESTIONS = ["My name is Ada.", "What is my name?"]


async def main(questions: list[str]) -> None:
    conversation = f"chat-{uuid4()}"  # whoever knows it may go on with it
    async with TektonLLMClient("examples") as client:
        for question in questions:
            print(f"> {question}")
            options = {"history": 20}  # at most so many earlier messages are told to the model
            reply = await client.generate_text(question, context_id=conversation, options=options)
            print(f"{reply.content}  [{reply.usage['prompt_tokens']} tokens were read]")


asyncio.run(main(sys.argv[1:] or QUESTIONS))
# You said: What is my name?
