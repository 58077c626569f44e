"""Guests for tests: real programs behind real transports, asked as a trip would ask them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rhetor.core.capability import Capability, Feature
from rhetor.core.content import Text
from rhetor.core.events import Event, Failed, Folded, Grammar, fold
from rhetor.core.request import Chat, Input, Message, Request, Role
from rhetor.plugins.guest.reply import GuestReply
from rhetor.plugins.guest.sandbox import Means, Sandbox
from rhetor.plugins.guest.spec import CodeSpec, Language, Limits
from rhetor.plugins.guest.transport import BASE_URL, GuestTransport
from rhetor.providers.provider import Provider
from rhetor.providers.spec import AuthSpec, ProviderRow
from rhetor.services.house import House
from rhetor.services.supervisor import Restart
from rhetor.transport.base import Progress
from rhetor.wire.base import Decoder
from rhetor.wire.languages import WIRES

HERE = Path(__file__).parent
PARROTS: dict[Language, CodeSpec] = {
    "python": CodeSpec(id="parrot", folder=HERE / "parrot", language="python", main="provider.py"),
    "javascript": CodeSpec(id="papagei", folder=HERE / "papagei", language="javascript", main="provider.mjs"),
}
LONG_S = 20.0


class Guest:
    """A provider that is a program."""

    def __init__(self, transport: GuestTransport, id: str) -> None:
        self.transport = transport
        row = ProviderRow(
            id=id,
            name=transport.spec.id.title(),
            wire="guest",
            base_url=BASE_URL,
            auth=AuthSpec(required=False),
            capabilities=frozenset(Capability),
            features=frozenset(Feature),
        )
        self.provider = Provider(row, WIRES["guest"], transport)

    async def open(self, model: str, given: Input | str = "hi", **said: Any) -> Open:
        request = asking(given, **said)
        prepared = self.provider.prepare(request, model)
        reply = await self.transport.open(prepared.call, Progress())
        decoder = prepared.decoder()
        decoder.begin(reply.status, reply.headers)
        return Open(reply, decoder)

    async def ask(self, model: str, given: Input | str = "hi", **said: Any) -> Folded:
        """The whole reply, with its grammar checked."""
        async with asyncio.timeout(LONG_S):
            opened = await self.open(model, given, **said)
            return fold(await opened.rest())


class Open:
    """A reply that is being read."""

    def __init__(self, reply: GuestReply, decoder: Decoder) -> None:
        self.reply = reply
        self.decoder = decoder
        self.reader = reply.chunks()
        self.events: list[Event] = []

    async def until(self, kind: type) -> None:
        """Read until there is such an event."""
        async with asyncio.timeout(LONG_S):
            while not any(isinstance(it, kind) for it in self.events):
                self.events += self.decoder.feed(await anext(self.reader)).events

    async def rest(self) -> list[Event]:
        async for data in self.reader:
            self.events += self.decoder.feed(data).events
        self.events += self.decoder.close().events
        self.reply.close()
        grammar = Grammar()
        for event in self.events:
            grammar.see(event)
        assert grammar.ended
        return self.events

    async def failure(self) -> Exception:
        """What the rest of it fails of."""
        try:
            last = (await self.rest())[-1]
        except Exception as error:
            return error
        assert isinstance(last, Failed), last
        return last.error


def asking(
    given: Input | str, capability: Capability = Capability.CHAT, stream: bool = True, **said: Any
) -> Request:
    if isinstance(given, str):
        given = Chat(messages=(Message(Role.USER, (Text(given),)),), **said)
    return Request(id="gen_1", capability=capability, model="m", input=given, stream=stream)


class Guests:
    """Makes guests, and ends them."""

    def __init__(self, folder: Path, house: House, machine: Means | None = None) -> None:
        self.folder = folder
        self.house = house
        self.machine = machine
        self.made: list[Guest] = []

    def make(
        self,
        spec: CodeSpec | None = None,
        *,
        means: Means | None = None,
        restart: Restart | None = None,
        best: bool = False,
        id: str = "",
    ) -> Guest:
        sandbox = Sandbox(self.house, "best" if best else "required", means or self.machine)
        transport = GuestTransport(
            spec or PARROTS["python"], self.folder, self.house, sandbox=sandbox, restart=restart
        )
        self.made.append(Guest(transport, id or transport.spec.id))
        return self.made[-1]

    async def close(self) -> None:
        for guest in self.made:
            await guest.transport.close()
        await self.house.close()


def written(folder: Path, code: str, language: Language = "python", **said: Any) -> CodeSpec:
    """A guest with this main file."""
    main = "provider.py" if language == "python" else "provider.mjs"
    folder.mkdir(exist_ok=True)
    (folder / main).write_text(code)
    limits = said.pop("limits", Limits())
    return CodeSpec(id="written", folder=folder, language=language, main=main, limits=limits, **said)


async def until(holds: Callable[[], object], within_s: float = LONG_S) -> None:
    """Wait for something that no event tells."""
    async with asyncio.timeout(within_s):
        while not holds():
            await asyncio.sleep(0.01)


def below(pid: int | None) -> Sequence[int]:
    """A process and all that it started, as far as they are its children's children."""
    assert pid is not None
    found = [pid]
    for each in found:
        try:
            with open(f"/proc/{each}/task/{each}/children") as file:
                found += map(int, file.read().split())
        except OSError:
            continue
    return found
