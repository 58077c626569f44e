"""Plugins in words, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rhetor.core.content import Json, JsonValue

WELL, ILL, MAYBE = "✓", "✗", "·"
MARKS: Mapping[str, str] = {"loaded": WELL, "off": MAYBE}
HEALTH: Mapping[str, str] = {"healthy": WELL, "unhealthy": ILL}
COMMIT = 12  # digits that people compare
SAID_LINES = 5
MANY = 6  # models; the rest is counted


def listing(told: Json, where: str) -> list[str]:
    """Every plugin on a line, and below it why it is not used."""
    lines = []
    plugins = _things(told.get("data"))
    rows = [(_word(each, "id"), _word(each, "version"), _whence(each), _whom(each)) for each in plugins]
    widths = [max((len(row[n]) for row in rows), default=0) for n in range(3)]
    for each, (id, version, whence, whom) in zip(plugins, rows, strict=True):
        mark = MARKS.get(_word(each, "status"), ILL)
        lines.append(
            f"{mark} {id:<{widths[0]}}  {version:<{widths[1]}}  {whence:<{widths[2]}}  {whom}".rstrip()
        )
        if reason := _word(each, "reason"):
            lines.append(f"    {each['status']}: {reason}")
        lines += [f"    {line}" for line in (*_problems(each), *_off(each))]
    if trouble := told.get("trouble"):
        lines.append(f"{ILL} {trouble}")
    elif not plugins:
        lines.append(f"no plugins in {where}; add one with `rhetor providers add SOURCE`")
    return lines


def change(report: Json, news: str) -> list[str]:
    """What came of a change, and all that is worth knowing of it."""
    name = f"{_word(report, 'name')} {_word(report, 'version')}".strip()
    mark = ILL if report.get("troubles") else WELL
    lines = [f"{mark} {_word(report, 'id')} {news}: {name}", *_indented(_facts(report))]
    lines += [f"  ! {warning}" for warning in _words(report.get("warnings"))]
    if troubles := _words(report.get("troubles")):
        lines += [f"  {ILL} {trouble}" for trouble in troubles]
        lines.append(f"  → `rhetor providers update {_word(report, 'id')}` tries again")
    return lines


def about(report: Json) -> list[str]:
    """All that is known of a plugin that is there."""
    mark = MARKS.get(_word(report, "status"), ILL)
    name = f"{_word(report, 'name')} {_word(report, 'version')}".strip()
    reason = f": {report['reason']}" if report.get("reason") else ""
    lines = [f"{mark} {_word(report, 'id')}: {name}, {_word(report, 'status')}{reason}"]
    lines += [f"    {line}" for line in _problems(report)]
    lines += _indented(_facts(report))
    lines += [f"  ! {warning}" for warning in _words(report.get("warnings"))]
    return lines


def health(reports: Sequence[Json]) -> list[str]:
    """How each provider is doing; those that are off are only counted."""
    on = [each for each in reports if each["status"] != "off"]
    width = max((len(_word(each, "provider")) for each in on), default=0)
    lines = []
    for each in on:
        status = _word(each, "status")
        models = f"{each['models']} models" if each.get("models") is not None else ""
        latency = f"{each['latency_ms']} ms" if each.get("latency_ms") is not None else ""
        said = ", ".join(part for part in (status, models, latency, _word(each, "last_error")) if part)
        lines.append(f"  {HEALTH.get(status, MAYBE)} {_word(each, 'provider'):<{width}}  {said}")
    if off := len(reports) - len(on):
        lines.append(f"  {MAYBE} {off} off: see `rhetor doctor`")
    return lines


def _facts(report: Json) -> Iterator[tuple[str, str]]:
    if description := _word(report, "description"):
        yield "about", description
    authors = [
        part
        for part in (_word(report, "author"), _word(report, "license"), _word(report, "homepage"))
        if part
    ]
    if authors:
        yield "by", ", ".join(authors)
    yield "from", _pinned(report)
    yield "digest", _word(report, "digest")
    for each in _things(report.get("providers")):
        yield "provider", _provider(each)
    is_ready = report.get("troubles") == []
    for each in _things(report.get("code")):
        requires = ", ".join(_words(each.get("requirements"))) or "nothing"
        if is_ready and each.get("requirements"):
            requires += ", which is installed"
        hosts = ", ".join(_words(each.get("hosts"))) or "nobody"
        yield (
            "program",
            f"{each['name']}: {each['language']} {each['main']}; requires {requires}; calls {hosts}",
        )
        yield from _doing(each)
    for each in _things(report.get("services")):
        command = " ".join(_words(each.get("command")))
        runs = (
            f"runs `{command}`"
            if command
            else f"raises {each['compose']}"
            if each.get("compose")
            else "runs elsewhere"
        )
        yield "service", f"{each['name']}: {runs}, with the rights of the gateway"
    for each in _things(report.get("variables")):
        yield "variable", _variable(each)


def _doing(program: Json) -> Iterator[tuple[str, str]]:
    """How a program is, and what it is kept from; of one that is not there yet nobody knows."""
    if state := _word(program, "state"):
        starts = f", started {program['starts']} times" if program.get("starts") else ""
        failure = f": {program['error']}" if program.get("error") else ""
        yield "", f"is {state}{starts}{failure}"
    for why in _words(program.get("unreadable")):
        yield "", f"{ILL} plugins.reads: {why}"
    for fact in _things(program.get("sandbox")):
        yield "", f"{WELL if fact.get('enforced') else ILL} {fact['what']}: {fact['how']}"
    lines = _word(program, "said").strip().splitlines()[-SAID_LINES:]
    for line in lines:
        yield "said", line


def _provider(each: Json) -> str:
    parts = (
        [f"{each['id']}: {', '.join(_words(each.get('capabilities')))}"]
        if each.get("wire")
        else [_word(each, "id")]
    )
    if each.get("base_url") and not each.get("service"):
        parts.append(f"at {each['base_url']}")
    if each.get("wire") and not each.get("code"):
        parts.append(f"speaks {each['wire']}")
    models = _words(each.get("models"))
    if models:
        more = f" and {len(models) - MANY} more" if len(models) > MANY else ""
        parts.append(f"models {', '.join(models[:MANY])}{more}")
    if each.get("reason"):
        parts.append(f"off: {each['reason']}")
    return "; ".join(parts)


def _variable(each: Json) -> str:
    if each.get("withheld"):
        state = f"withheld, it is {each['withheld']}; --grant {each['name']} lets it have it"
    elif each.get("set"):
        state = "set"
    else:
        state = "not set" + ("; until it is, the provider is off" if each.get("required") else "")
    return f"{each['name']}, for {each['for']}: {state}"


def _pinned(report: Json) -> str:
    source, commit, kind = (_word(report, name) for name in ("source", "commit", "ref_kind"))
    if commit and kind != "commit":
        return f"{source}: the {kind} {report['ref']} is commit {commit}"
    return source


def _whence(report: Json) -> str:
    commit, kind = _word(report, "commit"), _word(report, "ref_kind")
    source = _word(report, "source")
    return f"{source} = {commit[:COMMIT]}" if commit and kind != "commit" else source


def _whom(report: Json) -> str:
    return ", ".join(_word(each, "id") for each in _things(report.get("providers")))


def _off(report: Json) -> list[str]:
    """Why providers of a plugin that is used cannot be asked nevertheless."""
    if report["status"] != "loaded":
        return []
    providers = _things(report.get("providers"))
    return [f"{each['id']}: off: {each['reason']}" for each in providers if each.get("reason")]


def _problems(report: Json) -> list[str]:
    shown = []
    for each in _things(report.get("problems")):
        value = f" (is {each['value']})" if each.get("value") is not None else ""
        shown.append(f"{each['path']}: {each['message']}{value}")
    return shown


def _indented(facts: Iterator[tuple[str, str]]) -> list[str]:
    return [f"  {name:<9} {text}" for name, text in facts]


def _word(report: Json, name: str) -> str:
    said = report.get(name)
    return "" if said is None else str(said)


def _words(said: JsonValue) -> list[str]:
    return [str(each) for each in said] if isinstance(said, list) else []


def _things(said: JsonValue) -> list[Json]:
    return [each for each in said if isinstance(each, Mapping)] if isinstance(said, list) else []
