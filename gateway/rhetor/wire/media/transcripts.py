"""What the transcripts of several vendors have in common: JSON in one piece, with the times of words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rhetor.core.content import Inline, Json
from rhetor.core.errors import BadRequest, Code
from rhetor.core.events import Event, Finished, FinishReason, Spoken, TextDelta, Timed, UsageReport
from rhetor.core.media import Bytes, Transcribe, data_of, extension_of
from rhetor.core.usage import Usage
from rhetor.wire.base import Narrator, WholeDecoder
from rhetor.wire.lenient import parse
from rhetor.wire.refusals import page_text

ENDS = (".", "?", "!", "…", "。", "？", "！", "؟", "।")
"""How sentences end, in scripts that mark it."""


class TranscriptDecoder(WholeDecoder):
    """Decodes a transcript: a subclass says what the object means."""

    def read(self, body: bytes) -> list[Event]:
        narrator = Narrator()
        said = parse(body)
        if said is None:
            narrator.fail(f"the provider's transcript is not JSON: {page_text(body)}", Code.PROTOCOL)
        else:
            self.tell(narrator, said)
        return narrator.take()

    def tell(self, narrator: Narrator, said: Json) -> None:
        """Everything of a transcript, from its beginning to its end."""
        raise NotImplementedError


def tell_transcript(narrator: Narrator, text: str, timed: Iterable[Timed], spoken: Spoken) -> None:
    """The events of a transcript, after its `Started`."""
    narrator.emit(TextDelta(text))
    for each in timed:
        narrator.emit(each)
    narrator.emit(spoken)
    if spoken.duration_s:
        narrator.emit(UsageReport(Usage(audio_ms=round(spoken.duration_s * 1000))))
    narrator.end(Finished(FinishReason.STOP))


def sentences(words: Sequence[Timed]) -> list[Timed]:
    """The segments that words form: up to the end of a sentence, or to where somebody else speaks."""
    found: list[list[Timed]] = []
    for word in words:
        last = found[-1][-1] if found else None
        if last is None or last.text.endswith(ENDS) or last.speaker != word.speaker:
            found.append([])
        found[-1].append(word)
    return [
        Timed("segment", " ".join(w.text for w in run), run[0].start_s, run[-1].end_s, run[0].speaker)
        for run in found
    ]


def refuse_translation(asked: Transcribe) -> None:
    """
    Raises:
        BadRequest: unsupported, a translation is wanted: another target may be able to.
    """
    if asked.translate:
        raise BadRequest("this provider writes down what is said, and translates nothing", Code.UNSUPPORTED)


def file_of(audio: Bytes | Inline) -> Bytes:
    """A recording as a form's file; its name says of which kind it is, for those who look at nothing else."""
    name = (
        audio.name if isinstance(audio, Bytes) and audio.name else f"audio.{extension_of(audio.media_type)}"
    )
    return Bytes(audio.media_type, data_of(audio), name)


def number(fields: Json, name: str) -> float | None:
    """A number of a reply, whole or not; None where there is none."""
    value = fields.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
