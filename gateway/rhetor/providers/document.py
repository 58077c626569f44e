"""The providers page of the documentation, made from the rows: `python -m rhetor.providers.document`."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from rhetor.providers.builtin import load_builtin
from rhetor.providers.spec import ProviderRow, QuirkSpec, Source

INTRODUCTION = """\
# Providers

Written by `make docs` from the built-in table, `gateway/rhetor/providers/builtin.toml`. Do not edit it here.

A provider of this table is switched on by the key that its vendor's own
variable holds, or by naming it under `providers:` in `rhetor.yaml`. Local
servers need no key: they are on when they answer. A provider that is not in
the table is a few lines of configuration: its language (`wire`), its address,
its key.

What a provider offers is what its better models can do; a single model may do
less. Quirks are where a provider departs from the language it speaks, and
Rhetor follows it there.
"""

OFFLINE = """\
## The offline provider

`offline` is inside the gateway. It asks no model and says so: `offline/echo`
repeats what it was told, calls a tool that the last message names or that it is
told to call, reports a tool's result, and fills a JSON schema with the least
that fits. `offline/embedding` makes unit vectors from a hash of the text, which
mean nothing beyond being the same for the same text. `offline/estimate` counts
tokens for providers that do not: text by its letters and signs, 1600 tokens an
image, documents by their size, rather too many than too few. It answers only when
it is named, or when nothing else is configured.
"""


def providers_page(rows: Iterable[ProviderRow]) -> str:
    """The page as Markdown. Pure: the same rows give the same page."""
    rows = list(rows)
    return "\n".join([INTRODUCTION, _overview(rows), OFFLINE, *(_section(row) for row in rows)])


def _overview(rows: Iterable[ProviderRow]) -> str:
    lines = ["| Provider | Id | Key | Default model |", "|---|---|---|---|"]
    for row in rows:
        key = "none needed" if not row.auth.required else _code(row.key_env[:1])
        model = _code([row.default_model]) if row.default_model else "what it has loaded"
        lines.append(f"| [{row.name}](#{_anchor(row)}) | `{row.id}` | {key} | {model} |")
    return "\n".join([*lines, ""])


def _section(row: ProviderRow) -> str:
    facts = [
        ("Language", row.wire),
        ("Address", f"`{row.base_url}`"),
        ("Address from", _code(row.base_url_env)),
        ("Key from" if row.auth.required else "Key, if it wants one, from", _code(row.key_env)),
        ("Capabilities", ", ".join(sorted(row.capabilities))),
        ("Features", ", ".join(sorted(row.features))),
        ("Default model", _code([row.default_model] if row.default_model else [])),
        ("Embedding model", _code([row.embedding_model] if row.embedding_model else [])),
        ("Lists its models", "" if row.models_listed else "no"),
        ("Quirks", _quirks(row.quirks)),
        ("Source", _source(row.docs) if row.docs is not None else ""),
        ("Sources of the quirks", ", ".join(map(_source, row.quirks.sources))),
    ]
    lines = [f"- {label}: {fact}" for label, fact in facts if fact]
    return "\n".join([f"## {row.name}", "", *lines, ""])


def _source(source: Source) -> str:
    return f"<{source.url}> (read {source.read})"


def _quirks(quirks: QuirkSpec) -> str:
    said = quirks.model_dump(exclude_none=True, exclude={"sources"})
    return "; ".join(f"`{name}`: {_value(value)}" for name, value in said.items())


def _value(value: object) -> str:
    if isinstance(value, frozenset):
        return _code(sorted(value))
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else f"`{value}`"


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _anchor(row: ProviderRow) -> str:
    """What GitHub makes of the heading."""
    kept = (c for c in row.name.lower() if c.isalnum() or c in " -_")
    return "".join(kept).replace(" ", "-")


if __name__ == "__main__":
    sys.stdout.write(providers_page(load_builtin().values()))
