from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rhetor.testing import Upstream, raw_frames, says
from tekton_llm_client.media import ProviderRegistry
from tests.conftest import Gateway, MakeGateway
from tests.http.media.studio import CHAT, IMAGES, SPEECH, picture, plays, studio

HEARD = b'{"text": "what was heard"}'
EARS = "/audio/transcriptions"
ABLE = ["text-to-text", "image-to-text", "text-to-image", "text-to-audio", "audio-to-text", "embeddings"]


@pytest.fixture
async def upstream(no_leaks: None) -> AsyncIterator[Upstream]:
    """Writes, draws, speaks and listens."""
    async with Upstream(anything=True) as server:
        answers = {
            IMAGES: picture(),
            CHAT: says("a red fox in snow"),
            SPEECH: raw_frames([b"ID3abc", b"def"], content_type="audio/mpeg"),
            EARS: raw_frames([HEARD], content_type="application/json"),
        }
        server.always(plays(answers))
        yield server


@pytest.fixture
async def gateway(make_gateway: MakeGateway, upstream: Upstream, tmp_path: Path) -> Gateway:
    """A studio as `lab`, one that only draws as `draws`, and `replicate`; plugins may be added."""
    given = studio(upstream, plugins={"folder": str(tmp_path / "plugins"), "allow_add": True})
    lab = given["providers"]["lab"]
    lab |= {"models": ["small", "brush"], "capabilities": ABLE}
    given["providers"]["draws"] = {**lab, "models": ["brush"], "capabilities": ["text-to-image"]}
    del given["providers"]["draws"]["default_model"], given["providers"]["draws"]["default_models"]
    return await make_gateway(given)


@pytest.fixture
async def registry(gateway: Gateway) -> AsyncIterator[ProviderRegistry]:
    async with ProviderRegistry(gateway.url, component_id="comp") as registry:
        yield registry
