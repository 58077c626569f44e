"""What was made, in the outputs of clouds of models: every model writes them as its author liked."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rhetor.core.content import Json, JsonValue
from rhetor.core.events import Event, Spoken, TextDelta, Timed
from rhetor.wire.lenient import things, word
from rhetor.wire.media.errand import VAGUE, Kind, Result, type_by_name

DEPTH = 5  # {"output": {"model": {"mesh": [{"url": …}]}}}
_PLACES = ("http://", "https://", "data:")
_ADDRESSES = ("url", "uri", "href")
_TYPES = ("content_type", "mime_type", "media_type")
_TEXTS = ("text", "output", "transcription", "transcript", "caption", "description", "answer", "response")


def results(
    output: JsonValue, kind: Kind, is_kept: Callable[[str], bool] = lambda url: False
) -> list[Result]:
    """The addresses in an output that lead to such media: those that say so, else those that say nothing.

    Args:
        is_kept: whether only the key gets what lies at an address.
    """
    found = list({result.url: result for result in _places(output, DEPTH)}.values())
    sure = [it for it in found if it.media_type is not None and it.media_type.startswith(kind.begins)]
    chosen = sure or [it for it in found if it.media_type is None]
    return [Result(url=it.url, media_type=it.media_type, keyed=is_kept(it.url)) for it in chosen]


def others(output: JsonValue) -> str:
    """What else is in an output, for people."""
    types = {result.media_type or "something of no type" for result in _places(output, DEPTH)}
    return ", ".join(sorted(types)) or "nothing"


def text_of(output: JsonValue) -> str | None:
    """The text that an output is, whole or in pieces; None: it is none."""
    match output:
        case str():
            return output
        case list() if all(isinstance(piece, str) for piece in output):
            return "".join(str(piece) for piece in output)
        case list() if len(output) == 1:
            return text_of(output[0])
        case dict():
            return next((found for name in _TEXTS if (found := text_of(output.get(name))) is not None), None)
    return None


def transcript(output: JsonValue) -> list[Event]:
    """What was heard in a recording; empty: nothing of it says so.

    Models in the manner of Whisper tell `segments` with `start` and `end`, pipelines of Hugging Face
    `chunks` with a `timestamp` of two.
    """
    text = text_of(output)
    fields = output if isinstance(output, dict) else {}
    timed = list(_timed(fields))
    if text is None and timed:
        text = " ".join(piece.text for piece in timed)
    if text is None:
        return []
    events: list[Event] = [TextDelta(text.strip()), *timed]
    language = word(fields, "language") or word(fields, "detected_language")
    inferred = fields.get("inferred_languages")
    if not language and isinstance(inferred, list) and inferred:
        language = str(inferred[0])
    if language:
        events.append(Spoken(language, None))
    return events


def _timed(fields: Json) -> Iterator[Timed]:
    for piece in (*things(fields, "segments"), *things(fields, "chunks")):
        times = piece.get("timestamp")
        start, end = (
            times if isinstance(times, list) and len(times) == 2 else (piece.get("start"), piece.get("end"))
        )
        if isinstance(start, int | float) and isinstance(end, int | float):
            speaker = word(piece, "speaker") or None
            yield Timed("segment", word(piece, "text").strip(), float(start), float(end), speaker)


def _places(output: JsonValue, depth: int) -> Iterator[Result]:
    match output:
        case str() if output.startswith(_PLACES):
            yield Result(url=output, media_type=_type_of(output))
        case list() if depth:
            for each in output:
                yield from _places(each, depth - 1)
        case dict() if depth:
            address = next((found for name in _ADDRESSES if (found := word(output, name))), "")
            if address.startswith(_PLACES):
                said = next((found for name in _TYPES if (found := word(output, name))), "")
                yield Result(url=address, media_type=_type_of(address) if said in VAGUE else said)
                return
            for each in output.values():
                yield from _places(each, depth - 1)


def _type_of(url: str) -> str | None:
    if url.startswith("data:"):
        return url[len("data:") :].partition(",")[0].partition(";")[0] or None
    return type_by_name(url)
