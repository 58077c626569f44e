"""What client and gateway say to each other, without any I/O.

`chat_call` says what to send, `read_reply`, `read_providers` and `ChunkReader`
understand what comes back, `refusal` turns an error reply into an exception,
and `pause_before_retry` decides whether to try again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
from pydantic import ValidationError

from tekton_llm_client.exceptions import (
    AdapterError,
    AuthenticationError,
    ConnectionError,
    InvalidRequestError,
    RateLimitError,
    ServiceUnavailableError,
    TektonLLMError,
    TimeoutError,
)
from tekton_llm_client.models import AvailableProviders, CompletionResponse, Message, StreamingChunk

HEALTH_PATH = "/api/v1/health"
PROVIDERS_PATH = "/api/v1/providers"
CHAT_PATH = "/api/v1/chat"
STREAM_PATH = "/api/v1/chat/stream"

DEFAULT_TEMPERATURE = 0.7
LONGEST_PAUSE_S = 60.0  # a caller waits a minute at most; a limit that lasts longer is an error to be told
FIRST_PAUSE_S = 0.5

_ERRORS: Mapping[int, type[TektonLLMError]] = {
    400: InvalidRequestError,
    401: AuthenticationError,
    403: AuthenticationError,
    404: InvalidRequestError,
    408: TimeoutError,
    409: InvalidRequestError,
    413: InvalidRequestError,
    422: InvalidRequestError,
    429: RateLimitError,
    503: ServiceUnavailableError,
    504: TimeoutError,
}
_PASSING = (ConnectionError, ServiceUnavailableError, RateLimitError)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and whom by default."""

    component_id: str
    provider_id: str | None
    model_id: str | None
    use_fallback: bool
    silence_s: float
    retries: int


@dataclass(frozen=True, slots=True)
class Call:
    """A request for the gateway, and how much patience goes with it."""

    path: str
    body: bytes
    silence_s: float
    """How long the gateway may say nothing at all."""
    retries: int
    """How often to try again while nothing was said."""
    first_pause_s: float = FIRST_PAUSE_S


def chat_call(
    caller: Caller,
    messages: Sequence[Message | Mapping[str, Any]],
    *,
    system_prompt: str | None = None,
    streaming: bool = False,
    context_id: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> Call:
    """The request for a reply to these messages.

    `options` may name `provider`, `model`, `timeout` (seconds), `retry_count`
    and `retry_delay` (milliseconds), which are about this call; all others
    (`temperature`, `max_tokens`, `stop_sequences`, …) go to the gateway.

    Raises:
        InvalidRequestError: a message is neither a Message nor looks like one.
    """
    own, sent = _divided(options or {})
    if not caller.use_fallback:
        sent = {name: value for name, value in sent.items() if name not in _FALLBACK_OPTIONS}
    body = {
        "messages": [_message(index, message) for index, message in enumerate(messages)],
        "component_id": caller.component_id,
        "context_id": context_id or caller.component_id,
        "provider_id": own.get("provider", caller.provider_id),
        "model_id": own.get("model", caller.model_id),
        "system_prompt": system_prompt,
        "streaming": streaming,
        "options": {"temperature": DEFAULT_TEMPERATURE} | sent,
    }
    return Call(
        STREAM_PATH if streaming else CHAT_PATH,
        orjson.dumps({name: value for name, value in body.items() if value is not None}),
        silence_s=float(own.get("timeout", caller.silence_s)),
        retries=int(own.get("retry_count", caller.retries)),
        first_pause_s=own["retry_delay"] / 1000 if "retry_delay" in own else FIRST_PAUSE_S,
    )


_OWN_OPTIONS = frozenset({"provider", "model", "timeout", "retry_count", "retry_delay"})
_FALLBACK_OPTIONS = frozenset({"fallback_provider", "fallback_model"})
_SENT_AS = {"stop_sequences": "stop"}


def _divided(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    own: dict[str, Any] = {}
    sent: dict[str, Any] = {}
    for name, value in options.items():
        if value is not None:
            (own if name in _OWN_OPTIONS else sent)[_SENT_AS.get(name, name)] = value
    return own, sent


def _message(index: int, message: Message | Mapping[str, Any]) -> dict[str, Any]:
    try:
        return Message.model_validate(message).model_dump(mode="json", exclude_none=True)
    except ValidationError as error:
        raise InvalidRequestError(f"messages[{index}]: {_first_problem(error)}") from error


def read_reply(body: bytes) -> CompletionResponse:
    return _understood(CompletionResponse, body)


def read_providers(body: bytes) -> AvailableProviders:
    return _understood(AvailableProviders, body)


_Reply = TypeVar("_Reply", CompletionResponse, AvailableProviders)


def _understood(kind: type[_Reply], body: bytes) -> _Reply:
    try:
        return kind.model_validate(orjson.loads(body))
    except ValueError as error:  # pydantic's and orjson's errors are both ValueErrors
        raise AdapterError(
            "rhetor", f"the gateway's reply is not a {kind.__name__}: {_first_problem(error)}"
        ) from error


def _first_problem(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    problem = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(step) for step in problem["loc"])
    return f"{where}: {problem['msg']}" if where else problem["msg"]


class ChunkReader:
    """A streamed reply's bytes → chunks, exactly one of them, the last, with `done` set."""

    def __init__(self) -> None:
        self.ended = False
        self._rest = b""
        self._last = StreamingChunk()

    def feed(self, data: bytes) -> list[StreamingChunk]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [chunk for line in lines if (chunk := self._read(line.rstrip(b"\r"))) is not None]

    def break_off(self, reason: str) -> list[StreamingChunk]:
        """The reply's end, when the connection has ended for this reason; nothing if it was complete."""
        return [] if self.ended else [self._end(reason)]

    def _read(self, line: bytes) -> StreamingChunk | None:
        if self.ended or not line.startswith(b"data:"):
            return None
        data = line.removeprefix(b"data:").strip()
        if data == b"[DONE]":
            return self._end(None)
        try:
            chunk = StreamingChunk.model_validate(orjson.loads(data))
        except ValueError as error:
            return self._end(f"the gateway's chunk cannot be read: {_first_problem(error)}")
        chunk.done = self.ended = chunk.done or chunk.error is not None
        self._last = chunk
        return chunk

    def _end(self, error: str | None) -> StreamingChunk:
        self.ended = True
        return self._last.model_copy(update={"chunk": "", "done": True, "error": error})


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> TektonLLMError:
    """The exception for an error reply; `headers` are looked up in lower case."""
    said = _parsed(body)
    about: dict[str, Any] = {
        "status": status,
        "code": _text(said, "code"),
        "retry_after_s": _retry_after_s(headers),
        "retry": {"true": True, "false": False}.get(headers.get("x-should-retry", "")),
        "request_id": headers.get("x-request-id") or _text(said, "request_id"),
    }
    message = _text(said, "error") or _text(said, "detail")
    message = message or body[:200].decode(errors="replace").strip() or f"HTTP {status} without a message"
    error = _ERRORS.get(status)
    return error(message, **about) if error else AdapterError("rhetor", message, **about)


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return said if isinstance(said, dict) else {}


def _text(said: Mapping[str, Any], name: str) -> str | None:
    value = said.get(name)
    return value if isinstance(value, str) else None


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    for name, per_second in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            return float(headers[name]) / per_second
        except (KeyError, ValueError):  # the header may also be a date; our gateway sends seconds
            continue
    return None


def pause_before_retry(error: TektonLLMError, tried: int, call: Call) -> float | None:
    """Seconds to wait before another try, after `tried` of them failed; None: let the error out."""
    if tried > call.retries or error.retry is False or not isinstance(error, _PASSING):
        return None
    pause_s = call.first_pause_s * 2 ** (tried - 1) if error.retry_after_s is None else error.retry_after_s
    return pause_s if pause_s <= LONGEST_PAUSE_S else None
