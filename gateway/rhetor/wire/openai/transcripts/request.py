"""Requests for transcripts and translations, both directions.

https://developers.openai.com/api/reference/resources/audio/subresources/transcriptions (read 2026-11-21).
"""

from __future__ import annotations

from collections.abc import Mapping

from rhetor.core.capability import Capability
from rhetor.core.content import Json, JsonValue, Url
from rhetor.core.errors import BadRequest, Code
from rhetor.core.media import Transcribe
from rhetor.core.request import Original, Request
from rhetor.core.value import value
from rhetor.wire import fields
from rhetor.wire.base import Outgoing, Quirks
from rhetor.wire.lenient import word
from rhetor.wire.multipart import FORM_TYPE, is_form
from rhetor.wire.openai.demands import demands
from rhetor.wire.openai.uploads import (
    Read,
    Upload,
    file_of,
    files_of,
    flag,
    form_outgoing,
    number,
    parse_upload,
    passed_on,
)

TRANSCRIPTIONS, TRANSLATIONS = "/audio/transcriptions", "/audio/translations"
JSON, TEXT, SRT, VTT, VERBOSE, DIARIZED = "json", "text", "srt", "vtt", "verbose_json", "diarized_json"
FORMATS = (JSON, TEXT, SRT, VTT, VERBOSE, DIARIZED)
OBJECTS = (JSON, VERBOSE, DIARIZED)
"""Formats that are JSON."""
TIMED = (SRT, VTT, VERBOSE, DIARIZED)
"""Formats that nothing can be said in without times."""
LATER = "gpt-"
"""How OpenAI's models are called that came after Whisper: those know no times, but for `diarize`."""
_GRANULARITIES = "timestamp_granularities"
_KINDS: Mapping[str, Read] = {"temperature": number, "stream": flag}
_OPTIONS = (
    "include",
    "chunking_strategy",
    "keywords",
    "languages",
    "known_speaker_names",
    "known_speaker_references",
)
"""What OpenAI's models understand besides, and nobody else by these names."""
_SAID = frozenset(
    {
        "model",
        "file",
        "language",
        "prompt",
        "temperature",
        "response_format",
        "stream",
        "fallbacks",
        _GRANULARITIES,
        *_OPTIONS,
    }
)


@value
class Listening(Outgoing):
    """A recording on its way."""

    format: str = JSON
    """In which the transcript comes."""
    segments: bool = False
    """There is no answer without the times of sentences; another target may know them."""
    words: bool = False
    """The same, of words."""


def parse(body: bytes, headers: Mapping[str, str], translate: bool) -> Request:
    """
    Raises:
        BadRequest: says which field is wrong and what was expected.
    """
    if not is_form(headers):
        raise BadRequest(f"a recording is uploaded in a form: expected {FORM_TYPE}", param="content-type")
    path = TRANSLATIONS if translate else TRANSCRIPTIONS
    upload = parse_upload(body, headers["content-type"], _KINDS, path)
    said = upload.fields
    files = files_of(upload, "file")
    if not files:
        raise fields.missing("file", "a recording, as a file with its name")
    format = format_of(said)
    granularities = _texts(said, _GRANULARITIES)
    asked = Transcribe(
        audio=files[0],
        language=fields.optional_text(said, "language") or None,
        prompt=fields.optional_text(said, "prompt") or None,
        temperature=fields.optional_number(said, "temperature"),
        translate=translate,
        segments=format in TIMED and (format != VERBOSE or granularities != ("word",)),
        words="word" in granularities,
        speakers=format == DIARIZED,
        extra={name: given for name, given in said.items() if name not in _SAID},
    )
    return Request(
        id="",
        capability=Capability.AUDIO_TO_TEXT,
        model=fields.optional_text(said, "model") or "",
        input=asked,
        stream=fields.flag(said, "stream"),
        original=upload,
        unsaid=tuple(name for name in _OPTIONS if name in said),
        fallbacks=_texts(said, "fallbacks"),
    )


def format_of(said: Json) -> str:
    """The format in which a caller wants the transcript.

    Raises:
        BadRequest: there is no such format.
    """
    return fields.one_of(said, "response_format", FORMATS) or JSON


def build(request: Request, model: str, quirks: Quirks) -> Outgoing:
    """The request in this language.

    Raises:
        BadRequest: unsupported, this language knows no recordings by their address, or this model no times.
    """
    asked = request.input
    assert isinstance(asked, Transcribe)
    if isinstance(asked.audio, Url):
        message = "a recording has to be sent to this provider, an address is not enough"
        raise BadRequest(message, Code.UNSUPPORTED, param="input")
    dropped: list[str] = []
    format = _format_for(asked, model)
    body: dict[str, JsonValue] = {"model": model, "response_format": format}
    for name in ("language", "prompt", "temperature"):
        if (given := getattr(asked, name)) is not None:
            body[name] = given
    if asked.translate and body.pop("language", None) is not None:
        dropped.append("language")  # into English, from whatever it is
    if format == VERBOSE and not asked.translate:
        wished = (("segment", asked.segments), ("word", asked.words))
        body[_GRANULARITIES] = [name for name, wanted in wished if wanted] or ["segment"]
    if asked.speakers and format != DIARIZED:
        dropped.append("speakers")
    if format == DIARIZED:
        body["chunking_strategy"] = "auto"  # demanded for more than half a minute
    if request.stream and LATER in model:
        body["stream"] = True
    for name, extra in asked.extra.items():
        if name in _OPTIONS or not _is_openais(model):
            body.setdefault(name, extra)
        else:
            dropped.append(name)
    wanted = demands(body, quirks)
    path = TRANSLATIONS if asked.translate else TRANSCRIPTIONS
    form = form_outgoing(path, wanted.apply(body), [("file", file_of(asked.audio, "audio"))])
    told = (*dropped, *wanted.dropped)
    words = asked.words and not asked.translate
    return Listening(path, form.body, form.headers, told, format=format, segments=asked.segments, words=words)


def retarget(original: Original, model: str, quirks: Quirks) -> Outgoing:
    """The caller's own form."""
    body, headers, dropped = passed_on(original, model, quirks)
    said = original.fields
    format = word(said, "response_format") or JSON
    path = original.path if isinstance(original, Upload) else TRANSCRIPTIONS
    words = "word" in _texts(said, _GRANULARITIES)
    return Listening(
        path,
        body,
        headers,
        dropped,
        format=format,
        segments=format == DIARIZED or (format == VERBOSE and not words),
        words=format == VERBOSE and words,
    )


def _format_for(asked: Transcribe, model: str) -> str:
    """The format in which everything comes that is wanted.

    Raises:
        BadRequest: unsupported, the model has none.
    """
    if not (asked.segments or asked.words or asked.speakers):
        return JSON
    if "diarize" in model:
        if asked.words:
            raise BadRequest(f"{model} tells no times of words", Code.UNSUPPORTED)
        return DIARIZED
    if LATER in model:
        raise BadRequest(f"{model} tells no times; models that do: whisper-1", Code.UNSUPPORTED)
    return VERBOSE


def _is_openais(model: str) -> bool:
    return LATER in model or model.rpartition("/")[2] == "whisper-1"


def _texts(said: Json, key: str) -> tuple[str, ...]:
    """A list of texts, which a form may well say as one."""
    given = said.get(key)
    return (given,) if isinstance(given, str) else fields.texts(said, key)
