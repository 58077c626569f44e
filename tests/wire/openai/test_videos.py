"""Films in OpenAI's language: created, asked about, fetched; spoken by whoever's row says so."""

from __future__ import annotations

from typing import Any

import pytest

from rhetor.core.capability import Capability
from rhetor.core.content import Inline, Url
from rhetor.core.errors import Code
from rhetor.core.events import Progress
from rhetor.core.media import Bytes, Make
from rhetor.testing import Seen, Step
from rhetor.wire.media import errand
from rhetor.wire.multipart import parse_form
from tests.wire.media.errands import KEY, MP4, Heard, Play, medium, run, said

pytestmark = pytest.mark.usefixtures("no_leaks", "hurried")

FILMS = frozenset({Capability.TEXT_TO_VIDEO, Capability.IMAGE_TO_VIDEO})
MAKE = Make(prompt="a cat", seconds=8.0, size=(1280, 720), seed=7, extra={"fps": 24})


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errand, "FIRST_PAUSE_S", 0.01)


def video(status: str, **said: Any) -> dict[str, Any]:
    """https://developers.openai.com/api/docs/guides/video-generation (read 2026-11-21)."""
    return {
        "id": "video_68d7512d07848190b3e45da0ecbebcde004da08e1e0678d5",
        "object": "video",
        "created_at": 1758941485,
        "status": status,
        "model": "sora-2-pro",
        "progress": 0,
        "seconds": "8",
        "size": "1280x720",
        **said,
    }


def vendor(*states: dict[str, Any], content: Step | None = None) -> Play:
    left = list(states)

    def play(seen: Seen) -> Step:
        if seen.path.endswith("/content"):
            return content or medium(MP4, "video/mp4")
        return said(video("queued") if seen.method == "POST" else left.pop(0) if left else video("completed"))

    return play


async def film(make: Make, play: Play) -> Heard:
    capability = Capability.IMAGE_TO_VIDEO if make.sources else Capability.TEXT_TO_VIDEO
    return await run("openai", "sora-2-pro", make, capability, play, capabilities=FILMS, path="/v1")


async def test_a_film_is_created_asked_about_and_fetched() -> None:
    heard = await film(MAKE, vendor(video("in_progress", progress=33)))

    assert heard.media == [("video/mp4", MP4)]
    place = f"/v1/videos/{video('')['id']}"
    assert heard.asked == ["POST /v1/videos", f"GET {place}", f"GET {place}", f"GET {place}/content"]
    assert {seen.headers["authorization"] for seen in heard.requests} == {f"Bearer {KEY}"}
    assert heard.progress == [Progress(0.0, "queued"), Progress(0.33, "in_progress")]
    created = heard.requests[0]
    assert dict(parse_form(created.body, created.headers["content-type"])) == {
        "model": "sora-2-pro",
        "prompt": "a cat",
        "seconds": "8",
        "size": "1280x720",
        "fps": "24",
    }
    assert heard.meta["dropped"] == ["seed"]
    assert heard.folded.usage is not None
    assert heard.folded.usage.video_ms == 8000


async def test_a_picture_goes_along_as_a_file_or_as_an_address() -> None:
    file = await film(Make(prompt="x", sources=(Inline("image/png", "iVBORw=="),)), vendor())
    form = dict(parse_form(file.requests[0].body, file.requests[0].headers["content-type"]))
    assert form["input_reference"] == Bytes("image/png", b"\x89PNG"[:4], "picture.png")

    address = await film(Make(prompt="x", sources=(Url("https://files.example/x.png"),)), vendor())
    assert address.requests[0].json["input_reference"] == {"image_url": "https://files.example/x.png"}

    both = await film(Make(prompt="x", sources=(Url("a"), Url("b"))), vendor())
    assert (both.error.code, both.requests) == (Code.UNSUPPORTED, [])


@pytest.mark.parametrize(
    ("state", "code", "words"),
    [
        ({"error": {"code": "moderation_blocked", "message": "Blocked."}}, Code.CONTENT_POLICY, "Blocked."),
        ({"error": {"code": "video_generation_failed", "message": "Boom."}}, Code.UPSTREAM_ERROR, "Boom."),
        ({"id": ""}, Code.UPSTREAM_ERROR, "failed"),
    ],
)
async def test_a_film_that_fails_says_why(state: dict[str, Any], code: Code, words: str) -> None:
    heard = await film(MAKE, vendor(*[video("failed", **state)] * 2))
    assert heard.error.code is code
    assert words in heard.error.message


@pytest.mark.parametrize(
    "play",
    [
        vendor(content=said({"error": {"message": "not ready"}})),
        vendor(content=medium(b"", "video/mp4")),
        lambda seen: said({"status": "queued"}),
        lambda seen: said([]),
    ],
    ids=["words", "empty", "no id", "a list"],
)
async def test_what_is_no_film_is_a_failure(play: Play) -> None:
    assert (await film(MAKE, play)).error.code is Code.PROTOCOL
