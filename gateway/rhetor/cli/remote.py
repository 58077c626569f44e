"""A running gateway, as the subcommands that ask one see it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping

from rhetor.config import environment
from rhetor.core.call import Call
from rhetor.core.content import Json
from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.providers.provider import Provider
from rhetor.providers.spec import AuthSpec, ProviderRow
from rhetor.transport.base import Progress
from rhetor.transport.pool import HttpPool
from rhetor.wire import fields, refusals
from rhetor.wire.base import Wire
from rhetor.wire.openai import OPENAI

DEFAULT_URL = "http://localhost:8003"
CONNECT_S = 5.0
ANSWER_BYTES = 4 << 20


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


class Remote:
    """A running gateway, asked like any provider that speaks OpenAI."""

    def __init__(self, url: str | None, token: str | None) -> None:
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
        transport = HttpPool(limit=1, connect_s=CONNECT_S)
        self._token = token or environ.get("RHETOR_AUTH_TOKEN") or None
        self.provider = _Gateway(row, OPENAI, transport, self._token)

    async def close(self) -> None:
        await self.provider.transport.close()

    async def get(self, path: str) -> Json:
        """What the gateway answers to a GET, which is an object.

        Raises:
            RhetorError: it refused, or could not be reached.
        """
        headers = {} if self._token is None else {"authorization": f"Bearer {self._token}"}
        response = await self.provider.transport.open(Call("GET", self.url + path, headers), Progress())
        try:
            body = await response.read(ANSWER_BYTES)
        finally:
            response.close()
        if response.status != 200:
            said = {name.lower(): value for name, value in response.headers.items()}
            raise self.provider.refusal(response.status, said, body)
        return fields.parse_object(body)

    def complain(self, error: RhetorError) -> None:
        """Say what went wrong, and what to do where that is known."""
        print(f"✗ {error.message}", file=sys.stderr)
        if error.code in (Code.CONNECT_FAILED, Code.CONNECT_TIMEOUT):
            print(f"  is the gateway running at {self.url}? start it with `rhetor up`", file=sys.stderr)
        elif error.code is Code.UNAUTHENTICATED:
            print("  set RHETOR_AUTH_TOKEN, or give --token", file=sys.stderr)
