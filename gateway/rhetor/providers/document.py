"""The providers page of the documentation, made from the rows: `python -m rhetor.providers.document`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

from rhetor.core.capability import CONVERSING, Capability
from rhetor.providers.builtin import load_builtin
from rhetor.providers.models import Dollars, ProviderLimits
from rhetor.providers.spec import ProviderRow, QuirkSpec, Source

INTRODUCTION = """\
# Providers

Written by `make docs` from the built-in tables, `gateway/rhetor/providers/builtin.toml` and
`gateway/rhetor/providers/rows/`. Do not edit it here.

A provider of this table is switched on by the key that its vendor's own
variable holds, or by naming it under `providers:` in `rhetor.yaml`. Local
servers need no key: they are on when they answer. A provider that is not in
the table is a few lines of configuration: its language (`wire`), its address,
its key.

What a provider offers is what its better models can do; a single model may do
less. Quirks are where a provider departs from the language it speaks, and
Rhetor follows it there. Each has a page of its own.
"""

PAGE = """\
# {name}

Written by `make docs`; do not edit it here. One of the [built-in providers](../providers.md).
"""

PRICES = (
    "What tokens cost comes from the package `genai-prices` and from the provider's own list: "
    "`GET /v1/models` tells it as of today."
)

ERRORS = """\
## Errors

Its errors are read in its language and told in the caller's, with a code that is the same for
every provider: see [the codes](../doors.md#errors), and [what follows each](../reliability.md).
Whether it does what stands here is told by `rhetor providers check {id}`.
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
    """The index as Markdown. Pure: the same rows give the same page."""
    return "\n".join([INTRODUCTION, _overview(rows), OFFLINE])


def _overview(rows: Iterable[ProviderRow]) -> str:
    lines = ["| Provider | Id | Key | Capabilities | Default model |", "|---|---|---|---|---|"]
    for row in rows:
        key = _code(row.key_env[:1]) if row.auth.required or row.signing else "none needed"
        key = key or "signs with your credentials"
        unnamed = "what you deployed" if row.deployments else "what it has loaded"
        named = [row.default_model] if row.default_model else list(row.default_models.values())[:1]
        model = _code(named) if named else unnamed
        offered = ", ".join(sorted(row.capabilities))
        lines.append(f"| [{row.name}](providers/{row.id}.md) | `{row.id}` | {key} | {offered} | {model} |")
    return "\n".join([*lines, ""])


def provider_page(row: ProviderRow, limits: ProviderLimits | None) -> str:
    """All that is known of one provider.

    Args:
        limits: what is known of its models.
    """
    parts = [PAGE.format(name=row.name), *_facts(row), ""]
    if row.default_models or row.default_model or row.embedding_model:
        parts += ["## Asked unless another model is named", "", *_usual(row), ""]
    parts += ["## Models", "", *_models(row, limits), ""]
    return "\n".join([*parts, ERRORS.format(id=row.id)])


def _facts(row: ProviderRow) -> list[str]:
    facts = [
        ("Id", f"`{row.id}`; requests name `{row.id}/MODEL`"),
        ("Language", row.wire),
        ("Address", f"`{row.base_url}`"),
        ("Address from", _code(row.base_url_env)),
        ("Your own in it", "; ".join(f"`{name}` from {_code(it)}" for name, it in row.place.items())),
        ("Elsewhere", "; ".join(f"`{place}`: `{url}`" for place, url in row.elsewhere.items())),
        ("Key from" if row.auth.required else "Key, if it wants one, from", _code(row.key_env)),
        ("Without a key, signed for", _SIGNERS[row.signing.scheme] if row.signing else ""),
        ("Also speaks", ", ".join(row.also)),
        ("Capabilities", ", ".join(sorted(row.capabilities))),
        ("Features", ", ".join(sorted(row.features))),
        ("Lists its models", "" if row.models_listed else "no"),
        ("Results are fetched from", _code(sorted(row.result_hosts))),
        ("When the caller leaves", _ON_LEAVE[row.on_leave]),
        ("Quirks", _quirks(row.quirks)),
        ("Source", _source(row.docs) if row.docs is not None else ""),
        ("Sources of the quirks", ", ".join(map(_source, row.quirks.sources))),
    ]
    return [f"- {label}: {fact}" for label, fact in facts if fact]


def _usual(row: ProviderRow) -> Iterator[str]:
    """As the catalog has it: of a provider that does not converse, its default model does what it does."""
    first = CONVERSING if Capability.CHAT in row.capabilities else row.capabilities - {Capability.EMBEDDINGS}
    usual = dict.fromkeys(row.capabilities & first, row.default_model)
    usual |= {Capability.EMBEDDINGS: row.embedding_model, **row.default_models}
    yield from ("| For | Model |", "|---|---|")
    yield from (f"| {capability} | `{model}` |" for capability, model in sorted(usual.items()) if model)


def _models(row: ProviderRow, limits: ProviderLimits | None) -> Iterator[str]:
    """What stands in our own table; prices of tokens are of another, which is newer every week."""
    if limits is not None and limits.offered:
        yield f"On offer: {_code(limits.offered)}."
        yield ""
    if limits is None or not limits.models:
        whence = "Its own list counts" if row.models_listed else "Name them in the configuration"
        yield f"{whence}; nothing is known of single models beforehand. {PRICES}"
        return
    yield from (
        "| Model | Context | Writes at most | Only for | Lacks | Costs |",
        "|---|---|---|---|---|---|",
    )
    for id, known in limits.models.items():
        cells = (
            f"`{id}`",
            _count(known.context_tokens),
            _count(known.max_output_tokens),
            ", ".join(sorted(known.capabilities or ())),
            ", ".join(sorted(known.lacks)),
            "nothing" if known.free else _costs(known.dollars),
        )
        yield f"| {' | '.join(cells)} |"
    yield ""
    yield f"A name stands for all ids that begin with it. From {_source(limits.docs)}. {PRICES}"


def _count(tokens: int | None) -> str:
    return f"{tokens:,}".replace(",", " ") if tokens is not None else ""


def _costs(dollars: Dollars | None) -> str:
    if dollars is None:
        return ""
    units = {
        "a million characters": dollars.characters,
        "a minute": dollars.minute,
        "a picture": dollars.image,
        "a second of film": dollars.second_of_video,
    }
    return "; ".join(f"${amount} {unit}" for unit, amount in units.items() if amount is not None)


_ON_LEAVE = {
    "cancel": "its call is aborted",
    "drain": "it is heard out within bounds, since it is paid for anyway",
}
_SIGNERS = {
    "aws": "AWS, with the credentials that its command line would find",
    "google": "Google Cloud, with the credentials that `gcloud` would find",
}


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


if __name__ == "__main__":
    sys.stdout.write(providers_page(load_builtin().values()))
