"""A plugin to begin with: it works at once, and nothing in it pretends to be more than it is."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from rhetor.core.addresses import is_inside
from rhetor.core.capability import Capability
from rhetor.core.errors import BadRequest, Code
from rhetor.guestbook import service_problems
from rhetor.plugins.manifest import FILE, ID, read_manifest
from rhetor.providers.builtin import load_builtin
from rhetor.wire.languages import WIRES

Kind: TypeAlias = Literal["data", "python", "javascript"]
KINDS: tuple[Kind, ...] = ("data", "python", "javascript")
ENDINGS: Mapping[Kind, str] = {"python": "py", "javascript": "mjs"}
ANSWERED: Mapping[Capability, str] = {
    Capability.CHAT: "talk",
    Capability.EMBEDDINGS: "embed",
    Capability.RERANK: "rank",
    Capability.TEXT_TO_IMAGE: "draw",
    Capability.TEXT_TO_AUDIO: "speak",
    Capability.AUDIO_TO_TEXT: "listen",
}
"""What there is an example of, and what it is called."""
SDK: Mapping[Kind, Sequence[str]] = {
    "python": ("Failure", "Medium", "Provider", "Ranked", "Spoken", "Text", "Usage", "Vector"),
    "javascript": ("Failure", "Provider", "medium", "ranked", "spoken", "text", "usage", "vector"),
}
STDLIB: Mapping[Kind, Mapping[str, str]] = {
    "python": {
        f"{name}.": f"import {name}"
        for name in ("asyncio", "hashlib", "io", "math", "string", "struct", "wave", "zlib")
    },
    "javascript": {
        "createHash(": 'import { createHash } from "node:crypto";',
        "pause(": 'import { setTimeout as pause } from "node:timers/promises";',
    },
}
"""What an answer needs beside the SDK, by what it says."""
FILE_MODE = "x"  # what is there already is somebody's work


def draft(
    id: str,
    kind: Kind,
    capabilities: Sequence[Capability] = (Capability.CHAT,),
    url: str | None = None,
    wire: str = "openai",
) -> Mapping[str, str]:
    """The files of a new plugin, by their names.

    Raises:
        BadRequest: it could not be used, and why.
    """
    if not re.fullmatch(ID, id):
        raise BadRequest(
            f"{id!r} is no id: begin with a small letter, and go on with small letters, digits, _ and -"
        )
    if id in load_builtin():
        raise BadRequest(f"there is a provider {id!r} already, which is built in; call it otherwise")
    words = _words(id, capabilities, url or f"https://api.{id.replace('_', '-')}.example/v1", wire)
    made = {
        FILE: _filled(f"{kind}/{FILE}", words),
        "README.md": _filled(f"{kind}/README.md", words),
    }
    if kind == "data":
        _ensure_spoken(wire, capabilities)
        made["test_plugin.py"] = _filled("test_plugin.py.txt", {**words, "flags": ', "--offline"'})
    else:
        made[f"provider.{ENDINGS[kind]}"] = _program(kind, capabilities, words)
        test = "test_plugin.py" if kind == "python" else "plugin.test.mjs"
        made[test] = _filled(f"{test}.txt", {**words, "flags": ""})
    reading = read_manifest(made[FILE].encode(), service_problems)
    if reading.problems:
        raise BadRequest("; ".join(map(str, reading.problems)))
    return made


def write(made: Mapping[str, str], folder: Path) -> None:
    """Put the files into a folder, which is made where there is none.

    Raises:
        BadRequest: conflict, there is something already; then nothing is written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadRequest(f"{folder} is there already, and not empty; say --into ANOTHER", Code.CONFLICT)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in made.items():
            with open(os.path.join(folder, name), FILE_MODE, encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise BadRequest(f"{folder} cannot be written: {error.strerror}", Code.CONFLICT) from error


def _words(id: str, capabilities: Sequence[Capability], url: str, wire: str) -> Mapping[str, str]:
    parts = re.split(r"[-_]", id)
    inside = is_inside(urlsplit(url).hostname or "")
    return {
        "id": id,
        "name": " ".join(part.capitalize() for part in parts if part),
        "class": "".join(part.capitalize() for part in parts if part),
        "KEY": re.sub(r"\W", "_", id).upper() + "_API_KEY",
        "url": url,
        "wire": wire,
        "local": "\n    local: true  # on this machine, or in its networks" if inside else "",
        "auth": "\n    auth: {required: false}" if inside else "",
        "capabilities": ", ".join(capabilities),
    }


def _ensure_spoken(wire: str, capabilities: Sequence[Capability]) -> None:
    spoken = WIRES[wire].upstream if wire in WIRES else {}
    missing = [each for each in capabilities if each not in spoken] if spoken else []
    if missing:
        known = ", ".join(sorted(spoken))
        raise BadRequest(f"{wire} has no word for {', '.join(missing)}; it has some for {known}")


def _program(kind: Kind, capabilities: Sequence[Capability], words: Mapping[str, str]) -> str:
    """The program: one method where one thing is answered, else one for each."""
    strange = [each for each in capabilities if each not in ANSWERED]
    if strange:
        known = ", ".join(ANSWERED)
        raise BadRequest(f"there is no example of {', '.join(strange)}; begin with one of {known}")
    ending = ENDINGS[kind]
    alone = len(capabilities) == 1
    answers = [
        _filled(
            f"{kind}/answers/{each}.{ending}.txt", {**words, "answer": "stream" if alone else ANSWERED[each]}
        )
        for each in capabilities
    ]
    if not alone:
        answers.insert(0, DISPATCH[kind](capabilities))
    text = "\n".join(answers)
    used = [name for name in SDK[kind] if re.search(rf"\b{name}\(", text)]
    needed = [line for mark, line in STDLIB[kind].items() if re.search(rf"\b{re.escape(mark)}", text)]
    filled = _filled(
        f"{kind}/provider.{ending}.txt",
        {
            **words,
            "answers": text.rstrip("\n"),
            "imports": ", ".join(sorted({*used, "Provider"}, key=str.swapcase if kind == "python" else None)),
            "stdlib": "\n".join(needed),
        },
    )
    return re.sub(r"\n{3,}(?=import |from )", "\n\n", filled)


def _in_python(capabilities: Sequence[Capability]) -> str:
    table = "".join(f'            "{each}": self.{ANSWERED[each]},\n' for each in capabilities)
    return (
        "    async def stream(self, request):\n"
        f"        answers = {{\n{table}        }}\n"
        "        async for event in answers[request.capability](request):\n"
        "            yield event\n"
    )


def _in_javascript(capabilities: Sequence[Capability]) -> str:
    cases = "".join(f'      case "{each}": return this.{ANSWERED[each]}(request);\n' for each in capabilities)
    return f"  stream(request) {{\n    switch (request.capability) {{\n{cases}    }}\n  }}\n"


DISPATCH = {"python": _in_python, "javascript": _in_javascript}


def _filled(name: str, words: Mapping[str, str]) -> str:
    """A template with its words: `@id@`."""
    text = files("rhetor.kit").joinpath("templates", name).read_text("utf-8")
    return re.sub(r"@(\w+)@", lambda found: words.get(found[1], found[0]), text)
