"""What callers do to a chat's memory: they clear it, have it summed up, or change who answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Protocol

from rhetor.core.clock import Clock
from rhetor.core.errors import BadRequest, Code
from rhetor.core.usage import estimate_tokens
from rhetor.core.value import value
from rhetor.sessions.backend import Backend
from rhetor.sessions.chat.asking import Asker, named
from rhetor.sessions.chat.backend import Chat
from rhetor.sessions.chat.summary import older, sum_up, summary_request
from rhetor.sessions.chat.transcript import (
    Transcript,
    changed_model,
    cleared,
    remembered,
    summarized,
    tokens_of,
)
from rhetor.sessions.event import Event
from rhetor.sessions.reading import Readable, log_of
from rhetor.sessions.states import IN_TURN, REMEDY, State
from rhetor.store.base import SessionRow

LEAST_MESSAGES = 2  # to be summed up: one exchange


class Sessions(Readable, Protocol):
    """What is needed of all sessions."""

    @property
    def backends(self) -> Mapping[str, Backend]: ...

    async def get(self, owner: str, id: str) -> SessionRow: ...

    async def note(self, owner: str, id: str, events: Sequence[Event]) -> SessionRow: ...


@value(kw_only=True)
class SummedUp:
    """What came of it."""

    row: SessionRow
    messages: int
    """How many stand behind the summary from now on, of those that were told word for word."""
    tokens_before: int
    tokens_after: int


async def transcript_of(sessions: Sessions, owner: str, id: str) -> Transcript:
    """A chat as far as it is remembered.

    Raises:
        BadRequest: not_found; unsupported, it is no chat.
    """
    await _chat(sessions, owner, id)
    return remembered(await log_of(sessions, owner, id))


async def clear(sessions: Sessions, owner: str, id: str) -> SessionRow:
    """Have a chat forget what was said. Its log keeps it.

    Raises:
        BadRequest: not_found; unsupported, it is no chat; conflict, a turn is under way.
    """
    await _chat(sessions, owner, id)
    return await sessions.note(owner, id, [cleared()])


async def change_model(sessions: Sessions, owner: str, id: str, model: str) -> SessionRow:
    """Have this model answer from now on.

    Raises:
        BadRequest: as with `clear`; model_not_found, the backend is not offered with it.
    """
    chat, _ = await _chat(sessions, owner, id)
    if chat.models and model not in chat.models:
        known = ", ".join(chat.models)
        message = f"model: chats are not offered with {model!r}, but with {known}"
        raise BadRequest(message, Code.MODEL_NOT_FOUND, param="model")
    return await sessions.note(owner, id, [changed_model(model)])


async def summarize(sessions: Sessions, owner: str, id: str, clock: Clock) -> SummedUp:
    """Have a model sum up what is old enough; nothing happens where there is nothing of that kind.

    Raises:
        BadRequest: as with `clear`; conflict, also where it is summed up already.
        RhetorError: the model does not answer.
    """
    chat, row = await _chat(sessions, owner, id)
    if row.state in IN_TURN:  # before anybody pays for a summary that could not be kept
        raise BadRequest(
            f"cannot sum up: the session is {row.state}; {REMEDY[State(row.state)]}", Code.CONFLICT
        )
    if id in chat.summed_up_now:
        raise BadRequest("cannot sum up: the session is being summed up already", Code.CONFLICT)
    chat.summed_up_now.add(id)
    try:
        return await _summarized(sessions, row, chat, clock)
    finally:
        chat.summed_up_now.discard(id)


async def _summarized(sessions: Sessions, row: SessionRow, chat: Chat, clock: Clock) -> SummedUp:
    owner, id = row.owner, row.id
    transcript = remembered(await log_of(sessions, owner, id))
    found = older(transcript.spoken, clock.utc() - timedelta(seconds=chat.memory.keep_s))
    before = transcript.tokens
    if len(found) < LEAST_MESSAGES:
        return SummedUp(row=row, messages=0, tokens_before=before, tokens_after=before)
    asker = named(Asker(owner=owner, session_id=id, model=_model(row)), transcript.model)
    request = summary_request(asker, transcript.summary, found, chat.memory.context_tokens)
    text = await sum_up(chat.ask, request)
    row = await sessions.note(owner, id, [summarized(text, found[-1].seq)])
    gone = estimate_tokens(transcript.summary or "") + sum(map(tokens_of, found))
    return SummedUp(
        row=row,
        messages=len(found),
        tokens_before=before,
        tokens_after=before - gone + estimate_tokens(text),
    )


async def _chat(sessions: Sessions, owner: str, id: str) -> tuple[Chat, SessionRow]:
    row = await sessions.get(owner, id)
    backend = sessions.backends.get(row.backend)
    if not isinstance(backend, Chat):
        message = f"only chats have a context of ours: {row.backend} keeps its own"
        raise BadRequest(message, Code.UNSUPPORTED)
    return backend, row


def _model(row: SessionRow) -> str:
    model = row.document.get("model")
    return model if isinstance(model, str) else ""
