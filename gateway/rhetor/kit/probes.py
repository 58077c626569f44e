"""What a provider is asked for each capability, what is nonsense there, and whether an answer is one."""

from __future__ import annotations

import io
import math
import struct
import wave
import zlib
from collections.abc import Callable, Mapping
from types import MappingProxyType

from rhetor.core.capability import Capability
from rhetor.core.content import Image, Inline, Text
from rhetor.core.events import Folded, Medium
from rhetor.core.media import Bytes, Draw, Make, Material, Rank, Speak, Transcribe, base64_of
from rhetor.core.request import Chat, Embed, Input, Message, Role
from rhetor.core.value import value

SIDE = 64  # pixels; smaller ones are refused by some
SECONDS = 1.0
RATE = 16_000
LONG = "Count from one to forty in words, separated by commas, and write nothing else."
WORDS = ("The cow says moo.", "The sea is deep and blue.")


class Wrong(Exception):
    """An answer that is none; says what is missing."""


@value(kw_only=True)
class Probe:
    """How one capability is tried."""

    good: Input
    """Small and cheap, and everybody can do it."""
    bad: Input | None
    """What nobody can do; None: there is no such thing."""
    judge: Callable[[Folded], str]
    """What came, in a few words; raises Wrong."""
    streams: bool = True
    """Whether there is a sense in reading along."""
    dear: bool = False
    """Costs more than a fraction of a cent: not asked twice of somebody who is paid for it."""


def picture() -> Material:
    """A small picture: a red field with a white square."""
    rows = b"".join(b"\0" + b"".join(_pixel(x, y) for x in range(SIDE)) for y in range(SIDE))
    head = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return Bytes("image/png", b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*each) for each in chunks), "square.png")


def _pixel(x: int, y: int) -> bytes:
    inside = SIDE // 4 <= x < 3 * SIDE // 4 and SIDE // 4 <= y < 3 * SIDE // 4
    return b"\xff\xff\xff" if inside else b"\xc0\x20\x20"


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def recording() -> Material:
    """A second of a quiet tone."""
    tone = (int(6000 * math.sin(n * 2 * math.pi * 220 / RATE)) for n in range(int(RATE * SECONDS)))
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(RATE)
        sound.writeframes(b"".join(struct.pack("<h", sample) for sample in tone))
    return Bytes("audio/wav", file.getvalue(), "tone.wav")


def _chat(text: str, *, see: bool = False, max_tokens: int = 200, temperature: float | None = None) -> Chat:
    parts: tuple[Text | Image, ...] = (Text(text),)
    if see:
        seen = picture()
        assert isinstance(seen, Bytes)
        parts = (Image(Inline(seen.media_type, base64_of(seen))), *parts)
    return Chat(messages=(Message(Role.USER, parts),), max_tokens=max_tokens, temperature=temperature)


# Judging.


def _text(folded: Folded) -> str:
    said = folded.text or folded.refusal or folded.thinking
    if not said.strip() and not folded.tool_uses:
        raise Wrong("it ended without a word")
    return f"{len(said)} characters: {shown(said)}"


def _transcript(folded: Folded) -> str:
    times = f", {len(folded.timed)} times" if folded.timed else ""
    return (
        f"{shown(folded.text)}{times}" if folded.text else "an empty transcript, which a tone may well have"
    )


def _vectors(folded: Folded) -> str:
    found = [folded.vectors.get(n) for n in range(len(WORDS))]
    if any(each is None or not len(each) for each in found) or len(folded.vectors) != len(WORDS):
        raise Wrong(f"{len(WORDS)} texts need {len(WORDS)} vectors; {len(folded.vectors)} came")
    if len({len(each) for each in found if each is not None}) != 1:
        raise Wrong("its vectors are of different lengths")
    if all(isinstance(each, list) and not any(each) for each in found):
        raise Wrong("all numbers of its vectors are 0")
    first = found[0]
    size = f" of {len(first)} numbers" if isinstance(first, list) else ""
    return f"{len(found)} vectors{size}"


def _ranked(folded: Folded) -> str:
    indexes, scores = [each.index for each in folded.ranked], [each.score for each in folded.ranked]
    if sorted(indexes) != list(range(len(WORDS))):
        raise Wrong(f"it ranks documents {indexes} of {len(WORDS)}; each must come once")
    if scores != sorted(scores, reverse=True):
        raise Wrong("the best must come first")
    return f"document {indexes[0] + 1} first, at {scores[0]:.3g}"


def _count(folded: Folded) -> str:
    if folded.usage is None or folded.usage.input_tokens <= 0:
        raise Wrong("it counts no tokens")
    return f"{folded.usage.input_tokens} tokens"


def _media(kind: str) -> Callable[[Folded], str]:
    def judge(folded: Folded) -> str:
        if not folded.media:
            raise Wrong(f"no {kind} came")
        told = []
        for medium in folded.media.values():
            if not isinstance(medium, Medium):
                told.append(f"a link to {medium.media_type or 'something'}")
                continue
            data = medium.data
            if not data:
                raise Wrong(f"the {kind} has no bytes")
            if not medium.media_type.startswith(kind):
                raise Wrong(f"it calls itself {medium.media_type!r}, and {kind}/… was asked for")
            told.append(f"{medium.media_type}, {len(data)} bytes")
        return "; ".join(told)

    return judge


def shown(text: str, most: int = 60) -> str:
    """The beginning of a text, on one line, in quotes."""
    line = " ".join(text.split())
    return f"“{line[:most]}…”" if len(line) > most else f"“{line}”"


_NOT_A_RECORDING = Bytes("audio/wav", b"this is no recording", "noise.wav")
_NOT_A_PICTURE = Bytes("image/png", b"this is no picture", "noise.png")
_A_BALL = "A red ball on a white table, drawn simply."

PROBES: Mapping[Capability, Probe] = MappingProxyType(
    {
        Capability.CHAT: Probe(good=_chat(LONG), bad=_chat("", temperature=99.0), judge=_text),
        Capability.IMAGE_TO_TEXT: Probe(
            good=_chat("What is in this picture? Answer in one short sentence.", see=True),
            bad=_chat("", temperature=99.0),
            judge=_text,
        ),
        Capability.COUNT_TOKENS: Probe(good=_chat(LONG), bad=None, judge=_count, streams=False),
        Capability.EMBEDDINGS: Probe(
            good=Embed(inputs=WORDS), bad=Embed(inputs=("",)), judge=_vectors, streams=False
        ),
        Capability.RERANK: Probe(
            good=Rank(query="What does the cow say?", documents=WORDS),
            bad=Rank(query="", documents=("",)),
            judge=_ranked,
            streams=False,
        ),
        Capability.TEXT_TO_IMAGE: Probe(
            good=Draw(prompt=_A_BALL), bad=Draw(prompt="", count=0), judge=_media("image"), dear=True
        ),
        Capability.IMAGE_TO_IMAGE: Probe(
            good=Draw(prompt="Make the square blue.", images=(picture(),)),
            bad=Draw(prompt="", images=(_NOT_A_PICTURE,)),
            judge=_media("image"),
            dear=True,
        ),
        Capability.TEXT_TO_AUDIO: Probe(
            good=Speak(text="The cow says moo."), bad=Speak(text=""), judge=_media("audio")
        ),
        Capability.AUDIO_TO_TEXT: Probe(
            good=Transcribe(audio=recording()), bad=Transcribe(audio=_NOT_A_RECORDING), judge=_transcript
        ),
        Capability.AUDIO_TO_AUDIO: Probe(
            good=Make(sources=(recording(),)), bad=Make(), judge=_media("audio"), dear=True
        ),
        Capability.TEXT_TO_VIDEO: Probe(
            good=Make(prompt=_A_BALL), bad=Make(), judge=_media("video"), dear=True
        ),
        Capability.IMAGE_TO_VIDEO: Probe(
            good=Make(prompt="It turns.", sources=(picture(),)), bad=Make(), judge=_media("video"), dear=True
        ),
        Capability.TEXT_TO_3D: Probe(good=Make(prompt=_A_BALL), bad=Make(), judge=_media("model"), dear=True),
        Capability.IMAGE_TO_3D: Probe(
            good=Make(sources=(picture(),)), bad=Make(), judge=_media("model"), dear=True
        ),
    }
)
"""What starts from a film is missing: none is small enough to be shipped."""
