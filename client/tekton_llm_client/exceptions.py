"""Everything that can go wrong between a component and its gateway.

TektonLLMError
├── ConnectionError           the gateway is not there, or went away
├── TimeoutError              it was silent for too long, or waited too long for a provider
├── AuthenticationError       it wants a token, or another one
├── ServiceUnavailableError   nobody behind it can answer at the moment
├── RateLimitError            too many requests; see retry_after_s
├── InvalidRequestError       the request itself must change
├── AdapterError              it answered in a way that none of the above describes
└── FallbackError             never raised: a fallback that fails too is in the attempts of the error

FormatError                   a model's text has not the shape that was asked for
JSONParsingError              a model's text is not JSON
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tekton_llm_client.models import Attempt


class TektonLLMError(Exception):
    """What the gateway, or the way to it, refused.

    Args:
        message: the gateway's own words where it answered.
        status: its HTTP status; None when there was no answer.
        code: its stable name for what went wrong, where it gave one.
        retry_after_s: how long it asked to be left alone, in seconds.
        retry: its own word on whether trying again is any use; None when it did not say.
        request_id: under what name its log knows the request.
        attempts: whom it asked, in order, and how that went.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        retry_after_s: float | None = None,
        retry: bool | None = None,
        request_id: str | None = None,
        attempts: Sequence[Attempt] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.retry_after_s = retry_after_s
        self.retry = retry
        self.request_id = request_id
        self.attempts = tuple(attempts)


class ConnectionError(TektonLLMError):  # the name is promised; import it by module if you need both
    pass


class TimeoutError(TektonLLMError):
    pass


class AuthenticationError(TektonLLMError):
    pass


class ServiceUnavailableError(TektonLLMError):
    pass


class RateLimitError(TektonLLMError):
    pass


class InvalidRequestError(TektonLLMError):
    pass


class AdapterError(TektonLLMError):
    def __init__(self, adapter_id: str, message: str, **about: Any) -> None:
        super().__init__(message, **about)
        self.adapter_id = adapter_id

    def __reduce__(self) -> tuple[Any, ...]:
        """How it is copied and pickled: an exception's own way knows the message alone."""
        return type(self), (self.adapter_id, self.message), vars(self)


class FallbackError(TektonLLMError):
    """For old `except` clauses. Nothing raises it: see `attempts` of the error that there is."""


class FormatError(Exception):
    pass


class JSONParsingError(Exception):
    """Carries the text, and what of it could be understood."""

    def __init__(self, message: str, content: str | None = None, partial_data: Any = None) -> None:
        super().__init__(message)
        self.content = content
        self.partial_data = partial_data
