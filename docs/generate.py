"""Writes the parts of the documentation that come from the code: `make docs`, or `--check` to only look.

Whole files are `providers.md`, those in `providers/`, and `rhetor.schema.json`. In other pages the
text between `<!-- from the code: NAME -->` and `<!-- end -->` is replaced, and
everything around it is written by hand.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import promises
from reference import regions

from rhetor.config import json_schema
from rhetor.core.errors import MEANING
from rhetor.http.openapi import summary
from rhetor.http.served import Served
from rhetor.http.server import table
from rhetor.providers.builtin import load_builtin
from rhetor.providers.document import provider_page, providers_page
from rhetor.providers.models import load_limits
from rhetor.providers.spec import AuthSpec, QuirkSpec
from rhetor.routing.retry import Remedy, remedy_of
from rhetor.telemetry.metrics import TABLE
from rhetor.wire.base import Quirks

DOCS = Path(__file__).parent
AUTH = "How the key travels: in a header, never in a URL. What is left out stays as the row has it."
QUIRKS = (
    "Where the provider differs from the language it speaks. What is left out stays as the row has it, or "
    "else as the language has it. The pages of `docs/providers.md` show the quirks of the built-in rows."
)
PLAIN = {
    "header": "The header that carries the key.",
    "prefix": "What stands before the key in it.",
    "sources": "Where the vendor writes about it, and when that was read.",
}
"""Settings that need no docstring where they are declared."""
AGAIN = "/api/llm"
REGION = re.compile(r"(<!-- from the code: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
ASKED = {
    Remedy.STOP: "nobody",
    Remedy.AGAIN: "the same target once more, then the next",
    Remedy.ELSEWHERE: "the next target",
    Remedy.SLOW: "the next target, and not this one again",
    Remedy.WAIT: "another account or model, else this one when its window has ended",
    Remedy.OTHER_KEY: "another key or target",
    Remedy.OTHER_MODEL: "a target with another model",
    Remedy.LARGER: "a target that takes longer conversations",
}
"""What follows a failed attempt, in a few words."""
DOORS = {
    "openai": "OpenAI",
    "responses": "OpenAI Responses",
    "anthropic": "Anthropic",
    "ollama": "Ollama",
    "models": "Models, in the shape that the caller's headers imply",
    "tekton": "Tekton",
    "contexts": "Contexts",
    "rhetor": "Older dialects",
    "sessions": "Sessions",
    "jelmore": "Sessions as Jelmore's callers know them",
    "chat": "Chats as the chat platform's callers know them",
    "rerank": "Cohere rerank, as Jina, vLLM and LiteLLM have it too",
    "generate": "Generating anything",
    "conduit": "Jobs as MediaConduit's callers know them",
    "generations": "Recorded generations",
    "services": "Services",
    "plugins": "Plugins, and how providers are doing",
    "ops": "Operations",
}


def pages() -> dict[Path, str]:
    """Every page with something from the code in it, as it should be."""
    written = {
        DOCS / "providers.md": providers_page(load_builtin().values()),
        **{
            DOCS / "providers" / f"{id}.md": provider_page(row, load_limits().get(id))
            for id, row in load_builtin().items()
        },
        DOCS / "rhetor.schema.json": json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n",
    }
    for page in sorted(DOCS.glob("*.md")):
        if page not in written and "<!-- from the code:" in (text := page.read_text("utf-8")):
            written[page] = REGION.sub(lambda match: f"{match[1]}\n{REGIONS[match[2]]()}\n{match[3]}", text)
    return written


def settings() -> str:
    """Every setting of `rhetor.yaml`, section by section."""
    schema = json_schema()
    definitions: Mapping[str, Any] = schema["$defs"]
    parts = []
    for name, section in schema["properties"].items():
        inner = section["anyOf"][0]
        target = _target(inner)
        parts += [f"## {name}", ""]
        if target is None:
            parts += [f"{inner['description']} A mapping of names to names.", ""]
            continue
        about = definitions[target]
        if "patternProperties" in inner:
            parts += [f"{inner['description']}", ""]
        parts += [about["description"], "", *_settings_table(about, definitions), ""]
        if name == "providers":
            parts += ["### auth", "", AUTH, "", *_docstring_table(AuthSpec, AuthSpec, definitions), ""]
            parts += ["### quirks", "", QUIRKS, "", *_docstring_table(QuirkSpec, Quirks, definitions), ""]
        if name == "services":
            for part in ("Health", "Compose", "Reuse", "Restart", "Requires"):
                inside = definitions[f"Service{part}Config"]
                parts += [f"### {part.lower()} of a service", "", inside["description"], ""]
                parts += [*_settings_table(inside, definitions), ""]
        if name == "plugins":
            inside = definitions["PluginLimitsConfig"]
            parts += ["### limits of programs", "", inside["description"], ""]
            parts += [*_settings_table(inside, definitions), ""]
        if name == "routes":
            parts += [
                "### timeouts of a route",
                "",
                *_settings_table(definitions["RouteTimeouts"], definitions),
                "",
            ]
    return "\n".join(parts).rstrip() + "\n"


def endpoints() -> str:
    """Everything that is served, door by door."""
    lines = []
    served = sorted(table(), key=lambda entry: list(DOORS).index(entry.door))
    for door, group in groupby(served, key=lambda entry: entry.door):
        entries = list(group)
        lines += [f"### {DOORS[door]}", "", "| | Path | Token | Errors in | |", "|---|---|---|---|---|"]
        for entry in entries:
            if not entry.path.startswith(AGAIN):
                path = re.sub(r"{(\w+):[^}]*}", r"{\1}", entry.path)
                token = "" if entry.public and not entry.asks else "yes"
                line = (
                    f"| {entry.method} | `{path}` | {token} | {entry.wire.name} | {_cell(summary(entry))} |"
                )
                lines.append(line)
        lines.append("")
        lines += _again(entries)
    return "\n".join(lines)


def _again(entries: Iterable[Served]) -> list[str]:
    """Which of them are served a second time."""
    paths = dict.fromkeys(entry.path for entry in entries)
    again = [path for path in paths if f"{AGAIN}{path}" in paths]
    if not again:
        return []
    some = ", ".join(f"`{path}`" for path in again)
    is_all = all(path in again for path in paths if not path.startswith(AGAIN))
    which = "All of these" if is_all else some
    return [f"{which} again below `{AGAIN}`.", ""]


def metrics() -> str:
    """Every metric that is exported."""
    lines = ["| Metric | Kind | Labels | |", "|---|---|---|---|"]
    for declared in TABLE:
        labels = ", ".join(f"`{label}`" for label in declared.labels)
        lines.append(f"| `{declared.name}` | {declared.kind} | {labels} | {declared.help} |")
    return "\n".join(lines) + "\n"


def codes() -> str:
    """Every error code, its status, and who is asked after an attempt that failed with it."""
    lines = ["| Code | Status | Who is asked then |", "|---|---|---|"]
    for code, meaning in MEANING.items():
        lines.append(f"| `{code}` | {meaning.status} | {ASKED[remedy_of(code)]} |")
    return "\n".join(lines) + "\n"


REGIONS: Mapping[str, Callable[[], str]] = {
    "settings": settings,
    "endpoints": endpoints,
    "metrics": metrics,
    "codes": codes,
    **regions(),
    **promises.regions(),
}


def _settings_table(about: Mapping[str, Any], definitions: Mapping[str, Any]) -> Iterator[str]:
    yield "| Setting | What it takes | Without it | |"
    yield "|---|---|---|---|"
    for name, said in about["properties"].items():
        default = _default(said) if name not in about.get("required", ()) else "required"
        meaning = _cell(said.get("description", ""))
        yield f"| `{name}` | {_kind(said, definitions)} | {default} | {meaning} |"


def _docstring_table(model: type, explained: type, definitions: Mapping[str, Any]) -> Iterator[str]:
    """The settings of a model whose meaning stands in the docstrings below the fields of another class."""
    about, meanings = definitions[model.__name__], _docstrings(explained)
    yield "| Setting | What it takes | |"
    yield "|---|---|---|"
    for name, said in about["properties"].items():
        yield f"| `{name}` | {_kind(said, definitions)} | {_cell(meanings.get(name) or PLAIN[name])} |"


def _docstrings(cls: type) -> dict[str, str]:
    """The strings that stand below a class's fields."""
    (node,) = ast.parse(inspect.getsource(cls)).body
    assert isinstance(node, ast.ClassDef)
    found = {}
    for field, after in zip(node.body, node.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            match after:
                case ast.Expr(ast.Constant(str(text))):
                    found[field.target.id] = inspect.cleandoc(text)
    return found


def _kind(said: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """What a setting takes, in words."""
    said = next((choice for choice in said.get("anyOf", ()) if choice.get("type") != "null"), said)
    if (target := _target(said)) is not None:
        about = definitions[target]
        return _words(about["enum"]) if "enum" in about else "settings, see below"
    if "enum" in said:
        return _words(said["enum"])
    match said.get("type"):
        case "array":
            return f"a list: {_kind(said['items'], definitions)}"
        case "object":
            inner = (
                next(iter(said.get("patternProperties", {}).values()), None) or said["additionalProperties"]
            )
            return f"names, each with {_kind(inner, definitions)}"
        case "integer" | "number" as kind:
            return ("a whole number" if kind == "integer" else "a number") + _bounds(said)
        case "boolean":
            return "true or false"
    if "pattern" in said and "env" in said["pattern"]:
        return "a reference"
    return "text"


def _bounds(said: Mapping[str, Any]) -> str:
    least = [f"from {said['minimum']:g}"] if "minimum" in said else []
    least += [f"more than {said['exclusiveMinimum']:g}"] if "exclusiveMinimum" in said else []
    most = [f"up to {said['maximum']:g}".replace("e+", "e")] if "maximum" in said else []
    return ", " + " ".join(least + most) if least or most else ""


def _default(said: Mapping[str, Any]) -> str:
    default = said.get("default")
    if default is None or default in ([], {}) or isinstance(default, dict):
        return ""
    match default:
        case bool():
            return f"`{str(default).lower()}`"
        case int() | float():
            return f"`{default:g}`"
    return f"`{default}`"


def _target(said: Mapping[str, Any]) -> str | None:
    """The name of the definition that stands for this; also for mappings of such things."""
    if "patternProperties" in said:
        return _target(next(iter(said["patternProperties"].values())))
    said = next((choice for choice in said.get("anyOf", ()) if "$ref" in choice), said)
    return said["$ref"].rpartition("/")[2] if "$ref" in said else None


def _words(values: Iterable[str]) -> str:
    return ", ".join(f"`{value}`" for value in values)


def _cell(text: str) -> str:
    """A docstring in a cell of a table."""
    return " ".join(text.replace("|", "\\|").split())


def main(arguments: list[str]) -> int:
    stale = {
        page: text for page, text in pages().items() if not page.exists() or page.read_text("utf-8") != text
    }
    if "--check" in arguments:
        for page in stale:
            sys.stderr.write(f"{page.relative_to(DOCS.parent)} is not what the code says: run `make docs`\n")
        return 1 if stale else 0
    for page, text in stale.items():
        page.parent.mkdir(exist_ok=True)
        page.write_text(text, "utf-8")
        sys.stdout.write(f"{page.relative_to(DOCS.parent)} written\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
