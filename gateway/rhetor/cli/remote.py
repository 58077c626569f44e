"""A running gateway, as the subcommands that ask one see it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping

from rhetor.cli.terminal import printable
from rhetor.config import environment
from rhetor.core.call import Call
from rhetor.core.content import Json
from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.providers.provider import Provider
from rhetor.providers.spec import AuthSpec, ProviderRow
from rhetor.transport.base import Progress, Response
from rhetor.transport.pool import HttpPool
from rhetor.wire import fields, refusals
from rhetor.wire.base import JSON_TYPE, Wire
from rhetor.wire.openai import OPENAI

DEFAULT_URL = "http://localhost:8003"
CONNECT_S = 5.0
ANSWER_BYTES = 64 << 20  # of a session that is exported, say
DONE = frozenset({200, 201, 202, 204})
CODES = {400: Code.INVALID_REQUEST, 401: Code.UNAUTHENTICATED, 403: Code.FORBIDDEN, 404: Code.NOT_FOUND}
"""Where the gateway names none."""


def add_gateway_options(parser: argparse.ArgumentParser) -> None:
    """Which gateway to ask, and the token to show it; both have the clients' variables as defaults."""
    parser.add_argument("--url", help=f"default: RHETOR_URL, else {DEFAULT_URL}")
    parser.add_argument("--token", help="default: RHETOR_AUTH_TOKEN")


class _Gateway(Provider):
    """A provider whose refusals are in our own words, so that there is nothing to hide in them."""

    def refusal(
        self, status: int, headers: Mapping[str, str], body: bytes, wire: Wire | None = None
    ) -> RhetorError:
        error = super().refusal(status, headers, body, wire)
        said = refusals.message_of(refusals.error_object(body) or {})
        if error.code is not Code.UPSTREAM_AUTH or said is None:
            return error
        return BadRequest(said, Code.UNAUTHENTICATED if status == 401 else Code.FORBIDDEN)


def refused(status: int, body: bytes) -> RhetorError:
    """An error of the gateway's, as it said it."""
    said = refusals.error_object(body) or {}
    nested = said.get("error")
    code = (nested if isinstance(nested, Mapping) else said).get("code")
    message = refusals.message_of(said) or f"the gateway answered {status}"
    known = Code(code) if isinstance(code, str) and code in set(Code) else CODES.get(status, Code.INTERNAL)
    return RhetorError(message, known, status=status)


class Remote:
    """A running gateway, asked like any provider that speaks OpenAI, or about what only gateways have.

    Args:
        connections: how many at the same time.
    """

    def __init__(self, url: str | None, token: str | None, connections: int = 1) -> None:
        environ = environment()
        url = url or environ.get("RHETOR_URL") or DEFAULT_URL
        self.url = (url if "://" in url else f"http://{url}").rstrip("/")
        row = ProviderRow(
            id="gateway",
            name=self.url,
            wire=OPENAI.name,
            base_url=f"{self.url}/v1",
            auth=AuthSpec(required=False),
        )
        transport = HttpPool(limit=connections, connect_s=CONNECT_S)
        self._token = token or environ.get("RHETOR_AUTH_TOKEN") or None
        self.provider = _Gateway(row, OPENAI, transport, self._token)

    async def close(self) -> None:
        await self.provider.transport.close()

    async def get(self, path: str) -> Json:
        """What the gateway answers to a GET, which is an object.

        Raises:
            RhetorError: it refused, or could not be reached.
        """
        return await self.ask("GET", path)

    async def ask(
        self, method: str, path: str, body: Json | None = None, headers: Mapping[str, str] = {}
    ) -> Json:
        """What the gateway answers, which is an object.

        Raises:
            RhetorError: it refused, or could not be reached.
        """
        return fields.parse_object(await self.read(method, path, body, headers))

    async def read(
        self, method: str, path: str, body: Json | None = None, headers: Mapping[str, str] = {}
    ) -> bytes:
        """The same, whatever it is."""
        response = await self.open(method, path, body, headers)
        try:
            return await response.read(ANSWER_BYTES)
        finally:
            response.close()

    async def open(
        self, method: str, path: str, body: Json | None = None, headers: Mapping[str, str] = {}
    ) -> Response:
        """A reply that has begun; the caller reads and closes it.

        Raises:
            RhetorError: the gateway refused, in its own words, or could not be reached.
        """
        headers = {**headers, **({} if self._token is None else {"authorization": f"Bearer {self._token}"})}
        if body is not None:
            headers["content-type"] = JSON_TYPE
        data = None if body is None else fields.dump(body)
        call = Call(method, self.url + path, headers, data)
        response = await self.provider.transport.open(call, Progress())
        if response.status in DONE:
            return response
        try:
            raise refused(response.status, await response.read(ANSWER_BYTES))
        finally:
            response.close()

    def complain(self, error: RhetorError) -> None:
        """Say what went wrong, and what to do where that is known."""
        print(f"✗ {printable(error.message)}", file=sys.stderr)
        if error.code in (Code.CONNECT_FAILED, Code.CONNECT_TIMEOUT):
            print(f"  is the gateway running at {self.url}? start it with `rhetor up`", file=sys.stderr)
        elif error.code is Code.UNAUTHENTICATED:
            print("  set RHETOR_AUTH_TOKEN, or give --token", file=sys.stderr)
