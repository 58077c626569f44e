"""The words of a script: what a provider does with one request, in small values that combine.

    says("hello world")
    says("one two three").but(cuts(after=2), gzip())
    cuts(after=40)                       # whatever the upstream says by default, cut off
    fails(429, headers={"retry-after": "2"})

Points (`after=`) are explained in `rhetor.testing.script`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import orjson

from rhetor.core.capability import Capability
from rhetor.core.content import JsonValue, Part, ToolUse
from rhetor.core.errors import Code, RhetorError
from rhetor.core.events import Event, FinishReason, Vector
from rhetor.core.usage import Usage
from rhetor.testing.edits import (
    with_garbage,
    with_usage_in_last_chunk,
    without_finish_reason,
    without_terminator,
)
from rhetor.testing.script import Break, Listed, Pause, Point, Recorded, Refused, Spoken, Step
from rhetor.testing.speech import deltas, ending, interleaved
from rhetor.testing.waiting import Gate

USAGE = Usage(input_tokens=11, output_tokens=7)
"""What a reply reports unless its step says otherwise."""
EMBED_USAGE = Usage(input_tokens=11)
"""The same for embeddings, where nothing is written."""


# What is answered.


def says(
    *parts: str | Part,
    usage: Usage | None = USAGE,
    model: str | None = None,
    finish: FinishReason | None = None,
) -> Step:
    """Answers with these parts; text, thoughts and tool arguments are streamed word by word.

    Args:
        parts: texts, or canonical parts: `says(Thinking("well", "signature"), "the answer")`.
        usage: what is reported; None reports nothing.
        model: the name the model gives itself, if not the one it was asked by.
        finish: why it ended, if not for the usual reason.
    """
    events = [event for pieces in deltas(parts) for event in pieces]
    return replies([*events, *ending(parts, usage, finish)], model=model)


def calls(*tools: tuple[str, Mapping[str, JsonValue]], usage: Usage | None = USAGE) -> Step:
    """Asks for these tools, each as `("weather", {"city": "Paris"})`; several at once come interleaved."""
    parts = [ToolUse(f"call_{n}", name, _json(arguments)) for n, (name, arguments) in enumerate(tools, 1)]
    return replies([*interleaved(deltas(parts)), *ending(parts, usage, None)])


def replies(
    events: Iterable[Event], capability: Capability = Capability.CHAT, model: str | None = None
) -> Step:
    """Answers with exactly these events; `Started` is put before them when it is missing."""
    return Step(content=Spoken(tuple(events), capability, model))


def embeds(*vectors: Sequence[float], usage: Usage | None = EMBED_USAGE) -> Step:
    """Answers an embeddings request with these vectors, in order."""
    events: list[Event] = [Vector(n, list(vector)) for n, vector in enumerate(vectors)]
    return replies([*events, *ending((), usage, None)], Capability.EMBEDDINGS)


def counts(input_tokens: int) -> Step:
    """Answers a request to count tokens."""
    return replies([*ending((), Usage(input_tokens), None)], Capability.COUNT_TOKENS)


def lists(*models: str) -> Step:
    """Answers with a list of these models."""
    return Step(content=Listed(models))


def fails(
    status: int,
    message: str | None = None,
    *,
    code: Code | None = None,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Step:
    """Refuses, with an error object in the language it was asked in.

    Args:
        code: what went wrong, where the status alone does not tell: `fails(400, code=Code.CONTEXT_LENGTH)`.
        body: sent instead of the error object.
    """
    return Step(content=Refused(status, code or _code_of(status), message, body), headers=headers or {})


def raw_frames(frames: Iterable[bytes], status: int = 200, content_type: str | None = None) -> Step:
    """Sends recorded bytes as they are; each frame counts as one content event."""
    return Step(content=Recorded(tuple(frames), status, content_type))


# How it misbehaves.


def hangs(gate: Gate | None = None, *, after: Point = "request", for_s: float | None = None) -> Step:
    """Falls silent at this point, until the gate opens, for so many real seconds, or for ever."""
    return Step(pauses=(Pause(after, gate, for_s),))


def slow(*, first_event_s: float = 0.0, gap_s: float = 0.0) -> Step:
    """Takes real time: before the first event, and between content events."""
    pauses = (Pause("headers", for_s=first_event_s),) if first_event_s else ()
    return Step(pauses=pauses, gap_s=gap_s)


def cuts(after: Point = "half", *, clean: bool = False) -> Step:
    """Closes the connection at this point; `clean` ends the HTTP body in order, as a proxy would."""
    return Step(breaks=(after, Break.CLEAN if clean else Break.CLOSE))


def resets(after: Point = "request") -> Step:
    """Breaks the TCP connection off at this point."""
    return Step(breaks=(after, Break.RESET))


def broken_chunked(after: Point = "half") -> Step:
    """Sends a chunked body, and at this point something that is no chunk."""
    return Step(breaks=(after, Break.BAD_CHUNK))


def error_in_200(code: Code = Code.UPSTREAM_ERROR, message: str | None = None, *, after: int = 0) -> Step:
    """Starts well, status 200, and after so many content events sends an error object."""
    return Step(failure=(after, RhetorError(message or f"the script says {code}", code)))


def garbage(at: int = 1) -> Step:
    """Puts an event that is not JSON where the content event number `at`, counted from 1, would be."""
    return Step(edits=(with_garbage(at),))


def no_done() -> Step:
    """Leaves out the language's last frame (`[DONE]`, `message_stop`) and ends in order."""
    return Step(edits=(without_terminator,))


def no_finish_reason() -> Step:
    """Never says why it ended."""
    return Step(edits=(without_finish_reason,))


def usage_in_last_chunk() -> Step:
    """Reports usage with the last choice instead of in a chunk of its own, as some OpenAI speakers do."""
    return Step(edits=(with_usage_in_last_chunk,))


def gzip() -> Step:
    """Compresses the body; a stream stays a stream."""
    return Step(gzip=True)


def headers(fields: Mapping[str, str]) -> Step:
    """Adds these headers to the reply."""
    return Step(headers=fields)


def _json(value: Mapping[str, JsonValue]) -> str:
    return orjson.dumps(value).decode()


def _code_of(status: int) -> Code:
    """What a status alone says."""
    return _CODES.get(status) or (Code.INVALID_REQUEST if status < 500 else Code.UPSTREAM_ERROR)


_CODES: Mapping[int, Code] = {
    401: Code.UNAUTHENTICATED,
    402: Code.UPSTREAM_BILLING,
    403: Code.FORBIDDEN,
    404: Code.MODEL_NOT_FOUND,
    409: Code.CONFLICT,
    413: Code.TOO_LARGE,
    429: Code.RATE_LIMITED,
    500: Code.INTERNAL,
    503: Code.UNAVAILABLE,
    504: Code.TOTAL_TIMEOUT,
    529: Code.OVERLOADED,
}
