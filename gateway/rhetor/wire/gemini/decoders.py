"""A provider's reply → events, streamed or whole.

A stream's frames are replies like the whole one, each with what is new
(https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent, read 2026-11-21). There is
no last frame: a stream whose candidate said why it ended is complete when it ends. Only the first candidate
is told; more than one is never asked for.
"""

from __future__ import annotations

import orjson

from rhetor.core.content import Json, JsonValue, Opaque
from rhetor.core.errors import Code, UpstreamError
from rhetor.core.events import (
    Event,
    Failed,
    Finished,
    FinishReason,
    OpaquePart,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    ToolUseDelta,
    ToolUseStarted,
    UsageReport,
)
from rhetor.core.usage import Usage
from rhetor.wire.base import BodyDecoder, Chunk, Narrator, WholeDecoder
from rhetor.wire.fields import as_integer
from rhetor.wire.gemini.vocabulary import NAME, blocked, ending_of, proof_of, read_usage
from rhetor.wire.lenient import parse, thing, things, word
from rhetor.wire.refusals import error_object, page_text
from rhetor.wire.rpc_status import error_inside
from rhetor.wire.sse import Frame, SseSplitter


class Reply:
    """What is told of a reply, frame by frame.

    Args:
        thoughts: whether they are told; a transcript has none.
    """

    def __init__(self, thoughts: bool = True) -> None:
        self.narrator = Narrator()
        self._thoughts = thoughts
        self._calls = 0
        self._usage: Usage | None = None
        self._ending: Json | None = None

    def read(self, said: Json) -> None:
        """A whole reply, or one frame of a streamed one."""
        narrator = self.narrator
        if error := error_inside(said):
            narrator.end(Failed(error))
            return
        if not narrator.started:
            narrator.start(word(said, "responseId"), word(said, "modelVersion"))
        if error := blocked(said):
            self._count(said)
            narrator.end(Failed(error))
            return
        for candidate in things(said, "candidates")[:1]:
            for part in things(thing(candidate, "content"), "parts"):
                self._tell(part, candidate)
            if word(candidate, "finishReason"):
                self._ending = candidate
        self._count(said)

    def end(self) -> bool:
        """The upstream has ended: whether the reply had said that it would."""
        if self._ending is not None:
            self.narrator.end(ending_of(self._ending, self._calls > 0))
        return self.narrator.ended

    def _tell(self, part: Json, candidate: Json) -> None:
        signature = word(part, "thoughtSignature")
        if "functionCall" in part:
            self._call(thing(part, "functionCall"), signature)
        elif isinstance(text := part.get("text"), str):
            if part.get("thought") is True:
                self._think(text, signature)
            elif text:
                self.narrator.emit(TextDelta(text, _logprobs(candidate)))
        elif rest := {key: value for key, value in part.items() if key != "thoughtSignature"}:
            self.narrator.emit(OpaquePart(Opaque(NAME, rest)))

    def _think(self, text: str, signature: str) -> None:
        if not self._thoughts:
            return
        if text:
            self.narrator.emit(ThinkingDelta(text))
        if signature:
            self.narrator.emit(ThinkingSigned(proof_of(signature)))

    def _call(self, call: Json, signature: str) -> None:
        """A call comes whole. Its signature is that of the thought which led to it."""
        if signature:
            self.narrator.emit(ThinkingSigned(proof_of(signature)))
        number = self._calls
        self._calls += 1
        id = word(call, "id") or self.narrator.call_id(number)
        self.narrator.emit(ToolUseStarted(number, id, word(call, "name")))
        self.narrator.emit(ToolUseDelta(number, orjson.dumps(thing(call, "args")).decode()))

    def _count(self, said: Json) -> None:
        usage = read_usage(thing(said, "usageMetadata"))
        if usage is not None and usage != self._usage:
            self._usage = usage
            self.narrator.emit(UsageReport(usage))


def _logprobs(candidate: Json) -> list[JsonValue] | None:
    """In OpenAI's shape: the chosen tokens, each with those that were likely too."""
    result = thing(candidate, "logprobsResult")
    chosen = things(result, "chosenCandidates")
    if not chosen:
        return None
    tops = things(result, "topCandidates")
    likely: list[list[JsonValue]] = [[_likely(it) for it in things(top, "candidates")] for top in tops]
    return [
        {**_likely(it), "top_logprobs": likely[at] if at < len(likely) else []}
        for at, it in enumerate(chosen)
    ]


def _likely(candidate: Json) -> dict[str, JsonValue]:
    token = word(candidate, "token")
    return {"token": token, "logprob": candidate.get("logProbability"), "bytes": list(token.encode())}


class StreamDecoder(BodyDecoder):
    """Server-sent events of `streamGenerateContent?alt=sse`."""

    in_step = False  # nobody calls in this language

    def __init__(self, thoughts: bool = True) -> None:
        self._splitter = SseSplitter()
        self._reply = Reply(thoughts)

    def feed(self, data: bytes) -> Chunk:
        narrator = self._reply.narrator
        try:
            frames = self._splitter.feed(data)
        except UpstreamError as error:
            narrator.end(Failed(error))
            return Chunk(narrator.take())
        for frame in frames:
            self._read(frame)
        return Chunk(narrator.take(), b"".join([it.raw for it in frames]))

    def close(self) -> Chunk:
        narrator = self._reply.narrator
        for frame in self._splitter.close():
            self._read(frame)
            if not narrator.started and not narrator.ended:
                narrator.end(Failed(_instead_of_stream(frame.raw)))
        if not narrator.ended and not self._reply.end():
            narrator.hang_up()
        return Chunk(narrator.take())

    def _read(self, frame: Frame) -> None:
        said = parse(frame.data) if frame.data else None
        if said is not None and not self._reply.narrator.ended:
            self._reply.read(said)


def _instead_of_stream(body: bytes) -> UpstreamError:
    """What came where a stream was asked for."""
    said = error_object(body)
    error = error_inside(said) if said is not None else None
    message = f"the provider sent no event stream: {page_text(body)}"
    return error or UpstreamError(message, Code.PROTOCOL)


class ReplyDecoder(WholeDecoder):
    """The JSON reply of `generateContent`."""

    def __init__(self, thoughts: bool = True) -> None:
        super().__init__()
        self._thoughts = thoughts

    def read(self, body: bytes) -> list[Event]:
        reply = Reply(self._thoughts)
        said = parse(body)
        if said is None:
            message = f"the provider's reply is not JSON: {page_text(body)}"
            reply.narrator.fail(message, Code.PROTOCOL)
            return reply.narrator.take()
        reply.read(said)
        if not reply.narrator.ended and not reply.end():
            reply.narrator.fail("the provider's reply holds no candidate that ended", Code.PROTOCOL)
        return reply.narrator.take()


class CountDecoder(WholeDecoder):
    """The JSON reply of `countTokens`: a reply that is only usage."""

    def read(self, body: bytes) -> list[Event]:
        narrator = Narrator()
        said = parse(body) or {}
        tokens = as_integer(said.get("totalTokens"))
        if error := error_inside(said):
            narrator.end(Failed(error))
        elif tokens is None:
            narrator.fail("the provider's reply is not a count of tokens", Code.PROTOCOL)
        else:
            narrator.emit(UsageReport(Usage(input_tokens=tokens)))
            narrator.end(Finished(FinishReason.STOP))
        return narrator.take()
