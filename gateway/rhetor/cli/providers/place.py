"""Where plugins are changed from a terminal: at the gateway that runs, else in the folder it would have."""

from __future__ import annotations

import argparse
import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol
from urllib.parse import quote

from rhetor.app import App
from rhetor.cli.remote import Remote
from rhetor.cli.setting import furnish
from rhetor.config import environment
from rhetor.core.content import Json
from rhetor.core.errors import Code, RhetorError
from rhetor.http.checkup import check_all
from rhetor.plugins.desk import Change, Desk, Wish

PATH = "/v1/plugins"
RELOAD = "/api/v1/reload"
STRANGERS = frozenset({404, 405, 501})
ABSENT = frozenset({Code.CONNECT_FAILED, Code.CONNECT_TIMEOUT})


async def _nobody_listens() -> None:
    pass


class Place(Protocol):
    where: str
    """For people."""

    async def all(self) -> Json: ...

    async def one(self, id: str) -> Json: ...

    async def look(self, said: str, granted: tuple[str, ...]) -> Json: ...

    async def add(self, said: str, granted: tuple[str, ...]) -> Json: ...

    async def update(self, id: str, wish: Wish) -> Json: ...

    async def remove(self, id: str) -> Json: ...

    async def health(self) -> Sequence[Json]: ...

    def remedy(self, error: RhetorError) -> str | None:
        """What to do about it, where that is known."""

    async def close(self) -> None: ...


async def find_place(arguments: argparse.Namespace) -> Place:
    """The gateway that is named, or else the one that runs with this configuration, or else its folder.

    Raises:
        RhetorError: the gateway does not let us in.
        ConfigError: the configuration cannot be used.
    """
    if arguments.url or environment().get("RHETOR_URL"):
        return RemotePlace(Remote(arguments.url, arguments.token))
    app = furnish(arguments)
    remote = Remote(app.url, arguments.token or app.some_token())
    folder = FolderPlace(app, lambda: furnish(arguments), remote)
    try:
        told = await remote.get(PATH)
    except RhetorError as error:
        # Somebody else may have that port: whoever knows no plugins is not the gateway of this folder.
        if error.code in ABSENT or error.status in STRANGERS or error.code is Code.PROTOCOL:
            return folder
        await remote.close()
        raise
    same = told.get("folder") is not None and told["folder"] == (await folder.all())["folder"]
    if same:
        return EitherPlace(remote, folder)
    await app.stop()
    return RemotePlace(remote)


class RemotePlace:
    """A gateway that runs."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self.where = remote.url

    async def all(self) -> Json:
        return await self._remote.get(PATH)

    async def one(self, id: str) -> Json:
        return await self._remote.get(f"{PATH}/{quote(id, safe='')}")

    async def look(self, said: str, granted: tuple[str, ...]) -> Json:
        return await self._remote.ask("POST", PATH, {"source": said, "grant": list(granted), "dry_run": True})

    async def add(self, said: str, granted: tuple[str, ...]) -> Json:
        return await self._remote.ask("POST", PATH, {"source": said, "grant": list(granted)})

    async def update(self, id: str, wish: Wish) -> Json:
        body: Json = {"grant": list(wish.granted), "accept_moved": wish.accept_moved, "dry_run": wish.dry_run}
        ref: Json = {} if wish.ref is None else {"ref": wish.ref}
        return await self._remote.ask("POST", f"{PATH}/{quote(id, safe='')}/update", {**body, **ref})

    async def remove(self, id: str) -> Json:
        return await self._remote.ask("DELETE", f"{PATH}/{quote(id, safe='')}")

    async def health(self) -> Sequence[Json]:
        told = (await self._remote.get("/v1/providers/health"))["data"]
        return [each for each in told if isinstance(each, Mapping)] if isinstance(told, list) else []

    def remedy(self, error: RhetorError) -> str | None:
        if error.code in ABSENT:
            return f"is the gateway running at {self.where}? start it with `rhetor up`"
        return "set RHETOR_AUTH_TOKEN, or give --token" if error.code is Code.UNAUTHENTICATED else None

    async def close(self) -> None:
        await self._remote.close()


class FolderPlace:
    """A folder: whoever may write it, may change what is in it. No gateway has to run.

    Args:
        again: makes the house anew, which says whether it can be made with a change.
        remote: a gateway that may run on this folder nevertheless.
    """

    def __init__(self, app: App, again: Callable[[], App], remote: Remote) -> None:
        self._app = app
        self._again = again
        self._remote = remote
        self._given_up = threading.Event()
        self.on_change: Callable[[], Awaitable[object]] = _nobody_listens
        """Awaited when something was written down, before what may take its time."""
        self.where = str(app.guests.all()["folder"] or "nowhere")

    async def all(self) -> Json:
        return self._app.guests.all()

    async def one(self, id: str) -> Json:
        return await self._app.guests.about(id)

    async def look(self, said: str, granted: tuple[str, ...]) -> Json:
        return await asyncio.to_thread(self._desk().look, said, granted, self._given_up)

    async def add(self, said: str, granted: tuple[str, ...]) -> Json:
        return await self._change(lambda desk: desk.add(said, granted, self._given_up))

    async def update(self, id: str, wish: Wish) -> Json:
        if wish.dry_run:
            return (await asyncio.to_thread(self._desk().update, id, wish, self._given_up)).report
        return await self._change(lambda desk: desk.update(id, wish, self._given_up))

    async def remove(self, id: str) -> Json:
        return await self._change(lambda desk: desk.remove(id))

    async def health(self) -> Sequence[Json]:
        return await check_all(self._app.house)

    def remedy(self, error: RhetorError) -> str | None:
        return None

    async def close(self) -> None:
        self._given_up.set()
        await self._app.stop()
        await self._remote.close()

    def _desk(self) -> Desk:
        return self._app.guests.desk(self._app.config, self._app.guests.book)

    async def _change(self, act: Callable[[Desk], Change]) -> Json:
        desk = self._desk()
        change = await asyncio.to_thread(act, desk)
        await asyncio.to_thread(self._app.guests.write, desk, change)
        app = self._again()
        await self._app.stop()
        self._app = app
        await self.on_change()
        return {**change.report, **await app.guests.prepared(change.id)}


class EitherPlace(RemotePlace):
    """A gateway on a folder that we have, too: what its callers may not change is changed there.

    Whoever may write the folder needs no other permission.
    """

    def __init__(self, remote: Remote, folder: FolderPlace) -> None:
        super().__init__(remote)
        self._folder = folder
        folder.on_change = lambda: remote.ask("POST", RELOAD)

    async def look(self, said: str, granted: tuple[str, ...]) -> Json:
        return await self._or(super().look(said, granted), lambda: self._folder.look(said, granted))

    async def add(self, said: str, granted: tuple[str, ...]) -> Json:
        return await self._or(super().add(said, granted), lambda: self._folder.add(said, granted))

    async def update(self, id: str, wish: Wish) -> Json:
        return await self._or(super().update(id, wish), lambda: self._folder.update(id, wish))

    async def remove(self, id: str) -> Json:
        return await self._or(super().remove(id), lambda: self._folder.remove(id))

    async def _or(self, asked: Awaitable[Json], by_hand: Callable[[], Awaitable[Json]]) -> Json:
        try:
            return await asked
        except RhetorError as error:
            if error.code is not Code.FORBIDDEN:
                raise
        return await by_hand()

    async def close(self) -> None:
        await self._folder.close()
