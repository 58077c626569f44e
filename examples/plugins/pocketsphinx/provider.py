"""Transcripts by PocketSphinx: what it hears, utterance by utterance, with the times of words."""

from __future__ import annotations

import re
import threading
from array import array
from collections.abc import Iterator
from itertools import cycle
from random import Random

from pocketsphinx import Decoder, Endpointer
from rhetor_provider import Event, Failure, Media, Progress, Provider, Request, Spoken, Text, Timed, Usage
from sound import NotSound, read_wav, resampled

RATE_HZ = 16_000  # what its model has learnt from
FRAME_S = 0.01
SAMPLE_BYTES = 2
MODEL = "en-us"
TURN_S = 0.25  # how often somebody who waits is looked after
LONGEST_S = 20  # of an utterance; whoever goes on is interrupted
LISTENING_S = 1.0  # between two words of progress, where a call that is cancelled ends
NOISE = 100  # of 32767, which is 50 dB below the loudest
PHRASES = "phrases"
NO_WORDS = re.compile(r"^[<\[].*[>\]]$")  # silence, noise, the beginning and the end


class PocketSphinx(Provider):
    async def start(self) -> None:
        self._decoder = Decoder(samprate=RATE_HZ, loglevel="ERROR")
        self._usual = self._decoder.current_search()
        self._turn = threading.Lock()

    def stream(self, request: Request) -> Iterator[Event]:
        if request.model != MODEL:
            raise Failure(f"no model {request.model!r}; there is {MODEL}", "model_not_found")
        language = str(request.option("language") or "en").lower()
        if not language.startswith("en"):
            raise Failure(
                f"the model that it comes with knows English, not {language[:20]!r}", "invalid_request"
            )
        grammar = self._grammar(request)
        try:
            sound = read_wav(heard(request))
            yield Spoken("en", round(sound.duration_s, 3))
            samples = with_noise(resampled(sound, RATE_HZ))
        except NotSound as error:
            raise Failure(f"{error}; it takes WAV files", "invalid_request") from None
        while not self._turn.acquire(timeout=TURN_S):
            yield Progress(note="others are listened to first")
        try:
            if grammar:
                self._decoder.add_jsgf_string(PHRASES, grammar)
                self._decoder.activate_search(PHRASES)
            yield from self._listen(samples.tobytes(), request)
        finally:
            if grammar:
                self._decoder.activate_search(self._usual)
                self._decoder.remove_search(PHRASES)
            self._turn.release()
        yield Usage(audio_ms=round(sound.duration_s * 1000))

    def test_connection(self) -> str:
        return f"it listens, with {MODEL}"

    def _listen(self, samples: bytes, request: Request) -> Iterator[Event]:
        """What is said, an utterance at a time: each is heard as a whole, which is heard best."""
        endpointer = Endpointer(sample_rate=RATE_HZ)
        step = endpointer.frame_bytes
        told_s, before, speech = 0.0, "", b""
        for at in range(0, len(samples), step):
            frame, last = samples[at : at + step], at + step >= len(samples)
            speech += (endpointer.end_stream(frame) if last else endpointer.process(frame)) or b""
            ended = last or not endpointer.in_speech or len(speech) >= LONGEST_S * RATE_HZ * SAMPLE_BYTES
            now_s = at / (RATE_HZ * SAMPLE_BYTES)
            if speech and ended:
                start_s = max(0.0, now_s - len(speech) / (RATE_HZ * SAMPLE_BYTES))
                self._decoder.start_utt()
                self._decoder.process_raw(speech, full_utt=True)
                self._decoder.end_utt()
                for event in self._said(start_s, request, before):
                    before = " "
                    yield event
                speech = b""
            if now_s - told_s >= LISTENING_S:
                told_s = now_s
                yield Progress(at / len(samples))

    def _said(self, start_s: float, request: Request, before: str) -> Iterator[Event]:
        words = [
            Timed(
                re.sub(r"\(\d+\)$", "", part.word),  # one of several ways to say it
                round(start_s + part.start_frame * FRAME_S, 2),
                round(start_s + (part.end_frame + 1) * FRAME_S, 2),
                kind="word",
            )
            for part in self._decoder.seg() or ()
            if not NO_WORDS.match(part.word)
        ]
        if not words:
            return
        said = " ".join(word.text for word in words)
        yield Text(before + said)
        if request.option("segments"):
            yield Timed(said, words[0].start_s, words[-1].end_s)
        if request.option("words"):
            yield from words

    def _grammar(self, request: Request) -> str:
        """The only things that are listened for, if somebody says which: `phrases` or a whole `grammar`."""
        given = request.option("grammar")
        if given:
            return str(given)
        phrases = request.option(PHRASES) or ()
        phrases = [phrases] if isinstance(phrases, str) else list(phrases)
        spoken = [re.findall(r"[a-z']+", str(phrase).lower()) for phrase in phrases]
        unknown = sorted(
            {word for words in spoken for word in words if self._decoder.lookup_word(word) is None}
        )
        if unknown:
            raise Failure(f"words that it does not know: {', '.join(unknown)[:200]}", "invalid_request")
        choices = " | ".join(" ".join(words) for words in spoken if words)
        return f"#JSGF V1.0; grammar phrases; public <phrase> = ({choices})+;" if choices else ""


def with_noise(samples: array[int]) -> array[int]:
    """As from a room, where the model has learnt: it makes words of perfect silence. Each time the same."""
    random = Random(1)
    noise = [random.randint(-NOISE, NOISE) for _ in range(RATE_HZ)]
    return array("h", (min(max(each + more, -32_768), 32_767) for each, more in zip(samples, cycle(noise))))


def heard(request: Request) -> bytes:
    audio = request.input.get("audio")
    if not isinstance(audio, Media) or not audio.data:
        raise Failure("the recording has to come along: this program reaches no addresses", "invalid_request")
    return audio.data
