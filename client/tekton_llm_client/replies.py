"""What comes back from the gateway, without any I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import orjson

from tekton_llm_client.asking import first_problem
from tekton_llm_client.exceptions import AdapterError
from tekton_llm_client.models import (
    AvailableProviders,
    CompletionResponse,
    Embeddings,
    StreamingChunk,
    ToolCall,
)
from tekton_llm_client.refusals import GATEWAY

GENERATION_HEADER = "x-rhetor-generation-id"
LOST = "connection_lost"


def read_reply(body: bytes) -> CompletionResponse:
    return _understood(CompletionResponse, body)


def read_providers(body: bytes) -> AvailableProviders:
    return _understood(AvailableProviders, body)


_Reply = TypeVar("_Reply", CompletionResponse, AvailableProviders)


def _understood(kind: type[_Reply], body: bytes) -> _Reply:
    try:
        return kind.model_validate_json(body)
    except ValueError as error:
        raise _not_a(kind.__name__, error) from error


def read_embeddings(body: bytes, headers: Mapping[str, str]) -> Embeddings:
    """The vectors, in the order of the texts, whatever order they came in."""
    micros = headers.get("x-rhetor-cost-micros", "")
    try:
        said = orjson.loads(body)
        rows = sorted(said["data"], key=lambda row: row["index"])
        usage = {name: n for name, n in (said.get("usage") or {}).items() if isinstance(n, int)}
        return Embeddings(
            vectors=[row["embedding"] for row in rows],
            model=said["model"],
            provider=headers.get("x-rhetor-served-by", "").partition("/")[0] or None,
            usage=usage or None,
            cost_micros=int(micros) if micros.isdecimal() else None,
            generation_id=headers.get(GENERATION_HEADER),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise _not_a(Embeddings.__name__, error) from error


def _not_a(kind: str, error: Exception) -> AdapterError:
    problem = first_problem(error) if isinstance(error, ValueError) else repr(error)
    return AdapterError(GATEWAY, f"the gateway's reply is no {kind}: {problem}")


class ChunkReader:
    """A streamed reply's bytes → chunks, exactly one of them, the last, with `done` set."""

    def __init__(self) -> None:
        self.ended = False
        self.last_id: str | None = None
        """Of the last event that was read whole; None: none had one."""
        self.spoke = False
        """Something of the reply was read."""
        self._rest = b""
        self._next_id: str | None = None
        self._last = StreamingChunk()
        self._calls = Calls()

    def feed(self, data: bytes) -> list[StreamingChunk]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [chunk for line in lines if (chunk := self._read(line.rstrip(b"\r"))) is not None]

    def come_back(self) -> None:
        """The rest comes over another connection, after the last event that was whole."""
        self._rest, self._next_id = b"", None

    def break_off(self, reason: str, code: str = LOST) -> list[StreamingChunk]:
        """The reply's end, when nothing more comes, for this reason; nothing if it was complete."""
        return [] if self.ended else [self._end(reason, code)]

    def _read(self, line: bytes) -> StreamingChunk | None:
        if line.startswith(b"id:"):
            self._next_id = line[3:].strip().decode(errors="replace")
        if self.ended or not line.startswith(b"data:"):
            return None
        data = line[5:].strip()
        if data == b"[DONE]":
            return self._end(None)
        try:
            chunk = StreamingChunk.model_validate_json(data)
        except ValueError as error:
            return self._end(f"the gateway's chunk cannot be read: {first_problem(error)}", "protocol_error")
        self.last_id, self.spoke = self._next_id, True
        chunk.done = self.ended = chunk.done or chunk.error is not None
        self._last = chunk
        return self._calls.join(chunk)

    def _end(self, error: str | None, code: str | None = None) -> StreamingChunk:
        self.ended = True
        said = {"chunk": "", "thinking": None, "done": True, "error": error, "code": code}
        return self._last.model_copy(update=said)


class Calls:
    """Tool calls that are too large for one chunk come before it in pieces; they are put together here."""

    def __init__(self) -> None:
        self._begun: dict[int, tuple[ToolCall, list[str]]] = {}

    def join(self, chunk: StreamingChunk) -> StreamingChunk | None:
        """The chunk as its reader shall see it, whole calls with the last one; None: it was only a piece."""
        if chunk.done:
            chunk.tool_calls = chunk.tool_calls or self._whole()
            return chunk
        for piece in chunk.tool_calls or ():
            _, arguments = self._begun.setdefault(piece.index or 0, (piece, []))
            arguments.append(piece.function.arguments)
        return None if chunk.tool_calls else chunk

    def _whole(self) -> list[ToolCall] | None:
        for call, arguments in self._begun.values():
            call.function.arguments = "".join(arguments)
        return [call for call, _ in self._begun.values()] or None
