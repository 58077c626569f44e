"""The OpenAI door: chat completions and embeddings."""

from __future__ import annotations

from aiohttp import web

from rhetor.core.capability import Capability
from rhetor.http.reply import generate
from rhetor.wire.openai import OPENAI

NAME = "openai"


async def chat_completions(http: web.Request) -> web.StreamResponse:
    """Continue a conversation, whole or as server-sent events (OpenAI chat completions)."""
    return await generate(http, OPENAI, OPENAI.doors[Capability.CHAT], NAME)


async def embeddings(http: web.Request) -> web.StreamResponse:
    """Turn texts into vectors (OpenAI embeddings)."""
    return await generate(http, OPENAI, OPENAI.doors[Capability.EMBEDDINGS], NAME)
