"""A provider behind the gateway, and its models."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlencode

from tekton_llm_client.media.gateway import MediaGateway, MediaInput, MediaJob, OnProgress
from tekton_llm_client.media.results import MediaResult
from tekton_llm_client.media.words import (
    OURSELVES,
    MediaCapability,
    ProviderCreationError,
    ProviderFacts,
    ProviderModel,
    ProviderType,
    capability_for,
    is_job,
    joined,
    read_model,
    types_of,
)

_HEALTH = {"healthy": "healthy", "degraded": "degraded", "unknown": "degraded"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderHealth:
    status: str
    """`healthy`, `degraded` or `unhealthy`."""
    uptime: float
    """Of the gateway, in seconds."""
    active_jobs: int
    queued_jobs: int = 0
    """Nobody waits in a queue here: what is asked is under way."""
    last_error: str | None = None


class MediaProvider:
    """Someone who makes things, as the gateway knows them.

    It can be used at once: whatever it needs, the gateway has.
    """

    def __init__(self, gateway: MediaGateway, facts: ProviderFacts) -> None:
        self._gateway = gateway
        self._facts = facts
        self._warned = False
        self.best_model: ProviderModel | None = None
        """For which it was chosen, where it was."""

    @property
    def id(self) -> str:
        return self._facts.id

    @property
    def name(self) -> str:
        return self._facts.name

    @property
    def type(self) -> ProviderType:
        return self._facts.type

    @property
    def capabilities(self) -> tuple[MediaCapability, ...]:
        return self._facts.capabilities

    @property
    def models(self) -> tuple[ProviderModel, ...]:
        """Those that are listed; others may be asked for as well."""
        return self._facts.models

    @property
    def default_model(self) -> str | None:
        """What is asked when nobody names a model."""
        return self._facts.default_model

    def update(self, facts: ProviderFacts) -> Self:
        """What is known of it now."""
        self._facts = facts
        return self

    async def configure(self, config: Mapping[str, Any] | None = None, **more: Any) -> None:
        """Check that it can be asked.

        A key, an address and whatever else is given goes nowhere: the gateway has them, and this is said
        once.

        Raises:
            ProviderCreationError: it cannot be asked, and why.
        """
        given = [name for name, value in {**(config or {}), **more}.items() if value is not None]
        if given and not self._warned:
            self._warned = True
            said = (
                f"{self.id}: {', '.join(given)} not used: the gateway has the keys and addresses of providers"
            )
            warnings.warn(said, stacklevel=2)
        told = await self._gateway.ask("GET", "/api/v1/providers")
        if not told["providers"].get(self.id, {}).get("available"):
            status = told["status"].get(self.id, {})
            reason = status.get("error") or "the gateway does not have it any more"
            raise ProviderCreationError(self.id, reason)

    async def is_available(self) -> bool:
        """Whether it can be asked now."""
        details = (await self._gateway.ask("GET", "/health"))["details"]
        return self.id == OURSELVES or details["providers"].get(self.id) is True

    def get_models_for_capability(self, capability: MediaCapability | str) -> list[ProviderModel]:
        return [model for model in self.models if capability in model.capabilities]

    def get_available_models(self) -> list[str]:
        """The ids of its models."""
        return [model.id for model in self.models]

    def get_model(self, id: str | None = None) -> MediaModel:
        """A model by its id, also one that is not listed; else the default. It need not be awaited."""
        first = self.models[0].id if self.models else ""
        wanted = id or self.default_model or first
        facts = next((model for model in self.models if model.id == wanted), None)
        return MediaModel(self._gateway, self, facts or read_model({"id": wanted, "owned_by": self.id}))

    create_model = get_model

    async def get_health(self) -> ProviderHealth:
        """How it is doing; it is asked now."""
        path = f"/v1/providers/health?{urlencode({'provider': self.id})}"
        reports, house = await asyncio.gather(
            self._gateway.ask("GET", path), self._gateway.ask("GET", "/health")
        )
        report = reports["data"][0]
        return ProviderHealth(
            status=_HEALTH.get(report["status"], "unhealthy"),
            uptime=house["uptime"],
            active_jobs=report["active"],
            last_error=report["last_error"],
        )

    def get_free_models(self) -> list[ProviderModel]:
        """Those that are known to cost nothing."""
        return [model for model in self.models if model.free]

    async def get_fastest_model(
        self, capability: MediaCapability | str | None = None
    ) -> ProviderModel | None:
        """Whose first word came soonest of late.

        Until one of them was asked: one that its vendor calls fast.
        """
        fast = await self._sorted(sort="speed", capability=capability, strength="speed")
        return fast or await self._sorted(sort="speed", capability=capability)

    async def get_latest_model(self, capability: MediaCapability | str | None = None) -> ProviderModel | None:
        """The one that appeared last, where the provider tells when they did."""
        return await self._sorted(sort="latest", capability=capability)

    def get_cloned_voices(self) -> list[ProviderModel]:
        """Voices that somebody has cloned."""
        return [model for model in self.models if "cloned" in model.tags]

    def get_professional_voices(self) -> list[ProviderModel]:
        """Voices that were made of much material of one speaker."""
        return [model for model in self.models if "professional" in model.tags]

    async def _sorted(self, **wanted: str | None) -> ProviderModel | None:
        said = {"provider": self.id, **wanted}
        query = urlencode({name: str(value) for name, value in said.items() if value})
        listed = (await self._gateway.ask("GET", f"/v1/models?{query}"))["data"]
        return read_model(listed[0]) if listed else None

    def __repr__(self) -> str:
        return f"MediaProvider({self.id!r})"


class MediaModel:
    """A model that makes something of something."""

    def __init__(self, gateway: MediaGateway, provider: MediaProvider, facts: ProviderModel) -> None:
        self._gateway = gateway
        self._provider = provider
        self.facts = facts

    def __await__(self) -> Generator[Any, None, Self]:
        return self
        yield  # which makes it a generator: nothing needs to be waited for

    def get_id(self) -> str:
        return self.facts.id

    def get_name(self) -> str:
        return self.facts.name

    def get_description(self) -> str:
        return self.facts.description

    def get_provider(self) -> str:
        return self.facts.provider

    def get_capabilities(self) -> tuple[MediaCapability, ...]:
        return self.facts.capabilities

    def get_input_types(self) -> list[str]:
        return types_of(self.facts.capabilities, 0)

    def get_output_types(self) -> list[str]:
        return types_of(self.facts.capabilities, 1)

    async def is_available(self) -> bool:
        """Whether its provider can be asked now."""
        return await self._provider.is_available()

    async def transform(
        self,
        input: MediaInput,
        options: Mapping[str, Any] | None = None,
        *,
        capability: MediaCapability | str | None = None,
        on_progress: OnProgress | None = None,
        on_text: Callable[[str], object] | None = None,
        job: bool | None = None,
        fallbacks: Sequence[str] = (),
        timeout_s: float | None = None,
        **settings: Any,
    ) -> MediaResult:
        """Make something of a text, a file, an earlier result, or several of them.

        Args:
            options: settings of the model in MediaConduit's words or ours; so are further arguments.
            capability: where the model could make several things of this; else what goes in decides.
            on_text: told a text as it comes.
            job: whether it goes on when the connection is lost; films and models do.
            fallbacks: whom the gateway asks when this model fails: `provider/model`.
            timeout_s: how long it may take.

        Raises:
            TektonLLMError: with `code`, `status` and `attempts`.
        """
        body = await self._body(input, {**(options or {}), **settings}, capability, fallbacks, timeout_s)
        if is_job(body["capability"]) if job is None else job:
            return await self._waited(await self._gateway.begin(body), on_progress)
        async with aclosing(self._gateway.generate(body, on_progress)) as told:
            async for each in told:
                if isinstance(each, MediaResult):
                    return each
                if on_text is not None:
                    on_text(each)
        raise AssertionError("it ends in a result, or raises")

    async def stream(
        self,
        input: MediaInput,
        options: Mapping[str, Any] | None = None,
        *,
        capability: MediaCapability | str | None = None,
        fallbacks: Sequence[str] = (),
        timeout_s: float | None = None,
        **settings: Any,
    ) -> AsyncGenerator[str, None]:
        """A text as it comes. Leaving the loop ends it, at the provider too."""
        body = await self._body(input, {**(options or {}), **settings}, capability, fallbacks, timeout_s)
        async with aclosing(self._gateway.generate(body)) as told:
            async for each in told:
                if isinstance(each, str):
                    yield each

    async def submit(
        self,
        input: MediaInput,
        options: Mapping[str, Any] | None = None,
        *,
        capability: MediaCapability | str | None = None,
        fallbacks: Sequence[str] = (),
        timeout_s: float | None = None,
        **settings: Any,
    ) -> MediaJob:
        """The same as a job, which goes on by itself: it may be asked for later, and elsewhere."""
        body = await self._body(input, {**(options or {}), **settings}, capability, fallbacks, timeout_s)
        return await self._gateway.begin(body)

    async def _waited(self, job: MediaJob, on_progress: OnProgress | None) -> MediaResult:
        try:
            return await job.result(on_progress)
        except asyncio.CancelledError:
            await asyncio.wait([self._gateway.dismiss(job.id)])
            raise

    async def _body(
        self,
        input: MediaInput,
        options: Mapping[str, Any],
        wanted: MediaCapability | str | None,
        fallbacks: Sequence[str],
        timeout_s: float | None,
    ) -> dict[str, Any]:
        facts = self.facts
        given = await self._gateway.given(input)
        kinds = [each.kind for each in given]
        kind = next((each for each in kinds if each not in ("", "text")), kinds[0] if kinds else "")
        able = (facts.capabilities, self._provider.capabilities)
        capability = MediaCapability(wanted) if wanted else capability_for(kind, *able)
        parents = list(dict.fromkeys(parent for each in given for parent in each.parents))
        return {
            "capability": capability,
            "input": joined(given, capability),
            "model": facts.id if facts.provider == OURSELVES else f"{facts.provider}/{facts.id}",
            "options": dict(options),
            "fallbacks": list(fallbacks) or None,
            "timeout_s": timeout_s,
            "parents": parents or None,
        }

    def __repr__(self) -> str:
        return f"MediaModel({self.facts.provider}/{self.facts.id})"
