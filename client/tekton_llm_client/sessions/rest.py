"""The way back: the same service over the REST of Jelmore, or of the gateway for Jelmore's callers.

    USE_PROVIDER_SYSTEM=false JELMORE_URL=http://localhost:8000 python component.py

Nothing is tried again here: a Jelmore begins another session when it is asked twice.
"""

from __future__ import annotations

import ast
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import aiohttp
import orjson

from tekton_llm_client.caller import Caller, caller
from tekton_llm_client.connection import Connection
from tekton_llm_client.exceptions import AdapterError, ConnectionError, TimeoutError
from tekton_llm_client.refusals import GATEWAY
from tekton_llm_client.sessions import asking
from tekton_llm_client.sessions.calls import Calls
from tekton_llm_client.sessions.client import OLD_S
from tekton_llm_client.sessions.errors import ProviderError, refused, told
from tekton_llm_client.sessions.models import AT_REST, SessionStatus, StreamEventType
from tekton_llm_client.sessions.reading import Frame, FrameSplitter

DEFAULT_URL = "http://localhost:8000"
PREFIX = "/api/v1"
SESSIONS = f"{PREFIX}/sessions"
NOT_FOUND = 404
WORDS = {"timeout_s": "timeout_seconds", "system": "system_prompt", "directory": "working_directory"}
"""The gateway's words, and Jelmore's."""


class JelmoreService:
    """A Jelmore's sessions: the methods of `SessionService`.

    Args:
        url: where it is; else JELMORE_URL, else http://localhost:8000.
        api_key: for one that wants a key; else JELMORE_API_KEY.
    """

    def __init__(self, url: str | None = None, api_key: str | None = None) -> None:
        where = (url or os.environ.get("JELMORE_URL") or DEFAULT_URL).rstrip("/")
        where = where.removesuffix(PREFIX)
        key = api_key or os.environ.get("JELMORE_API_KEY")
        asks = caller("jelmore", where, auth_token=key)
        self._caller: Caller = replace(asks, retries=0, auth_token=asks.auth_token if key else None)
        self._connection = Connection(where, self._caller.auth_token, refused, ends_with_loop=True)
        self._calls = Calls(self._connection, self._caller)
        self._last_ids: dict[str, str] = {}

    async def create_session(
        self,
        query: str,
        provider_name: str | None = None,
        model: str | None = None,
        config: object = None,
        requirements: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        settings = {WORDS.get(name, name): value for name, value in asking.settings_of(config).items()}
        demands = {**settings.pop("requirements", {}), **(requirements or {})}
        named = demands.pop("model", None)
        said = {
            "query": query,
            "provider": provider_name or settings.pop("backend", None),
            "model": model or settings.pop("model", None) or (named if named != asking.AUTO else None),
            "config": {**settings, **demands} or None,
        }
        return _session(await self._calls.ask("POST", SESSIONS, said))

    async def get_session(self, session_id: str) -> dict[str, Any] | None:
        try:
            return _session(await self._calls.ask("GET", _path(session_id), session_id=session_id))
        except ProviderError as error:
            if error.status != NOT_FOUND:
                raise
            return None

    async def list_sessions(self, provider_name: str | None = None) -> list[dict[str, Any]]:
        path = SESSIONS if provider_name is None else f"{SESSIONS}?provider={asking.quoted(provider_name)}"
        said = orjson.loads(await self._calls.text("GET", path))
        rows = said.get("sessions", []) if isinstance(said, dict) else said  # its first version: an array
        return [_session(row) for row in rows]

    async def send_message(self, session_id: str, message: str) -> bool:
        path = _path(session_id, "messages")
        await self._calls.ask("POST", path, {"message": message}, session_id=session_id)
        return True

    async def send_input(self, session_id: str, input_text: str) -> bool:
        said = {"input_text": input_text, "input": input_text}  # as its versions call it
        await self._calls.ask("POST", _path(session_id, "input"), said, session_id=session_id)
        return True

    async def stream_session(self, session_id: str) -> AsyncIterator[dict[str, Any]]:
        """What happens, until the session rests, or the stream ends."""
        headers = {"accept": "text/event-stream"}
        if (last_id := self._last_ids.get(session_id)) is not None:
            headers["last-event-id"] = last_id
        path, silence_s = _path(session_id, "stream"), self._caller.silence_s
        frames = FrameSplitter()
        try:
            async with await self._connection.send("GET", path, None, silence_s, headers) as response:
                async for data in response.content.iter_any():
                    for frame in frames.feed(data):
                        event = _event(frame, session_id)
                        if frame.id:
                            self._last_ids[session_id] = frame.id
                        yield event
                        if _may_rest(event) and await self._rests(session_id, event):
                            return
        except ProviderError as error:
            raise told(error, session_id) from error.__cause__
        except (aiohttp.ClientError, OSError) as error:
            if isinstance(error, aiohttp.ServerTimeoutError):
                raise TimeoutError(f"Jelmore said nothing for {silence_s:g} s") from error
            raise ConnectionError(f"the connection to Jelmore was lost: {error}") from error

    async def terminate_session(self, session_id: str) -> bool:
        await self._calls.ask("DELETE", _path(session_id), session_id=session_id)
        return True

    async def suspend_session(self, session_id: str) -> dict[str, Any]:
        said = await self._calls.ask("POST", _path(session_id, "suspend"), {}, session_id=session_id)
        state = said.get("state")
        return state if isinstance(state, dict) else said

    async def resume_session(self, session_id: str, state: Mapping[str, Any] | None = None) -> bool:
        said = {"state": dict(state or {})}
        await self._calls.ask("POST", _path(session_id, "resume"), said, session_id=session_id)
        return True

    async def cleanup_expired_sessions(self, max_age_seconds: float = OLD_S) -> int:
        path = f"{PREFIX}/maintenance/cleanup?max_age_seconds={int(max_age_seconds)}"
        total = (await self._calls.ask("POST", path, {})).get("total_cleaned")
        return total if isinstance(total, int) else 0

    async def get_system_status(self) -> dict[str, Any]:
        return await self._calls.ask("GET", f"{PREFIX}/status")

    async def shutdown(self) -> None:
        """Close the connections; sessions go on."""
        await self._connection.close()

    async def _rests(self, session_id: str, event: Mapping[str, Any]) -> bool:
        """Whether the session rests, and this was the last of its events."""
        session = await self.get_session(session_id)
        if session is None:
            return True
        seq, size = event.get("seq"), session.get("output_buffer_size")
        if isinstance(seq, int) and isinstance(size, int) and seq < size:
            return False
        return session.get("status") in AT_REST


class JelmoreSession:
    """A session of a Jelmore, as its first version had them."""

    def __init__(self, service: JelmoreService, said: Mapping[str, Any]) -> None:
        self._service = service
        self._said = dict(said)

    @property
    def session_id(self) -> str:
        return str(self._said["session_id"])

    id = session_id

    @property
    def status(self) -> str:
        return str(self._said.get("status") or "")

    def stream_output(self) -> AsyncIterator[dict[str, Any]]:
        """What happens; see `JelmoreService.stream_session`."""
        return self._service.stream_session(self.session_id)

    async def send_input(self, input_text: str) -> bool:
        return await self._service.send_input(self.session_id, input_text)

    async def send_message(self, message: str) -> bool:
        return await self._service.send_message(self.session_id, message)

    async def terminate(self) -> bool:
        return await self._service.terminate_session(self.session_id)

    def to_dict(self) -> dict[str, Any]:
        return dict(self._said)


class SessionManager:
    """What Jelmore's callers had before there were providers: `create_session` and `terminate_session`.

    Args:
        url: where the Jelmore is; else JELMORE_URL, else http://localhost:8000.
    """

    def __init__(self, url: str | None = None) -> None:
        self.service = JelmoreService(url)

    async def create_session(self, query: str) -> JelmoreSession:
        return JelmoreSession(self.service, await self.service.create_session(query))

    async def get_session(self, session_id: str) -> JelmoreSession | None:
        said = await self.service.get_session(session_id)
        return None if said is None else JelmoreSession(self.service, said)

    async def list_sessions(self) -> list[JelmoreSession]:
        return [JelmoreSession(self.service, said) for said in await self.service.list_sessions()]

    async def terminate_session(self, session_id: str) -> bool:
        return await self.service.terminate_session(session_id)

    async def shutdown(self) -> None:
        await self.service.shutdown()


def _path(session_id: str, action: str = "") -> str:
    path = f"{SESSIONS}/{asking.quoted(session_id)}"
    return f"{path}/{action}" if action else path


def _session(said: object) -> dict[str, Any]:
    """With both spellings of its id."""
    if not isinstance(said, dict) or not (id := said.get("session_id") or said.get("id")):
        raise AdapterError(GATEWAY, f"Jelmore's reply is no session: {str(said)[:200]}")
    return {**said, "session_id": id, "id": id}


def _event(frame: Frame, session_id: str) -> dict[str, Any]:
    """An event as a dict. Jelmore itself writes it as Python does, and its first version plain text."""
    text = frame.data.decode(errors="replace")
    said: object = None
    try:
        said = orjson.loads(text)
    except orjson.JSONDecodeError:
        with suppress(ValueError, SyntaxError, MemoryError, RecursionError):
            said = ast.literal_eval(text)
    if not isinstance(said, dict):
        said = {"event_type": frame.event or StreamEventType.SYSTEM.value, "content": text}
    return {
        "content": "",
        "metadata": {},
        "timestamp": datetime.now(UTC).isoformat(),
        "session_id": session_id,
        **said,
        "event_type": said.get("event_type") or said.get("type") or frame.event,
    }


def _may_rest(event: Mapping[str, Any]) -> bool:
    said = (event.get("content"), (event.get("metadata") or {}).get("to"), event.get("status"))
    changed = event["event_type"] in (StreamEventType.STATUS_CHANGE, "status", "session_ended")
    return event["event_type"] == SessionStatus.TERMINATED or (
        changed and any(each in AT_REST for each in said)
    )
