"""Pictures, speech, transcripts and orders of documents for scripts: real ones, as small as there are any.

upstream.next(draws(PNG), speaks(WAV), transcribes("hello world"), ranks((1, 0.9), (0, 0.2)))
"""

from __future__ import annotations

import io
import math
import struct
import wave
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence

from rhetor.core.capability import Capability
from rhetor.core.events import (
    Event,
    Finished,
    FinishReason,
    MediumDelta,
    MediumStarted,
    Ranked,
    Spoken,
    TextDelta,
    Timed,
    UsageReport,
)
from rhetor.core.media import Draw, Rank
from rhetor.core.request import Request
from rhetor.core.usage import Usage
from rhetor.testing.script import Spoken as Script
from rhetor.testing.script import Step
from rhetor.testing.speech import words
from rhetor.testing.steps import embeds

PNG = b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
"""One pixel."""
RATE = 8000
PIECES = 4  # in which speech is sent where nothing else is said
SPEAKER = "A"
WORD_S = 0.25  # for each word of a transcript
SENTENCE = "The quick brown fox jumps over the lazy dog."
"""What is heard in every recording, unless a script says otherwise."""


def tone(seconds: float = 0.1, hertz: float = 440.0) -> bytes:
    """A real WAV file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(RATE)
        samples = (math.sin(2 * math.pi * hertz * n / RATE) for n in range(round(seconds * RATE)))
        written.writeframes(b"".join(struct.pack("<h", round(8000 * it)) for it in samples))
    return file.getvalue()


WAV = tone()
"""A tenth of a second of a tone."""


def draws(
    *pictures: bytes, media_type: str = "image/png", usage: Usage | None = None, edit: bool = False
) -> Step:
    """Answers with these pictures.

    Args:
        edit: they are of other pictures, not from words alone.
    """
    events: list[Event] = []
    for index, picture in enumerate(pictures or (PNG,)):
        events += [MediumStarted(index, media_type), MediumDelta(index, picture)]
    capability = Capability.IMAGE_TO_IMAGE if edit else Capability.TEXT_TO_IMAGE
    return _replies(events, usage, capability)


def speaks(*pieces: bytes, media_type: str = "audio/wav", usage: Usage | None = None) -> Step:
    """Answers with this sound, piece by piece."""
    given = pieces or _cut(WAV, PIECES)
    events: list[Event] = [MediumStarted(0, media_type), *(MediumDelta(0, piece) for piece in given)]
    return _replies(events, usage, Capability.TEXT_TO_AUDIO)


def transcribes(
    text: str = SENTENCE,
    *,
    timed: Sequence[Timed] | None = None,
    language: str | None = "en",
    usage: Usage | None = None,
) -> Step:
    """Answers with this transcript.

    Args:
        timed: when sentences and words are said; None: one sentence, a word every quarter of a second.
    """
    spoken = words(text)
    times = _timed(text, spoken) if timed is None else timed
    duration_s = max((it.end_s for it in times), default=0.0) or None
    events: list[Event] = [*map(TextDelta, spoken), *times, Spoken(language, duration_s)]
    return _replies(events, usage, Capability.AUDIO_TO_TEXT)


def ranks(*ranked: tuple[int, float], usage: Usage | None = None) -> Step:
    """Answers with this order of documents: the index and the score of each."""
    return _replies([Ranked(index, score) for index, score in ranked], usage, Capability.RERANK)


def usual(capability: Capability, request: Request | None, inputs: int) -> Step:
    """What an upstream answers by default to what is no conversation."""
    make = _USUAL.get(capability)
    return embeds(*([float(n), *VECTOR] for n in range(inputs))) if make is None else make(request)


def _drawn(request: Request | None) -> Step:
    asked = request.input if request is not None else None
    count = asked.count if isinstance(asked, Draw) else 1
    return draws(*[PNG] * count, edit=request is not None and request.capability is Capability.IMAGE_TO_IMAGE)


def _spoken(request: Request | None) -> Step:
    return speaks()


def _heard(request: Request | None) -> Step:
    return transcribes()


def _ranked(request: Request | None) -> Step:
    """The first one is the best, and so on."""
    asked = request.input if request is not None else None
    documents = len(asked.documents) if isinstance(asked, Rank) else 1
    return ranks(*((index, 1 / (index + 1)) for index in range(documents)))


_USUAL: Mapping[Capability, Callable[[Request | None], Step]] = {
    Capability.TEXT_TO_IMAGE: _drawn,
    Capability.IMAGE_TO_IMAGE: _drawn,
    Capability.TEXT_TO_AUDIO: _spoken,
    Capability.AUDIO_TO_TEXT: _heard,
    Capability.RERANK: _ranked,
}
VECTOR = (0.25, 0.5, -0.75)  # exact as float32, so base64 changes nothing


def _replies(events: Sequence[Event], usage: Usage | None, capability: Capability) -> Step:
    reports: list[Event] = [] if usage is None else [UsageReport(usage)]
    return Step(content=Script((*events, *reports, Finished(FinishReason.STOP)), capability))


def _timed(text: str, spoken: Sequence[str]) -> list[Timed]:
    if not spoken:
        return []
    said = [
        Timed("word", word.strip(), n * WORD_S, (n + 1) * WORD_S, SPEAKER, 0.5)
        for n, word in enumerate(spoken)
    ]
    return [Timed("segment", text, 0.0, len(spoken) * WORD_S, SPEAKER, 0.5), *said]


def _cut(data: bytes, pieces: int) -> list[bytes]:
    size = -(-len(data) // pieces)
    return [data[at : at + size] for at in range(0, len(data), size)]
