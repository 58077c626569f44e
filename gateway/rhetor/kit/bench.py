"""Where a plugin is tried: a house of its own, with nothing in it but the plugin, gone afterwards."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from rhetor.app import App
from rhetor.config import Config, ProviderConfig
from rhetor.core.content import Json
from rhetor.core.value import value
from rhetor.plugins.cache import discard

FOLDER = "rhetor-check-"


@value(kw_only=True)
class Bench:
    """A plugin that was put up to be tried."""

    app: App
    plugin: str
    arrival: Json
    """What was said of it when it came."""


@asynccontextmanager
async def bench(
    source: str, config: Config, environ: Mapping[str, str], granted: tuple[str, ...], key: str | None
) -> AsyncIterator[Bench]:
    """Fetch a plugin and put it up. Nobody else is asked for anything meanwhile.

    Args:
        config: what it says of plugins counts here, too.
        key: a reference (`env:NAME`) to the key that its providers get.

    Raises:
        Refused: it could not be used, and why.
        RhetorError: it cannot be fetched.
    """
    folder = Path(tempfile.mkdtemp(prefix=FOLDER))
    try:
        plugins = config.plugins.model_copy(update={"folder": str(folder), "off": ()})
        alone = {"enabled": False, "local": False}
        quiet = Config.model_validate({"discovery": alone, "store": {"folder": ":memory:"}})
        quiet = quiet.model_copy(update={"plugins": plugins})
        arrival = await _put_up(source, quiet, environ, granted)
        app = App(*_keyed(quiet, environ, arrival, folder, key))
        try:
            yield Bench(app=app, plugin=str(arrival["id"]), arrival=arrival)
        finally:
            await app.stop()
    finally:
        await asyncio.to_thread(discard, folder)


async def _put_up(source: str, config: Config, environ: Mapping[str, str], granted: tuple[str, ...]) -> Json:
    given_up = threading.Event()
    app = App(config, None, environ)
    try:
        desk = app.guests.desk(config, app.guests.book)
        change = await asyncio.to_thread(desk.add, source, granted, given_up)
        await asyncio.to_thread(desk.write, change)
        return change.report
    finally:
        given_up.set()
        await app.stop()


def _keyed(
    config: Config, environ: Mapping[str, str], arrival: Json, folder: Path, key: str | None
) -> tuple[Config, None, Mapping[str, str]]:
    """The house's arguments, with the key where there is one: in a header of rows, or as the variable that a
    program asks for."""
    if key is None:
        return config, None, environ
    told = arrival["providers"]
    assert isinstance(told, list)
    rows = [each for each in told if isinstance(each, Mapping) and not each["code"]]
    setting = ProviderConfig.model_validate({"key": key})
    return (
        config.model_copy(update={"providers": {str(each["id"]): setting for each in rows}}),
        None,
        {**environ, **_for_programs(arrival, environ, key)},
    )


def _for_programs(arrival: Json, environ: Mapping[str, str], key: str) -> Mapping[str, str]:
    """The key as the one variable that the plugin's programs need; of several nobody knows which is meant."""
    variables = arrival["variables"]
    assert isinstance(variables, list)
    wanted = [
        str(each["name"])
        for each in variables
        if isinstance(each, Mapping) and each["required"] and str(each["for"]).startswith("the program")
    ]
    name = key.removeprefix("env:")
    return {wanted[0]: environ[name]} if len(set(wanted)) == 1 and name in environ else {}
