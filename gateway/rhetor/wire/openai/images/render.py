"""Events → pictures as OpenAI's callers expect them, whole and streamed.

https://developers.openai.com/api/reference/resources/images (read 2026-11-21).
"""

from __future__ import annotations

from collections.abc import Iterable

import orjson

from rhetor.core.content import JsonValue, Opaque
from rhetor.core.errors import Code, UpstreamError
from rhetor.core.events import Event, Failed, Finished, Folded, Folder, Medium, MediumLink, OpaquePart
from rhetor.core.media import Draw
from rhetor.core.request import Request
from rhetor.core.usage import Usage
from rhetor.wire.base import STREAM_TYPE, ReplyInfo, WholeRenderer
from rhetor.wire.openai.errors import error_fields
from rhetor.wire.openai.images import vocabulary as words
from rhetor.wire.openai.images.reply import COMPLETED, PARTIAL
from rhetor.wire.openai.vocabulary import NAME
from rhetor.wire.sse import frame


class ImagesRenderer(WholeRenderer):
    """Renders pictures that come together: each as it came, in base64 or as an address.

    Args:
        base: what stands before addresses that begin with a path.
    """

    def __init__(self, request: Request, info: ReplyInfo, base: str) -> None:
        super().__init__()
        self._info = info
        self._base = base

    def write(self, folded: Folded) -> bytes:
        pictures = _pictures(folded)
        body: dict[str, JsonValue] = {
            "created": self._info.created_s,
            "data": [self._picture(medium) for medium in pictures],
        }
        format = next((it for it in map(_format, pictures) if it), None)
        if format is not None:
            body["output_format"] = format
        if folded.usage is not None and folded.usage.total_tokens:
            body["usage"] = words.write_usage(folded.usage)
        return orjson.dumps(body)

    def _picture(self, medium: Medium | MediumLink) -> dict[str, JsonValue]:
        prompt: dict[str, JsonValue] = {} if medium.prompt is None else {"revised_prompt": medium.prompt}
        if isinstance(medium, MediumLink) and medium.url.startswith("/"):
            return {"url": self._base + medium.url, **prompt}
        return _content(medium) | prompt


class ImagesStreamRenderer:
    """Renders pictures one by one.

    Args:
        event: how its events' names begin.
    """

    content_type = STREAM_TYPE

    def __init__(self, request: Request, info: ReplyInfo, event: str) -> None:
        assert isinstance(request.input, Draw)
        self._asked = request.input
        self._info = info
        self._event = event
        self._folder = Folder()

    def render(self, events: Iterable[Event]) -> bytes:
        out: list[bytes] = []
        for event in events:
            match event:
                case OpaquePart(Opaque(wire, data)) if wire == NAME:
                    if data.get("type") == self._event + PARTIAL:
                        out.append(_frame(self._event + PARTIAL, dict(data)))
                case Failed(error):
                    out.append(_frame("error", {"error": error_fields(error)}))
                case Finished():
                    self._folder.add(event)
                    out += self._completed(self._folder.result())
                case _:
                    self._folder.add(event)
        return b"".join(out)

    def _completed(self, folded: Folded) -> list[bytes]:
        try:
            pictures = _pictures(folded)
        except UpstreamError as error:
            return [_frame("error", {"error": error_fields(error)})]
        asked, name = self._asked, self._event + COMPLETED
        common: dict[str, JsonValue] = {
            "created_at": self._info.created_s,
            "size": "auto" if asked.size is None else f"{asked.size[0]}x{asked.size[1]}",
            "quality": asked.quality or "auto",
            "background": asked.background or "auto",
        }
        out = []
        for nth, medium in enumerate(pictures, 1):
            used = folded.usage if nth == len(pictures) else None  # once, since callers add them up
            fields = _content(medium) | common
            fields["output_format"] = _format(medium) or "png"
            out.append(_frame(name, fields | {"usage": words.write_usage(used or Usage())}))
        return out


def _pictures(folded: Folded) -> list[Medium | MediumLink]:
    """
    Raises:
        UpstreamError: protocol_error, there is none.
    """
    if not folded.media:
        raise UpstreamError("the reply has no picture in it", Code.PROTOCOL)
    return [folded.media[index] for index in sorted(folded.media)]


def _content(medium: Medium | MediumLink) -> dict[str, JsonValue]:
    return {"url": medium.url} if isinstance(medium, MediumLink) else {"b64_json": medium.base64}


def _format(medium: Medium | MediumLink) -> str | None:
    return None if medium.media_type is None else words.format_of(medium.media_type)


def _frame(name: str, fields: dict[str, JsonValue]) -> bytes:
    return frame(orjson.dumps({"type": name, **fields}), name)
