"""A running gateway, as the subcommands that ask one see it."""

from __future__ import annotations

import argparse
import sys

from rhetor.config import environment
from rhetor.core.errors import Code, RhetorError
from rhetor.providers.provider import Provider
from rhetor.providers.spec import AuthSpec, ProviderRow, Source
from rhetor.transport.http import HttpTransport
from rhetor.wire.openai import OPENAI

DEFAULT_URL = "http://localhost:8003"
CONNECT_S = 5.0


def add_gateway_options(parser: argparse.ArgumentParser) -> None:
    """Which gateway to ask, and the token to show it; both have the clients' variables as defaults."""
    parser.add_argument("--url", help=f"default: RHETOR_URL, else {DEFAULT_URL}")
    parser.add_argument("--token", help="default: RHETOR_AUTH_TOKEN")


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
            docs=Source(url=self.url, read="2026-11-20"),
        )
        transport = HttpTransport(limit=1, connect_s=CONNECT_S)
        self.provider = Provider(row, OPENAI, transport, token or environ.get("RHETOR_AUTH_TOKEN") or None)

    async def close(self) -> None:
        await self.provider.transport.close()

    def complain(self, error: RhetorError) -> None:
        """Say what went wrong, and what to do where that is known."""
        print(f"✗ {error.message}", file=sys.stderr)
        if error.code in (Code.CONNECT_FAILED, Code.CONNECT_TIMEOUT):
            print(f"  is the gateway running at {self.url}? start it with `rhetor up`", file=sys.stderr)
        elif error.status == 401 or error.code is Code.UPSTREAM_AUTH:
            print("  set RHETOR_AUTH_TOKEN, or give --token", file=sys.stderr)
