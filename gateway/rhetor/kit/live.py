"""A provider tried as callers would use it: every question takes the way of all requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence

from rhetor.app import App
from rhetor.assembly import Member
from rhetor.core.capability import Capability
from rhetor.core.errors import Code, Retry, RhetorError
from rhetor.core.events import GrammarError
from rhetor.kit.asking import Heard, ask
from rhetor.kit.probes import PROBES, Probe, Wrong, shown
from rhetor.kit.report import Outcome, Step, failed, skipped, told
from rhetor.plugins.guest.process import CANCEL_GRACE_S
from rhetor.plugins.guest.transport import GuestTransport
from rhetor.plugins.leases import Lease
from rhetor.providers.discovery import list_models
from rhetor.providers.models import capabilities_by_name
from rhetor.routing.catalog import default_model
from rhetor.services.served import ServedTransport
from rhetor.wire.base import ModelEntry

NO_SUCH_MODEL = "no-such-model-anywhere"
LOOK_S = 0.02  # a program tells its end of a call, and nobody else hears of it
NAMED = 5
CLEAR = frozenset(
    {
        Code.INVALID_REQUEST,
        Code.MODEL_NOT_FOUND,
        Code.UNSUPPORTED,
        Code.TOO_LARGE,
        Code.CONTEXT_LENGTH,
        Code.CONTENT_POLICY,
        Code.NOT_FOUND,
    }
)
"""What tells a caller that the request is at fault."""
REMEDIES = {
    Code.UPSTREAM_AUTH: "look at the key: is it one of this vendor, and may it use this model?",
    Code.UPSTREAM_BILLING: "the account has nothing left; the plugin is not at fault",
    Code.RATE_LIMITED: "wait, and check again; the plugin is not at fault",
    Code.CONNECT_FAILED: "is base_url right, and does the machine have a way there?",
    Code.CONNECT_TIMEOUT: "is base_url right, and does the machine have a way there?",
    Code.MODEL_NOT_FOUND: "name a model that there is: `models`, `default_model` or `default_models`",
    Code.PROTOCOL: "it does not speak what `wire` says; see the log of the server or program",
    Code.UNSUPPORTED: "take the capability out of `capabilities`, or answer it",
}
"""What to do about a failed generation, where that is known."""


def kind_of(member: Member) -> str:
    """How a provider is reached, in words."""
    if isinstance(member.provider.transport, Lease):
        return "a program"
    if isinstance(member.provider.transport, ServedTransport):
        return "a service"
    return member.row.base_url


class Trial:
    """One provider under trial.

    Args:
        only: these capabilities; empty: all that it claims.
        thorough: also ask twice what is dear.
    """

    def __init__(
        self, app: App, member: Member, only: Collection[Capability] = (), thorough: bool = False
    ) -> None:
        self._app = app
        self._member = member
        self._only = only
        self._thorough = thorough
        self._listed: Sequence[ModelEntry] = member.described
        self.id = member.row.id

    @property
    def models(self) -> tuple[str, ...]:
        """Those that are known."""
        return tuple(entry.id for entry in self._listed)

    @property
    def _program(self) -> GuestTransport | None:
        lease = self._member.provider.transport
        program = lease.take() if isinstance(lease, Lease) else None
        return program if isinstance(program, GuestTransport) else None

    async def steps(self) -> AsyncIterator[Step]:
        """Everything, one after the other; each step as soon as it is done."""
        if self._member.off is not None:
            yield skipped("loading", "connection", f"nothing was asked: {self._member.off}", OFF)
            return
        if (program := self._program) is not None:
            for step in [await self._prepare(program), await self._connection()]:
                yield step
                if step.outcome is Outcome.FAILED:
                    return
        yield await self._models()
        for capability in sorted(self._member.provider.capabilities):
            if self._only and capability not in self._only:
                continue
            async for step in self._capability(capability):
                yield step

    async def _prepare(self, program: GuestTransport) -> Step:
        try:
            await program.prepare()
            facts, unreadable = await program.enforced(), await program.unreadable()
        except RhetorError as error:
            return failed("loading", "environment", error.message, ENVIRONMENT)
        loose = [fact.what for fact in facts if not fact.enforced]
        said = "made, and the program is confined" if not loose else f"made; not enforced: {', '.join(loose)}"
        said = "; ".join((said, *unreadable))
        return Step(part="loading", name="environment", outcome=Outcome.OK, said=said)

    async def _connection(self) -> Step:
        try:
            said = await self._app.guests.test(self.id)
        except RhetorError as error:
            log = self._last_words()
            remedy = "`test_connection` says what is wrong; raise a `Failure` that tells what to do"
            return failed("loading", "connection", f"{error.message}{log}", remedy)
        return Step(part="loading", name="connection", outcome=Outcome.OK, said=said or "")

    async def _models(self) -> Step:
        """A list of its own, and what the manifest names."""
        if self._member.described:
            return told("models", "models", f"{_counted(self.models)}, which the manifest names")
        try:
            listed = await list_models(self._member.provider)
        except RhetorError as error:
            remedy = "if it has no list, name its models in the manifest, or say `models_listed: false`"
            return failed("models", "models", error.message, REMEDIES.get(error.code, remedy))
        if listed is None:
            named = self._usual(None)
            if named is None:
                remedy = "name `models` or a `default_model` in the manifest"
                return failed("models", "models", "it has no list of models, and names none", remedy)
            return skipped("models", "models", f"it has no list of models; {named} is asked")
        if not listed:
            return failed("models", "models", "its list of models is empty", "name `models` in the manifest")
        self._listed = self._app.lists[self.id] = listed
        await self._app.describe()  # as after the discovery of a gateway
        return told("models", "models", f"{_counted(self.models)}, which it lists itself")

    # Of each capability.

    async def _capability(self, capability: Capability) -> AsyncIterator[Step]:
        probe = PROBES.get(capability)
        model = self._usual(capability)
        if probe is None:
            yield skipped("generation", "generation", "there is no film to begin with", "", capability)
            return
        if not self._member.provider.speaks(capability):
            said = f"{self._member.row.wire} has no word for it"
            yield failed("generation", "generation", said, REMEDIES[Code.UNSUPPORTED], capability)
            return
        if model is None:
            remedy = f"name one: `default_models: {{{capability}: …}}`"
            yield failed("generation", "generation", "no model is known for it", remedy, capability)
            return
        heard, step = await self._once(capability, probe, model, stream=False)
        yield step
        if heard is None:
            yield skipped(
                "errors", "errors", "where nothing is answered, errors tell nothing", "", capability
            )
            return
        yield _usage(capability, heard)
        if probe.streams:
            async for step in self._streamed(capability, probe, model):
                yield step
        if probe.bad is not None:
            yield await self._nonsense(capability, probe, model)
        yield await self._nobody(capability, probe)

    async def _streamed(self, capability: Capability, probe: Probe, model: str) -> AsyncIterator[Step]:
        if probe.dear and self._is_paid and not self._thorough:
            for name in ("stream", "cancel"):
                yield skipped("generation", name, "it would be paid for again", THOROUGH, capability)
            return
        heard, step = await self._once(capability, probe, model, stream=True)
        yield step
        if heard is not None:
            yield await self._cancel(capability, probe, model)

    async def _once(
        self, capability: Capability, probe: Probe, model: str, stream: bool
    ) -> tuple[Heard | None, Step]:
        name = "stream" if stream else "generation"
        try:
            heard = await ask(
                self._app.house.pipeline, capability, self._called(model), probe.good, stream=stream
            )
            said = probe.judge(heard.reply)
        except (RhetorError, Wrong, GrammarError) as error:
            code = error.code if isinstance(error, RhetorError) else None
            words = f"{code}: {error}{self._last_words()}" if code is not None else str(error)
            remedy = REMEDIES.get(code, GENERATION) if code is not None else GENERATION
            return None, failed("generation", name, words, remedy, capability)
        if stream:
            said = f"{heard.pieces} pieces" if heard.pieces > 1 else "in one piece: nobody reads along"
        lost = f"; not passed on: {', '.join(heard.dropped)}" if heard.dropped else ""
        step = Step(
            part="generation",
            name=name,
            outcome=Outcome.OK,
            said=f"{model}: {said}{lost}",
            capability=capability,
            first_event_ms=heard.first_event_ms if stream else None,
            total_ms=heard.total_ms,
        )
        return heard, step

    async def _cancel(self, capability: Capability, probe: Probe, model: str) -> Step:
        """Somebody leaves in the middle; a program must notice, and live on."""
        program, pipeline = self._program, self._app.house.pipeline
        pid = program.pid if program is not None else None
        try:
            heard = await ask(pipeline, capability, self._called(model), probe.good, stream=True, leave=True)
        except (RhetorError, GrammarError) as error:
            return failed("generation", "cancel", str(error), GENERATION, capability)
        if not heard.left:
            return skipped("generation", "cancel", "it was over before anybody could leave", "", capability)
        if program is None:
            return told(
                "generation", "cancel", "left after the first piece; its call was aborted", capability
            )
        if (wrong := await _wrong_after_leaving(program, pid)) is not None:
            return failed("generation", "cancel", f"{wrong}{self._last_words()}", CANCEL, capability)
        return told(
            "generation", "cancel", "left after the first piece; the program stopped, and lives", capability
        )

    async def _nonsense(self, capability: Capability, probe: Probe, model: str) -> Step:
        """What cannot be answered: the caller must be told so, and nobody may die of it."""
        assert probe.bad is not None
        program = self._program
        starts = 0 if program is None else program.starts + (program.pid is None)
        try:
            heard = await ask(self._app.house.pipeline, capability, self._called(model), probe.bad)
        except (RhetorError, GrammarError) as error:
            step = _refusal("bad input", error, capability, BAD_INPUT)
        else:
            step = told("errors", "bad input", f"it answers all the same: {_brief(heard)}", capability)
        if program is not None and (program.pid is None or program.starts != starts):
            said = f"the program died of it{self._last_words()}"
            return failed("errors", "bad input", said, BAD_INPUT, capability)
        return step

    async def _nobody(self, capability: Capability, probe: Probe) -> Step:
        """A model that there is not."""
        if probe.dear and self._member.models is None and not self._thorough and self._is_paid:
            return skipped("errors", "unknown model", "it might be paid for", THOROUGH, capability)
        try:
            heard = await ask(self._app.house.pipeline, capability, self._called(NO_SUCH_MODEL), probe.good)
        except (RhetorError, GrammarError) as error:
            return _refusal("unknown model", error, capability, UNKNOWN_MODEL)
        return told("errors", "unknown model", f"it takes any name: {_brief(heard)}", capability)

    @property
    def _is_paid(self) -> bool:
        return self._program is None and not self._member.row.local

    def _called(self, model: str) -> str:
        return f"{self.id}/{model}"

    def _usual(self, capability: Capability | None) -> str | None:
        """Which model is asked for it: the one that callers get who name none, else one that says it can."""
        usual = None
        if capability is None:
            usual = self._member.row.default_model
        elif (facts := self._app.house.catalog.providers.get(self.id)) is not None:
            usual = default_model(facts, capability)
        able = [each.id for each in self._listed if _can(each, capability) is True]
        silent = [each.id for each in self._listed if _can(each, capability) is None]
        if usual is not None and (usual in (*able, *silent) or usual not in self.models):
            return usual
        return next(iter([*able, *silent]), None)

    def _last_words(self) -> str:
        """The last line of a program's log."""
        program = self._program
        said = program.said().strip() if program is not None else ""
        return f"; its log ends with {shown(said.splitlines()[-1], 160)}" if said else ""


OFF = "give the key with --key env:NAME, or check what needs none with --offline"
THOROUGH = "--thorough asks nevertheless"
ENVIRONMENT = "see `requirements`, `language` and `main` in the manifest"
GENERATION = "ask it for the same by hand, and see its log"
CANCEL = (
    "await between pieces, and end where you are told that nobody listens (`request.signal` in JavaScript)"
)
BAD_INPUT = "raise a `Failure` with the code invalid_request; after anything else others are asked the same"
UNKNOWN_MODEL = "name the models in the manifest, or raise a `Failure` with the code model_not_found"


def _can(entry: ModelEntry, capability: Capability | None) -> bool | None:
    """Whether a model does this; None: it does not say, and its name speaks for nothing else."""
    if entry.capabilities is not None:
        return capability in entry.capabilities
    by_name = capabilities_by_name(entry.id)
    return None if capability in by_name or by_name == {Capability.CHAT} else False


async def _wrong_after_leaving(program: GuestTransport, pid: int | None) -> str | None:
    """Whether a program ends a call that nobody waits for, within what it is given for that, and lives on."""
    async with asyncio.timeout(2 * CANCEL_GRACE_S):
        while program.pid == pid and program.unended:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(LOOK_S)
    if program.pid == pid:
        return None
    if program.error is not None:
        return "it ended when somebody left"
    return f"it works on for more than {CANCEL_GRACE_S:g} s when nobody listens"


def _refusal(name: str, error: Exception, capability: Capability, remedy: str) -> Step:
    """An error that a caller gets: does it tell whose fault it is?"""
    if not isinstance(error, RhetorError):
        return failed("errors", name, str(error), remedy, capability)
    said = f"{error.code}: {shown(error.message, 120)}"
    if error.code in CLEAR or error.retry is Retry.NEVER:
        return told("errors", name, said, capability)
    if error.code in (Code.RATE_LIMITED, Code.OVERLOADED, Code.UPSTREAM_AUTH, Code.UPSTREAM_BILLING):
        return skipped("errors", name, said, REMEDIES.get(error.code, ""), capability)
    return failed("errors", name, said, remedy, capability)


def _usage(capability: Capability, heard: Heard) -> Step:
    usage = heard.reply.usage
    if usage is None:
        return told(
            "generation", "usage", "estimated by the gateway, since the provider tells none", capability
        )
    counts = {
        "in": usage.input_tokens,
        "out": usage.output_tokens,
        "characters": usage.characters,
        "images": usage.images,
        "ms of sound": usage.audio_ms,
        "ms of film": usage.video_ms,
    }
    measured = ", ".join(f"{n} {what}" for what, n in counts.items() if n) or "nothing"
    whose = "told by the provider" if heard.usage_source == "provider" else "estimated by the provider"
    return told("generation", "usage", f"{whose}: {measured}", capability)


def _brief(heard: Heard) -> str:
    reply = heard.reply
    if reply.media or reply.vectors or reply.ranked:
        return f"{len(reply.media) + len(reply.vectors) + len(reply.ranked)} of what was asked for"
    return shown(reply.text, 40)


def _counted(models: Sequence[str]) -> str:
    more = f" and {len(models) - NAMED} more" if len(models) > NAMED else ""
    return f"{len(models)}: {', '.join(models[:NAMED])}{more}"
