"""Responses and conversations that callers come back to: found by their owner, put into requests, kept."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web

from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import BadRequest, Code
from rhetor.core.events import Folded
from rhetor.core.ids import new_id
from rhetor.core.request import Original, Request
from rhetor.http.house import HOUSE, PRINCIPAL, House
from rhetor.pipeline.keeping import Keep
from rhetor.store.base import Entry
from rhetor.wire import fields
from rhetor.wire.base import ReplyInfo
from rhetor.wire.lenient import count, thing, things, word
from rhetor.wire.openai.responses import ResponsesDoor
from rhetor.wire.openai.responses.kept import (
    beside,
    input_items,
    items_of,
    metadata_of,
    missing,
    owner_of_item,
    reference_of,
    said_again,
    text_of,
    to_be_kept,
)
from rhetor.wire.openai.responses.outline import Outline
from rhetor.wire.openai.responses.render import whole
from rhetor.wire.openai.responses.request import CONVERSATION, PREVIOUS, conversation_of, read_request
from rhetor.wire.openai.responses.vocabulary import NAME, response_id

log = logging.getLogger(__name__)

RESPONSE = "response"
"""The kind of documents that responses are."""
MOST_TURNS = 200  # of a conversation by `previous_response_id`: each is read anew with every request


@dataclass(slots=True)
class Asked:
    """A request with all that it refers to, who renders the reply, and what is done with it."""

    request: Request
    door: ResponsesDoor
    keep: Keep | None


class Stored:
    """What the caller of a request has stored."""

    def __init__(self, http: web.Request) -> None:
        self._house: House = http.app[HOUSE]
        self._owner = http.get(PRINCIPAL) or ""

    async def response(self, id: str) -> Json | None:
        """A response with its input; None when there is none of this id."""
        return await self._house.documents.load(RESPONSE, self._owner, id)

    async def remove(self, id: str) -> bool:
        return await self._house.documents.remove(RESPONSE, self._owner, id)

    async def items(self, conversation: str) -> list[Json] | None:
        """The items of a conversation; None when there is no such conversation."""
        if not await self._has(conversation):
            return None
        entries = await self._house.transcripts.read(CONVERSATION, self._owner, conversation)
        return [entry.said for entry in entries]

    async def _has(self, conversation: str) -> bool:
        return await self._house.transcripts.find(CONVERSATION, self._owner, conversation) is not None

    async def add(self, conversation: str, items: Sequence[Json]) -> None:
        """Add these to a conversation; an item whose id is there already is left as it is."""
        now = self._house.clock.utc()
        entries = [Entry(word(item, "id"), item, text_of(item), now) for item in items]
        await self._house.transcripts.append(CONVERSATION, self._owner, conversation, entries)

    async def asked(self, body: bytes) -> Asked:
        """What a body asks for, with what is stored of it in its place.

        What nobody here knows stays as it is: a provider of this language may know it.

        Raises:
            BadRequest: says which field is wrong and what was expected.
        """
        said = fields.parse_object(body)
        metadata_of(said)
        told: dict[str, JsonValue] = {"created_at": int(self._house.clock.utc().timestamp())}
        changed = dict(said)
        conversation, previous = conversation_of(said), fields.optional_text(said, PREVIOUS)
        history: list[Json] | None = None
        if previous is not None and (history := await self._chain(previous)) is not None:
            del changed[PREVIOUS]
            told[PREVIOUS] = previous
        elif conversation is not None and (history := await self.items(conversation)) is not None:
            del changed[CONVERSATION]
            told[CONVERSATION] = {"id": conversation}
        given, sent = await self._dereferenced(items := input_items(said), history or ())
        if history is not None or sent != items:
            changed["input"] = [*said_again(history or ()), *sent]
            body = self._bounded(fields.dump(changed))
        request = read_request(Original(NAME, body, changed))
        keep = self._keeping(request, said, given, told, conversation if history is not None else None)
        return Asked(request, ResponsesDoor(told), keep)

    async def _chain(self, id: str) -> list[Json] | None:
        """What was said up to the end of a response; None when the beginning of it is not here."""
        turns: dict[str, list[Json]] = {}
        size_bytes = 0
        previous: str | None = id
        while previous is not None:
            document = await self.response(previous)
            if document is None or not document.get("complete") or previous in turns:
                return None
            if len(turns) == MOST_TURNS:
                message = f"{PREVIOUS}: a conversation of more than {MOST_TURNS} turns; begin another one"
                raise BadRequest(message, Code.CONTEXT_LENGTH, param=PREVIOUS)
            size_bytes += count(document, "size_bytes")
            self._refuse_beyond(size_bytes)  # before more of it is parsed
            turns[previous] = items_of(document)
            previous = word(document, "previous") or None
        return [item for turn in reversed(turns.values()) for item in turn]

    async def in_full(self, items: Iterable[Json], there: Iterable[Json] = ()) -> list[Json]:
        """Items with all in full that they refer to.

        Args:
            there: where it is looked for before it is in the caller's responses.

        Raises:
            BadRequest: not_found.
        """
        given, _ = await self._dereferenced(items, there)
        for item in given:
            if (id := reference_of(item)) is not None:
                raise missing(f"Item with id '{id[:100]}' not found.", "items")
        return given

    async def _dereferenced(
        self, items: Iterable[Json], there: Iterable[Json]
    ) -> tuple[list[Json], list[Json]]:
        """The items, those by reference in full where they are here; and the same as they are sent."""
        given: list[Json] = []
        sent: list[Json] = []
        known = {"": _by_id(there)}
        for item in items:
            found = await self._referred(item, known)
            given.append(found or item)
            sent += [item] if found is None else said_again([found])
        return given, sent

    async def _referred(self, item: Json, known: dict[str, Mapping[str, Json]]) -> Json | None:
        """
        Args:
            known: the items of responses that were looked for before, by their ids; and those of none.
        """
        id = reference_of(item)
        if not id:
            return None
        if (found := known[""].get(id)) is not None:
            return found
        if (owner := owner_of_item(id)) is None:
            return None
        if owner not in known:
            known[owner] = _by_id(items_of(await self.response(owner) or {}))
        return known[owner].get(id)

    def _bounded(self, body: bytes) -> bytes:
        self._refuse_beyond(len(body))
        return body

    def _refuse_beyond(self, size_bytes: int) -> None:
        most = self._house.max_body_bytes
        if size_bytes > most:
            raise BadRequest(f"the conversation is larger than {most >> 20} MiB", Code.TOO_LARGE)

    def _keeping(
        self, request: Request, said: Json, given: list[Json], told: Json, conversation: str | None
    ) -> Keep | None:
        """What is done with the reply; None where nothing of it is kept."""
        stored = fields.flag(said, "store", default=True)
        if not stored and conversation is None:
            return None

        async def keep(folded: Folded) -> None:
            outline = Outline(request, ReplyInfo(request.id, 0, request.model), told)
            response = whole(outline, folded)
            id = word(response, "id")
            items = to_be_kept(given, id.removeprefix(response_id("")))
            output = things(response, "output")
            if stored and await self.response(id) is not None:  # providers name responses, also alike
                log.warning("reply not kept", extra={"trip": request.id, "reason": "its id is taken"})
            elif stored:
                document: Json = {
                    "response": response,
                    "input": [*items],
                    "previous": told.get(PREVIOUS),
                    "complete": request.bound is None,  # else a part of what was said is elsewhere
                    "size_bytes": len(fields.dump([*items, *output])),
                }
                await self._house.documents.save(RESPONSE, self._owner, id, document)
            if conversation is not None and folded.error is None:
                await self._go_on(conversation, [*items, *output])

        return keep

    async def _go_on(self, conversation: str, items: list[Json]) -> None:
        """Add what was said, unless the conversation was deleted meanwhile.

        What is elsewhere is left out: whoever is asked next may not have it, and the conversation would end.
        """
        there = await self.items(conversation)
        if there is not None:
            here = [item for item in items if reference_of(item) is None]
            await self.add(conversation, beside(there, here, any_name()))


def any_name() -> str:
    """What items are named after that belong to no response."""
    return new_id("item").removeprefix("item_")


def _by_id(items: Iterable[Json]) -> Mapping[str, Json]:
    return {word(item, "id"): item for item in items}


def stored_response(document: Json) -> Json:
    return thing(document, "response")
