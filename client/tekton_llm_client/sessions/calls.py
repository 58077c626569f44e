"""Calls about sessions: each tried again while the gateway is away, and nothing done twice by that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tekton_llm_client.asking import FIRST_PAUSE_S
from tekton_llm_client.caller import Caller
from tekton_llm_client.connection import Connection
from tekton_llm_client.exceptions import ConnectionError, TektonLLMError
from tekton_llm_client.patience import patiently
from tekton_llm_client.sessions import asking, reading
from tekton_llm_client.sessions.errors import SessionError, told
from tekton_llm_client.sessions.models import Session

COMPONENT_HEADER = "x-component-id"
GONE = "not_found"


class Calls:
    def __init__(self, connection: Connection, caller: Caller) -> None:
        self._connection = connection
        self._caller = caller

    async def ask(
        self,
        method: str,
        path: str,
        fields: Mapping[str, Any] | None = None,
        *,
        session_id: str | None = None,
        headers: Mapping[str, str] = {},
    ) -> dict[str, Any]:
        """What the gateway answers, which is an object.

        Raises:
            TektonLLMError: it refused, or could not be reached, also when tried again.
        """
        return reading.parsed(await self.text(method, path, fields, session_id=session_id, headers=headers))

    async def text(
        self,
        method: str,
        path: str,
        fields: Mapping[str, Any] | None = None,
        *,
        session_id: str | None = None,
        headers: Mapping[str, str] = {},
    ) -> bytes:
        """The same, whatever it is."""
        body = None if fields is None else asking.body(fields)
        return await patiently(
            lambda: self._once(method, path, body, session_id, headers), self._caller.retries, FIRST_PAUSE_S
        )

    async def act(
        self,
        session_id: str,
        method: str,
        path: str,
        fields: Mapping[str, Any] | None,
        done: Callable[[Session], bool],
    ) -> Session:
        """The session, of which something was wanted.

        Args:
            done: whether it was done already. When the connection was lost nobody knows whether it was; a
                second try is then refused, since there is nothing left to do.
        """
        body = None if fields is None else asking.body(fields)
        lost = False

        async def once() -> bytes:
            nonlocal lost
            try:
                return await self._once(method, path, body, session_id, {})
            except ConnectionError:
                lost = True
                raise
            except SessionError:
                if not lost:
                    raise
                found = await self._once("GET", asking.session_path(session_id), None, session_id, {})
                if not done(reading.read(Session, reading.parsed(found))):
                    raise
                return found

        said = await patiently(once, self._caller.retries, FIRST_PAUSE_S)
        return reading.read(Session, reading.parsed(said))

    async def remove(self, session_id: str, path: str) -> None:
        """See that there is no such session any more."""
        lost = False

        async def once() -> None:
            nonlocal lost
            try:
                await self._once("DELETE", path, None, session_id, {})
            except ConnectionError:
                lost = True
                raise
            except SessionError as error:
                if not lost or error.code != GONE:
                    raise

        await patiently(once, self._caller.retries, FIRST_PAUSE_S)

    async def _once(
        self,
        method: str,
        path: str,
        body: bytes | None,
        session_id: str | None,
        headers: Mapping[str, str],
    ) -> bytes:
        about = {COMPONENT_HEADER: self._caller.component_id, **headers}
        silence_s = self._caller.silence_s
        try:
            async with await self._connection.send(method, path, body, silence_s, about) as response:
                return await self._connection.read(response, silence_s)
        except TektonLLMError as error:
            raise told(error, session_id) from error.__cause__
