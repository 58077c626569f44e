"""A small client for language models behind a Rhetor gateway.

Importing this package imports nothing else: each name brings its module when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tekton_llm_client.client import TektonLLMClient
    from tekton_llm_client.compat import Client
    from tekton_llm_client.config import (
        ClientSettings,
        LLMSettings,
        get_default_settings,
        get_env,
        get_env_bool,
        get_env_dict,
        get_env_float,
        get_env_int,
        get_env_list,
        has_env,
        load_settings,
        save_settings,
        set_env,
    )
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
    from tekton_llm_client.prompt_templates import PromptTemplate, PromptTemplateRegistry, load_template
    from tekton_llm_client.response_handlers import (
        JSONParser,
        OutputFormat,
        StreamHandler,
        StructuredOutputParser,
        collect_stream,
        extract_json,
        parse_json,
        stream_to_string,
    )
    from tekton_llm_client.sessions.client import SessionsClient
    from tekton_llm_client.ws_client import TektonLLMWebSocketClient

__version__ = "1.0.0"

__all__ = [
    "AdapterError",
    "AuthenticationError",
    "Client",
    "ClientSettings",
    "ConnectionError",
    "FallbackError",
    "FormatError",
    "InvalidRequestError",
    "JSONParser",
    "JSONParsingError",
    "LLMSettings",
    "OutputFormat",
    "PromptTemplate",
    "PromptTemplateRegistry",
    "RateLimitError",
    "ServiceUnavailableError",
    "SessionsClient",
    "StreamHandler",
    "StructuredOutputParser",
    "TektonLLMClient",
    "TektonLLMError",
    "TektonLLMWebSocketClient",
    "TimeoutError",
    "collect_stream",
    "extract_json",
    "get_default_settings",
    "get_env",
    "get_env_bool",
    "get_env_dict",
    "get_env_float",
    "get_env_int",
    "get_env_list",
    "has_env",
    "load_settings",
    "load_template",
    "parse_json",
    "save_settings",
    "set_env",
    "stream_to_string",
]

_ROOMS = {
    "client": ("TektonLLMClient",),
    "ws_client": ("TektonLLMWebSocketClient",),
    "compat": ("Client",),
    "sessions": ("SessionsClient",),
    "exceptions": tuple(name for name in __all__ if name.endswith("Error")),
    "prompt_templates": ("PromptTemplate", "PromptTemplateRegistry", "load_template"),
    "response_handlers": (
        "JSONParser",
        "OutputFormat",
        "StreamHandler",
        "StructuredOutputParser",
        "collect_stream",
        "extract_json",
        "parse_json",
        "stream_to_string",
    ),
    "config": tuple(name for name in __all__ if "env" in name or "ettings" in name),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}


def __getattr__(name: str) -> object:
    room = _ROOM_OF.get(name)
    if room is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(f"{__name__}.{room}"), name)
    globals()[name] = found  # next time it is simply there
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
