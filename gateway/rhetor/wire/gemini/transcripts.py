"""Recordings, written down by models that were asked to.

https://ai.google.dev/gemini-api/docs/audio (read 2026-11-21). It is a conversation with one question: times
and speakers would be the model's guesses, so they are named as left out.
"""

from __future__ import annotations

from collections.abc import Iterator

from rhetor.core.content import JsonValue
from rhetor.core.media import Transcribe
from rhetor.core.request import Request
from rhetor.wire.base import Decoder, Outgoing, Quirks
from rhetor.wire.gemini.decoders import ReplyDecoder, StreamDecoder
from rhetor.wire.gemini.outgoing import sent
from rhetor.wire.gemini.parts import Dropped, Written, write_material
from rhetor.wire.media.vendor import VendorUpstream

TRANSCRIBE = "Generate a transcript of the speech. Answer with the words that are spoken and nothing else."
TRANSLATE = "Translate the speech into English. Answer with the translation and nothing else."


class Transcripts(VendorUpstream):
    def build(self, request: Request, model: str, quirks: Quirks) -> Outgoing:
        asked = request.input
        assert isinstance(asked, Transcribe)
        dropped = Dropped(_wordless(asked))
        parts: list[JsonValue] = [{"text": question(asked)}, write_material(asked.audio, "file", "audio/wav")]
        body: Written = {"contents": [{"role": "user", "parts": parts}]}
        if asked.temperature is not None:
            body["generationConfig"] = {"temperature": asked.temperature}
        return sent(model, body, request.stream, dropped, quirks)

    def decoder(self, stream: bool, outgoing: Outgoing) -> Decoder:
        return StreamDecoder(thoughts=False) if stream else ReplyDecoder(thoughts=False)


def question(asked: Transcribe) -> str:
    """What the model is told to do."""
    said = [TRANSLATE if asked.translate else TRANSCRIBE]
    if asked.language is not None:
        said.append(f"The language of the recording is {asked.language}.")
    if asked.prompt is not None:
        said.append(f"This may help with names and unusual words: {asked.prompt}")
    return " ".join(said)


def _wordless(asked: Transcribe) -> Iterator[str]:
    for name in ("segments", "words", "speakers"):
        if getattr(asked, name):
            yield f"{name}: the model cannot tell them"
    yield from (f"extra.{name}" for name in asked.extra)
