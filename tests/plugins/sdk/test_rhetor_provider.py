"""What authors write with: as many ways to write a provider as there are, and no dependencies."""

from __future__ import annotations

import ast
import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rhetor.core.errors import Code
from rhetor.core.events import TextDelta
from rhetor.plugins import sdk
from rhetor.plugins.sdk import rhetor_provider as python
from tests.plugins.guest.guests import Guests, until, written

FOLDER = Path(sdk.__file__).parent
TSC = Path(__file__).parents[3] / "js-client" / "node_modules" / ".bin" / "tsc"

WAYS = {
    "async generator": "async def stream(self, request):\n        yield Text('moo')",
    "generator": "def stream(self, request):\n        yield Text('moo')",
    "coroutine": "async def generate(self, request):\n        return 'moo'",
    "function": "def generate(self, request):\n        return [Text('mo'), 'o']",
    "awaits its generator": (
        "async def stream(self, request):\n        return self.words()\n\n"
        "    async def words(self):\n        yield 'moo'"
    ),
    "answers at once": "def generate(self, request):\n        return Finished('length')",
    "both": "def stream(self, r):\n        yield 'moo'\n\n    def generate(self, r):\n        return 'no'",
}


@pytest.mark.promise("M22")
@pytest.mark.parametrize("way", WAYS)
async def test_as_many_ways_to_write_a_provider_as_there_are(way: str) -> None:
    names: dict[str, Any] = {"__name__": "provider"}
    source = (
        "from rhetor.plugins.sdk.rhetor_provider import Finished, Provider, Text\n\nclass P(Provider):\n    "
    )
    exec(source + WAYS[way], names)
    for stream in (True, False):
        said = await told(python._provider_in(names), stream)
        expected = {"both": "moo" if stream else "no", "answers at once": ""}
        assert said == expected.get(way, "moo")


async def told(provider: python.Provider, stream: bool) -> str:
    """What a provider says, without a process of its own."""
    read, write = os.pipe()
    guest = python._Guest(provider, write)
    guest._loop = asyncio.get_running_loop()
    request = python.Request("g", "text-to-text", "m", {}, stream)
    ending = await guest._generation(python._Call(1, 1 << 20), request)
    os.close(write)
    with os.fdopen(read) as file:
        frames = [json.loads(line) for line in file]
    assert ending["event"] == "finished"
    return "".join(frame["text"] for frame in frames)


MISTAKES = {
    "[7]": (Code.UPSTREAM_ERROR, "events, not int"),
    "{'a': 1}": (Code.UPSTREAM_ERROR, "events, not dict"),
    "b'moo'": (Code.UPSTREAM_ERROR, "events, not bytes"),
    "later()": (Code.UPSTREAM_ERROR, "async def"),
    "fail(NotImplementedError)": (Code.UNSUPPORTED, "does not do this"),
    "fail(StopIteration)": (Code.UPSTREAM_ERROR, "StopIteration"),
    "fail(SystemExit)": (Code.UPSTREAM_ERROR, "SystemExit"),
    "Text(float('nan'))": (Code.UPSTREAM_ERROR, ""),
    "'\\ud800'": (None, ""),
}
MISTAKEN = """
from rhetor_provider import Provider, Text

async def later():
    return 1

def fail(error):
    raise error

class Mistaken(Provider):
    def generate(self, request):
        return eval(request.text)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs a sandbox")
async def test_a_mistake_fails_its_call_and_says_what_it_is(guests: Guests, tmp_path: Path) -> None:
    guest = guests.make(written(tmp_path / "p", MISTAKEN))
    for mistake, (expected, words) in MISTAKES.items():
        error = (await guest.ask("m", mistake)).error
        assert (error and error.code) == expected, mistake
        assert error is None or words in error.message
    assert guest.transport.starts == 1


@pytest.mark.skipif(sys.platform != "linux", reason="needs a sandbox")
async def test_a_function_that_is_not_async_is_cancelled_when_it_yields(
    guests: Guests, tmp_path: Path
) -> None:
    source = """
import time
from rhetor_provider import Provider

ended = []

class P(Provider):
    def stream(self, request):
        if request.text == "ended":
            yield str(len(ended))
            return
        try:
            while True:
                yield "x" * 1000
        finally:
            ended.append(1)
"""
    guest = guests.make(written(tmp_path / "p", source))
    opened = await guest.open("m")
    await opened.until(TextDelta)
    opened.reply.close()
    said: list[str] = []

    async def look() -> bool:
        said.append((await guest.ask("m", "ended")).text)
        return said[-1] == "1"

    while not await look():
        pass
    await until(lambda: guest.transport.starts == 1)


def test_events_are_frames() -> None:
    call = python._Call(7, 100)
    events: list[Any] = [
        "a", python.Text("b"), python.ToolUse("x", {"a": 1}), python.ToolUse("y", "{}", id="mine"),
        python.Vector([1, 2]), python.Vector([3]), python.Medium("a/b", b"12"), python.Data(b"3"),
        python.Link("https://x"), python.Usage(images=1),
    ]  # fmt: skip
    frames = [frame for event in events for frame in python._frames(call, event)]
    assert [(said["event"], said.get("index"), data) for said, data in frames] == [
        ("text", None, None),
        ("text", None, None),
        ("tool_use", 0, None),
        ("tool_use", 1, None),
        ("vector", 0, None),
        ("vector", 1, None),
        ("medium", 0, None),
        ("medium_delta", 0, b"12"),
        ("medium_delta", 0, b"3"),
        ("link", 1, None),
        ("usage", None, None),
    ]
    assert [said["id"] for said, _ in frames if said["event"] == "tool_use"] == ["call_7_0", "mine"]
    large = list(python._frames(call, python.Data(b"x" * (python.PIECE_BYTES + 1))))
    assert [len(data or b"") for _, data in large] == [python.PIECE_BYTES, 1]


def test_it_needs_nothing_and_no_new_python() -> None:
    tree = ast.parse((FOLDER / "rhetor_provider.py").read_text(), feature_version=(3, 9))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= sys.stdlib_module_names
    assert "import " not in re.sub(r'(?m)^import .* from "node:.*$|^import .* "node:.*$|//.*$', "", _script())


def _script() -> str:
    lines = (FOLDER / "rhetor-provider.mjs").read_text().splitlines()
    return "\n".join(line for line in lines if line.startswith("import "))


@pytest.mark.promise("M22")
def test_the_types_tell_of_what_there_is() -> None:
    exported = re.compile(r"(?m)^export (?:async )?(?:const|class|function) (\w+)")
    assert set(exported.findall((FOLDER / "rhetor-provider.mjs").read_text())) == set(
        exported.findall((FOLDER / "rhetor-provider.d.mts").read_text())
    )


TYPED = """
import { Failure, Provider, Request, medium, text } from "./rhetor-provider.mjs";

export default class Cow extends Provider {
  async *stream(request: Request) {
    if (!request.text) throw new Failure("nothing to moo", "invalid_request");
    yield text(`moo ${request.option<number>("temperature", 1).toFixed()}`);
    yield medium("image/png", new Uint8Array(1));
    yield "moo";
  }
}
"""


@pytest.mark.skipif(not TSC.exists() or shutil.which("node") is None, reason="needs TypeScript")
def test_the_types_are_right(tmp_path: Path) -> None:
    shutil.copy(FOLDER / "rhetor-provider.d.mts", tmp_path)
    options = ["--noEmit", "--strict", "--target", "es2022", "--module", "nodenext"]
    wrong = TYPED.replace("if (!request.text) throw", "// @ts-expect-error\n    if (!request.text) throw")
    (tmp_path / "cow.mts").write_text(TYPED)
    (tmp_path / "wrong.mts").write_text(wrong.replace('"invalid_request"', '"moo"'))
    done = subprocess.run(
        [TSC, *options, "cow.mts", "wrong.mts"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
