"""The list of models, in the shape that the caller's headers imply."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import orjson
from aiohttp import web

from rhetor.core.content import JsonValue
from rhetor.core.errors import BadRequest, Code
from rhetor.core.usage import Price
from rhetor.http.house import HOUSE, House
from rhetor.http.offered import Listed, find, offered
from rhetor.http.sifted import FILTERS, sifted
from rhetor.routing.catalog import Offer

Model = dict[str, JsonValue]

PAGING = ("limit", "after_id", "before_id")
"""What callers with Anthropic's headers may ask of the list; others get it whole."""


async def models(http: web.Request) -> web.Response:
    """List the models on offer: OpenAI's shape, or Anthropic's for callers with its headers.

    Filters: `capability`, `feature`, `provider`, `tag`, `strength` (words, with commas between them), `free`
    1 or 0, `price` free, cheap or premium; `sort` by speed, price, latest or name. `first_event_s` is how
    late a model's first word came of late, where it was asked.
    """
    house = http.app[HOUSE]
    listed: Iterable[Listed] = offered(house.catalog)
    if not FILTERS.isdisjoint(http.query):
        health = house.pipeline.health
        listed = sifted(listed, http.query, health, house.clock.monotonic_s())
    if speaks_anthropic(http):
        return _json(_anthropic_page([_anthropic(it) for it in listed], http))
    return _json({"object": "list", "data": [_openai(it, house) for it in listed]})


async def model(http: web.Request) -> web.Response:
    """One model, by its name here (`provider/model`, a route, or a bare id that one provider offers)."""
    name = http.match_info["model"]
    house = http.app[HOUSE]
    found = find(house.catalog, name)
    if found is None:
        raise BadRequest(f"unknown model {name!r}", Code.MODEL_NOT_FOUND, param="model")
    return _json(_anthropic(found) if speaks_anthropic(http) else _openai(found, house))


def speaks_anthropic(http: web.Request) -> bool:
    """Anthropic's SDKs always send their version; OpenAI's never do."""
    return "anthropic-version" in http.headers


def _openai(listed: Listed, house: House) -> Model:
    facts = _facts(listed.offer) if listed.offer is not None else {}
    model: Model = {"id": listed.id, "object": "model", "created": 0, "owned_by": listed.owner, **facts}
    if listed.targets:
        model["targets"] = list(listed.targets)
    if (offer := listed.offer) is not None:
        now_s = house.clock.monotonic_s()
        late_s = house.pipeline.health.first_event_s(offer.provider, offer.model, now_s)
        if late_s is not None:
            model["first_event_s"] = round(late_s, 3)
    return model


def _facts(offer: Offer) -> Model:
    facts: Model = {
        "name": offer.name or offer.model,
        "capabilities": [str(c) for c in sorted(offer.capabilities)],
        "features": None if offer.features is None else [str(f) for f in sorted(offer.features)],
        "max_input_tokens": offer.context_tokens,
        "max_tokens": offer.max_output_tokens,
    }
    if offer.price is not None:
        facts["pricing"] = {
            "input_micros_per_million": offer.price.input_micros,
            "output_micros_per_million": offer.price.output_micros,
            **{name: micros for name, micros in _media_prices(offer.price).items() if micros},
        }
        facts["free"] = offer.free
    if offer.tags:
        facts["tags"] = [*sorted(offer.tags)]
    return facts


def _media_prices(price: Price) -> dict[str, int]:
    return {
        "micros_per_million_characters": price.character_micros,
        "micros_per_million_audio_ms": price.audio_micros,
        "micros_per_million_video_ms": price.video_micros,
        "micros_per_image": price.image_micros,
    }


def _anthropic(listed: Listed) -> Model:
    offer = listed.offer
    named = listed.id if listed.targets or offer is None else offer.name or offer.model
    return {
        "type": "model",
        "id": listed.id,
        "display_name": named,
        "created_at": datetime.fromtimestamp(0, UTC).isoformat().replace("+00:00", "Z"),
        "lifecycle": "active",  # SDKs demand it; what is retired is not on offer
        "max_input_tokens": offer.context_tokens if offer is not None else None,
        "max_tokens": offer.max_output_tokens if offer is not None else None,
        "capabilities": None,
    }


def _anthropic_page(listed: list[Model], http: web.Request) -> Model:
    """Anthropic pages by ids before and after; a page holds 20 unless asked otherwise.

    `has_more` tells of the direction in which the caller pages:
    https://docs.anthropic.com/en/api/models-list (read 2026-11-20).
    """
    ids = [str(m["id"]) for m in listed]
    try:
        limit = max(1, min(int(http.query.get("limit", "20")), 1000))
    except ValueError:
        raise BadRequest("limit must be a number from 1 to 1000", param="limit") from None
    after, before = http.query.get("after_id"), http.query.get("before_id")
    if before in ids and after not in ids:
        end = ids.index(before)
        start = max(0, end - limit)
        has_more = start > 0
    else:
        start = ids.index(after) + 1 if after in ids else 0
        end = start + limit
        has_more = end < len(listed)
    page = listed[start:end]
    return {
        "data": list(page),
        "has_more": has_more,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
    }


def _json(value: Model) -> web.Response:
    return web.Response(body=orjson.dumps(value), content_type="application/json")
