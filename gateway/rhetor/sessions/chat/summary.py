"""What is older in a chat, summed up by a model, so that it need not be told word for word."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rhetor.core.errors import Code, RhetorError
from rhetor.core.events import Failed, Folder
from rhetor.core.request import Request, Role
from rhetor.core.usage import estimate_tokens
from rhetor.sessions.chat.asking import Ask, Asker, message, request_for
from rhetor.sessions.chat.transcript import LEAD, Spoken, Transcript, tokens_of, window

TASK = "summary"
WORDS = 300
MOST_TOKENS = 2_000  # of the summary, and what a model thinks before it
LEAST_TOKENS = 500  # to be summed up by itself: fewer would cost a call, and save nothing
SUMMARY_S = 60.0  # the caller waits for its answer meanwhile
INSTRUCTION = (
    "Summarize the conversation below for somebody who will go on with it: what it is about, what was "
    f"decided or found out, and what is open. Write at most {WORDS} words of plain prose, nothing before or "
    "after it."
)


def due(transcript: Transcript, from_tokens: int, before: datetime) -> Sequence[Spoken]:
    """What is to be summed up now; nothing, mostly.

    Args:
        from_tokens: from how much on; 0: never.
        before: what began later is not summed up.
    """
    if not from_tokens or transcript.tokens <= from_tokens:
        return ()
    found = older(transcript.spoken, before)
    return found if sum(map(tokens_of, found)) >= LEAST_TOKENS else ()


def older(spoken: Sequence[Spoken], before: datetime) -> Sequence[Spoken]:
    """What began before that, in whole exchanges: what remains begins with a word of the user's."""
    end = 0
    for place, each in enumerate(spoken):
        if each.at >= before:
            break
        answered = place + 1 < len(spoken) and spoken[place + 1].role is Role.ASSISTANT
        if each.role is Role.ASSISTANT or (not answered and place + 1 < len(spoken)):
            end = place + 1
    return spoken[:end]


def summary_request(asker: Asker, before: str | None, spoken: Sequence[Spoken], most_tokens: int) -> Request:
    """
    Args:
        before: the summary of what was said before that; it becomes a part of the new one.
        most_tokens: what the model may be told, about; older messages are left out beyond that.
    """
    parts = [f"{LEAD}\n{before}"] if before else []
    heard = window(spoken, most_tokens - sum(map(estimate_tokens, (INSTRUCTION, *parts))))
    parts += [f"{each.role}: {each.text}" for each in heard]
    messages = (message(Role.SYSTEM, INSTRUCTION), message(Role.USER, "\n\n".join(parts)))
    return request_for(asker, messages, TASK, max_tokens=MOST_TOKENS, timeout_s=SUMMARY_S)


async def sum_up(ask: Ask, request: Request) -> str:
    """
    Raises:
        RhetorError: nobody answers, or with nothing.
    """
    folder = Folder()
    async with ask(request) as telling:
        async for chunk in telling.chunks():
            for event in chunk.events:
                if isinstance(event, Failed):
                    raise event.error
                folder.add(event)
    text = folder.result().text.strip()
    if not text:
        raise RhetorError("the model summed up nothing", Code.PROTOCOL)
    return text
