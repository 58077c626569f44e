"""A gateway for pictures, speech and transcripts, and forms for it."""

from __future__ import annotations

import io
from typing import Any

import aiohttp

from rhetor.testing import PNG, WAV, Upstream
from tests.conftest import settings

MEDIA = ["text-to-text", "text-to-image", "image-to-image", "text-to-audio", "audio-to-text"]
SPEECH = {"model": "oai/tts", "input": "hello", "voice": "alloy"}
DRAWING = {"model": "oai/brush", "prompt": "a cat"}
RANKING = {"model": "rank/m", "query": "q", "documents": ["a", "b"]}


def media(upstream: Upstream, other: Upstream | None = None, **sections: Any) -> dict[str, Any]:
    """The upstream as `oai` and as `rank`; the other one as `two` and `voyage`, second on route `both`."""
    second = (other or upstream).base_url
    provider = {"wire": "openai", "key": "env:TEST_KEY", "capabilities": MEDIA}
    providers = {
        "oai": {**provider, "base_url": f"{upstream.base_url}/v1"},
        "two": {**provider, "base_url": f"{second}/v1"},
        "rank": {"wire": "rerank", "base_url": f"{upstream.base_url}/v2"},
        "voyage": {"base_url": second, "key": "env:TEST_KEY"},
    }
    routes = {"both": {"targets": ["oai/m", "two/m"]}, "ranks": {"targets": ["rank/m", "voyage/m"]}}
    return settings(upstream, providers=providers, **{"routes": routes, **sections})


def form(*fields: tuple[str, str], file: str = "file", data: bytes = WAV, **names: str) -> aiohttp.FormData:
    """A form with a file in it."""
    made = aiohttp.FormData()
    for name, text in (*{"model": "oai/ears", **names}.items(), *fields):
        made.add_field(name, text)
    is_picture = data == PNG
    kind, name = ("image/png", "a.png") if is_picture else ("audio/wav", "a.wav")
    made.add_field(file, io.BytesIO(data), content_type=kind, filename=name)
    return made
