"""Assets over HTTP: uploaded as a stream, fetched as one, in whole or in part, and forgotten.

What is fetched was made by a model or uploaded by somebody, and comes from our own origin: nothing in it may
run there. So browsers are told to believe its type, to give it no rights, and to save whatever could be a
page or a script instead of showing it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import quote

import orjson
from aiohttp import BodyPartReader, MultipartReader, web
from aiohttp.http import HttpProcessingError

from rhetor.core.content import Json
from rhetor.core.errors import BadRequest
from rhetor.core.events import Medium
from rhetor.core.media import extension_of
from rhetor.http.house import HOUSE, PRINCIPAL
from rhetor.http.reply import BODY_S
from rhetor.http.stream import CallerLeft, abort
from rhetor.pipeline.patience import Patience
from rhetor.pipeline.shelving import shown
from rhetor.store.assets import UNTOLD, Asset, Assets, Writing
from rhetor.wire.base import JSON_TYPE

READ_S = 60.0  # for the next piece of an upload
LEAST_BYTES_PER_S = 256 << 10  # of an upload, after the time that any body has: it holds a place meanwhile
WRITE_S = 60.0  # for a caller to take a piece of what it fetches
LISTED = 100
MOST_LISTED = 1_000
NAME_CHARS = 200
LISTING = ("limit",)
UPLOADING = ("name",)
FETCHING = ("download",)
FORM = "multipart/form-data"
SHOWN = re.compile(r"(image/(png|jpeg|gif|webp|avif|bmp)|audio/[\w.+-]+|video/[\w.+-]+|text/plain)(;.*)?")
"""What a browser may show: nothing of it can run."""
SAFE_HEADERS = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; sandbox",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "cache-control": "private, no-transform",
}
T = TypeVar("T")
_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")


async def upload(http: web.Request) -> web.Response:
    """Keep a file: the body itself with its type, or the first file of a form."""
    assets, owner = http.app[HOUSE].assets, http.get(PRINCIPAL) or ""
    if http.content_type == FORM:
        return await _upload_form(http, assets, owner)
    if not http.can_read_body:
        raise BadRequest("the body is empty: send the file in it", param="body")
    media_type = http.headers.get("content-type", UNTOLD)
    async with assets.begin(owner, media_type, name=_name(http.query.get("name"))) as writing:
        return await _keep(writing, _body(http), _Arrival())


async def assets(http: web.Request) -> web.Response:
    """The caller's assets, the newest first."""
    try:
        limit = max(1, min(int(http.query.get("limit", LISTED)), MOST_LISTED))
    except ValueError:
        raise BadRequest(f"limit must be a number from 1 to {MOST_LISTED}", param="limit") from None
    found = await http.app[HOUSE].assets.latest(http.get(PRINCIPAL) or "", limit)
    return _json({"object": "list", "data": [{"object": "asset", **shown(asset)} for asset in found]})


async def asset(http: web.Request) -> web.StreamResponse:
    """An asset's content, all of it or the `Range` that is asked for; `?download=true` to save it."""
    return await send(http, await _find(http))


async def forget(http: web.Request) -> web.Response:
    """Forget an asset."""
    id = http.match_info["id"]
    await http.app[HOUSE].assets.remove(http.get(PRINCIPAL) or "", id)
    return _json({"id": id, "object": "asset.deleted", "deleted": True})


async def send(http: web.Request, asset: Asset, save: bool = False) -> web.StreamResponse:
    """The content of an asset, as much of it as the caller wants.

    Args:
        save: browsers put it into a file, whatever it is.

    Raises:
        CallerLeft: it does not read.
    """
    save = save or http.query.get("download", "").lower() in ("1", "true")
    tag = f'"{asset.digest}"'
    name = asset.name or f"{asset.id}.{extension_of(asset.media_type)}"
    headers = {
        **SAFE_HEADERS,
        "content-type": asset.media_type,
        "content-disposition": _disposition(name, asset.media_type, save),
        "etag": tag,
        "accept-ranges": "bytes",
    }
    if asset.generation is not None:
        headers["x-rhetor-generation-id"] = asset.generation
    if _has(http.headers.get("if-none-match"), tag):
        return web.Response(status=304, headers={name: headers[name] for name in ("etag", "cache-control")})
    wanted = _range(http, asset, tag)
    if wanted is None:
        headers["content-range"] = f"bytes */{asset.size}"
        return web.Response(status=416, headers=headers)
    status = 200
    if wanted.partial:
        status, headers["content-range"] = 206, f"bytes {wanted.start}-{wanted.end - 1}/{asset.size}"
    response = web.StreamResponse(status=status, headers=headers)
    response.content_length = wanted.end - wanted.start
    return await _send(http, response, asset, wanted)


def saved(medium: Medium, name: str) -> web.Response:
    """A small medium that is no asset, for browsers to put into a file of this name, without its ending."""
    disposition = _disposition(f"{name}.{extension_of(medium.media_type)}", medium.media_type, save=True)
    headers = {**SAFE_HEADERS, "content-type": medium.media_type, "content-disposition": disposition}
    return web.Response(body=medium.data, headers=headers)


async def _send(
    http: web.Request, response: web.StreamResponse, asset: Asset, wanted: _Part
) -> web.StreamResponse:
    loop = asyncio.get_running_loop()
    try:
        await response.prepare(http)
        if http.method != "HEAD":
            pieces = http.app[HOUSE].assets.pieces(asset, wanted.start, wanted.end)
            async with aclosing(pieces) as told:
                async for piece in told:
                    with Patience(loop, WRITE_S):
                        await response.write(piece)
        await response.write_eof()
    except ConnectionError:
        raise CallerLeft from None
    except TimeoutError:
        abort(http)
        raise CallerLeft from None
    except BaseException:
        abort(http)  # a part of it must not look whole
        raise
    return response


@dataclass(frozen=True, slots=True)
class _Part:
    start: int
    end: int
    """The first byte that is not wanted."""
    partial: bool


def _range(http: web.Request, asset: Asset, tag: str) -> _Part | None:
    """What is asked for; None when there is no such part. Several parts at once are not offered: all of it.

    https://www.rfc-editor.org/rfc/rfc9110#section-14.2 (read 2026-11-21).
    """
    whole = _Part(0, asset.size, partial=False)
    said = http.headers.get("range")
    if said is None or http.method != "GET":
        return whole
    if (condition := http.headers.get("if-range")) is not None and condition != tag:
        return whole
    found = _RANGE.fullmatch(said.strip())
    if found is None or not (found[1] or found[2]):
        return whole
    if not found[1]:
        length = min(int(found[2]), asset.size)
        return _Part(asset.size - length, asset.size, partial=True) if length else None
    start = int(found[1])
    end = min(int(found[2]) + 1, asset.size) if found[2] else asset.size
    if found[2] and int(found[2]) < start:
        return whole  # no range at all, so it is ignored
    return _Part(start, end, partial=True) if start < asset.size else None


def _has(tags: str | None, tag: str) -> bool:
    """Whether a list of tags names this one."""
    return tags is not None and any(it.strip().removeprefix("W/") in (tag, "*") for it in tags.split(","))


def _disposition(name: str, media_type: str, save: bool) -> str:
    how = "attachment" if save or SHOWN.fullmatch(media_type.lower()) is None else "inline"
    plain = re.sub(r"[^A-Za-z0-9._ -]", "_", name)
    return f"{how}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


async def _upload_form(http: web.Request, assets: Assets, owner: str) -> web.Response:
    arrival = _Arrival()
    try:
        form = await http.multipart()
        while (part := await arrival.of(form.next())) is not None:
            if isinstance(part, BodyPartReader) and part.filename is not None:
                media_type = part.headers.get("content-type", UNTOLD)
                async with assets.begin(owner, media_type, name=_name(part.filename)) as writing:
                    return await _keep(writing, _part_of(form, part), arrival)
    except (ValueError, HttpProcessingError) as error:
        raise BadRequest(f"the form cannot be read: {' '.join(str(error).split())}") from error
    raise BadRequest("the form has no file in it", param="file")


async def _keep(writing: Writing, pieces: AsyncIterator[bytes], arrival: _Arrival) -> web.Response:
    """
    Raises:
        BadRequest: the body does not come, or is cut off.
    """
    try:
        while piece := await arrival.of(anext(pieces, b"")):
            arrival.on_came(len(piece))
            await writing.write(piece)
    except web.RequestPayloadError as error:
        raise BadRequest(f"the body cannot be read: {' '.join(str(error).split())}") from error
    return _json({"object": "asset", **shown(await writing.keep())}, 201)


class _Arrival:
    """The clock over an upload: as long as any body may take, and longer while it comes fast enough.

    What we take to store it does not count.
    """

    def __init__(self) -> None:
        self._left_s = BODY_S

    def on_came(self, size_bytes: int) -> None:
        self._left_s = min(self._left_s + size_bytes / LEAST_BYTES_PER_S, BODY_S)

    async def of(self, coming: Awaitable[T]) -> T:
        """
        Raises:
            BadRequest: status 408, it does not come in time.
        """
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        try:
            async with asyncio.timeout(min(READ_S, self._left_s)):
                return await coming
        except TimeoutError:
            message = f"the body came too slowly: nothing for {READ_S:g} s, or little for {BODY_S:g} s"
            raise BadRequest(message, status=408) from None
        finally:
            self._left_s -= loop.time() - began_s


async def _body(http: web.Request) -> AsyncIterator[bytes]:
    async for piece in http.content.iter_any():
        yield piece


async def _part_of(form: MultipartReader, part: BodyPartReader) -> AsyncIterator[bytes]:
    """
    Raises:
        ValueError: the form ends without saying that the file does.
    """
    while piece := await part.read_chunk(1 << 16):
        yield bytes(piece)
    await form.next()


async def _find(http: web.Request) -> Asset:
    return await http.app[HOUSE].assets.find(http.get(PRINCIPAL) or "", http.match_info["id"])


def _name(said: str | None) -> str | None:
    """A file's name without its folders, in so many characters that can be seen."""
    if said is None:
        return None
    name = "".join(c for c in re.split(r"[/\\]", said)[-1] if c.isprintable())
    return name[:NAME_CHARS] or None


def _json(said: Json, status: int = 200) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(said), content_type=JSON_TYPE)
