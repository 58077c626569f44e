"""What is kept of conversations: items as they are listed, and as they are said again.

https://platform.openai.com/docs/api-reference/responses/input-items and
…/conversations (read 2026-11-21).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import BadRequest, Code
from rhetor.wire import fields
from rhetor.wire.lenient import thing, things, word
from rhetor.wire.openai.responses.items import Conversation
from rhetor.wire.openai.vocabulary import NAME as OPENAI

MOST_LISTED = 100
LISTED = 20
PAGING = ("limit", "order", "after")

_WITH_STATUS = frozenset({"message", "function_call", "function_call_output"})
_PREFIXES: Mapping[str, str] = {"message": "msg", "reasoning": "rs", "function_call": "fc"}
_NAMELESS = "item"  # before the ids of all other kinds; no id of OpenAI's begins so
_SAID_WITHOUT_ID = frozenset(
    {
        "custom_tool_call",
        "custom_tool_call_output",
        "function_call",
        "function_call_output",
        "message",
        "reasoning",
    }
)
"""Kinds that are understood without `id` and `status`. Calls of tools that the provider ran are not."""


def input_items(said: Json) -> list[Json]:
    """What a body says under `input`, always as items.

    Raises:
        BadRequest: it is neither a string nor an array of objects.
    """
    given = said.get("input")
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": given}] if given else []
    return [item for item, _ in fields.objects(said, "input")]


def checked_items(said: Json) -> list[Json]:
    """The `items` of a body.

    Raises:
        BadRequest: says which is none, and why.
    """
    if not fields.items(said, "items"):
        raise BadRequest("items: expected at least one item", param="items")
    conversation, items, ids = Conversation(), [], set[str]()
    for item, path in fields.objects(said, "items"):
        conversation.read(item, path)
        if (id := word(item, "id")) in ids:
            raise BadRequest(f"{path}.id: {id[:100]!r} is another item's already", param=f"{path}.id")
        ids |= {id} if id else set()
        items.append(item)
    return items


def to_be_kept(items: Iterable[Json], name: str) -> list[Json]:
    """Items as they are listed; who has no id, or an earlier one's, gets one after `name` and its place."""
    listed: list[Json] = []
    ids: set[str] = set()
    for place, item in enumerate(items):
        id = word(item, "id")
        own = id if id and id not in ids else _named(item, f"{name}_in{place}")
        ids.add(own)
        listed.append(_listed(item, own))
    return listed


def beside(there: Iterable[Json], items: Iterable[Json], name: str) -> list[Json]:
    """Items as they are added to others, by ids that no other item has.

    What is there already, word for word, keeps its id: it was said once.
    """
    taken = {word(item, "id"): item for item in there}
    return [
        item
        if taken.setdefault(word(item, "id"), item) == item
        else {**item, "id": _named(item, f"{name}_in{place}")}
        for place, item in enumerate(items)
    ]


def _named(item: Json, name: str) -> str:
    """An id for an item: one of a kind that we do not know keeps how its own one begins, if it has any."""
    kind = _kind_of(item)
    return f"{_PREFIXES.get(kind) or word(item, 'id').partition('_')[0] or _NAMELESS}_{name}"


def _kind_of(item: Json) -> str:
    return word(item, "type") or ("message" if "role" in item else "item_reference")


def _listed(item: Json, id: str) -> Json:
    kind = _kind_of(item)
    listed: dict[str, JsonValue] = {**item, "id": id, "type": kind}
    if kind in _WITH_STATUS:
        listed["status"] = word(item, "status") or "completed"
    if kind == "message":
        listed["content"] = _content(item)
    return listed


def _content(message: Json) -> JsonValue:
    said = message.get("content")
    if isinstance(said, str):
        if word(message, "role") == "assistant":
            return [{"type": "output_text", "text": said, "annotations": []}]
        return [{"type": "input_text", "text": said}]
    parts: list[JsonValue] = [
        {"detail": "auto", **part} if word(part, "type") == "input_image" else part
        for part in things(message, "content")
    ]
    return parts


def said_again(items: Iterable[Json]) -> list[Json]:
    """Items as the beginning of another request.

    Where they are understood without, without the ids that we gave them or another provider did, which mean
    nothing to whoever is asked now; and without thoughts that bring no proof: providers refuse both.
    """
    return [
        _anew(item) for item in items if word(item, "type") != "reasoning" or word(item, "encrypted_content")
    ]


def _anew(item: Json) -> Json:
    if _kind_of(item) in _SAID_WITHOUT_ID:
        return {key: value for key, value in item.items() if key not in ("id", "status")}
    if word(item, "type") != "item_reference" and word(item, "id").startswith(f"{_NAMELESS}_"):
        return {key: value for key, value in item.items() if key != "id"}
    return item


def text_of(item: Json) -> str:
    """What a search looks through."""
    parts = [*things(item, "content"), *things(item, "summary")]
    texts = [word(part, "text") or word(part, "refusal") for part in parts]
    return "\n".join(filter(None, [*texts, word(item, "arguments"), word(item, "output")]))


def page_of(items: Sequence[Json], query: Mapping[str, str]) -> Json:
    """One page of a list of items, the newest first unless `order` says `asc`.

    Raises:
        BadRequest: the query is none.
    """
    if (order := query.get("order", "desc")) not in ("asc", "desc"):
        raise BadRequest(f"order: expected asc or desc, got {order[:100]!r}", param="order")
    wanted = query.get("limit", str(LISTED))
    if not (wanted.isascii() and wanted.isdigit() and len(wanted) < 4 and 0 < int(wanted) <= MOST_LISTED):
        raise BadRequest(f"limit: expected 1 to {MOST_LISTED}, got {wanted[:100]!r}", param="limit")
    ordered = [*items] if order == "asc" else [*reversed(items)]
    if (after := query.get("after")) is not None:
        ids = [word(item, "id") for item in ordered]
        if after not in ids:
            raise missing(f"Item with id '{after[:100]}' not found.", "after")
        ordered = ordered[ids.index(after) + 1 :]
    page = ordered[: int(wanted)]
    return {
        "object": "list",
        "data": [*page],
        "first_id": word(page[0], "id") if page else None,
        "last_id": word(page[-1], "id") if page else None,
        "has_more": len(ordered) > len(page),
    }


def missing(message: str, param: str | None = None) -> BadRequest:
    """The error for what a path names and is not there."""
    said: Json = {"type": "invalid_request_error", "code": None}
    return BadRequest(message, Code.NOT_FOUND, param=param, wire=OPENAI, original=said)


def metadata_of(said: Json) -> Json:
    """The `metadata` of a body: at most 16 short texts by name, as OpenAI has it.

    Raises:
        BadRequest: it is something else.
    """
    metadata = fields.optional_mapping(said, "metadata") or {}
    if len(metadata) > 16:
        raise BadRequest(f"metadata: at most 16 entries, got {len(metadata)}", param="metadata")
    for key in metadata:
        if len(key) > 64 or len(fields.text(metadata, key, "metadata")) > 512:
            raise BadRequest("metadata: names have at most 64 characters, texts 512", param="metadata")
    return metadata


def reference_of(item: Json) -> str | None:
    """The id of the item that another one stands for."""
    return word(item, "id") if _kind_of(item) == "item_reference" else None


def owner_of_item(id: str) -> str | None:
    """The response that an item belongs to, by the id that we gave it; None for ids of others."""
    kind, _, rest = id.partition("_")
    name, _, place = rest.rpartition("_")
    if not kind or not name or not place.removeprefix("in").isdigit():
        return None
    return f"resp_{name}"


def items_of(document: Json) -> list[Json]:
    """All that was said in a kept response, to the model and by it."""
    return [*things(document, "input"), *things(thing(document, "response"), "output")]
