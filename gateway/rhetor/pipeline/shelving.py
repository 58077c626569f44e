"""Replies whose media go into the asset store while they come, and of which is noted what they were made of.

Whoever hears such a reply gets links instead of megabytes, so that recordings, jobs and replies in one piece
stay small. Media that are wanted in the reply itself come with it as well, as far as they are small. Small
ones that cannot be stored come in it instead: they are paid for.
"""

from __future__ import annotations

import asyncio
import logging
from base64 import b64decode
from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import TracebackType

from rhetor.core.capability import Capability
from rhetor.core.content import JsonValue
from rhetor.core.errors import Code, RhetorError, UpstreamError
from rhetor.core.events import (
    Event,
    Finished,
    MediumDelta,
    MediumLink,
    MediumStarted,
    TextDelta,
)
from rhetor.pipeline.keeping import KEEP_S, Kept
from rhetor.pipeline.lineage import (
    RESULT_CHARS,
    bare_url,
    bounded,
    described,
    input_of,
    lineage_of,
    options_of,
    prompt_of,
    steps_of,
)
from rhetor.pipeline.trip import Trip
from rhetor.store.assets import Asset, Assets, Generation, Writing
from rhetor.wire.base import Chunk

log = logging.getLogger(__name__)

STORE_S = 60.0  # for the last piece of a large medium to reach its disk
INLINE_BYTES = 8 << 20  # of all media in one reply; larger ones are fetched
RESCUED_BYTES = 4 << 20  # the same where they are told only if need be: each reply that is made holds so much
# Of base64 at once, in groups of four: more would keep others waiting, in a thread as well.
DECODED_BYTES = 1 << 20
MADE, LINEAGE, PROMPT, CHAIN = "assets", "generation", "generation_prompt", "generation_chain"
NOT_STORED = "not_stored"
"""Where the metadata of a trip tell what came of it."""
ASSET_PATH = "/v1/assets/"


@dataclass(slots=True)
class _Medium:
    writing: Writing
    prompt: str | None
    small: list[bytes] | None
    """Its content, while it is small enough to be told."""
    lost: RhetorError | None = None
    """Why it cannot be stored, which costs only those who cannot be told it."""


@dataclass(frozen=True, slots=True)
class Shelving:
    """How a reply is put into the store.

    Args:
        input, options: what is noted of the request; None: what its canonical form tells.
        inline: media are wanted in the reply itself, too.
    """

    assets: Assets
    input: JsonValue = None
    options: JsonValue = None
    inline: bool = False
    early: bool = True

    def wrap(self, trip: Trip) -> Kept:
        return Shelved(trip, self)


@dataclass(frozen=True, slots=True)
class Noting:
    """How a reply passes as it is, and only what it was made of is noted."""

    assets: Assets
    early: bool = False

    def wrap(self, trip: Trip) -> Kept:
        return Noted(trip, Shelving(self.assets))


class Noted(Kept):
    """A trip of which is noted what it was made of. Its reply passes untouched."""

    def __init__(self, trip: Trip, shelving: Shelving) -> None:
        self._trip = trip
        self._shelving = shelving
        self._assets = shelving.assets
        self._owner = trip.request.principal or ""
        self._text: list[str] = []
        self._chars = 0
        # A recording forgets what was asked when it ends, and this is what it was.
        self._input, self._options = shelving.input, shelving.options
        if self._input is None:
            self._input = input_of(trip.request)
        if self._options is None:
            self._options = options_of(trip.request.input)

    async def chunks(self) -> AsyncIterator[Chunk]:
        """The trip's. The one with the ending comes when the reply is noted, or cannot be."""
        async for chunk in self._trip.chunks():
            for event in chunk.events:
                self._hear(event)
                if isinstance(event, Finished):
                    await self._note([])
            yield chunk

    def _hear(self, event: Event) -> None:
        if isinstance(event, TextDelta) and self._chars <= RESULT_CHARS:
            self._text.append(event.text)
            self._chars += len(event.text)

    async def _note(self, made: list[JsonValue]) -> None:
        """Note what came of it, and say so in the metadata; what goes wrong with the store costs no reply."""
        request, meta, assets = self.request, self.meta, self._assets
        document = self._document(made)
        noted = Generation(
            id=request.id,
            owner=self._owner,
            at=self.began_at,
            expires_at=self.began_at,
            parents=request.parents,
            document=document,
        )
        meta[LINEAGE] = described(noted, output=False)
        if not assets.notes or request.capability is Capability.COUNT_TOKENS:
            return
        try:
            async with asyncio.timeout(KEEP_S):
                await assets.note(noted.id, noted.owner, noted.at, noted.parents, document)
                lineage = await lineage_of(assets, self._owner, request.id)
            meta[PROMPT], meta[CHAIN] = prompt_of(lineage), steps_of(lineage)
        except TimeoutError:
            self._miss(f"not within {KEEP_S:g} s")
        except RhetorError as error:
            self._miss(error.message)
        except Exception as error:  # whatever a store does, the reply is the caller's
            self._miss(type(error).__name__, error)

    def _document(self, made: list[JsonValue]) -> dict[str, JsonValue]:
        target = self.served_by
        output: dict[str, JsonValue] = {}
        if self._text:
            text = "".join(self._text)
            output["text"] = text[:RESULT_CHARS]
            output["whole"] = len(text) <= RESULT_CHARS
        if made:
            output["assets"] = made
        return {
            "capability": self.request.capability.value,
            "model": target.model if target is not None else None,
            "provider": target.provider if target is not None else None,
            "input": self._input,
            "options": bounded(self._options),
            "output": output,
        }

    def _miss(self, reason: str, error: Exception | None = None) -> None:
        log.warning("lineage not noted", extra={"trip": self.request.id, "reason": reason}, exc_info=error)


class Shelved(Noted):
    """A trip whose media go into the store."""

    def __init__(self, trip: Trip, shelving: Shelving) -> None:
        super().__init__(trip, shelving)
        self._media: dict[int, _Medium] = {}
        self._links: dict[int, MediumLink] = {}
        self._small_bytes = INLINE_BYTES if shelving.inline else RESCUED_BYTES

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for medium in self._media.values():
            medium.writing.drop()
        await super().__aexit__(kind, error, traceback)

    @property
    def verbatim(self) -> bool:
        """What the provider has sent holds the media."""
        return False

    async def chunks(self) -> AsyncIterator[Chunk]:
        """The trip's, with links instead of media; those come with the ending, when all of it is stored.

        Raises:
            RhetorError: it cannot be stored, and is too large to be told.
        """
        async for chunk in self._trip.chunks():
            told: list[Event] = []
            for event in chunk.events:
                match event:
                    case MediumStarted(index, media_type, prompt):
                        self._begin(index, media_type, prompt)
                    case MediumDelta(index):
                        async for piece in _pieces(event):
                            await self._write(self._media[index], piece)
                    case Finished():
                        told += await self._keep_all()
                        told.append(event)
                    case MediumLink(index):
                        self._links[index] = event
                        told.append(event)
                    case _:
                        self._hear(event)
                        told.append(event)
            if told:
                yield Chunk(told)

    def _begin(self, index: int, media_type: str, prompt: str | None) -> None:
        writing = self._assets.begin(self._owner, media_type, generation=self.request.id)
        self._media[index] = _Medium(writing, prompt, [])

    async def _write(self, medium: _Medium, data: bytes) -> None:
        if medium.lost is None:
            try:
                await medium.writing.write(data)
            except RhetorError as error:
                medium.lost = error
        if medium.small is not None and len(data) <= self._small_bytes:
            self._small_bytes -= len(data)
            medium.small.append(data)
        elif medium.small is not None:
            self._small_bytes += sum(map(len, medium.small))
            medium.small = None
        if medium.lost is not None and medium.small is None:
            raise _nowhere(medium.lost)

    async def _keep_all(self) -> list[Event]:
        """Store what came, and tell where it is."""
        made: dict[int, JsonValue] = {index: _linked(link) for index, link in self._links.items()}
        told: list[Event] = []
        for index, medium in self._media.items():
            media_type = medium.writing.media_type
            asset = await self._kept(medium)
            if asset is not None:
                made[index] = shown(asset, index)
            if medium.small is not None and (asset is None or self._shelving.inline):
                told.append(MediumStarted(index, media_type, medium.prompt))
                told.append(MediumDelta(index, b"".join(medium.small)))
            elif asset is not None:
                told.append(MediumLink(index, ASSET_PATH + asset.id, media_type, medium.prompt))
        ordered = [made[index] for index in sorted(made)]
        self.meta[MADE] = ordered
        await self._note(ordered)
        return told

    async def _kept(self, medium: _Medium) -> Asset | None:
        """
        Raises:
            RhetorError: it cannot be stored, nor told otherwise.
        """
        if medium.lost is None:
            try:
                return await _kept(medium.writing)
            except RhetorError as error:
                medium.lost = error
        if medium.small is None:
            raise _nowhere(medium.lost)
        self.meta[NOT_STORED] = medium.lost.message
        said = {"trip": self.request.id, "reason": medium.lost.message}
        log.warning("medium told, but not stored", extra=said)
        return None


def shown(asset: Asset, index: int | None = None) -> dict[str, JsonValue]:
    """An asset as callers read it.

    Args:
        index: which medium of its reply it is.
    """
    said: dict[str, JsonValue] = {
        "id": asset.id,
        "url": ASSET_PATH + asset.id,
        "media_type": asset.media_type,
        "bytes": asset.size,
        "sha256": asset.digest,
        "created_at": asset.created_at.isoformat(),
        "expires_at": asset.expires_at.isoformat(),
    }
    if asset.name is not None:
        said["name"] = asset.name
    if asset.generation is not None:
        said["generation"] = asset.generation
    return said if index is None else {"index": index, **said}


def _linked(link: MediumLink) -> JsonValue:
    """A medium that lies elsewhere; the address itself is told in the reply, and kept nowhere."""
    return {"index": link.index, "id": None, "url": bare_url(link.url), "media_type": link.media_type}


def _nowhere(lost: RhetorError) -> RhetorError:
    message = f"the result was made, but cannot be stored, and is too large to be told: {lost.message}"
    return RhetorError(message, lost.code)


async def _kept(writing: Writing) -> Asset:
    try:
        async with asyncio.timeout(STORE_S):
            return await writing.keep()
    except TimeoutError as error:
        message = f"the result could not be stored within {STORE_S:g} s"
        raise RhetorError(message, Code.UNAVAILABLE) from error


async def _pieces(delta: MediumDelta) -> AsyncIterator[bytes]:
    """
    Raises:
        UpstreamError: protocol_error, the provider's base64 is none.
    """
    if not delta.base64:
        yield delta.data
        return
    for start in range(0, len(delta.data), DECODED_BYTES):
        piece = delta.data[start : start + DECODED_BYTES]
        goes_on = start + DECODED_BYTES < len(delta.data)
        try:
            if goes_on and piece.endswith(b"="):
                raise ValueError("it goes on after its end")
            if goes_on:  # so others have their turn in between
                data = await asyncio.to_thread(b64decode, piece, validate=True)
            else:
                data = b64decode(piece, validate=True)
        except ValueError as error:
            raise UpstreamError(f"the provider's medium is no base64: {error}", Code.PROTOCOL) from error
        yield data
