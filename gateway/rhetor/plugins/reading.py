"""Somebody else's YAML, read as data: bounded in size and depth, without tags, anchors or names that are
there twice."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import yaml

from rhetor.core.value import value

MOST_BYTES = 256 * 1024  # a manifest with four hundred models has sixty thousand
MOST_NODES = 20_000
MOST_DEEP = 16
MOST_DIGITS = 100  # Python makes numbers of any length out of them, and refuses to show those
UNSHOWN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that steer a terminal, turn what is read around, or are none: escapes in quotes make them."""


@value
class Problem:
    """Something that is wrong with a plugin."""

    path: str
    """Where: `providers.cowsay.models[0]`."""
    message: str
    """What is wrong, and what to do."""
    value: str | None = None

    def __str__(self) -> str:
        shown = f" (is {self.value})" if self.value is not None else ""
        return f"{self.path}: {self.message}{shown}"


class Unreadable(Exception):
    """A file that is no manifest; `problem` says where and why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


class _Loader(yaml.SafeLoader):
    """Dates are text, and nothing is there twice."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own way of saying it
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise _wrong(f"{key.value!r} is there twice; keep one of them", key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_number(self, node: yaml.ScalarNode) -> int | float:
        if len(node.value) > MOST_DIGITS:
            raise _wrong(f"a number of more than {MOST_DIGITS} digits", node.start_mark)
        is_whole = node.tag.endswith(":int")
        number: int | float = self.construct_yaml_int(node) if is_whole else self.construct_yaml_float(node)
        return number


for _tag in ("int", "float"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _Loader.construct_number)


def read_mapping(data: bytes, name: str) -> dict[str, Any]:
    """What a file says, which is settings by name.

    Raises:
        Unreadable: it is not that, or asks for more than data.
    """
    if len(data) > MOST_BYTES:
        raise Unreadable(Problem(name, f"is larger than {MOST_BYTES >> 10} KiB: a manifest is short"))
    try:
        text = data.decode("utf-8-sig")
        _check(yaml.parse(text, yaml.SafeLoader))
        given = yaml.load(text, _Loader)
    except UnicodeDecodeError:
        raise Unreadable(Problem(name, "is not UTF-8 text")) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark is not None else name
        raise Unreadable(Problem(where, f"is not valid: {error.problem}")) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Unreadable(Problem(name, f"is not valid YAML: {error}")) from None
    if not isinstance(given, dict) or not all(isinstance(key, str) for key in given):
        raise Unreadable(Problem(name, "must hold settings, each as `name: value`"))
    return given


def _check(events: Iterable[yaml.Event]) -> None:
    """Refuse what would be more than data, before anything is made of it."""
    nodes = depth = 0
    for event in events:
        mark = event.start_mark
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _wrong("anchors and aliases are not taken; write it out", mark)
        if isinstance(event, yaml.NodeEvent):
            nodes += 1
        if isinstance(event, yaml.ScalarEvent) and UNSHOWN.search(event.value):
            raise _wrong("there are characters that cannot be shown; leave them out", mark)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if nodes > MOST_NODES:
            raise _wrong(f"there are more than {MOST_NODES} values; a manifest is short", mark)
        if depth > MOST_DEEP:
            raise _wrong(f"it is nested more than {MOST_DEEP} deep", mark)
        if (tag := getattr(event, "tag", None)) is not None:
            raise _wrong(f"tags such as {tag} are not taken; leave it out", mark)


def _wrong(what: str, mark: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=what, problem_mark=mark)
