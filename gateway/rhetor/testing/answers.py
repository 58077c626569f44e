"""From a request and its step to the reply in the language that was asked."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from rhetor.core.errors import Code, RhetorError
from rhetor.core.events import Event, Failed, Started
from rhetor.testing.endpoints import ModelList, Speaker
from rhetor.testing.script import Listed, Recorded, Refused, ScriptError, Spoken, Step
from rhetor.testing.speech import is_content
from rhetor.testing.voices import Asked, Rendered, Voice
from rhetor.wire.base import JSON_TYPE


def answer(asked: Asked, voice: Voice, step: Step, id: str) -> Rendered:
    """The reply to a request; `step.content` says what it is.

    Raises:
        ScriptError: the step does not answer what is asked.
    """
    match step.content:
        case Refused() as refused:
            return _refused(refused, voice, id)
        case Recorded() as recorded:
            return _recording(recorded, voice.stream_type if asked.stream else None)
        case Spoken() as spoken if spoken.capability is voice.capability:
            return _speech(spoken, step.failure, asked, voice, id)
    raise ScriptError(f"{voice.capability} is asked for, the script answers with {step.content}")


def listing(models: ModelList, step: Step, id: str) -> Rendered:
    """The reply to a request for the list of models."""
    match step.content:
        case Refused() as refused:
            return _refused(refused, models, id)
        case Recorded() as recorded:
            return _recording(recorded, None)
        case Listed(ids):
            return Rendered(JSON_TYPE, [orjson.dumps(models.shape(ids))])
    raise ScriptError(f"models are asked for, the script answers with {step.content}")


def refusal(speaker: Speaker, error: RhetorError, id: str) -> Rendered:
    """An error reply in the language that was asked."""
    return Rendered(JSON_TYPE, [speaker.refuse(error, id)], status=error.status)


def _speech(
    spoken: Spoken, failure: tuple[int, RhetorError] | None, asked: Asked, voice: Voice, id: str
) -> Rendered:
    events = list(spoken.events)
    if not events or not isinstance(events[0], Started):
        events.insert(0, Started(id, spoken.model or asked.model))
    if failure is not None:
        events = _failing(events, *failure)
    started = events[0]
    assert isinstance(started, Started)
    return voice.say(asked, events, started.model, started.id)


def _failing(events: list[Event], after: int, error: RhetorError) -> list[Event]:
    """The events up to this many of content, and then the error."""
    ends = [n for n, event in enumerate(events, 1) if is_content(event)]
    if after > len(ends):
        raise ScriptError(f"the script fails after event {after}, but the reply has {len(ends)}")
    return [*events[: ends[after - 1] if after else 1], Failed(error)]


def _refused(refused: Refused, speaker: Speaker, id: str) -> Rendered:
    if refused.body is not None:
        return Rendered(JSON_TYPE, [refused.body], status=refused.status)
    message = refused.message or _PHRASES.get(refused.code) or f"the script says {refused.status}"
    return refusal(speaker, RhetorError(message, refused.code, status=refused.status), id)


def _recording(recorded: Recorded, stream_type: str | None) -> Rendered:
    """Recorded bytes, as a stream of this type or in one piece."""
    pieces = [b"".join(recorded.frames)] if stream_type is None else [b"", *recorded.frames, b""]
    content_type = recorded.content_type or stream_type or JSON_TYPE
    return Rendered(content_type, pieces, len(recorded.frames), recorded.status)


# Some languages have no code for these: there, providers are told apart by their words.
_PHRASES: Mapping[Code, str] = {
    Code.MODEL_NOT_FOUND: "the model does not exist",
    Code.CONTEXT_LENGTH: "prompt is too long: 9000 tokens exceed the context length of 8192",
    Code.CONTENT_POLICY: "Output blocked by content filtering policy",
}
