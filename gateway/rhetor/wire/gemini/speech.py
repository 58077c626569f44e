"""Speech, by the models that say what they are given.

https://ai.google.dev/gemini-api/docs/speech-generation (read 2026-11-21): sound comes as samples of 16 bits,
one channel, 24 kHz, and is never packed. It is given a WAV header here unless it is wanted bare. It streams
since gemini-3.1-flash-tts (changelog of 2026-06-17).
"""

from __future__ import annotations

import re
import struct
from base64 import b64decode
from binascii import Error as NoBase64
from collections.abc import Iterator, Mapping

from rhetor.core.content import Json
from rhetor.core.errors import Code, UpstreamError
from rhetor.core.events import Failed, Finished, MediumDelta, MediumStarted, UsageReport
from rhetor.core.media import Speak
from rhetor.core.request import Request
from rhetor.core.value import value
from rhetor.wire.base import WHOLE_LIMIT_BYTES, Chunk, Decoder, Follow, Narrator, Outgoing, Quirks
from rhetor.wire.gemini.outgoing import sent
from rhetor.wire.gemini.parts import Dropped, Written
from rhetor.wire.gemini.vocabulary import blocked, ending_of, read_usage
from rhetor.wire.lenient import parse, thing, things, word
from rhetor.wire.media.vendor import VendorUpstream
from rhetor.wire.refusals import page_text
from rhetor.wire.rpc_status import error_inside
from rhetor.wire.sse import SseSplitter

VOICE = "Kore"
"""Of the language's own examples; models that are told none take one of their own, which may change."""
RATE_HZ = 24_000
_RATE = re.compile(r"rate=(\d+)")
_SAMPLES = re.compile(r"audio/(l16|pcm)", re.IGNORECASE)
UNKNOWN_SIZE = 0xFFFF_FFFF  # of sound that still comes; players read on to its end


class Speech(VendorUpstream):
    def build(self, request: Request, model: str, quirks: Quirks) -> Outgoing:
        speak = request.input
        assert isinstance(speak, Speak)
        dropped = Dropped(_wordless(speak))
        text = f"{speak.instructions.rstrip(':. ')}: {speak.text}" if speak.instructions else speak.text
        voice: Written = {"prebuiltVoiceConfig": {"voiceName": speak.voice or VOICE}}
        speech: Written = {"voiceConfig": voice}
        if speak.language is not None:
            speech["languageCode"] = speak.language
        body: Written = {
            "contents": [{"role": "user", "parts": [{"text": text}]}],
            "generationConfig": {"responseModalities": ["AUDIO"], "speechConfig": speech},
        }
        outgoing = sent(model, body, request.stream, dropped, quirks)
        bare = speak.format == "pcm"
        return _Spoken(path=outgoing.path, body=outgoing.body, dropped=outgoing.dropped, bare=bare)

    def decoder(self, stream: bool, outgoing: Outgoing) -> Decoder:
        return SpeechDecoder(stream, isinstance(outgoing, _Spoken) and outgoing.bare)


@value(kw_only=True)
class _Spoken(Outgoing):
    """A request for speech, and whether its samples are wanted without a header."""

    bare: bool = False


def _wordless(speak: Speak) -> Iterator[str]:
    if speak.format not in (None, "wav", "pcm"):
        yield f"format: {speak.format} became wav"
    if speak.sample_rate not in (None, RATE_HZ):
        yield f"sample_rate: {RATE_HZ}"
    if speak.speed not in (None, 1.0):
        yield "speed"
    yield from (f"extra.{name}" for name in speak.extra)


def wav_header(rate_hz: int, size_bytes: int | None) -> bytes:
    """Of one channel with samples of 16 bits; None: nobody knows yet how many.

    http://soundfile.sapp.org/doc/WaveFormat/ (read 2026-11-21).
    """
    whole = UNKNOWN_SIZE if size_bytes is None else size_bytes + 36
    data = UNKNOWN_SIZE if size_bytes is None else size_bytes
    described = struct.pack("<IHHIIHH", 16, 1, 1, rate_hz, rate_hz * 2, 2, 16)
    return b"RIFF" + struct.pack("<I", whole) + b"WAVEfmt " + described + b"data" + struct.pack("<I", data)


class SpeechDecoder:
    """Contents with sound in them, streamed or whole.

    Args:
        bare: samples are told as they are, without a header.
    """

    in_step = False
    has_frames = False

    def __init__(self, stream: bool, bare: bool) -> None:
        self._splitter = SseSplitter() if stream else None
        self._bare = bare
        self._narrator = Narrator()
        self._pieces: list[bytes] = []
        self._size = 0
        self._opened = False
        self._ending: Json | None = None

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        return None

    def feed(self, data: bytes) -> Chunk:
        if self._splitter is None:
            self._size += len(data)
            if self._size > WHOLE_LIMIT_BYTES:
                self._narrator.fail(f"the reply is larger than {WHOLE_LIMIT_BYTES >> 20} MiB", Code.PROTOCOL)
                return Chunk(self._narrator.take())
            self._pieces.append(data)
            return Chunk([])
        try:
            for frame in self._splitter.feed(data):
                self._read(frame.data)
        except UpstreamError as error:
            self._narrator.end(Failed(error))
        return Chunk(self._narrator.take())

    def close(self) -> Chunk:
        narrator = self._narrator
        if self._splitter is None:
            body = b"".join(self._pieces)
            if parse(body) is None:
                narrator.fail(f"the provider's reply is not JSON: {page_text(body)}", Code.PROTOCOL)
            self._read(body)
        else:
            for frame in self._splitter.close():
                self._read(frame.data)
        if not narrator.ended and self._ending is None:
            narrator.hang_up()
        elif not narrator.ended:
            self._end(self._ending or {})
        return Chunk(narrator.take())

    def abandon(self) -> Follow | None:
        return None

    def _read(self, data: bytes) -> None:
        narrator = self._narrator
        said = parse(data) if data else None
        if said is None or narrator.ended:
            return
        if error := error_inside(said) or blocked(said):
            narrator.end(Failed(error))
            return
        narrator.start(word(said, "responseId"), word(said, "modelVersion"))
        for candidate in things(said, "candidates")[:1]:
            for part in things(thing(candidate, "content"), "parts"):
                self._sound(thing(part, "inlineData"))
            if word(candidate, "finishReason"):
                self._ending = candidate
        if usage := read_usage(thing(said, "usageMetadata")):
            narrator.emit(UsageReport(usage))

    def _sound(self, data: Json) -> None:
        if not (base64 := word(data, "data")):
            return
        kind = word(data, "mimeType")
        try:
            sound = b64decode(base64, validate=True)
        except NoBase64 as error:
            self._narrator.fail(f"the provider's sound is no base64: {error}", Code.PROTOCOL)
            return
        if not self._opened:
            self._opened = True
            header = self._open(kind, None if self._splitter is not None else len(sound))
            sound = header + sound
        self._narrator.emit(MediumDelta(0, sound))

    def _open(self, kind: str, size_bytes: int | None) -> bytes:
        """What comes before the sound: a header, unless it is packed already or wanted bare."""
        found = _RATE.search(kind)
        rate_hz = int(found[1]) if found else RATE_HZ
        if kind and not _SAMPLES.match(kind):
            self._narrator.emit(MediumStarted(0, kind))
            return b""
        if self._bare:
            self._narrator.emit(MediumStarted(0, f"audio/pcm;rate={rate_hz}"))
            return b""
        self._narrator.emit(MediumStarted(0, "audio/wav"))
        return wav_header(rate_hz, size_bytes)

    def _end(self, candidate: Json) -> None:
        ending = ending_of(candidate, calls=False)
        if isinstance(ending, Finished) and not self._opened:
            self._narrator.fail("the provider's reply has no sound in it", Code.PROTOCOL)
        else:
            self._narrator.end(ending)
