"""What Ollama's errors mean: `{"error": "text"}`, and only the text says more than the status.

https://docs.ollama.com/api/errors (read 2026-11-20); the sentences are those of
its server, as its issues quote them.
"""

from __future__ import annotations

from collections.abc import Mapping

from rhetor.core.content import Json
from rhetor.core.errors import Code, RhetorError, UpstreamError
from rhetor.wire import fields, refusals

WIRE = "ollama"

PHRASES: Mapping[str, Code] = {
    "does not support": Code.UNSUPPORTED,  # … tools, thinking, generate, insert
    "context length": Code.CONTEXT_LENGTH,  # the input length exceeds …
    "server busy": Code.OVERLOADED,  # maximum pending requests exceeded
    "server overloaded": Code.OVERLOADED,
    "more system memory": Code.UNAVAILABLE,  # the model does not fit: not a matter of trying again
    "try pulling it": Code.MODEL_NOT_FOUND,
}


def read_error(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
    said = refusals.error_object(body)
    text = refusals.message_of(said) if said is not None else refusals.page_text(body)
    secret = status in (401, 403)
    return UpstreamError(
        refusals.credentials_refused(status) if secret else refusals.refused(status, text),
        code_of(text) or refusals.code_of_status(status),
        retry_after_s=refusals.retry_after_s(headers),
        wire=WIRE,
        original=None if secret else said,
    )


def error_body(error: RhetorError) -> bytes:
    """The body of an error reply, and without its line end the last line of a stream that failed."""
    return fields.dump({"error": error.message})


def stream_error(said: Json) -> UpstreamError:
    """An error inside a reply that began with status 200."""
    text = refusals.message_of(said)
    message = (
        f"the provider failed while answering: {text}" if text else "the provider failed while answering"
    )
    return UpstreamError(message, code_of(text) or Code.UPSTREAM_ERROR, wire=WIRE, original=said)


def code_of(text: str | None) -> Code | None:
    """What the sentence says, if it is one we know."""
    lower = (text or "").lower()
    return next((code for phrase, code in PHRASES.items() if phrase in lower), None)
