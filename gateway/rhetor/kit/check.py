"""The whole check of a plugin, or of a provider that is there already."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace

from rhetor.app import App
from rhetor.assembly import Member
from rhetor.config import Config
from rhetor.core.capability import Capability
from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import BadRequest, Code
from rhetor.core.value import value
from rhetor.kit.bench import bench
from rhetor.kit.live import Trial, kind_of
from rhetor.kit.offline import offline_steps
from rhetor.kit.report import Checked, Report, Step, failed, told
from rhetor.plugins.desk import Refused
from rhetor.plugins.leases import Lease

MANIFEST = "correct rhetor-plugin.yaml; docs/plugins.md has every setting"


@value(kw_only=True)
class Wishes:
    """How it is to be checked."""

    only: frozenset[Capability] = frozenset()
    """These capabilities; empty: all that are claimed."""
    offline: bool = False
    """Rows against the shipped test upstream."""
    thorough: bool = False
    granted: tuple[str, ...] = ()
    key: str | None = None
    """A reference: `env:NAME`."""


OnStep = Callable[[Checked | None, Step], None]
"""Is told each step as soon as it is done; None: it is about the plugin as a whole."""


async def check_source(
    source: str, config: Config, environ: Mapping[str, str], wishes: Wishes, on_step: OnStep
) -> Report:
    """Check a plugin that is not added, in a house of its own.

    Raises:
        RhetorError: there is nothing to check: it cannot be fetched.
    """
    report = Report(source=source)

    def note(step: Step) -> None:
        report.loading.append(step)
        on_step(None, step)

    try:
        async with bench(source, config, environ, wishes.granted, wishes.key) as it:
            _about(report, it.arrival)
            note(told("loading", "manifest", _manifest(it.arrival)))
            report.checked_at = it.app.house.clock.utc().isoformat()
            mine = [member for member in it.app.members.values() if member.plugin == it.plugin]
            await _check(report, it.app, mine, wishes, on_step)
    except Refused as error:
        if not error.report:
            raise
        _about(report, error.report)
        for step in _problems(error):
            note(step)
    return report


async def check_known(app: App, name: str, wishes: Wishes, on_step: OnStep) -> Report:
    """Check a plugin that was added, or a provider, as the configuration has it.

    Raises:
        BadRequest: not_found.
    """
    plugin = app.guests.book.plugin(name)
    members = app.members.items()
    mine = [member for id, member in members if name == (id if plugin is None else member.plugin)]
    if not mine and plugin is None:
        raise BadRequest(f"no plugin or provider {name!r}", Code.NOT_FOUND)
    report = Report(source=name, plugin=name, checked_at=app.house.clock.utc().isoformat())
    if plugin is not None:
        _about(report, app.guests.one(name))
        report.source = plugin.entry.source
        step = (
            told("loading", "manifest", f"{plugin.status}")
            if not plugin.reason
            else failed("loading", "manifest", f"{plugin.status}: {plugin.reason}", MANIFEST)
        )
        report.loading.append(step)
        on_step(None, step)
    await _check(report, app, mine, wishes, on_step)
    return report


async def _check(
    report: Report, app: App, members: Sequence[Member], wishes: Wishes, on_step: OnStep
) -> None:
    for member in members:
        offline = wishes.offline and not isinstance(member.provider.transport, Lease)
        kind = "the test upstream" if offline else kind_of(member)
        checked = Checked(id=member.row.id, name=member.row.name, kind=kind)
        report.providers.append(checked)
        trial = Trial(app, member, wishes.only, wishes.thorough)
        steps = offline_steps(member.row, wishes.only) if offline else trial.steps()
        async for step in _redacted(app, steps):
            checked.steps.append(step)
            checked.models = trial.models
            on_step(checked, step)


async def _redacted(app: App, steps: AsyncIterator[Step]) -> AsyncIterator[Step]:
    """Without secrets: what is said of a provider is handed on."""
    async for step in steps:
        yield replace(step, said=app.redactor.text(step.said))


def _about(report: Report, said: Json) -> None:
    report.plugin = str(said.get("id") or "")
    report.version = str(said.get("version") or "")
    report.warnings = tuple(map(str, _list(said.get("warnings"))))


def _manifest(arrival: Json) -> str:
    parts = {kind: len(_list(arrival.get(kind))) for kind in ("providers", "services", "code")}
    words = {"providers": "provider", "services": "service", "code": "program"}
    brings = [f"{n} {words[kind]}{'s' if n > 1 else ''}" for kind, n in parts.items() if n]
    return f"{arrival.get('manifest')}: {', '.join(brings)}"


def _problems(error: Refused) -> list[Step]:
    """Every problem of a manifest is a step that has failed."""
    found = [each for each in _list(error.report.get("problems")) if isinstance(each, Mapping)]
    steps = [
        failed("loading", str(each["path"]), f"{each['message']}{_shown(each.get('value'))}", MANIFEST)
        for each in found
    ]
    return steps or [failed("loading", error.status_word, str(error.report.get("reason")), "")]


def _shown(value: JsonValue) -> str:
    return f" (is {value})" if value is not None else ""


def _list(said: JsonValue) -> Sequence[JsonValue]:
    return said if isinstance(said, list) else ()


def exit_code(report: Report) -> int:
    return 1 if report.verdict == "failed" else 0
