"""How every provider is doing: each is asked now, the way that costs nothing, and what is known is added."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence

from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import RhetorError
from rhetor.http.house import House
from rhetor.providers.discovery import list_models
from rhetor.routing.catalog import ProviderFacts

AT_ONCE = 16
WITHIN_S = 20.0  # a program that has to be started first takes longer than a vendor


async def check_all(house: House, wanted: Collection[str] = ()) -> Sequence[Json]:
    """A report for every provider, or for these: those that are on are asked for their models.

    A service that does not run is not started for it.
    """
    turns = asyncio.Semaphore(AT_ONCE)
    known = house.pipeline.health.snapshot(house.clock.monotonic_s())
    facts = [each for id, each in house.catalog.providers.items() if not wanted or id in wanted]
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(_check(house, each, known, turns)) for each in facts]
    return [task.result() for task in asked]


async def _check(
    house: House, facts: ProviderFacts, known: Sequence[Mapping[str, JsonValue]], turns: asyncio.Semaphore
) -> Json:
    rows = [row for row in known if str(row["target"]).partition("/")[0] == facts.id]
    left_alone = sum(row["breaker"] != "closed" for row in rows)
    about: Json = {
        "provider": facts.id,
        "name": facts.name,
        "available": facts.available,
        "active": sum(int(str(row["in_flight"])) for row in rows),
        "left_alone": left_alone,
        "checked_at": house.clock.utc().isoformat(),
    }
    if not facts.available:
        return {**about, "status": "off", "latency_ms": None, "models": None, "last_error": facts.reason}
    began_s = house.clock.monotonic_s()
    error = models = None
    async with turns:
        try:
            async with asyncio.timeout(WITHIN_S):
                models = await _ask(house, facts)
        except RhetorError as failure:
            error = failure.message
        except TimeoutError:
            error = f"no answer in {WITHIN_S:g} s"
    latency_ms = round((house.clock.monotonic_s() - began_s) * 1000, 1)
    if error is not None:
        status = "unhealthy"
    elif models is None:
        status = "degraded" if left_alone else "unknown"
    else:
        status = "degraded" if left_alone else "healthy"
    return {
        **about,
        "status": status,
        "latency_ms": latency_ms if models is not None or error is not None else None,
        "models": models,
        "last_error": error,
    }


async def _ask(house: House, facts: ProviderFacts) -> int | None:
    """How many models it has; None: it cannot be asked without asking it for something.

    Raises:
        RhetorError: it does not answer, or refuses.
    """
    provider = house.pipeline.registry.snapshot.providers[facts.id]
    offered = sum(offer.provider == facts.id for offer in house.catalog.offers.values())
    if facts.last_resort:
        return offered
    if await house.plugins.test(facts.id):
        return offered
    if (ready := getattr(provider.transport, "is_ready", None)) is not None and not ready:
        return None
    listed = await list_models(provider)
    return None if listed is None else len(listed)
