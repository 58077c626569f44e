"""An official client of a JavaScript program is pointed at the gateway, where that is beyond doubt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rhetor.migrate.finding import Edit, Place
from rhetor.migrate.imports import Undecided
from rhetor.migrate.packages import DEFAULT_URL, words
from rhetor.migrate.script_names import ScriptNames
from rhetor.migrate.tokens import Sort
from rhetor.migrate.values import Client
from rhetor.migrate.vendors import vendor_of_address

PAGES = (".html", ".htm", ".vue", ".svelte", ".astro", ".jsx", ".tsx")
LONGEST_LINE = 100  # what most formatters allow, or nearly
OF_PAGES = frozenset({"window", "document", "navigator", "localStorage", "dangerouslyAllowBrowser", "Deno"})

_BEFORE_BINDING = frozenset({*"(,{[:", "...", *words("const let var class function as async import type")})
_AFTER_BINDING = frozenset({*"=,)]}:?;{", *words("of in extends")})
"""Around a name that is declared, or a parameter; an argument looks the same, and is taken for one."""


@dataclass(frozen=True, slots=True)
class _Option:
    """One property of the constructor's options, by its tokens."""

    key: int
    start: int
    end: int
    """Of its value, the last token included; the key itself where the property is only a name."""
    is_short: bool


def pointed(names: ScriptNames, client: Client, name: int, opening: int) -> tuple[Edit, ...]:
    """The edits that have a constructor reach the gateway; its name's token and its bracket's, or zero.

    Raises:
        Undecided: says what somebody has to look at.
    """
    pointing = client.package.pointing
    if pointing is None or client.made_by not in pointing.classes:
        raise Undecided(f"{names.token(name).value} cannot be pointed at the gateway by two options")
    if names.source.file.lower().endswith(PAGES) or any(t.value in OF_PAGES for t in names.tokens):
        raise Undecided("in a page no key is a secret: let it use tekton-llm-client.js and tickets")
    options = _options(names, opening) if opening else {}
    if doubtful := sorted(options.keys() & pointing.doubtful):
        raise Undecided(f"`{doubtful[0]}` also says where it goes, or who asks")
    there = options.get(pointing.base_url)
    if there is not None:
        text = names.token(there.start)
        own = text.sort is Sort.TEXT and vendor_of_address(text.value) == client.package.vendor
        if not own or there.start != there.end:
            raise Undecided(f"`{pointing.base_url}` sends it somewhere else already")
    q = "'" if names.source.text.count("'") > names.source.text.count('"') else '"'
    url = f"process.env.RHETOR_URL ?? {q}{DEFAULT_URL}{q}"
    wanted = {
        pointing.base_url: f"({url}) + {q}{pointing.suffix}{q}" if pointing.suffix else url,
        pointing.key: f"process.env.RHETOR_AUTH_TOKEN || {q}none{q}",
    }
    if any(_binds_process(names, i) for i, token in enumerate(names.tokens) if token.value == "process"):
        raise Undecided("the name process means something else in this file")
    edits = tuple(_edits(names, name, opening, options, wanted))
    if any(_has_comment(names, edit) for edit in edits):
        raise Undecided("a comment stands in what would be replaced")
    return edits


def _binds_process(names: ScriptNames, i: int) -> bool:
    """Whether a mention of `process` could give the name another meaning; Node's own module does not."""
    before, after = names.token(i - 1).value, names.token(i + 1).value
    if names.token(i).sort is not Sort.NAME or after in (".", "?.", "["):
        return False
    if after == "(":
        return before == "function" or (before == "*" and names.token(i - 2).value == "function")
    if after == "from":
        return names.token(i + 2).value not in ("process", "node:process")
    return after == "=>" or (before in _BEFORE_BINDING and after in _AFTER_BINDING)


def _has_comment(names: ScriptNames, edit: Edit) -> bool:
    """Whether between the tokens of what is replaced stands more than space."""
    at = edit.start
    for token in names.tokens:
        if edit.start <= token.start < edit.end:
            if names.source.text[at : token.start].strip():
                return True
            at = token.end
    return bool(names.source.text[at : edit.end].strip())


def removed(names: ScriptNames, client: Client, opening: int) -> tuple[Place, ...]:
    """The key that goes when a constructor is made to reach the gateway."""
    pointing = client.package.pointing
    option = _options(names, opening).get(pointing.key) if pointing and opening else None
    return ((names.token(option.start).start, names.token(option.end).end),) if option else ()


def _options(names: ScriptNames, opening: int) -> dict[str, _Option]:
    """The properties of an object literal that is the only argument."""
    end = names.closing(opening)
    if end == opening + 1:
        return {}
    body = opening + 1
    close = names.closing(body)
    if names.token(body).value != "{" or names.token(close + 1).value not in (")", ","):
        raise Undecided("its options come from elsewhere")
    found: dict[str, _Option] = {}
    i = body + 1
    while i < close:
        token = names.token(i)
        stop = i
        while stop < close and not (names.token(stop).value == "," and names.around.get(stop) == body):
            stop += 1
        if token.sort not in (Sort.NAME, Sort.TEXT) or names.token(i + 1).value not in (":", ",", "}"):
            raise Undecided("its options come from elsewhere")
        is_short = names.token(i + 1).value != ":"
        found[token.value] = _Option(i, i if is_short else i + 2, i if is_short else stop - 1, is_short)
        i = stop + 1
    return found


def _edits(
    names: ScriptNames, name: int, opening: int, options: Mapping[str, _Option], wanted: Mapping[str, str]
) -> list[Edit]:
    body = opening + 1
    start = names.token(body).start if options else names.token(name).end
    end = names.token(names.closing(body) if options else names.closing(opening) if opening else name).end
    if names.source.line_of(start) == names.source.line_of(end):
        return [_on_one_line(names, start, end, options, wanted)]
    edits = []
    for key, text in wanted.items():
        if (option := options.get(key)) is not None:
            at, stop = names.token(option.start).start, names.token(option.end).end
            edits.append(Edit(at, stop, f"{key}: {text}" if option.is_short else text))
    new = [f"{key}: {text}" for key, text in wanted.items() if key not in options]
    return [*edits, *([_inserted(names, body, new)] if new else [])]


def _on_one_line(
    names: ScriptNames, start: int, end: int, options: Mapping[str, _Option], wanted: Mapping[str, str]
) -> Edit:
    """All options anew: on one line if they fit there, else each on its own."""
    source = names.source
    kept = [
        source.text[names.token(option.key).start : names.token(option.end).end]
        for key, option in options.items()
        if key not in wanted
    ]
    said = [*(f"{key}: {text}" for key, text in wanted.items()), *kept]
    line = source.line_text(source.line_of(start))
    brackets = ("{", "}") if options else ("({", "})")
    text = f"{brackets[0]} {', '.join(said)} {brackets[1]}"
    if len(line) - (end - start) + len(text) <= LONGEST_LINE:
        return Edit(start, end, text)
    indent = line[: len(line) - len(line.lstrip())]
    step = "\t" if indent.startswith("\t") else "  "
    joint = f"{source.newline}{indent}{step}"
    return Edit(
        start, end, f"{brackets[0]}{joint}{f',{joint}'.join(said)},{source.newline}{indent}{brackets[1]}"
    )


def _inserted(names: ScriptNames, body: int, new: list[str]) -> Edit:
    """Before the first property of an object of several lines."""
    source = names.source
    first = names.token(body + 1).start
    line = source.line_start(first)
    if names.closing(body) == body + 1:
        return Edit(names.token(body).end, first, f" {', '.join(new)} ")
    joint = ", " if source.text[line:first].strip() else f",{source.newline}{source.text[line:first]}"
    return Edit(first, first, "".join(f"{option}{joint}" for option in new))
