"""The configuration file's text: YAML, or JSON, read strictly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from rhetor.config.problems import ConfigError, Problem


class _Loader(yaml.SafeLoader):
    """YAML as people expect it: a name that is there twice is an error, and dates are text."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own way of saying it
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for n, key in enumerate(names):
            if any(key.value == earlier.value for earlier in names[:n]):
                raise yaml.MarkedYAMLError(
                    problem=f"{key.value!r} is there twice", problem_mark=key.start_mark
                )
        return super().construct_mapping(node, deep)


def read_file(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigError([Problem(str(path), f"cannot be read: {reason}")]) from None
    try:
        given = _parse(text, path.suffix)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark is not None else str(path)
        raise ConfigError([Problem(where, f"not valid YAML: {error.problem}")]) from None
    except json.JSONDecodeError as error:
        where = f"{path}:{error.lineno}:{error.colno}"
        raise ConfigError([Problem(where, f"not valid JSON: {error.msg}")]) from None
    except RecursionError:
        raise ConfigError([Problem(str(path), "not valid: it is nested too deeply")]) from None
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError([Problem(str(path), f"not valid: {error}")]) from None
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise ConfigError([Problem(str(path), "must hold sections such as `server:` and `providers:`")])
    # `anthropic:` with nothing behind it means the same as `anthropic: {}`.
    given = {section: {} if value is None else value for section, value in given.items()}
    if isinstance(given.get("providers"), dict):
        given["providers"] = {k: {} if v is None else v for k, v in given["providers"].items()}
    return given


def _parse(text: str, suffix: str) -> Any:
    if suffix == ".json":  # YAML takes JSON too, but not when it is indented with tabs
        return json.loads(text, object_pairs_hook=_once)
    return yaml.load(text, _Loader)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for name, value in pairs:
        if name in given:
            raise ValueError(f"{name!r} is there twice")
        given[name] = value
    return given
