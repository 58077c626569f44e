"""The Anthropic door: messages, and how many tokens they are."""

from __future__ import annotations

from aiohttp import web

from rhetor.core.capability import Capability
from rhetor.http.reply import generate
from rhetor.wire.anthropic import ANTHROPIC

NAME = "anthropic"


async def messages(http: web.Request) -> web.StreamResponse:
    """Continue a conversation, whole or as server-sent events (Anthropic messages)."""
    return await generate(http, ANTHROPIC, ANTHROPIC.doors[Capability.CHAT], NAME)


async def count_tokens(http: web.Request) -> web.StreamResponse:
    """Count a conversation's tokens; where the provider cannot, `x-rhetor-usage: estimated` says so."""
    return await generate(http, ANTHROPIC, ANTHROPIC.doors[Capability.COUNT_TOKENS], NAME)
