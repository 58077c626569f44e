"""Who asks, whom by default, and how patiently: arguments win over settings, these over the environment."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, SecretStr, TypeAdapter

DEFAULT_URL = "http://localhost:8003"
DEFAULT_SILENCE_S = 120.0  # a long answer in one piece is silent until it is complete
DEFAULT_RETRIES = 3

SAMPLING = (
    "temperature",
    "max_tokens",
    "stop_sequences",
    "top_p",
    "top_k",
    "presence_penalty",
    "frequency_penalty",
)
FALLBACK = ("fallback_provider", "fallback_model")


@dataclass(slots=True)
class Caller:
    """Who asks, and what holds for each of its calls unless the call says otherwise."""

    component_id: str
    rhetor_url: str = DEFAULT_URL
    provider_id: str | None = None
    model_id: str | None = None
    silence_s: float = DEFAULT_SILENCE_S
    retries: int = DEFAULT_RETRIES
    use_fallback: bool = True
    auth_token: str | None = field(default=None, repr=False)
    context_id: str | None = None
    options: dict[str, Any] = field(default_factory=dict)


def caller(
    component_id: str | None,
    rhetor_url: str | None = None,
    provider_id: str | None = None,
    model_id: str | None = None,
    timeout_s: float | None = None,
    max_retries: int | None = None,
    use_fallback: bool | None = None,
    auth_token: str | None = None,
    settings: object = None,
    llm_settings: object = None,
) -> Caller:
    """
    Args:
        settings: about the client, flat or with settings of the model in `llm`.
        llm_settings: about the model. Of both only what was set counts, not what their classes default to.

    Raises:
        TypeError: nobody says who asks.
        ValueError: the token, a number, or a yes or no is not what it should be.
    """
    about_client = explicit(settings)
    sources = (about_client, explicit(llm_settings), explicit(about_client.get("llm")))

    def first(*names: str) -> Any:
        values = (source.get(name) for source in sources for name in names)
        return next((value for value in values if value is not None), None)

    component_id = component_id or first("component_id")
    if not component_id:
        raise TypeError("component_id is missing: name the component that asks, or give settings that do")
    env = os.environ.get
    url = rhetor_url or first("rhetor_url", "base_url") or env("RHETOR_URL") or DEFAULT_URL
    options: dict[str, Any] = dict(first("additional_options") or {})
    for name in (*SAMPLING, *FALLBACK, "retry_delay"):
        value = first(name)
        if value is None and name in FALLBACK:
            value = env(f"RHETOR_{name.upper()}") or None
        if value is not None:
            options.setdefault(name, value)
    return Caller(
        component_id=component_id,
        rhetor_url=url.rstrip("/"),
        provider_id=provider_id or first("provider_id", "provider") or env("RHETOR_DEFAULT_PROVIDER") or None,
        model_id=model_id or first("model_id", "model") or env("RHETOR_DEFAULT_MODEL") or None,
        silence_s=_number("timeout", timeout_s, first("timeout"), "RHETOR_TIMEOUT", DEFAULT_SILENCE_S),
        retries=int(
            _number("max_retries", max_retries, first("max_retries"), "RHETOR_MAX_RETRIES", DEFAULT_RETRIES)
        ),
        use_fallback=flag("use_fallback", first("use_fallback") if use_fallback is None else use_fallback),
        auth_token=_checked(_revealed(auth_token or first("auth_token")) or env("RHETOR_AUTH_TOKEN")),
        context_id=first("context_id"),
        options=options,
    )


def explicit(settings: object) -> dict[str, Any]:
    """What these settings were told, without the defaults of their class."""
    if settings is None:
        return {}
    if isinstance(settings, BaseModel):
        return {name: getattr(settings, name) for name in settings.model_fields_set}
    return dict(settings) if isinstance(settings, Mapping) else dict(vars(settings))


def options_of(settings: object) -> dict[str, Any]:
    """Settings of the model, for one call, as its options."""
    said = explicit(settings)
    names = {name: name for name in (*SAMPLING, *FALLBACK, "timeout", "retry_delay", "use_fallback")}
    names |= {"provider_id": "provider", "model_id": "model", "provider": "provider", "model": "model"}
    names["max_retries"] = "retry_count"
    return {as_option: said[name] for name, as_option in names.items() if said.get(name) is not None}


def flag(name: str, said: Any) -> bool:
    """Yes, unless no is said, also as text, such as `false`.

    Raises:
        ValueError: it is neither.
    """
    if said is None:
        return True
    try:
        return _FLAG.validate_python(said)
    except ValueError:
        raise ValueError(f"{name}: expected true or false, got {said!r}") from None


_FLAG = TypeAdapter(bool)


def _number(
    name: str, argument: float | None, setting: float | None, variable: str, otherwise: float
) -> float:
    said: Any = setting if argument is None else argument
    if said is None:
        name, said = variable, os.environ.get(variable) or otherwise
    try:
        if math.isfinite(number := float(said)):
            return number
    except (TypeError, ValueError, OverflowError):
        pass
    raise ValueError(f"{name}: expected a number, got {said!r}")


def _checked(token: str | None) -> str | None:
    """A token as a header can carry it, without the end of the line of the file that it is from."""
    token = (token or "").strip()
    if not token.isascii() or not token.isprintable():
        raise ValueError("auth_token: expected printable ASCII, got other characters; it is not shown here")
    return token or None


def _revealed(token: str | SecretStr | None) -> str | None:
    return token.get_secret_value() if isinstance(token, SecretStr) else token
