"""What goes wrong with sessions.

TektonLLMError
└── ProviderError             a backend, or the way to it, failed; see provider and session_id
    ├── SessionError              there is no such session, or its state does not allow that; see state
    ├── ModelNotSupportedError    the backend does not know this model
    └── ProviderUnavailableError  the backend cannot be used now, or too many of its sessions are live

Each of the three is also what the rest of this package calls it: an
`InvalidRequestError`, or a `ServiceUnavailableError`. A token that is refused,
a limit, and a gateway that is not there are no matter of sessions: for these
see `tekton_llm_client.exceptions`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson

from tekton_llm_client import refusals
from tekton_llm_client.exceptions import (
    AuthenticationError,
    InvalidRequestError,
    RateLimitError,
    ServiceUnavailableError,
    TektonLLMError,
)

if TYPE_CHECKING:
    from tekton_llm_client.sessions.models import Session


class ProviderError(TektonLLMError):
    """
    Args:
        provider: the backend at fault, where there is one.
        session_id: the session that was asked for.
        state: in which the session is, where that was the reason.
        param: the field at fault.
    """

    def __init__(
        self,
        message: str,
        provider: str | None = None,
        session_id: str | None = None,
        *,
        state: str | None = None,
        param: str | None = None,
        **about: Any,
    ) -> None:
        super().__init__(message, **about)
        self.provider = provider
        self.session_id = session_id
        self.state = state
        self.param = param


class SessionError(ProviderError, InvalidRequestError):
    pass


class ModelNotSupportedError(ProviderError, InvalidRequestError):
    pass


class ProviderUnavailableError(ProviderError, ServiceUnavailableError):
    pass


_BY_CODE: Mapping[str, type[ProviderError]] = {
    "not_found": SessionError,
    "conflict": SessionError,
    "model_not_found": ModelNotSupportedError,
    "unavailable": ProviderUnavailableError,
    "no_key": ProviderUnavailableError,
    "nothing_to_try": ProviderUnavailableError,
    "pool_full": ProviderUnavailableError,
    "overloaded": ProviderUnavailableError,
    "shutting_down": ProviderUnavailableError,
}
_BY_STATUS: Mapping[int, type[ProviderError]] = {
    404: SessionError,
    409: SessionError,
    503: ProviderUnavailableError,
}
_LASTING = frozenset({"unavailable", "no_key", "nothing_to_try", "pool_full"})
"""Another try does not go better soon: somebody must do something first, or a session must end."""


def refused(status: int, headers: Mapping[str, str], body: bytes) -> TektonLLMError:
    """The exception for an error reply to a call about sessions."""
    plain = refusals.refusal(status, headers, body)
    said = _object(body)
    nested = said.get("error")
    said = {**said, **nested} if isinstance(nested, dict) else said
    kind = _kind(plain, said)
    if kind is None:
        return plain
    retry = plain.retry
    if retry is None and plain.code in _LASTING:
        retry = False
    return kind(
        plain.message,
        _text(said, "provider"),
        state=_text(said, "state"),
        param=_text(said, "param"),
        status=plain.status,
        code=plain.code,
        retry_after_s=plain.retry_after_s,
        retry=retry,
        request_id=plain.request_id,
        attempts=plain.attempts,
    )


def told(error: TektonLLMError, session_id: str | None = None, provider: str | None = None) -> TektonLLMError:
    """The same error, which knows what it was about."""
    if isinstance(error, ProviderError):
        error.session_id = error.session_id or session_id
        error.provider = error.provider or provider
    return error


def failed(message: str, code: object, provider: object, session: Session) -> ProviderError:
    """The exception for a turn that failed, as its last error says it."""
    known = code if isinstance(code, str) else None
    kind = _BY_CODE.get(known or "", ProviderError)
    return kind(message, provider if isinstance(provider, str) else session.backend, session.id, code=known)


def _kind(plain: TektonLLMError, said: Mapping[str, Any]) -> type[ProviderError] | None:
    if isinstance(plain, AuthenticationError | RateLimitError):
        return None
    if said.get("param") == "model":
        return ModelNotSupportedError
    kind = _BY_CODE.get(plain.code or "") or _BY_STATUS.get(plain.status or 0)
    if kind is None and ("provider" in said or said.get("param") in ("backend", "provider")):
        return ProviderError
    return kind


def _object(body: bytes) -> dict[str, Any]:
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return said if isinstance(said, dict) else {}


def _text(said: Mapping[str, Any], name: str) -> str | None:
    value = said.get(name)
    return value if isinstance(value, str) else None
