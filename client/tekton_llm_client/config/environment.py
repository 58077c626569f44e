"""Variables of the environment, with a prefix of their own: `get_env("MODEL")` reads `TEKTON_LLM_MODEL`.

A variable that is set to something else than it should be is an error, never
quietly its default. One that is empty counts as not set.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

PREFIX = "TEKTON_LLM_"

T = TypeVar("T")
D = TypeVar("D")

_BOOLEANS = {
    **dict.fromkeys(("true", "1", "yes", "y", "on", "t"), True),
    **dict.fromkeys(("false", "0", "no", "n", "off", "f"), False),
}


def get_env(
    key: str, default: D | None = None, required: bool = False, use_prefix: bool = True
) -> str | D | None:
    """Its text.

    Raises:
        ValueError: it is required and not set.
    """
    return _read(key, default, required, use_prefix, str)


def get_env_bool(
    key: str, default: D | None = None, required: bool = False, use_prefix: bool = True
) -> bool | D | None:
    """true, 1, yes and on; false, 0, no and off; in any case."""
    return _read(
        key, default, required, use_prefix, lambda said: _BOOLEANS[said.strip().lower()], "true or false"
    )


def get_env_int(
    key: str, default: D | None = None, required: bool = False, use_prefix: bool = True
) -> int | D | None:
    return _read(key, default, required, use_prefix, int, "a whole number")


def get_env_float(
    key: str, default: D | None = None, required: bool = False, use_prefix: bool = True
) -> float | D | None:
    return _read(key, default, required, use_prefix, float, "a number")


def get_env_list(
    key: str,
    default: D | None = None,
    required: bool = False,
    use_prefix: bool = True,
    separator: str = ",",
) -> list[str] | D | None:
    """Texts between separators, or a list in JSON."""
    return _read(key, default, required, use_prefix, lambda said: _list(said, separator), "a list")


def get_env_dict(
    key: str, default: D | None = None, required: bool = False, use_prefix: bool = True
) -> dict[str, Any] | D | None:
    """An object in JSON, or `name=value,name=value`."""
    return _read(key, default, required, use_prefix, _dict, 'JSON like {"name": "value"}, or name=value,…')


def set_env(key: str, value: Any, use_prefix: bool = True) -> None:
    """Set it for this process and its children, so that its reader finds the same value."""
    os.environ[_named(key, use_prefix)] = _said(value)


def has_env(key: str, use_prefix: bool = True) -> bool:
    return bool(os.environ.get(_named(key, use_prefix)))


def _read(
    key: str,
    default: D | None,
    required: bool,
    use_prefix: bool,
    parse: Callable[[str], T],
    expected: str = "",
) -> T | D | None:
    name = _named(key, use_prefix)
    said = os.environ.get(name)
    if not said:
        if required:
            raise ValueError(f"{name} is not set, and there is no default for it")
        return default
    try:
        return parse(said)
    except (ValueError, KeyError) as error:
        raise ValueError(f"{name}: expected {expected}, got {said!r}") from error


def _named(key: str, use_prefix: bool) -> str:
    return PREFIX + key if use_prefix and not key.startswith(PREFIX) else key


def _list(said: str, separator: str) -> list[str]:
    if said.lstrip().startswith("["):
        return [str(item) for item in json.loads(said)]
    return [item.strip() for item in said.split(separator) if item.strip()]


def _dict(said: str) -> dict[str, Any]:
    if said.lstrip().startswith("{"):
        return dict(json.loads(said))
    pairs = [item.partition("=") for item in said.split(",") if item.strip()]
    if not all(equals for _, equals, _ in pairs):
        raise ValueError("a pair without '='")
    return {name.strip(): value.strip() for name, _, value in pairs}


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return json.dumps(dict(value))
    if isinstance(value, Sequence) and not isinstance(value, str):
        return json.dumps(list(value))
    return str(value)
