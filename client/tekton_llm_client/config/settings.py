"""Settings of a component, as objects and in files.

They keep secrets to themselves: neither their `repr` nor a file has one,
unless it is asked for.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tekton_llm_client.config.environment import get_env, get_env_list

HIDDEN = "***"
_SECRET = re.compile(
    r"(?:^|[_-])(?:token|secret|password|credentials?|api_?key|key|authorization)$", re.IGNORECASE
)

_FROM_ENVIRONMENT = (
    "provider",
    "model",
    "rhetor_url",
    "timeout",
    "max_retries",
    "use_fallback",
    "auth_token",
    "temperature",
    "max_tokens",
    "stop_sequences",
    "templates_dir",
    "fallback_provider",
    "fallback_model",
)


class SettingsError(ValueError):
    """Settings that cannot be read or written; says where, and why."""


class _Settings(BaseModel):
    """Takes and keeps whatever else it is told."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            yield name, _censored(value) if not _secret(name) or value is None else HIDDEN


class LLMSettings(_Settings):
    """Which model, and how it is asked. What was not set is left to the client and the gateway."""

    provider: str = "anthropic"
    model: str | None = None
    rhetor_url: str = "http://localhost:8003"
    """Where the gateway is, a path prefix included."""
    timeout: float = 120
    """Seconds of silence after which the gateway counts as stuck."""
    max_retries: int = 3
    """Further tries while nothing was said."""
    retry_delay: float = 1000
    """Milliseconds before the first of them; each pause is twice as long as the one before."""
    use_fallback: bool = True
    """Whether the fallback below is passed on to the gateway."""
    auth_token: str | None = None
    """For a gateway that wants one."""
    temperature: float = 0.7
    max_tokens: int | None = None
    """Of the reply."""
    stop_sequences: list[str] | None = None
    """Texts that end the reply, and are not part of it."""
    top_p: float | None = None
    top_k: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    templates_dir: str | None = None
    """For a `PromptTemplateRegistry`; the client does not read it."""
    fallback_provider: str | None = None
    """Whom the gateway asks when the first one fails."""
    fallback_model: str | None = None


class ClientSettings(_Settings):
    """Who asks. What concerns the model stands in `llm`, or flat beside the rest."""

    component_id: str
    version: str = "0.1.0"
    """Of the component."""
    llm: LLMSettings = Field(default_factory=LLMSettings)
    context_id: str | None = None
    """The conversation that requests belong to where they name none."""
    additional_options: dict[str, Any] = Field(default_factory=dict)
    """Go along with each request, beside the options that have names here."""

    @model_validator(mode="after")
    def _may_be_filled_later(self) -> Self:
        self.model_fields_set.update(("llm", "additional_options"))
        return self


def get_default_settings(component_id: str) -> ClientSettings:
    return ClientSettings(component_id=component_id, context_id=component_id)


def load_settings(
    component_id: str, file_path: str | Path | None = None, load_from_env: bool = True
) -> ClientSettings:
    """The defaults, then what the file says, then the variables `TEKTON_LLM_…`.

    Who asks is the argument's to say, whatever the file says.

    Raises:
        SettingsError: the file cannot be read; or what it says, or the environment, is not what it should be.
    """
    said: dict[str, Any] = {"context_id": component_id}
    if file_path is not None:
        said |= _read(Path(file_path))
    said["component_id"] = component_id
    _checked(said, str(file_path or "settings"))
    if load_from_env:
        said["llm"] = {**(said.get("llm") or {}), **_variables()}
    return _checked(said, "the environment")


def save_settings(settings: ClientSettings, path: str | Path, *, include_secrets: bool = False) -> bool:
    """Write what was set as JSON, readable for its owner only; always True.

    Raises:
        SettingsError: it cannot be written; what stood there is still there.
    """
    path = Path(path)
    said = settings.model_dump(mode="json", exclude_unset=True)
    text = json.dumps(said if include_secrets else _without_secrets(said), indent=2, ensure_ascii=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, draft = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.name}."
        )  # 0600 from its beginning
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text + "\n")
            os.replace(draft, path)
        except BaseException:
            os.unlink(draft)
            raise
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror or error}") from error
    return True


def _read(path: Path) -> dict[str, Any]:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{path}: not JSON: {error}") from error
    if not isinstance(said, dict) or not isinstance(said.get("llm") or {}, dict):
        raise SettingsError(f"{path}: expected an object, with another one in `llm`")
    return said


def _variables() -> dict[str, Any]:
    """Texts; what they should be is for the model to say."""
    said: dict[str, Any] = {name: get_env(name.upper()) for name in _FROM_ENVIRONMENT}
    try:
        said["stop_sequences"] = get_env_list("STOP_SEQUENCES")
    except ValueError as error:
        raise SettingsError(str(error)) from error
    return {name: value for name, value in said.items() if value is not None}


def _checked(said: Mapping[str, Any], source: str) -> ClientSettings:
    try:
        return ClientSettings.model_validate(said)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        told = [f"{'.'.join(str(part) for part in found['loc'])}: {found['msg']}" for found in problems]
        raise SettingsError(f"{source}: " + "; ".join(told)) from None  # which would show the values


def _secret(name: object) -> bool:
    return isinstance(name, str) and _SECRET.search(name) is not None


def _censored(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: HIDDEN if _secret(name) else _censored(inner) for name, inner in value.items()}
    return [_censored(inner) for inner in value] if isinstance(value, list) else value


def _without_secrets(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_secrets(inner) for name, inner in value.items() if not _secret(name)}
    return [_without_secrets(inner) for inner in value] if isinstance(value, list) else value
