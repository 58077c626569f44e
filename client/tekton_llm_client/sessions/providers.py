"""Jelmore's providers: the backends of the gateway, and the classes that yours may inherit.

provider = await get_provider_factory().get_provider("claude")
session = await provider.create_session("Review this folder", SessionConfig(max_turns=20))
async for response in session.stream_output():
    print(response.event_type, response.content)
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, ItemsView, KeysView, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from tekton_llm_client.sessions.client import OLD_S
from tekton_llm_client.sessions.errors import ProviderUnavailableError
from tekton_llm_client.sessions.models import Backend, Session, SessionStatus, StreamEventType
from tekton_llm_client.sessions.service import ACTIVE, LISTED, SessionService
from tekton_llm_client.sessions.words import (
    ModelInfo,
    ProviderCapabilities,
    StreamResponse,
    capabilities_of,
    health_of,
    models_of,
    provider_of,
    response_of,
    session_fields,
)

AS_CONFIGURED = ("model", "max_turns", "timeout_seconds", "temperature", "max_tokens", "permissions")
"""What of a provider's configuration its sessions begin with."""


class Provider(Protocol):
    """What the factory knows of a provider, be it the gateway's or one of your own."""

    @property
    def capabilities(self) -> Any: ...

    async def create_session(self, query: str, config: Any = None) -> Any: ...


class BaseSession:
    """For sessions of your own providers."""

    def __init__(self, session_id: str | None = None, config: Any = None) -> None:
        self.session_id = session_id or uuid.uuid4().hex
        self.config = config
        self.status = SessionStatus.INITIALIZING


class BaseProvider:
    """For providers of your own, which live in this process alone; see `register_provider`.

    Args:
        given: a configuration, or a name and a configuration.
    """

    def __init__(self, *given: Any) -> None:
        self.provider_name = next((each for each in given if isinstance(each, str)), "")
        self.config = next((each for each in given if not isinstance(each, str)), None)

    @property
    def capabilities(self) -> Any:
        return ProviderCapabilities()

    async def create_session(self, query: str, config: Any = None) -> Any:
        raise NotImplementedError

    async def get_metrics(self) -> dict[str, Any]:
        return {"provider": self.provider_name, "total_sessions": 0, "active_sessions": 0}

    async def health_check(self) -> dict[str, Any]:
        return {"status": "healthy", "provider": self.provider_name}

    async def shutdown(self) -> None:
        """Nothing is held here."""


class ProviderSession:
    """A session, with its attributes as keys as well: `session["session_id"]`."""

    def __init__(self, service: SessionService, session: Session, config: Any = None) -> None:
        self._service = service
        self._session = session
        self.config = config

    @property
    def session_id(self) -> str:
        return self._session.id

    @property
    def provider(self) -> str:
        return provider_of(self._session.backend)

    @property
    def status(self) -> SessionStatus | str:
        """As it was when this process last heard of it."""
        return self._session.state

    @property
    def current_directory(self) -> str:
        return str(self["current_directory"])

    @property
    def metadata(self) -> dict[str, Any]:
        return self._session.metadata

    async def stream_output(self, follow: bool = False) -> AsyncIterator[StreamResponse]:
        """What happens, until the session rests; see `SessionService.stream_session`."""
        async for event in self._service.events(self.session_id, follow=follow):
            if event.type == StreamEventType.STATUS_CHANGE:
                self._session = replace(self._session, state=event.content)
            elif event.type == StreamEventType.DIRECTORY_CHANGE:
                self._session = replace(self._session, current_directory=event.content)
            yield response_of(event)

    async def send_message(self, message: str) -> bool:
        """Begin another turn."""
        return await self._done(self._service.send_message(self.session_id, message))

    async def send_input(self, input_text: str) -> bool:
        """Answer what the agent asks; see `SessionService.send_input`."""
        return await self._done(self._service.send_input(self.session_id, input_text))

    async def suspend(self) -> dict[str, Any]:
        """Give back whatever it holds; the state by which it is resumed."""
        state = await self._service.suspend_session(self.session_id)
        await self.get_status()
        return state

    async def resume(self, state: Mapping[str, Any] | None = None) -> bool:
        """Go on with it, also in another process."""
        return await self._done(self._service.resume_session(self.session_id, state))

    async def terminate(self) -> bool:
        """End it."""
        return await self._done(self._service.terminate_session(self.session_id))

    async def get_status(self) -> dict[str, Any]:
        """As it is now."""
        self._session = await self._service.client.get_session(self.session_id)
        return session_fields(self._session)

    def __getitem__(self, name: str) -> Any:
        return session_fields(self._session)[name]

    def get(self, name: str, default: Any = None) -> Any:
        return session_fields(self._session).get(name, default)

    def keys(self) -> KeysView[str]:
        return session_fields(self._session).keys()

    def items(self) -> ItemsView[str, Any]:
        return session_fields(self._session).items()

    def __contains__(self, name: object) -> bool:
        return name in self.keys()

    async def _done(self, work: Any) -> bool:
        done: bool = await work
        await self.get_status()
        return done


class GatewayProvider:
    """A backend of the gateway.

    Args:
        config: with `default_model`, `max_turns`, `timeout_seconds`, …, for sessions that say nothing.
    """

    def __init__(self, service: SessionService, backend: Backend, config: Any = None) -> None:
        self._service = service
        self._backend = backend
        self.config = config

    @property
    def name(self) -> str:
        return provider_of(self._backend.name)

    provider_name = name

    @property
    def capabilities(self) -> ProviderCapabilities:
        """What it can do."""
        return capabilities_of(self._backend)

    @property
    def available_models(self) -> list[ModelInfo]:
        """The models that it is offered with; none, where it takes any."""
        return models_of(self._backend)

    async def create_session(
        self, query: str, config: Any = None, session_id: str | None = None
    ) -> ProviderSession:
        """Begin a session, or find one of this id, to go on with it.

        Raises:
            ModelNotSupportedError: it does not know the model.
            ProviderError: the session could not be begun.
            SessionError: there is no session of this id.
        """
        if session_id is not None:
            return ProviderSession(self._service, await self._service.client.get_session(session_id), config)
        config = self._usual() if config is None else config
        return ProviderSession(
            self._service, await self._service.begin(query, self.name, config=config), config
        )

    async def get_session(self, session_id: str) -> ProviderSession:
        """
        Raises:
            SessionError: there is no such session.
        """
        return ProviderSession(self._service, await self._service.client.get_session(session_id))

    async def list_sessions(self) -> list[dict[str, Any]]:
        return await self._service.list_sessions(self.name)

    async def get_metrics(self) -> dict[str, Any]:
        """Its sessions, counted by what they do."""
        states = (ACTIVE, SessionStatus.IDLE, SessionStatus.WAITING_INPUT, SessionStatus.SUSPENDED)
        counted = (self._service.count(backend=self._backend.name, state=state) for state in states)
        active, idle, waiting, suspended = await asyncio.gather(*counted)
        return {
            "provider": self.name,
            "total_sessions": active + idle + waiting + suspended,
            "active_sessions": active,
            "idle_sessions": idle,
            "waiting_sessions": waiting,
            "suspended_sessions": suspended,
            "available_models": len(self.available_models),
            "capabilities": dict(self.capabilities.items()),
        }

    async def health_check(self) -> dict[str, Any]:
        """How it is now: `status` is healthy or unhealthy, then with `error`."""
        self._backend = await backend_named(self._service, self.name)
        return health_of(self._backend)

    async def cleanup_expired_sessions(self, max_age_seconds: float = OLD_S) -> int:
        """Forget those of its sessions that nobody touched for so long, and that are in no turn."""
        before = datetime.now(UTC) - timedelta(seconds=max_age_seconds)
        client, old, seen = self._service.client, list[Session](), 0
        while True:
            page = await client.list_sessions(backend=self._backend.name, limit=LISTED, offset=seen)
            seen += len(page)
            old += [each for each in page if each.updated_at and each.updated_at < before]
            if not page.has_more or not page:
                break
        resting = [session.id for session in old if not session.in_turn]
        for session_id in resting:
            await client.forget(session_id)
        return len(resting)

    async def shutdown(self) -> None:
        """Nothing is held here; sessions go on."""

    def _usual(self) -> dict[str, Any] | None:
        if not isinstance(self.config, Mapping):
            return None
        said = {"model": self.config.get("default_model"), **self.config}
        return {name: said[name] for name in AS_CONFIGURED if said.get(name) is not None}


async def backend_named(service: SessionService, provider: str) -> Backend:
    """
    Raises:
        ProviderUnavailableError: the gateway has none of this name.
    """
    found = await service.client.backends()
    for backend in found:
        if provider in (backend.name, provider_of(backend.name)):
            return backend
    known = ", ".join(provider_of(backend.name) for backend in found)
    raise ProviderUnavailableError(f"no such provider, {provider!r}: there are {known}", provider)
