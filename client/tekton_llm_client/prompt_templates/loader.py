"""Templates out of files: JSON, YAML or plain text, on disk or within a package."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath
from typing import Any

from tekton_llm_client.prompt_templates.template import PromptTemplate, TemplateError

BUNDLED = "tekton_llm_client.prompt_templates"
DATA_SUFFIXES = (".json", ".yaml", ".yml")
SHOWN = 80  # characters of a name that is too long for any file
SUFFIXES = (*DATA_SUFFIXES, ".txt")


def load_template(source: str | Path, name: str | None = None) -> PromptTemplate:
    """One template.

    Args:
        source: a file; or `package:path` of a resource; or the name of a bundled file, such as
            `code_review.json`. What is neither JSON nor YAML is the text of the template itself.
        name: which one, of a file that has several; else how it is called from now on.

    Raises:
        TemplateError: there is none, or it cannot be read.
        ImportError: it is YAML, and PyYAML is not installed.
    """
    found = read_templates(_located(str(source)))
    if name is None:
        if len(found) > 1:
            names = ", ".join(template.name for template in found)
            raise TemplateError(f"{source} has several templates: give the name of one of {names}")
        return found[0]
    if len(found) == 1:
        return replace(found[0], name=name)
    for template in found:
        if template.name == name:
            return template
    raise TemplateError(f"{source} has no template {name!r}", name)


def read_templates(file: Traversable) -> list[PromptTemplate]:
    """All templates of a file: one, a list of them, or a dict of them by name.

    Raises:
        TemplateError: it has none, or cannot be read.
    """
    stem, suffix = PurePosixPath(file.name).stem, PurePosixPath(file.name).suffix.lower()
    try:
        text = file.read_text(encoding="utf-8")
        if suffix not in DATA_SUFFIXES:
            return [PromptTemplate(stem, text)]
        templates = list(_described(_data(text, suffix), stem))
    except TemplateError as error:
        raise TemplateError(f"{file}: {error}", error.name) from error
    except (OSError, ValueError, RecursionError) as error:
        raise TemplateError(f"{file}: {error}", stem) from error
    if not templates:
        raise TemplateError(f"{file}: there is no template in it", stem)
    return templates


def _described(said: Any, name: str) -> Iterator[PromptTemplate]:
    if isinstance(said, str):
        yield PromptTemplate(name, said)
    elif isinstance(said, list):
        for n, one in enumerate(said):
            yield from _described(one, f"{name}[{n}]")
    elif not isinstance(said, Mapping):
        raise TemplateError(f"expected a template, got {said!r}", name)
    elif isinstance(said.get("template", said.get("content")), str):
        yield PromptTemplate.of(said, name)
    else:
        for key, one in said.items():
            yield from _described(one, str(key))


def _data(text: str, suffix: str) -> Any:
    if suffix == ".json":
        return json.loads(text)
    try:
        import yaml
    except ImportError as error:
        message = "templates in YAML need PyYAML: pip install 'tekton-llm-client[yaml]'"
        raise ImportError(message) from error
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"not YAML: {error}") from error


def _located(source: str) -> Traversable:
    path = Path(source)
    try:
        if path.is_file():
            return path
    except OSError as error:
        raise TemplateError(f"{source[:SHOWN]}…: {error.strerror}") from error
    package, colon, inside = source.partition(":")
    if colon:
        return _resource(package, inside, source)
    bundled = files(BUNDLED) / "templates"
    for resource in bundled.iterdir():
        if source in (resource.name, PurePosixPath(resource.name).stem):
            return resource
    raise TemplateError(f"no template in {source!r}: there is no such file, nor is it bundled")


def _resource(package: str, inside: str, source: str) -> Traversable:
    parts = PurePosixPath(inside).parts
    if not parts or ".." in parts or PurePosixPath(inside).is_absolute():
        raise TemplateError(f"{source}: expected package:path, within the package")
    try:
        resource = files(package).joinpath(*parts)
    except (ImportError, TypeError, ValueError) as error:
        raise TemplateError(f"{source}: there is no package {package!r}") from error
    if not resource.is_file():
        raise TemplateError(f"{source}: the package has no such file")
    return resource
