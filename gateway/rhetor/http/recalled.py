"""Which conversations go on from earlier ones: those whose callers ask for the history of their context.

What was said in the context is told again, after the system prompt and before
what is new, as far back as there is room. When the reply is there, both are
noted. A context belongs to the token that was shown: a component's name finds
nobody else's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import takewhile

from rhetor.core.content import Json, ToolResult, ToolUse
from rhetor.core.errors import Code, RhetorError
from rhetor.core.events import Folded
from rhetor.core.ids import new_id
from rhetor.core.request import Chat, Message, Request, Role
from rhetor.http.house import House
from rhetor.pipeline.account import estimate_input
from rhetor.pipeline.keeping import Keep
from rhetor.pipeline.trip import Pipeline
from rhetor.pipeline.weight import json_bytes
from rhetor.store.base import Entry
from rhetor.wire.tekton.ask import context_of, history_of
from rhetor.wire.tekton.notes import noted, notes, reply_of, text_of, tokens_of

log = logging.getLogger(__name__)

KIND = "context"  # of the transcripts in the store
USUAL_TOKENS = 4_000  # as Tekton's callers know it, where no model's limit is known
USUAL_MESSAGES = 20
READ_S = 5.0  # a store that takes longer is as good as down
SPARE = 4  # every so many-th token of a model's context is left free: lengths are estimated


async def recalled(house: House, request: Request, principal: str | None) -> Keep | None:
    """Put its history before a conversation that wants it; what notes the exchange down then, else None.

    Raises:
        BadRequest: what is said now cannot be noted.
        RhetorError: unavailable, the history cannot be read.
    """
    most = history_of(request)
    chat = request.input
    if most is None or not isinstance(chat, Chat):
        return None
    id, owner = context_of(request), principal or ""
    new = [message for message in chat.messages if message.role is not Role.SYSTEM]
    asked = notes(new, {})
    entries = await read(house, owner, id, most)
    earlier = noted([entry.said for entry in entries])
    told = latest(earlier, *room(house.pipeline, request))
    if len(told) < len(earlier):
        request.unsaid += (f"history: {len(earlier) - len(told)} earlier messages",)
    told, unanswered = without_unanswered(told, new)
    if unanswered:
        request.unsaid += (f"history: {unanswered} tool calls without results",)
    request.recalled_bytes = sum(map(json_bytes, notes(told, {})))
    request.input = replace(chat, messages=with_history(chat.messages, told))

    async def keep(folded: Folded) -> None:
        if folded.error is not None or not (said := reply_of(folded.parts)).parts:
            return
        about = {"generation_id": request.id, "component": request.component}
        exchange = [
            *({**note, "metadata": about} for note in asked),
            *notes([said], {**about, "model": folded.model, "finish_reason": folded.finish}),
        ]
        await house.transcripts.append(KIND, owner, id, entries_of(exchange, house.clock.utc()))

    return keep


async def read(house: House, owner: str, id: str, last: int) -> Sequence[Entry]:
    """The last notes of a context; none where there is no such context.

    Raises:
        RhetorError: unavailable, the store does not answer, or fails.
    """
    try:
        async with asyncio.timeout(READ_S):
            return await house.transcripts.read(KIND, owner, id, last)
    except TimeoutError:
        message = f"the context could not be read within {READ_S:g} s"
        raise RhetorError(message, Code.UNAVAILABLE) from None
    except RhetorError:
        raise
    except Exception as error:  # whatever store it is, its callers hear the same of it
        log.exception("context not read", extra={"context": id})
        raise RhetorError("the context could not be read; the log says why", Code.UNAVAILABLE) from error


def entries_of(said: Sequence[Json], at: datetime) -> list[Entry]:
    """Notes as the store takes them."""
    return [Entry(new_id("msg"), note, text_of(note), at) for note in said]


def with_history(messages: Sequence[Message], earlier: Sequence[Message]) -> tuple[Message, ...]:
    """The conversation with what was said earlier: after what leads it, which are system prompts."""
    lead = next((n for n, it in enumerate(messages) if it.role is not Role.SYSTEM), len(messages))
    return (*messages[:lead], *earlier, *messages[lead:])


def room(pipeline: Pipeline, request: Request) -> tuple[int, int | None]:
    """How many tokens of history a request has room for, and how many messages; None: no matter how many.

    As many as the model takes that is asked first, beside the request and its answer.
    """
    request.id = request.id or new_id("gen")  # by which it is drawn, where chance decides
    try:
        context_tokens = pipeline.explain(request).candidates[0].context_tokens
    except RhetorError:
        context_tokens = None  # nobody will answer, as the trip says in a moment
    if context_tokens is None:
        return USUAL_TOKENS, USUAL_MESSAGES
    answer = request.input.max_tokens or 0 if isinstance(request.input, Chat) else 0
    return context_tokens - context_tokens // SPARE - estimate_input(request) - answer, None


def latest(
    messages: Sequence[Message], most_tokens: int, most_messages: int | None = None
) -> Sequence[Message]:
    """The last of these that there is room for, from a word of the user's on: no result without its call."""
    first, left = len(messages), most_tokens
    while first and (most_messages is None or len(messages) - first < most_messages):
        left -= tokens_of(messages[first - 1])
        if left < 0:
            break
        first -= 1
    while first < len(messages) and messages[first].role in (Role.ASSISTANT, Role.TOOL):
        first += 1
    return messages[first:]


def without_unanswered(earlier: Sequence[Message], new: Sequence[Message]) -> tuple[Sequence[Message], int]:
    """What was said earlier without the tool calls that no result follows, and how many those are.

    Providers refuse such calls, and would refuse whatever is said in this context from then on.
    """
    answered = _answered_by(takewhile(lambda message: message.role is Role.TOOL, new))
    told: list[Message] = []
    unanswered = 0
    for message in reversed(earlier):
        if message.role is Role.TOOL:
            answered |= _answered_by([message])
            told.append(message)
            continue
        parts = tuple(it for it in message.parts if not isinstance(it, ToolUse) or it.id in answered)
        unanswered += len(message.parts) - len(parts)
        answered = set()
        if parts or not message.parts:
            told.append(replace(message, parts=parts))
    return told[::-1], unanswered


def _answered_by(messages: Iterable[Message]) -> set[str]:
    return {it.tool_use_id for message in messages for it in message.parts if isinstance(it, ToolResult)}
