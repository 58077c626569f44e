"""The list of models, in the shape that the caller's headers imply."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import orjson
from aiohttp import web

from rhetor.core.content import JsonValue
from rhetor.core.errors import BadRequest, Code
from rhetor.http.house import HOUSE
from rhetor.routing.catalog import Catalog, Offer

Model = dict[str, JsonValue]

PAGING = ("limit", "after_id", "before_id")
"""What callers with Anthropic's headers may ask of the list; others get it whole."""


async def models(http: web.Request) -> web.Response:
    """List the models on offer: OpenAI's shape, or Anthropic's for callers with its headers."""
    catalog = http.app[HOUSE].catalog
    if speaks_anthropic(http):
        listed = [*_anthropic_routes(catalog), *map(_anthropic, _listed(catalog))]
        return _json(_anthropic_page(listed, http))
    return _json({"object": "list", "data": [*_routes(catalog), *map(_openai, _listed(catalog))]})


async def model(http: web.Request) -> web.Response:
    """One model, by its name here (`provider/model`, a route, or a bare id that one provider offers)."""
    catalog = http.app[HOUSE].catalog
    name = http.match_info["model"]
    name = catalog.aliases.get(name, name)
    for route in _anthropic_routes(catalog) if speaks_anthropic(http) else _routes(catalog):
        if route["id"] == name:
            return _json(route)
    providers = catalog.by_model.get(name, ())
    offer = catalog.offers.get(name) or (catalog.offers.get(f"{providers[0]}/{name}") if providers else None)
    if offer is None:
        raise BadRequest(f"unknown model {name!r}", Code.MODEL_NOT_FOUND, param="model")
    return _json(_anthropic(offer) if speaks_anthropic(http) else _openai(offer))


def speaks_anthropic(http: web.Request) -> bool:
    """Anthropic's SDKs always send their version; OpenAI's never do."""
    return "anthropic-version" in http.headers


def _listed(catalog: Catalog) -> list[Offer]:
    return [offer for offer in catalog.offers.values() if catalog.providers[offer.provider].available]


def _routes(catalog: Catalog) -> Iterable[Model]:
    """Routes are models to their callers; what they promise is what their first target can."""
    for route in catalog.routes.values():
        first = catalog.offers.get(route.targets[0].name)
        facts = _facts(first) if first is not None else {}
        yield {
            "id": route.name,
            "object": "model",
            "created": 0,
            "owned_by": "rhetor",
            **facts,
            "targets": [target.name for target in route.targets],
        }


def _openai(offer: Offer) -> Model:
    return {"id": offer.id, "object": "model", "created": 0, "owned_by": offer.provider, **_facts(offer)}


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
        }
    return facts


def _anthropic(offer: Offer) -> Model:
    return _anthropic_model(offer.id, offer.name or offer.model, offer)


def _anthropic_routes(catalog: Catalog) -> Iterable[Model]:
    for route in catalog.routes.values():
        yield _anthropic_model(route.name, route.name, catalog.offers.get(route.targets[0].name))


def _anthropic_model(id: str, name: str, offer: Offer | None) -> Model:
    return {
        "type": "model",
        "id": id,
        "display_name": name,
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
