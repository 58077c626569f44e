"""Replies that keep a format: lists, pairs, sections and the like, out of text."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from tekton_llm_client.exceptions import FormatError, JSONParsingError
from tekton_llm_client.response_handlers.json_parser import parse_json

if TYPE_CHECKING:
    from pydantic import BaseModel


class OutputFormat(StrEnum):
    JSON = "json"
    LIST = "list"
    KEY_VALUE = "key_value"
    MARKDOWN = "markdown"
    YAML = "yaml"
    TEXT = "text"


class StructuredOutputParser:
    """Reads replies in one format.

    Args:
        format: which.
        model: a pydantic model that the data must fit; `parse` returns objects of it.
    """

    def __init__(
        self, format: OutputFormat | str = OutputFormat.JSON, model: type[BaseModel] | None = None
    ) -> None:
        self.format = OutputFormat(format)
        self.model = model

    def parse(self, text: str) -> Any:
        """
        - json: the data, see `parse_json`.
        - list: the items of a bulleted or numbered list.
        - key_value: a dict of texts, out of lines like `Name: value`.
        - markdown: `{"sections": {heading: text}, "code_blocks": [{"language", "code"}]}`; what stands before
          the first heading is under "".
        - yaml: the data, of which a fence may be around.
        - text: the text.

        Raises:
            FormatError: the text is not in this format, or not what the model wants.
        """
        data = _READERS[self.format](text)
        if self.model is None:
            return data
        from pydantic import ValidationError

        try:
            return self.model.model_validate(data)
        except ValidationError as error:
            raise FormatError(f"not a {self.model.__name__}: {error}") from error


_ITEM = re.compile(r"^([ \t]*)(?:[-*•+]|\d{1,9}[.)])[ \t]+(\S.*)$")
_PAIR = re.compile(
    r"""^([ \t]*) (?:[-*•][ \t]+)?
    (?:\*\*|__)? ([^\s:*][^:\n]{0,99}?) (?:\*\*|__)? : (?:\*\*|__)?
    (?:[ \t]+ (.*))?$""",
    re.VERBOSE,
)
_HEADING = re.compile(r"^[ \t]*#{1,6}[ \t]+(\S.*)$")
_FENCE = re.compile(r"^[ \t]*```[ \t]*([^\s`]*)")


def _json(text: str) -> Any:
    try:
        return parse_json(text)
    except JSONParsingError as error:
        raise FormatError(str(error)) from error


def _list(text: str) -> list[Any]:
    items: list[list[str]] = []
    depth = 0
    for line in text.splitlines():
        if item := _ITEM.match(line):
            depth = len(item[1])
            items.append([item[2].strip()])
        elif items and line.strip() and _indent(line) > depth:
            items[-1].append(line.strip())  # a long item goes on in the next line
    if items:
        return [" ".join(lines) for lines in items]
    data = _data_or_none(text)
    if isinstance(data, list):
        return data
    raise FormatError("no list in the text: expected lines that begin with -, * or a number")


def _pairs(text: str) -> dict[str, Any]:
    pairs: dict[str, list[str]] = {}
    current: list[str] = []
    depth = 0
    for line in text.splitlines():
        if pair := _PAIR.match(line):
            depth = len(pair[1])
            current = pairs[pair[2].strip()] = [pair[3].strip()] if pair[3] else []
        elif line.strip() and _indent(line) > depth:
            current.append(line.strip())  # a long value goes on in the next line
    found = {key: " ".join(lines) for key, lines in pairs.items() if lines}
    if text.lstrip().startswith(("{", "```")) and isinstance(data := _data_or_none(text), dict):
        return data
    if found:
        return found
    raise FormatError("no pairs in the text: expected lines like 'Name: value'")


def _markdown(text: str) -> dict[str, Any]:
    sections: dict[str, list[str]] = {}
    blocks: list[dict[str, str]] = []
    section = sections.setdefault("", [])
    code: list[str] | None = None
    language = ""
    for line in text.splitlines():
        fence = _FENCE.match(line)
        if fence and code is None:
            code, language = [], fence[1]
        elif fence and code is not None:
            blocks.append({"language": language, "code": "\n".join(code)})
            code = None
        elif code is not None:
            code.append(line)
        elif heading := _HEADING.match(line):
            section = sections.setdefault(heading[1].rstrip(" \t#"), [])
            continue
        section.append(line)
    if code is not None:
        blocks.append({"language": language, "code": "\n".join(code)})
    told = {heading: "\n".join(lines).strip() for heading, lines in sections.items()}
    if not told[""]:
        del told[""]
    return {"sections": told, "code_blocks": blocks}


def _yaml(text: str) -> Any:
    try:
        import yaml
    except ImportError as error:
        message = "reading YAML needs PyYAML: pip install 'tekton-llm-client[yaml]'"
        raise ImportError(message) from error
    blocks = _markdown(text)["code_blocks"]
    fenced = [block["code"] for block in blocks if block["language"].lower() in ("yaml", "yml", "")]
    try:
        data = yaml.safe_load(fenced[0] if fenced else text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise FormatError(f"not YAML: {error}") from error
    if not isinstance(data, dict | list):
        raise FormatError("no YAML in the text: expected a mapping or a list")
    return data


def _data_or_none(text: str) -> Any:
    try:
        return parse_json(text)
    except JSONParsingError:
        return None


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


_READERS: Mapping[OutputFormat, Callable[[str], Any]] = {
    OutputFormat.JSON: _json,
    OutputFormat.LIST: _list,
    OutputFormat.KEY_VALUE: _pairs,
    OutputFormat.MARKDOWN: _markdown,
    OutputFormat.YAML: _yaml,
    OutputFormat.TEXT: str,
}
