"""Large bodies: refused where they are too large, and read without keeping others waiting."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import pytest

from rhetor.core.request import Request
from rhetor.http.media.uploads import IN_THE_LOOP_BYTES
from rhetor.testing import SENTENCE, Upstream
from rhetor.wire.openai.transcripts import TranscriptsDoor
from tests.conftest import Gateway, MakeGateway
from tests.http.media.recordings import form, media

MIB = 1 << 20
TRANSCRIPTIONS = "/v1/audio/transcriptions"


@pytest.fixture
async def gateway(make_gateway: MakeGateway, upstream: Upstream) -> Gateway:
    return await make_gateway(media(upstream, server={"max_body_mb": 8}))


async def test_a_large_recording_arrives_as_it_is(gateway: Gateway, upstream: Upstream) -> None:
    recording = bytes(range(256)) * (6 * MIB // 256)
    async with gateway.session.post(gateway.url + TRANSCRIPTIONS, data=form(data=recording)) as reply:
        assert (await reply.json())["text"] == SENTENCE
    assert recording in upstream.requests[0].body


async def test_a_recording_that_is_too_large(gateway: Gateway, upstream: Upstream) -> None:
    async with gateway.session.post(gateway.url + TRANSCRIPTIONS, data=form(data=bytes(9 * MIB))) as reply:
        assert reply.status == 413
        error = (await reply.json())["error"]
    assert "larger than 8 MiB" in error["message"]
    assert upstream.requests == []


@pytest.mark.parametrize(("size", "apart"), [(IN_THE_LOOP_BYTES // 2, False), (IN_THE_LOOP_BYTES, True)])
async def test_a_large_form_is_read_beside_the_loop(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, size: int, apart: bool
) -> None:
    threads: list[threading.Thread] = []
    parse = TranscriptsDoor.parse

    def watched(self: TranscriptsDoor, body: bytes, headers: Mapping[str, str]) -> Request:
        if b"oai/ears" in body:  # at the gateway; the provider reads one as well
            threads.append(threading.current_thread())
        return parse(self, body, headers)

    monkeypatch.setattr(TranscriptsDoor, "parse", watched)
    async with gateway.session.post(gateway.url + TRANSCRIPTIONS, data=form(data=bytes(size))) as reply:
        assert reply.status == 200
    assert [thread is not threading.main_thread() for thread in threads] == [apart]
