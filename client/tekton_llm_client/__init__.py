"""A small client for language models behind a Rhetor gateway."""

from tekton_llm_client.client import TektonLLMClient
from tekton_llm_client.exceptions import (
    AdapterError,
    AuthenticationError,
    ConnectionError,
    FallbackError,
    FormatError,
    InvalidRequestError,
    JSONParsingError,
    RateLimitError,
    ServiceUnavailableError,
    TektonLLMError,
    TimeoutError,
)

__version__ = "0.3.0"

__all__ = [
    "AdapterError",
    "AuthenticationError",
    "ConnectionError",
    "FallbackError",
    "FormatError",
    "InvalidRequestError",
    "JSONParsingError",
    "RateLimitError",
    "ServiceUnavailableError",
    "TektonLLMClient",
    "TektonLLMError",
    "TimeoutError",
]
