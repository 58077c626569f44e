"""Speech by the program espeak-ng: a model is a language, such as `en-us`, and voices are its variants."""

from __future__ import annotations

import asyncio
import re
import shutil
import struct
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress

from rhetor_provider import Data, Event, Failure, Medium, Model, Provider, Request, Usage

PROGRAM = "espeak-ng"
MISSING = f"the program {PROGRAM} is missing: apt install espeak-ng"
LIST_S = 10.0
USUAL_WPM = 175  # its own, in words a minute
LEAST_WPM, MOST_WPM = 80, 450
RATE_HZ = 22_050  # of all its voices
HEADER_BYTES = 44
PIECE_BYTES = 16 * 1024
KNOWN_ELSEWHERE = {
    "alloy": "f2", "ash": "m3", "ballad": "m4", "cedar": "m6", "coral": "f1", "echo": "m1", "fable": "m2",
    "marin": "f5", "nova": "f3", "onyx": "m7", "sage": "f4", "shimmer": "f5", "verse": "m5",
}  # fmt: skip
"""Voices that callers of OpenAI's ask for by name, which are not here: somebody of that kind speaks."""


class Espeak(Provider):
    def __init__(self) -> None:
        self._languages: dict[str, str] = {}
        """Languages and what people call them, the most usual first."""
        self._variants: frozenset[str] = frozenset()

    async def stream(self, request: Request) -> AsyncIterator[Event]:
        """The sound as it is made: a WAV that does not know yet how long it will be, or its samples alone."""
        sound = asked_format(request)
        size = 0
        async with aclosing(self._spoken(request)) as pieces:
            async for piece in pieces:
                if not size:
                    yield Medium("audio/wav" if sound == "wav" else "audio/pcm")
                    if sound == "wav":
                        yield Data(header(0xFFFFFFFF - HEADER_BYTES))
                size += len(piece)
                yield Data(piece)
        yield consumed(request, size)

    async def generate(self, request: Request) -> list[Event]:
        """All of it, and a WAV says how long it is."""
        sound = asked_format(request)
        data = b"".join([piece async for piece in self._spoken(request)])
        whole = header(len(data)) + data if sound == "wav" else data
        media_type = "audio/wav" if sound == "wav" else "audio/pcm"
        return [Medium(media_type, whole), consumed(request, len(data))]

    async def models(self) -> list[Model]:
        languages, _ = await self._known()
        return [Model(id, name, ["text-to-audio"]) for id, name in sorted(languages.items())]

    async def test_connection(self) -> str:
        languages, variants = await self._known()
        return f"{PROGRAM} speaks {len(languages)} languages in {len(variants)} voices"

    async def _spoken(self, request: Request) -> AsyncIterator[bytes]:
        """Samples, in pieces."""
        if not request.text.strip():
            raise Failure("there is nothing to be said: the text is empty", "invalid_request")
        options = ("-v", await self._voice(request), "-s", str(speed(request)), "-p", str(pitch(request)))
        process = await started(*options, "-b", "1", "--stdin", "--stdout")
        try:
            await feed(process, request.text)  # it reads all of it before it speaks
            assert process.stdout is not None
            with suppress(asyncio.IncompleteReadError):
                await process.stdout.readexactly(HEADER_BYTES)  # it guesses a length; ours is true
            while piece := await process.stdout.read(PIECE_BYTES):
                yield piece
            if code := await process.wait():
                raise Failure(f"{PROGRAM} ended with {code}; its log says why", "upstream_error")
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def _voice(self, request: Request) -> str:
        """As espeak-ng calls it: `en-us`, `en-us+f3`."""
        _, variants = await self._known()
        model = self._spelled(request.model)
        if model is None:
            raise Failure(f"no language {request.model!r}; see `espeak-ng --voices`", "model_not_found")
        wanted = str(request.option("language") or model).lower()
        language = model if model.startswith(wanted) else self._spelled(wanted) or model
        voice = str(request.option("voice") or "")
        if not voice:
            return language
        if (other := self._spelled(voice)) is not None:
            return other
        asked, _, variant = voice.rpartition("+")
        spoken = self._spelled(asked) if asked else language
        variant = KNOWN_ELSEWHERE.get(variant.lower(), variant)
        if spoken is None or variant not in variants:
            some = ", ".join(sorted(variants, key=lambda it: (len(it), it))[:12])
            message = f"no voice {voice[:60]!r}; there are {some}, …, and languages such as de or de+f2"
            raise Failure(message, "invalid_request")
        return f"{spoken}+{variant}"

    def _spelled(self, said: str) -> str | None:
        """A language as espeak-ng spells it: `en-US` is `en-us`; `en` is what is most usual of its kinds."""
        name = said.lower().replace("_", "-")
        kinds = [each for each in self._languages if each == name or each.startswith(f"{name}-")]
        return name if name in kinds else next(iter(kinds), None)

    async def _known(self) -> tuple[dict[str, str], frozenset[str]]:
        if not self._languages:
            rows = sorted(await listed("--voices"), key=lambda row: row[0])
            variants = [row[4] for row in await listed("--voices=variant")]
            self._variants = frozenset(it.removeprefix("!v/") for it in variants if it.startswith("!v/"))
            self._languages = {row[1]: row[3].replace("_", " ") for row in rows}
        return self._languages, self._variants


def asked_format(request: Request) -> str:
    sound = str(request.option("format") or "wav").lower()
    if sound not in ("wav", "pcm"):
        raise Failure(f"espeak-ng makes wav and pcm, not {sound[:20]}", "invalid_request")
    rate = request.option("sample_rate")
    if rate not in (None, RATE_HZ):
        raise Failure(f"espeak-ng speaks with {RATE_HZ} samples a second", "invalid_request")
    return sound


def speed(request: Request) -> int:
    """In words a minute; what is slower or faster than it can speak is as slow or fast as it can."""
    factor = number(request.option("speed"), 1.0, "speed")
    return round(min(max(USUAL_WPM * factor, LEAST_WPM), MOST_WPM))


def pitch(request: Request) -> int:
    return round(min(max(number(request.option("pitch"), 50.0, "pitch"), 0.0), 99.0))


def number(said: object, usual: float, name: str) -> float:
    if said is None:
        return usual
    if isinstance(said, bool) or not isinstance(said, (int, float)) or said != said:
        raise Failure(f"{name} must be a number", "invalid_request")
    return float(said)


def header(size: int) -> bytes:
    """Of a WAV with so many bytes of samples: one channel, 16 bits."""
    return b"".join(
        (
            struct.pack("<4sI4s", b"RIFF", size + HEADER_BYTES - 8, b"WAVE"),
            struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, RATE_HZ, RATE_HZ * 2, 2, 16),
            struct.pack("<4sI", b"data", size),
        )
    )


def consumed(request: Request, size: int) -> Usage:
    return Usage(characters=len(request.text), audio_ms=size * 1000 // (2 * RATE_HZ))


async def listed(option: str) -> list[list[str]]:
    """Rows of a table of voices: priority (low ones are usual), language, age and gender, name, file."""
    process = await started(option)
    async with asyncio.timeout(LIST_S):
        out, _ = await process.communicate()
    rows = [line.split() for line in out.decode(errors="replace").splitlines()[1:]]
    return [row for row in rows if len(row) >= 5 and re.fullmatch(r"[A-Za-z0-9-]+", row[1])]


async def started(*options: str) -> asyncio.subprocess.Process:
    program = shutil.which(PROGRAM)
    if program is None:
        raise Failure(MISSING, "unavailable")
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(program, *options, stdin=pipe, stdout=pipe)


async def feed(process: asyncio.subprocess.Process, text: str) -> None:
    assert process.stdin is not None
    with suppress(ConnectionError):
        process.stdin.write(text.encode("utf-8", "replace"))
        await process.stdin.drain()
        process.stdin.close()
