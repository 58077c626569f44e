"""The OpenAI door for pictures, speech and transcripts."""

from __future__ import annotations

from aiohttp import web

from rhetor.core.capability import Capability
from rhetor.http.house import House
from rhetor.http.media.uploads import parsed
from rhetor.http.reply import UnderWay, answer
from rhetor.http.served import Handler, Served
from rhetor.pipeline.shelving import Shelving
from rhetor.wire.openai import OPENAI
from rhetor.wire.openai.images import EditsDoor, GenerationsDoor, wants_addresses
from rhetor.wire.openai.speech import SpeechEventsDoor, wants_events
from rhetor.wire.openai.transcripts import TranscriptsDoor

NAME = "openai"
IN_JSON, AS_FORM = "application/json", "multipart/form-data"
GENERATIONS, EDITS = GenerationsDoor(), EditsDoor()
SPEECH, SPEECH_EVENTS = OPENAI.doors[Capability.TEXT_TO_AUDIO], SpeechEventsDoor()
TRANSCRIPTIONS, TRANSLATIONS = TranscriptsDoor(), TranscriptsDoor(translate=True)


async def images_generations(http: web.Request) -> web.StreamResponse:
    """Make pictures from words, whole or as server-sent events (OpenAI images)."""
    return await _pictures(http, GENERATIONS)


async def images_edits(http: web.Request) -> web.StreamResponse:
    """Change pictures, sent in a form or named in JSON, whole or as server-sent events (OpenAI images)."""
    return await _pictures(http, EDITS)


async def audio_speech(http: web.Request) -> web.StreamResponse:
    """Speak a text: the sound as it is made, or server-sent events with it (OpenAI speech)."""
    with UnderWay(http) as house:
        request = await parsed(http, SPEECH)
        assert request.original is not None
        door = SPEECH_EVENTS if wants_events(request.original.fields) else SPEECH
        return await answer(http, house, OPENAI, door, request, NAME)


async def audio_transcriptions(http: web.Request) -> web.StreamResponse:
    """Write down what is said in a recording, which is sent in a form (OpenAI transcriptions)."""
    return await _transcript(http, TRANSCRIPTIONS)


async def audio_translations(http: web.Request) -> web.StreamResponse:
    """Write down in English what is said in a recording (OpenAI translations)."""
    return await _transcript(http, TRANSLATIONS)


async def _transcript(http: web.Request, door: TranscriptsDoor) -> web.StreamResponse:
    with UnderWay(http) as house:
        request = await parsed(http, door)
        return await answer(http, house, OPENAI, door, request, NAME)


async def _pictures(http: web.Request, door: GenerationsDoor) -> web.StreamResponse:
    with UnderWay(http) as house:
        request = await parsed(http, door)
        if not wants_addresses(request):
            return await answer(http, house, OPENAI, door, request, NAME)
        addressed = type(door)(_base_of(http))
        return await answer(http, house, OPENAI, addressed, request, NAME, _shelving(house))


def openai_table(prefix: str) -> list[Served]:
    """The paths below this prefix."""
    calls: list[tuple[str, Handler, tuple[str, ...]]] = [
        ("images/generations", images_generations, (IN_JSON,)),
        ("images/edits", images_edits, (AS_FORM, IN_JSON)),
        ("audio/speech", audio_speech, (IN_JSON,)),
        ("audio/transcriptions", audio_transcriptions, (AS_FORM,)),
        ("audio/translations", audio_translations, (AS_FORM,)),
    ]
    return [
        Served(NAME, "POST", f"{prefix}/v1/{path}", handler, OPENAI, takes=takes)
        for path, handler, takes in calls
    ]


def _shelving(house: House) -> Shelving:
    """Pictures go into the asset store, and addresses lead there; a provider's own stay as they are."""
    return Shelving(house.assets, early=False)


def _base_of(http: web.Request) -> str:
    """How this caller reaches us: with the prefix that it has kept, if any."""
    return f"{http.scheme}://{http.host}{http.path.partition('/v1/')[0]}"
