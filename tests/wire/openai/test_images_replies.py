"""Pictures that are told of: whole and streamed, both directions."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import orjson
import pytest

from rhetor.core.content import Opaque
from rhetor.core.errors import Code, UpstreamError
from rhetor.core.events import (
    Event,
    Failed,
    Finished,
    FinishReason,
    MediumDelta,
    MediumLink,
    MediumStarted,
    OpaquePart,
    Started,
    UsageReport,
)
from rhetor.core.request import Request
from rhetor.core.usage import Usage
from rhetor.testing.media import PNG
from rhetor.wire.base import JSON_TYPE, PLAIN, STREAM_TYPE, Decoder, ReplyInfo
from rhetor.wire.openai.images import (
    EditsDoor,
    GenerationsDoor,
    GenerationsUpstream,
    wants_addresses,
)
from rhetor.wire.sse import frame
from tests.wire.openai.speech import decode

INFO = ReplyInfo("gen", 1_795_132_800, "asked")
B64 = b64encode(PNG)
STARTED, STOPPED = Started("", ""), Finished(FinishReason.STOP)
PICTURE: list[Event] = [MediumStarted(0, "image/png"), MediumDelta(0, B64, base64=True)]

# https://developers.openai.com/api/reference/resources/images, its examples (read 2026-11-21), the pictures
# replaced by one of a single pixel.
WHOLE = (
    b"""{
  "created": 1713833628,
  "data": [{"b64_json": "%b"}],
  "background": "transparent",
  "output_format": "png",
  "size": "1024x1024",
  "quality": "high",
  "usage": {
    "total_tokens": 100,
    "input_tokens": 50,
    "output_tokens": 50,
    "input_tokens_details": {"text_tokens": 10, "image_tokens": 40}
  }
}"""
    % B64
)
OLDER = (
    b'{"created": 1589478378, "data": [{"url": "https://x.test/a", "revised_prompt": "a cat"}, {"url": "b"}]}'
)
PARTIAL = (
    b"""event: image_generation.partial_image
data: {"type":"image_generation.partial_image","b64_json":"%b","partial_image_index":0}

"""
    % B64
)
COMPLETED = (
    b"""event: image_generation.completed
data: {"type":"image_generation.completed","b64_json":"%b","usage":{"total_tokens":100,"input_tokens":50,\
"output_tokens":50,"input_tokens_details":{"text_tokens":10,"image_tokens":40}}}

"""
    % B64
)


def generation(**said: Any) -> Request:
    return GenerationsDoor().parse(orjson.dumps({"model": "m", "prompt": "a cat", **said}), {})


def decoder(content_type: str = JSON_TYPE, stream: bool = False, count: int = 1) -> Decoder:
    request = generation(n=count)
    assert request.original is not None
    upstream = GenerationsUpstream()
    made = upstream.decoder(stream, upstream.retarget(request.original, "gpt-image-2", PLAIN))
    made.begin(200, {"content-type": content_type})
    return made


class TestHeard:
    def test_pictures_together(self) -> None:
        made = decoder()
        told = decode(made, WHOLE)
        assert told.events == [STARTED, *PICTURE, UsageReport(Usage(50, 50, images=1)), STOPPED]
        assert (made.has_frames, told.raw) == (True, WHOLE)

    def test_addresses(self) -> None:
        assert decode(decoder(), OLDER).events == [
            STARTED,
            MediumLink(0, "https://x.test/a", None, "a cat"),
            MediumLink(1, "b"),
            UsageReport(Usage(images=2)),
            STOPPED,
        ]

    @pytest.mark.parametrize(
        ("begun", "media_type"), [("/9j/AA", "image/jpeg"), ("UklGRg", "image/webp"), ("AAAA", "image/png")]
    )
    def test_a_picture_says_what_it_is(self, begun: str, media_type: str) -> None:
        body = b'{"data":[{"b64_json":"%b"}]}' % begun.encode()
        assert decode(decoder(), body).events[1] == MediumStarted(0, media_type)

    def test_a_stream(self) -> None:
        made = decoder(STREAM_TYPE, stream=True)
        told = decode(made, PARTIAL, COMPLETED)
        partial = orjson.loads(PARTIAL.split(b"data: ")[1])
        assert told.events == [
            STARTED,
            OpaquePart(Opaque("openai", partial)),
            *PICTURE,
            UsageReport(Usage(50, 50, images=1)),
            STOPPED,
        ]
        assert (made.has_frames, told.raw) == (True, PARTIAL + COMPLETED)

    def test_several_pictures_in_a_stream(self) -> None:
        """It ends with the last of them; one that ends before that has broken off."""
        events = decode(decoder(STREAM_TYPE, stream=True, count=2), COMPLETED, COMPLETED).events
        assert events[-2:] == [UsageReport(Usage(100, 100, images=2)), STOPPED]
        failed = decode(decoder(STREAM_TYPE, stream=True, count=2), COMPLETED).events[-1]
        assert isinstance(failed, Failed)
        assert failed.error.code is Code.TRUNCATED
        done = decode(decoder(STREAM_TYPE, stream=True, count=2), COMPLETED, frame(b"[DONE]"))
        assert done.events[-1] == STOPPED

    @pytest.mark.parametrize(
        ("content_type", "stream", "body"), [(JSON_TYPE, True, WHOLE), (STREAM_TYPE, False, COMPLETED)]
    )
    def test_who_answers_otherwise_is_understood(self, content_type: str, stream: bool, body: bytes) -> None:
        made = decoder(content_type, stream)
        assert decode(made, body).events[1:3] == PICTURE
        assert not made.has_frames

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            (b'{"error":{"message":"x","code":"moderation_blocked"}}', Code.CONTENT_POLICY),
            (b'{"data":[]}', Code.PROTOCOL),
            (b'{"data":[{}]}', Code.PROTOCOL),
            (b"<html>", Code.PROTOCOL),
            (WHOLE[:100], Code.PROTOCOL),
        ],
    )
    def test_a_200_that_is_no_picture_is_a_failure(self, body: bytes, code: Code) -> None:
        failed = decode(decoder(), body).events[-1]
        assert isinstance(failed, Failed)
        assert failed.error.code is code

    def test_an_event_without_a_picture(self) -> None:
        empty = frame(b'{"type":"image_generation.completed"}')
        failed = decode(decoder(STREAM_TYPE, stream=True), empty).events[-1]
        assert isinstance(failed, Failed)


class TestTold:
    def test_pictures_together(self) -> None:
        link = MediumLink(1, "https://x.test/a", prompt="a dog")
        own = MediumLink(2, "/v1/assets/1")
        events = [STARTED, *PICTURE, link, own, UsageReport(Usage(5, 7)), STOPPED]
        door = GenerationsDoor("https://gateway.test")
        assert orjson.loads(door.renderer(generation(), INFO).render(events)) == {
            "created": 1_795_132_800,
            "data": [
                {"b64_json": B64.decode()},
                {"url": "https://x.test/a", "revised_prompt": "a dog"},
                {"url": "https://gateway.test/v1/assets/1"},
            ],
            "output_format": "png",
            "usage": {
                "input_tokens": 5,
                "output_tokens": 7,
                "total_tokens": 12,
                "input_tokens_details": {"text_tokens": 5, "image_tokens": 0},
            },
        }

    def test_what_came_in_base64_is_not_decoded(self) -> None:
        odd: list[Event] = [STARTED, MediumStarted(0, "x/y"), MediumDelta(0, b"%%%", base64=True), STOPPED]
        said = orjson.loads(GenerationsDoor().renderer(generation(), INFO).render(odd))
        assert said["data"] == [{"b64_json": "%%%"}]

    @pytest.mark.parametrize(("door", "name"), [(GenerationsDoor(), "generation"), (EditsDoor(), "edit")])
    def test_a_stream(self, door: GenerationsDoor, name: str) -> None:
        request = generation(stream=True, size="1x1")
        renderer = door.renderer(request, INFO)
        partial = {"type": f"image_{name}.partial_image", "b64_json": "AA", "partial_image_index": 0}
        out = renderer.render([STARTED, OpaquePart(Opaque("openai", partial)), *PICTURE])
        assert out == frame(orjson.dumps(partial), f"image_{name}.partial_image")
        said = renderer.render([MediumStarted(1, "image/webp"), MediumDelta(1, b"x")])
        said += renderer.render([UsageReport(Usage(1, 2)), STOPPED])
        first, second = (orjson.loads(it.split(b"data: ")[1]) for it in said.split(b"\n\n")[:-1])
        assert first["type"] == second["type"] == f"image_{name}.completed"
        assert (first["b64_json"], first["output_format"], first["size"]) == (B64.decode(), "png", "1x1")
        assert (second["b64_json"], second["output_format"]) == ("eA==", "webp")
        assert [it["usage"]["total_tokens"] for it in (first, second)] == [0, 3]

    def test_a_failure_in_a_stream(self) -> None:
        renderer = GenerationsDoor().renderer(generation(stream=True), INFO)
        broken = Failed(UpstreamError("gone", Code.TRUNCATED))
        for events in ([STARTED, broken], [STARTED, STOPPED]):
            out = GenerationsDoor().renderer(generation(stream=True), INFO).render(events)
            assert out.startswith(b"event: error\n")
            assert orjson.loads(out.split(b"data: ")[1])["error"]["type"] == "server_error"
        assert renderer.content_type == STREAM_TYPE

    def test_no_picture_is_no_success(self) -> None:
        with pytest.raises(UpstreamError, match="no picture"):
            GenerationsDoor().renderer(generation(), INFO).render([STARTED, STOPPED])

    def test_who_wants_addresses(self) -> None:
        assert wants_addresses(generation(response_format="url"))
        assert not wants_addresses(generation())
        assert not wants_addresses(generation(response_format="url", stream=True))
