"""What a caller wants generated, with all that it refers to, and how the result is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from rhetor.core.capability import CONVERSING
from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.core.media import Bytes, extension_of
from rhetor.core.request import Request
from rhetor.http.house import HOUSE, PRINCIPAL, House
from rhetor.http.reply import read_body
from rhetor.pipeline.lineage import bounded
from rhetor.pipeline.shelving import Shelving
from rhetor.store.assets import Asset, Generation
from rhetor.wire import fields
from rhetor.wire.generate.asking import named_parents, read_generate, wants_inline
from rhetor.wire.generate.inputs import MOST_MEDIA, Found, Reference, references
from rhetor.wire.generate.options import PATH

TEXT = "text/"


@dataclass(slots=True)
class Asked:
    request: Request
    keep: Shelving


async def read_asked(http: web.Request) -> Asked:
    """What the body asks for.

    Raises:
        BadRequest: says which field is wrong; not_found, it refers to what is not there.
        RhetorError: the store cannot be read.
    """
    body = await read_body(http)
    return await asked_of(http, fields.parse_object(body), body)


async def asked_of(http: web.Request, said: Json, body: bytes) -> Asked:
    """The same of a body that is parsed already."""
    house, owner = http.app[HOUSE], http.get(PRINCIPAL) or ""
    found = await _Looking(house, owner).all_of(references(said))
    request = read_generate(said, body, found)
    await _refuse_unknown(house, owner, named_parents(said))
    options: JsonValue = said.get(PATH)
    keep = Shelving(
        house.assets,
        input=bounded(said["input"]),
        options=bounded(options or {}),
        inline=wants_inline(said),
        early=request.capability not in CONVERSING,
    )
    return Asked(request, keep)


class _Looking:
    """Finds what requests refer to, within the size that a body may have."""

    def __init__(self, house: House, owner: str) -> None:
        self._assets = house.assets
        self._owner = owner
        self._left_bytes = house.max_body_bytes

    async def all_of(self, wanted: Sequence[tuple[Reference, str]]) -> dict[Reference, Found]:
        if len(wanted) > MOST_MEDIA:
            message = f"input: at most {MOST_MEDIA} references, got {len(wanted)}"
            raise BadRequest(message, param="input")
        found: dict[Reference, Found] = {}
        for reference, path in wanted:
            if reference not in found:
                found[reference] = await self._one(reference, path)
            elif (medium := found[reference].medium) is not None:
                self._spend(len(medium.data))  # it is sent as often as it is named
        return found

    async def _one(self, reference: Reference, path: str) -> Found:
        try:
            if reference.kind == "asset":
                asset = await self._assets.find(self._owner, reference.id)
                return await self._of_asset(asset, asset.generation)
            known = await self._assets.generations(self._owner, [reference.id])
            if (noted := known.get(reference.id)) is None:
                raise BadRequest("no such generation, or its time is over", Code.NOT_FOUND)
            return await self._of_generation(noted)
        except RhetorError as error:
            if error.param is None and isinstance(error, BadRequest):
                raise BadRequest(f"{path}: {error.message}", error.code, param=path) from error
            raise

    async def _of_asset(self, asset: Asset, generation: str | None) -> Found:
        self._spend(asset.size)
        data = await self._assets.content(asset)
        name = asset.name or f"{asset.id}.{extension_of(asset.media_type)}"
        text = data.decode(errors="replace") if asset.media_type.startswith(TEXT) else None
        return Found(generation=generation, text=text, medium=Bytes(asset.media_type, data, name))

    def _spend(self, size_bytes: int) -> None:
        """
        Raises:
            BadRequest: request_too_large, all of it together.
        """
        self._left_bytes -= size_bytes
        if self._left_bytes < 0:
            raise BadRequest("what this refers to is larger than a body may be", Code.TOO_LARGE)

    async def _of_generation(self, noted: Generation) -> Found:
        """What came of it: its first medium, or what it said."""
        output = fields.optional_mapping(noted.document, "output") or {}
        for made in fields.optional_items(output, "assets") or ():
            id = made.get("id") if isinstance(made, dict) else None
            if isinstance(id, str):
                return await self._of_asset(await self._assets.find(self._owner, id), noted.id)
        text = fields.optional_text(output, "text")
        if text is not None and not fields.flag(output, "whole"):
            raise BadRequest("its text was too long to be kept: send the text itself", Code.TOO_LARGE)
        return Found(generation=noted.id, text=text)


async def _refuse_unknown(house: House, owner: str, ids: Sequence[str]) -> None:
    if not ids:
        return
    known = await house.assets.generations(owner, ids)
    for n, id in enumerate(ids):
        if id not in known:
            param = f"parents[{n}]"
            raise BadRequest(f"{param}: no such generation, or its time is over", Code.NOT_FOUND, param=param)
