"""The frames of the WebSocket, without any I/O: what we say, and what the gateway's answers mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from pydantic import ValidationError

from tekton_llm_client.asking import first_problem
from tekton_llm_client.exceptions import AdapterError, InvalidRequestError, TektonLLMError
from tekton_llm_client.models import StreamingChunk, attempts_of
from tekton_llm_client.refusals import GATEWAY, failure

CAPABILITIES = ("chat", "stream")
FRAME_LIMIT_BYTES = 1_000_000  # over a larger one the gateway closes the connection, and everybody on it
TOO_LARGE = "request_too_large"


def register(component_id: str) -> str:
    return _text({"type": "REGISTER", "component_id": component_id, "capabilities": CAPABILITIES})


def request(kind: str, request_id: str, fields: Mapping[str, Any]) -> str:
    """GENERATE, STREAM, CHAT or CHAT_STREAM.

    Raises:
        InvalidRequestError: something in it cannot be said in JSON, or it is too large.
    """
    try:
        frame = orjson.dumps({"type": kind, "request_id": request_id, **fields})
    except TypeError as error:
        raise InvalidRequestError(f"this cannot be sent as JSON: {error}") from error
    if len(frame) > FRAME_LIMIT_BYTES:
        raise too_large(f"this request has {len(frame)} bytes, and a WebSocket takes {FRAME_LIMIT_BYTES}")
    return frame.decode()


def too_large(what: str) -> InvalidRequestError:
    return InvalidRequestError(f"{what}: send it with TektonLLMClient, over HTTP", code=TOO_LARGE)


def resume(request_id: str, generation_id: str, last_event_id: str | None) -> str:
    said = {"type": "RESUME", "request_id": request_id, "generation_id": generation_id}
    return _text(said | {"last_event_id": last_event_id or ""})


def cancel(request_id: str) -> str:
    return _text({"type": "CANCEL", "request_id": request_id})


def pong() -> str:
    return _text({"type": "PONG"})


def read_frame(data: str | bytes) -> dict[str, Any]:
    """
    Raises:
        AdapterError: this is no frame.
    """
    try:
        frame = orjson.loads(data)
    except ValueError as error:
        raise AdapterError(GATEWAY, f"the gateway's frame cannot be read: {error}") from error
    if not isinstance(frame, dict):
        raise AdapterError(GATEWAY, f"the gateway's frame is not an object: {data[:200]!r}")
    return frame


def read_chunk(frame: Mapping[str, Any]) -> StreamingChunk:
    """What a CHUNK or an ERROR says; one that cannot be read is the end, with the reason in `error`."""
    said = {**frame, "chunk": "", "done": True} if frame.get("type") == "ERROR" else frame
    try:
        chunk = StreamingChunk.model_validate(said)
    except ValidationError as error:
        reason = f"the gateway's chunk cannot be read: {first_problem(error)}"
        return StreamingChunk(done=True, error=reason, code="protocol_error")
    chunk.done = chunk.done or chunk.error is not None
    return chunk


def read_error(frame: Mapping[str, Any]) -> TektonLLMError:
    """What an ERROR says; what in it is odd counts as not said."""
    said = frame.get("meta")
    meta = said if isinstance(said, dict) else {}
    attempts = attempts_of(meta)
    return failure(
        str(frame.get("error") or "the gateway gave no reason"),
        _name(frame, "code"),
        request_id=_name(meta, "generation_id") or _name(frame, "request_id"),
        attempts=attempts,
        # Who was asked by the gateway would only be asked again.
        retry=False if attempts else None,
    )


def _name(said: Mapping[str, Any], field: str) -> str | None:
    value = said.get(field)
    return value if isinstance(value, str) else None


def _text(frame: Mapping[str, Any]) -> str:
    return orjson.dumps(frame).decode()
