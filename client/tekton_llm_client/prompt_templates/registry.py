"""The templates of a component, by name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tekton_llm_client.prompt_templates.loader import BUNDLED, SUFFIXES, read_templates
from tekton_llm_client.prompt_templates.template import PromptTemplate, TemplateError

DEFAULTS = ("defaults.json", "code_review.json")


class PromptTemplateRegistry:
    """Templates by name.

    Args:
        templates_dir: a folder whose templates are loaded, and where they are saved; it need not exist yet.
        load_defaults: begin with the bundled ones; those of the folder win.

    Raises:
        TemplateError: the folder has a file that is no template.
    """

    def __init__(self, templates_dir: str | Path | None = None, load_defaults: bool = True) -> None:
        self.templates: dict[str, PromptTemplate] = {}
        self.templates_dir = None if templates_dir is None else Path(templates_dir)
        if load_defaults:
            for file in bundled():
                self.register(file)
        if self.templates_dir is not None and self.templates_dir.is_dir():
            self.load_from_directory(self.templates_dir)

    def register(self, template: PromptTemplate | Mapping[str, Any]) -> str:
        """Take this template, in the place of another one of its name; the name."""
        if isinstance(template, Mapping):
            template = PromptTemplate.of(template)
        if not template.name:
            raise TemplateError("a template needs a name to be registered")
        self.templates[template.name] = template
        return template.name

    def register_template(self, name: str, template: PromptTemplate | Mapping[str, Any] | str) -> str:
        """Take this template under this name, whatever it called itself."""
        if isinstance(template, str):
            template = PromptTemplate(name, template)
        elif isinstance(template, Mapping):
            template = PromptTemplate.of(template, name)
        return self.register(replace(template, name=name))

    def get(self, name: str) -> PromptTemplate | None:
        return self.templates.get(name)

    def get_template(self, name: str) -> PromptTemplate | None:
        return self.templates.get(name)

    def render(self, name: str, /, variables: Mapping[str, Any] | None = None, **more: Any) -> str:
        """The prompt, filled in.

        Raises:
            TemplateError: there is no such template, or it cannot be filled in.
        """
        return self._known(name).render(variables, **more)

    def list_templates(self) -> list[dict[str, Any]]:
        """Name, description, version and tags of each."""
        return [
            {"name": t.name, "description": t.description, "version": t.version, "tags": list(t.tags)}
            for t in self.templates.values()
        ]

    def remove(self, name: str) -> bool:
        """Whether there was such a template; now there is none."""
        return self.templates.pop(name, None) is not None

    def load_from_directory(self, directory: str | Path) -> int:
        """Take all templates of a folder; how many. One file that cannot be read, and none is taken.

        Raises:
            TemplateError: there is no such folder, or a file is no template.
            ImportError: a file is YAML, and PyYAML is not installed.
        """
        folder = Path(directory)
        if not folder.is_dir():
            raise TemplateError(f"{folder}: there is no such folder")
        paths = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES]
        found = [
            template
            for path in paths
            if path.is_file() and not path.name.upper().startswith("README")
            for template in read_templates(path)
        ]
        for template in found:
            self.register(template)
        return len(found)

    load_templates_from_directory = load_from_directory

    def save_to_file(self, name: str, path: str | Path | None = None) -> Path:
        """Write a template as JSON; where it is now. Without a path it goes into the registry's folder.

        Raises:
            TemplateError: there is no such template, or no folder.
        """
        template = self._known(name)
        if path is None:
            path = self._folder() / file_name(name)
        return _written(Path(path), template)

    def save_all(self, directory: str | Path | None = None) -> list[Path]:
        """Write each template into a file of its own; where they are now."""
        folder = self._folder() if directory is None else Path(directory)
        folder.mkdir(parents=True, exist_ok=True)
        return [_written(folder / file_name(name), template) for name, template in self.templates.items()]

    def _known(self, name: str) -> PromptTemplate:
        if name not in self.templates:
            known = ", ".join(sorted(self.templates)) or "none"
            raise TemplateError(f"no template {name!r}; there are: {known}", name)
        return self.templates[name]

    def _folder(self) -> Path:
        if self.templates_dir is None:
            raise TemplateError("where to? give a path, or make the registry with templates_dir")
        return self.templates_dir


def bundled() -> list[PromptTemplate]:
    """The templates that come with this package."""
    folder = files(BUNDLED) / "templates"
    return [template for name in DEFAULTS for template in read_templates(folder / name)]


def file_name(name: str) -> str:
    """For each template another one, and never a path."""
    quoted = quote(name, safe=" ")
    return f"%2E{quoted[1:]}.json" if quoted.startswith(".") else f"{quoted}.json"


def _written(path: Path, template: PromptTemplate) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(template.to_dict(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path
