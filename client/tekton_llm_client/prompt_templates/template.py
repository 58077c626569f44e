"""One prompt with gaps, in either of two languages.

A template that contains `{{` or `{%` is Jinja's, in a sandbox: it reaches the
values that it is given, and nothing behind them. Any other has its gaps
written as `{name}`, `{name:.2f}` or `{name!r}`; braces around anything that
does not begin with a name are text, so that JSON may stand in it. What looks
like a gap of either language and cannot be filled is an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache, lru_cache
from typing import Any, Self

MARKS = ("{{", "{%")
# A space behind the colon, or none before a brace, makes it an object: `{city: string}`.
_GAP = re.compile(
    r"""\{ (?P<name>[A-Za-z_]\w*) (?:
        (?:!(?P<conversion>[ars]))? (?: : (?P<spec>[^\s{}][^{}]*) )? \}
      | (?P<beyond> [.\[][^\s{}]*\} | !\w*[:}] | (?:!\w)?:[^\s{}]*\{ )
    )""",
    re.VERBOSE,
)
_CONVERSIONS: Mapping[str | None, Callable[[Any], Any]] = {"r": repr, "s": str, "a": ascii}
_HUGE = re.compile(r"\d{5}")
"""Of a format: a width that makes a prompt out of nothing but spaces."""
_UNDEFINED = re.compile(r"'(\w+)' is undefined")


class TemplateError(ValueError):
    """A template that cannot be read or filled in.

    Args:
        name: of the template.
        missing: the variable that was not given, where that was it.
    """

    def __init__(self, message: str, name: str = "", missing: str | None = None) -> None:
        super().__init__(message)
        self.name = name
        self.missing = missing


@dataclass
class PromptTemplate:
    """A prompt with gaps.

    Args:
        output_format: what the reply is expected to be, for whoever asks; nothing here depends on it.
    """

    name: str = ""
    template: str = ""
    description: str | None = None
    version: str = "1.0.0"
    tags: list[str] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    output_format: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise TemplateError(f"name: expected text, got {self.name!r}")
        if not isinstance(self.template, str) or not self.template:
            raise TemplateError(f"template {self.name!r}: expected text, got {self.template!r}", self.name)

    @classmethod
    def of(cls, said: Mapping[str, Any], name: str = "") -> Self:
        """The template that these fields describe; `content` is another word for `template`, and fields that
        we have no word for go into `metadata`.

        Raises:
            TemplateError: they describe none.
        """
        own = {part.name for part in fields(cls)}
        known = {key: value for key, value in said.items() if key in own and value is not None}
        known = {"template": said.get("content"), "name": name, "metadata": {}} | known
        if not isinstance(known["metadata"], Mapping):
            raise TemplateError(
                f"template {known['name']!r}: metadata: expected an object", str(known["name"])
            )
        more = {key: value for key, value in said.items() if key not in own and key != "content"}
        known["metadata"] = {**more, **known["metadata"]}
        return cls(**known)

    def render(self, variables: Mapping[str, Any] | None = None, **more: Any) -> str:
        """The prompt, with its gaps filled in.

        Raises:
            TemplateError: a variable is missing, or the template is wrong.
            ImportError: it is one of Jinja's, which is not installed.
        """
        values = {**(variables or {}), **more}
        if any(mark in self.template for mark in MARKS):
            return self._filled_by_jinja(values)
        return _GAP.sub(lambda gap: self._filled(gap, values), self.template)

    def format(self, **variables: Any) -> str:
        """The same under another name."""
        return self.render(variables)

    def to_dict(self) -> dict[str, Any]:
        """What is not empty, for a file."""
        said = {part.name: getattr(self, part.name) for part in fields(self)}
        return {key: value for key, value in said.items() if value}

    def _filled(self, gap: re.Match[str], values: Mapping[str, Any]) -> str:
        name, spec = gap["name"], gap["spec"] or ""
        if gap["beyond"]:
            raise self._wrong(f"{gap[0]}: only {{name}}, {{name:format}} and {{name!r}} can be filled in")
        if name not in values:
            raise TemplateError(f"template {self.name!r}: {name!r} is missing", self.name, name)
        if _HUGE.search(spec):
            raise self._wrong(f"{gap[0]}: a format so wide")
        try:
            return format(_CONVERSIONS.get(gap["conversion"], _itself)(values[name]), spec)
        except (ValueError, TypeError, OverflowError) as error:
            raise self._wrong(f"{gap[0]}: {error}") from error

    def _wrong(self, problem: str) -> TemplateError:
        return TemplateError(f"template {self.name!r}: {problem}", self.name)

    def _filled_by_jinja(self, values: Mapping[str, Any]) -> str:
        try:
            return _compiled(self.template)(values)
        except ImportError:
            raise
        except Exception as error:  # a template is a guest: whatever it raises is its own fault
            undefined = _UNDEFINED.search(str(error))
            missing = undefined[1] if undefined else None
            reason = f"{missing!r} is missing" if missing else f"{type(error).__name__}: {error}"
            if isinstance(error, TemplateError):
                reason = str(error)
            raise TemplateError(f"template {self.name!r}: {reason}", self.name, missing) from error


def _itself(value: Any) -> Any:
    return value


@lru_cache(maxsize=256)
def _compiled(source: str) -> Callable[[Mapping[str, Any]], str]:
    raw = False
    for _, kind, text in _environment().lex(source):
        raw = kind == "raw_begin" or (raw and kind != "raw_end")
        if kind == "data" and not raw and (gap := _GAP.search(text)):
            name = gap["name"]
            raise TemplateError(
                f"{gap[0]} is not filled in, since this is Jinja's language: write {{{{ {name} }}}}, "
                "or {% raw %} around it if it is text"
            )
    return _environment().from_string(source).render  # type: ignore[no-any-return]


@cache
def _environment() -> Any:
    try:
        from jinja2 import StrictUndefined
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ImportError as error:
        message = "this template is written for Jinja: pip install 'tekton-llm-client[templates]'"
        raise ImportError(message) from error
    return ImmutableSandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True)
