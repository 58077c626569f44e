"""Engines that come with the gateway, for `rhetor up --with`: raised, and heard, seen or read once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

import rhetor
from rhetor.app import App
from rhetor.cli.remote import Remote
from rhetor.cli.terminal import printable
from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import RhetorError

FOLDER = Path(rhetor.__file__).parent / "engines"
"""Plugins like any others; in the repository they are `examples/plugins`."""
HELLO = "Say hello in one short sentence."
TEA = "Tea\nKettle -> Cup: hot water\nCup -> Guest\nGuest -> Kettle: again"

Ask: TypeAlias = Callable[[Json], Awaitable[Json]]
Show: TypeAlias = Callable[[Ask, str], Awaitable[None]]


def engine(name: str) -> Path | None:
    """The folder of an engine that comes along."""
    folder = FOLDER / name
    return folder if name.isidentifier() and (folder / "rhetor-plugin.yaml").is_file() else None


def engines() -> list[str]:
    return sorted(path.parent.name for path in FOLDER.glob("*/rhetor-plugin.yaml"))


async def show(app: App, wishes: list[str]) -> None:
    """Raise what was wished for, and let it be known once that it works. What fails says why."""
    remote = Remote(app.url, app.some_token())

    async def ask(body: Json) -> Json:
        return await remote.ask("POST", "/v1/generate", body)

    try:
        for wish in dict.fromkeys(wishes):
            names, shown = WISHES[wish]
            if all([await _raised(app, name) for name in names]):
                try:
                    await shown(ask, app.url)
                except RhetorError as error:
                    _say(f"  ✗ {app.redactor.text(error.message)}")
    finally:
        await remote.close()


async def _raised(app: App, name: str) -> bool:
    """Whether the engine is there: it is added like any plugin, and stays until it is removed."""
    if (there := app.guests.book.plugin(name)) is not None and there.providers:
        _say(f"\n  ✓ {name} is there")
        return True
    folder = engine(name)
    if folder is None:
        _say(f"\n  ✗ {name} is not in this installation")
        return False
    _say(f"\n  · {name} is added, which may take a minute")
    try:
        report = await app.guests.add(str(folder), ())
    except RhetorError as error:
        _say(f"  ✗ {app.redactor.text(error.message)}")
        return False
    troubles = report.get("troubles")
    for trouble in troubles if isinstance(troubles, list) else []:
        _say(f"  ✗ {trouble}")
    if not troubles:
        _say(f"  ✓ {name} {report['version']}, until `rhetor providers remove {name}`")
    return not troubles


async def _speech(ask: Ask, url: str) -> None:
    """An answer, spoken, and heard again."""
    answer = await ask({"capability": "text-to-text", "model": "auto", "input": HELLO})
    _say(f"\nA spoken answer, through {url}/v1/generate:\n\n  > {HELLO}\n  {answer['text']}\n")
    made_of = {"generation": answer["id"]}
    spoken = await ask({"capability": "text-to-audio", "model": "espeak/en-us", "input": made_of})
    for place in _assets(spoken, url):
        _say(f"  spoken by {_who(spoken)}: {place}")
    listening: dict[str, JsonValue] = {"capability": "audio-to-text", "model": "pocketsphinx/en-us"}
    heard = await ask({**listening, "input": {"generation": spoken["id"]}})
    _say(f"  what {_who(heard)} hears: {heard.get('text') or 'nothing'}")
    _say(f"  how that came about: {url}/v1/generations/{heard['id']}/lineage")


async def _pictures(ask: Ask, url: str) -> None:
    drawn = await ask({"capability": "text-to-image", "model": "diagram/auto", "input": TEA})
    _say(f"\nA picture of what is written, through {url}/v1/generate:\n")
    _say("\n".join(f"  > {line}" for line in TEA.splitlines()))
    for place in _assets(drawn, url):
        _say(f"  drawn by {_who(drawn)}: {place}")


async def _text(ask: Ask, url: str) -> None:
    said = await ask({"capability": "text-to-text", "model": "cowsay/cow", "input": "Nobody asked a model."})
    _say(f"\nA cow, through {url}/v1/generate:\n")
    _say("\n".join(f"  {line}" for line in str(said["text"]).splitlines()))


WISHES: Mapping[str, tuple[tuple[str, ...], Show]] = {
    "speech": (("espeak", "pocketsphinx"), _speech),
    "pictures": (("diagram",), _pictures),
    "text": (("cowsay",), _text),
}
"""What may be wished for: which engines that takes, and how it is shown."""


def _say(text: str) -> None:
    """At once, also where somebody else's program reads it."""
    print(printable(text), flush=True)


def _assets(generation: Json, url: str) -> Iterator[str]:
    assets = generation.get("assets")
    for asset in assets if isinstance(assets, list) else []:
        if isinstance(asset, Mapping):
            yield f"{url}{asset['url']}"


def _who(generation: Json) -> str:
    return f"{generation['provider']}/{generation['model']}"
