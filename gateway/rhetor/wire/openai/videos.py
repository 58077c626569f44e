"""Films in OpenAI's language: a video is created, asked about, and its content fetched.

https://developers.openai.com/api/reference/resources/videos and
https://developers.openai.com/api/docs/guides/video-generation (read 2026-11-21). OpenAI itself has shut its
Videos API down on 2026-09-24, as the guide says; others speak it, so providers' rows say who does:
https://learn.microsoft.com/en-us/azure/foundry/reference/rest/video-generation-get-video (read 2026-11-21).

A video that is under way cannot be cancelled: only what is completed or failed may be deleted.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from rhetor.core.content import Json, JsonValue, Url
from rhetor.core.errors import BadRequest, Code
from rhetor.core.events import UsageReport
from rhetor.core.media import Bytes, Make, Material, data_of, extension_of
from rhetor.core.request import Original, Request
from rhetor.core.usage import Usage
from rhetor.wire.base import Decoder, Outgoing, Quirks
from rhetor.wire.fields import dump
from rhetor.wire.lenient import thing, word
from rhetor.wire.media.errand import VIDEO, ErrandDecoder, Result
from rhetor.wire.multipart import FormField, build_form

PATH = "/videos"
_REFUSED: Mapping[str, Code] = {
    "moderation_blocked": Code.CONTENT_POLICY,
    "content_policy_violation": Code.CONTENT_POLICY,
    "rate_limit_exceeded": Code.RATE_LIMITED,
}


class VideosUpstream:
    def build(self, request: Request, model: str, quirks: Quirks) -> Outgoing:
        make = request.input
        if not isinstance(make, Make):
            raise BadRequest(f"films are not asked for by {request.capability}", Code.UNSUPPORTED)
        if len(make.sources) > 1:
            raise BadRequest("a film is made of one picture here", Code.UNSUPPORTED, param="image")
        said: dict[str, JsonValue] = {"model": model, "prompt": make.prompt}
        if make.seconds is not None:
            said["seconds"] = f"{make.seconds:g}"  # a text, as the reference has it
        if make.size is not None:
            said["size"] = f"{make.size[0]}x{make.size[1]}"
        said |= make.extra
        unsaid = {"aspect_ratio": make.aspect_ratio, "seed": make.seed, "format": make.format}
        dropped = tuple(name for name, value in unsaid.items() if value is not None)
        return _outgoing(said, make.sources[0] if make.sources else None, dropped)

    def retarget(self, original: Original, model: str, quirks: Quirks) -> Outgoing:
        raise NotImplementedError("nobody asks for films in this language")

    def decoder(self, stream: bool, outgoing: Outgoing) -> Decoder:
        return VideoDecoder()


class VideoDecoder(ErrandDecoder):
    """Decodes a video, from its creation to its content."""

    def __init__(self) -> None:
        super().__init__(VIDEO)

    def read(self, said: Json) -> None:
        id = word(said, "id")
        self.start(id, word(said, "model"))
        match status := word(said, "status"):
            case "completed":
                content = Result(
                    url=f"{PATH}/{quote(id, safe='')}/content", media_type="video/mp4", keyed=True
                )
                self.fetch([content], _usage(said))
            case "failed" | "cancelled":
                error = thing(said, "error")
                code = _REFUSED.get(word(error, "code"), Code.UPSTREAM_ERROR)
                self.fail(f"the video {status}: {word(error, 'message') or word(error, 'code')}", code)
            case _ if not id:
                self.fail("the provider does not say how the video is called", Code.PROTOCOL)
            case _:
                progress = said.get("progress")
                known = isinstance(progress, int | float) and 0 <= progress <= 100
                fraction = float(progress) / 100 if known and isinstance(progress, int | float) else None
                self.wait(f"{PATH}/{quote(id, safe='')}", status, fraction)


def _outgoing(said: dict[str, JsonValue], picture: Material | None, dropped: tuple[str, ...]) -> Outgoing:
    """A form, which all servers take, but where the picture lies elsewhere: that only JSON can say."""
    if isinstance(picture, Url):
        said["input_reference"] = {"image_url": picture.url}
        return Outgoing(PATH, dump(said), dropped=dropped)
    fields: list[FormField] = [(name, str(value)) for name, value in said.items() if value is not None]
    if picture is not None:
        name = f"picture.{extension_of(picture.media_type)}"
        fields.append(("input_reference", Bytes(picture.media_type, data_of(picture), name)))
    body, content_type = build_form(fields)
    return Outgoing(PATH, body, {"content-type": content_type}, dropped)


def _usage(said: Json) -> list[UsageReport]:
    try:
        seconds = float(word(said, "seconds") or "0")
    except ValueError:
        return []
    return [UsageReport(Usage(video_ms=round(seconds * 1000)))] if 0 < seconds < 1e6 else []
