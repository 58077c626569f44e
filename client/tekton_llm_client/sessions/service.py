"""Jelmore's service, with its names and arguments: sessions as dicts, and events as dicts.

service = await get_session_service()
session = await service.create_session("Review this folder", provider_name="claude")
async for response in service.stream_session(session["session_id"]):
    print(f"[{response['event_type']}] {response['content']}")
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from tekton_llm_client.sessions.client import OLD_S, SessionsClient
from tekton_llm_client.sessions.errors import ProviderError, SessionError
from tekton_llm_client.sessions.models import (
    IN_TURN,
    Session,
    SessionEvent,
    SessionStatus,
    StreamEventType,
)
from tekton_llm_client.sessions.words import (
    AGENTS,
    backend_of,
    health_of,
    provider_of,
    response_of,
    session_fields,
)

LISTED = 1_000
OPENING_S = 60.0  # for an agent to start; whoever waits longer hears of the rest in the stream
ALLOWING = frozenset({"y", "yes", "allow", "approve", "approved", "ok", "okay", "1", "true"})
DENYING = frozenset({"", "n", "no", "deny", "denied", "reject", "rejected", "0", "false"})
ALWAYS = "always"
GONE = "not_found"
ACTIVE = (SessionStatus.INITIALIZING, SessionStatus.ACTIVE)
HERE = frozenset(SessionStatus) - {SessionStatus.TERMINATED}


class SessionService:
    """Sessions of one gateway, in Jelmore's words.

    Args:
        client: the way to them; else one as the environment says.
        default_provider: who converses where nobody says; else JELMORE_DEFAULT_PROVIDER, else an agent, if
            the gateway has one.
    """

    def __init__(self, client: SessionsClient | None = None, default_provider: str | None = None) -> None:
        self.client = client or SessionsClient(ends_with_loop=True)
        self.default_provider = default_provider or os.environ.get("JELMORE_DEFAULT_PROVIDER") or None
        self._told: dict[str, int] = {}

    async def create_session(
        self,
        query: str,
        provider_name: str | None = None,
        model: str | None = None,
        config: object = None,
        requirements: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Begin a session, whose first turn is under way when this returns.

        Raises:
            ModelNotSupportedError: the provider does not know the model.
            ProviderError: it could not be begun.
        """
        return session_fields(await self.begin(query, provider_name, model, config, requirements))

    async def begin(
        self,
        query: str,
        provider_name: str | None = None,
        model: str | None = None,
        config: object = None,
        requirements: Mapping[str, Any] | None = None,
    ) -> Session:
        """The same, as an object."""
        if provider_name is None and requirements is None:
            provider_name = self.default_provider
        if provider_name is None and requirements is None:
            if model:
                requirements = {"model": model}
            else:
                provider_name = await self._usual_backend()
        session = await self.client.create_session(
            query,
            backend=backend_of(provider_name),
            model=model,
            config=config,
            requirements=requirements,
        )
        return await self._opened(session)

    async def get_session(self, session_id: str) -> dict[str, Any] | None:
        """As it is now; None: there is no such session."""
        try:
            return session_fields(await self.client.get_session(session_id))
        except SessionError as error:
            if error.code != GONE:
                raise
            return None

    async def list_sessions(self, provider_name: str | None = None) -> list[dict[str, Any]]:
        """Those that have not ended, of all providers or of one; what was changed last comes first."""
        found: list[dict[str, Any]] = []
        while True:
            page = await self.client.list_sessions(
                HERE, backend_of(provider_name), limit=LISTED, offset=len(found)
            )
            found += map(session_fields, page)
            if not page.has_more or not page:
                return found

    async def send_message(self, session_id: str, message: str) -> bool:
        """Begin another turn; a session that was suspended goes on first.

        Raises:
            SessionError: there is no such session, or its state does not allow that.
        """
        await self.client.send(session_id, message, resume=True)
        return True

    async def send_input(self, session_id: str, input_text: str) -> bool:
        """Answer what an agent asks: `yes`, `always` or `no`. Other words are a no with its reason.

        Raises:
            SessionError: nothing is asked; use `send_message`.
        """
        session = await self.client.get_session(session_id)
        if not session.waiting_for:
            message = f"the session is {session.state}: it waits for no input"
            raise SessionError(message, session.backend, session_id, state=str(session.state))
        asked, word = session.waiting_for[0], input_text.strip().lower().rstrip(".!")
        if word in ALLOWING or word == ALWAYS:
            always = word == ALWAYS and asked.always
            await self.client.approve(session_id, asked.request_id, always=always)
        else:
            reason = None if word in DENYING else input_text
            await self.client.deny(session_id, asked.request_id, reason)
        return True

    async def stream_session(
        self, session_id: str, after: int | None = None, follow: bool = False
    ) -> AsyncIterator[dict[str, Any]]:
        """What happens, as dicts, until the session rests: its turn has ended, or it was suspended or ended.

        Args:
            after: begin after the event with this number; else after the last one that was streamed by this
                service, or with the first.
            follow: do not stop while the session rests, but when it is terminated.
        """
        async for event in self.events(session_id, after, follow):
            yield response_of(event).to_dict()

    async def events(
        self, session_id: str, after: int | None = None, follow: bool = False
    ) -> AsyncIterator[SessionEvent]:
        """The same, as objects."""
        begin = self._told.get(session_id, 0) if after is None else after
        session = await self.client.get_session(session_id)
        if not follow and not session.in_turn and session.last_seq <= begin:
            return
        async with self.client.stream(session_id, begin) as events:
            async for event in events:
                self._told[session_id] = event.seq
                yield event
                if event.ends_session:
                    self._told.pop(session_id)
                    return
                if follow or event.seq < session.last_seq:
                    continue
                if _comes_to_rest(event) or not session.in_turn:
                    session = await self.client.get_session(session_id)
                    if not session.in_turn and session.last_seq <= event.seq:
                        return

    async def terminate_session(self, session_id: str) -> bool:
        """End it.

        Raises:
            SessionError: there is no such session.
        """
        await self.client.terminate(session_id)
        return True

    async def suspend_session(self, session_id: str) -> dict[str, Any]:
        """Give back whatever it holds; the state by which it is resumed, ready for JSON."""
        return await self.client.suspend(session_id)

    async def resume_session(self, session_id: str, state: Mapping[str, Any] | None = None) -> bool:
        """Go on with it, also in another process."""
        await self.client.resume(session_id, state)
        return True

    async def cleanup_expired_sessions(self, max_age_seconds: float = OLD_S) -> int:
        """Forget what nobody touched for so long; how many that were."""
        return (await self.client.cleanup(max_age_seconds)).total

    async def get_system_status(self) -> dict[str, Any]:
        """Providers and sessions, counted."""
        backends, total, active = await asyncio.gather(
            self.client.backends(), self.count(HERE), self.count(ACTIVE)
        )
        health = {provider_of(backend.name): health_of(backend) for backend in backends}
        well = [name for name, each in health.items() if each["status"] == "healthy"]
        return {
            "status": "healthy" if well else "degraded",
            "providers": {
                "total": len(backends),
                "active": len(well),
                "default": self.default_provider or next(iter(well), ""),
                "health": health,
            },
            "sessions": {"total": total, "active": active},
            "timestamp": datetime.now(UTC).isoformat(),
        }

    async def count(self, state: str | Iterable[str] | None = None, backend: str | None = None) -> int:
        """How many there are in such a state, with such a backend."""
        return (await self.client.list_sessions(state, backend, limit=1)).total

    async def shutdown(self) -> None:
        """Close the connections. Sessions go on, and the service may be used again."""
        await self.client.shutdown()

    async def _usual_backend(self) -> str | None:
        names = {backend.name for backend in await self.client.backends()}
        return next((name for name in AGENTS if name in names), None)

    async def _opened(self, session: Session) -> Session:
        """The session once its backend has begun, which may take a while for agents.

        Raises:
            ProviderError: it could not.
        """
        if session.state != SessionStatus.INITIALIZING:
            return session
        reason, state = "", session.state
        with suppress(TimeoutError):
            async with asyncio.timeout(OPENING_S), self.client.stream(session.id) as events:
                async for event in events:
                    if event.type == StreamEventType.ERROR:
                        reason = event.content
                    if event.data.get("from") == SessionStatus.INITIALIZING:
                        state = event.content
                        break
        if state == SessionStatus.FAILED:
            message = reason or "the session could not be begun"
            raise ProviderError(message, provider_of(session.backend), session.id, state=state)
        return await self.client.get_session(session.id)


def _comes_to_rest(event: SessionEvent) -> bool:
    return event.type == StreamEventType.STATUS_CHANGE and event.data.get("to") not in IN_TURN
