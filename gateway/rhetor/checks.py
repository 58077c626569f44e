"""Active checks: providers that are left alone are asked, in the background, whether they are back.

Real traffic is what tells how providers do; a check only spares the first caller after a failure the
wait for the next probe. It lists models, which costs nothing and needs the key.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from rhetor.core.errors import RhetorError
from rhetor.providers.discovery import list_models
from rhetor.providers.registry import Registry
from rhetor.routing.health import Health

log = logging.getLogger(__name__)

PAUSE_S = 1.0  # how often it is looked whether a reload has switched checks on


async def check_again_and_again(registry: Registry, health: Health, every_s: Callable[[], float]) -> None:
    """Runs until cancelled.

    Args:
        every_s: seconds between two rounds; 0: no checks for now. A reload may change it.
    """
    while True:
        await asyncio.sleep(every_s() or PAUSE_S)
        if every_s():
            await check_once(registry, health)


async def check_once(registry: Registry, health: Health) -> None:
    """Ask every provider of which a target is left alone, all at the same time."""
    async with asyncio.TaskGroup() as group:
        for id in health.open_breakers():
            group.create_task(_check(registry, health, id))


async def _check(registry: Registry, health: Health, id: str) -> None:
    """One that answers is probed by the next request; one that does not stays as it is."""
    provider = registry.snapshot.providers.get(id)
    if provider is None:
        return
    try:
        answers = await list_models(provider) is not None
    except RhetorError as error:
        log.debug("still down", extra={"provider": id, "reason": error.message})
        return
    if answers:
        log.info("provider answers again", extra={"provider": id})
        health.on_answer(id)
