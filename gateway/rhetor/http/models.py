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


async def models(http: web.Request) -> web.Response:
    """List the models on offer: OpenAI's shape, or Anthropic's for callers with its headers."""
    catalog = http.app[HOUSE].catalog
    if speaks_anthropic(http):
        return _json(_anthropic_page([_anthropic(o) for o in _listed(catalog)], http))
    return _json({"object": "list", "data": [*_routes(catalog), *map(_openai, _listed(catalog))]})


async def model(http: web.Request) -> web.Response:
    """One model, by its name here (`provider/model`, a route, or a bare id that one provider offers)."""
    catalog = http.app[HOUSE].catalog
    name = http.match_info["model"]
    for route in _routes(catalog):
        if route["id"] == name and not speaks_anthropic(http):
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
    return {
        "type": "model",
        "id": offer.id,
        "display_name": offer.name or offer.model,
        "created_at": datetime.fromtimestamp(0, UTC).isoformat().replace("+00:00", "Z"),
        "max_input_tokens": offer.context_tokens,
        "max_tokens": offer.max_output_tokens,
        "capabilities": None,
    }


def _anthropic_page(listed: list[Model], http: web.Request) -> Model:
    """Anthropic pages by ids before and after; a page holds 20 unless asked otherwise."""
    ids = [str(m["id"]) for m in listed]
    try:
        limit = max(1, min(int(http.query.get("limit", "20")), 1000))
    except ValueError:
        raise BadRequest("limit must be a number from 1 to 1000", param="limit") from None
    after, before = http.query.get("after_id"), http.query.get("before_id")
    if after in ids:
        start = ids.index(after) + 1
    elif before in ids:
        start = max(0, ids.index(before) - limit)
        limit = min(limit, ids.index(before) - start)
    else:
        start = 0
    page = listed[start : start + limit]
    return {
        "data": list(page),
        "has_more": start + limit < len(listed),
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
    }


def _json(value: Model) -> web.Response:
    return web.Response(body=orjson.dumps(value), content_type="application/json")
