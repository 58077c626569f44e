"""Whether a provider works here, from its loading to its errors."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tekton_llm_client.exceptions import TektonLLMError
from tekton_llm_client.media.gateway import MediaInput
from tekton_llm_client.media.provider import MediaProvider
from tekton_llm_client.media.registry import ProviderRegistry, get_provider_registry
from tekton_llm_client.media.words import MediaCapability

ASKED = "Say hello."
NOWHERE = "there/is-no-such-model"


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    """`loading`, `available`, `models`, `generation` or `errors`."""
    ok: bool
    detail: str
    ms: float


@dataclass(slots=True)
class ValidationReport:
    identifier: str
    provider: str | None = None
    checks: list[Check] = field(default_factory=list)

    @property
    def errors(self) -> list[str]:
        return [f"{check.name}: {check.detail}" for check in self.checks if not check.ok]

    @property
    def valid(self) -> bool:
        return not self.errors


class MigrationValidator:
    """Tries a provider from its loading to its errors."""

    def __init__(self, registry: ProviderRegistry | None = None) -> None:
        self._registry = registry or get_provider_registry()

    async def validate_provider(
        self,
        identifier: str,
        *,
        generate: bool = True,
        capability: MediaCapability | None = None,
        input: MediaInput = ASKED,
    ) -> ValidationReport:
        """What was tried, and what went wrong: that is in the report, and not raised.

        Args:
            identifier: an id, or where its plugin is.
            generate: whether something is asked for that may cost.
        """
        report = ValidationReport(identifier)
        found: list[MediaProvider] = []

        async def load() -> str:
            found.append(await self._registry.get_provider(identifier))
            return found[0].name

        await _check(report, "loading", load)
        if not found:
            return report
        provider = found[0]
        report.provider = provider.id
        await _check(report, "available", lambda: _available(provider))
        await _check(report, "models", lambda: _listed(provider))
        if generate:
            await _check(report, "generation", lambda: _made(provider, capability, input))
            await _check(report, "errors", lambda: _refused(provider, input))
        return report


async def _check(report: ValidationReport, name: str, look: Callable[[], Awaitable[str]]) -> None:
    began_s = time.monotonic()
    try:
        ok, detail = True, await look()
    except TektonLLMError as error:
        ok, detail = False, error.message
    report.checks.append(Check(name, ok, detail, round((time.monotonic() - began_s) * 1000, 1)))


async def _available(provider: MediaProvider) -> str:
    await provider.configure()
    return "it can be asked"


async def _listed(provider: MediaProvider) -> str:
    if not provider.models:
        raise TektonLLMError("it lists none")
    return f"{len(provider.models)}, for {', '.join(provider.capabilities)}"


async def _made(provider: MediaProvider, wanted: MediaCapability | None, input: MediaInput) -> str:
    from_text = (each for each in provider.capabilities if each.startswith("text-to-"))
    capability = wanted or next(from_text, None) or next(iter(provider.capabilities), None)
    able = [model.id for model in provider.models if capability in model.capabilities]
    model = provider.default_model if provider.default_model in able else next(iter(able), None)
    result = await provider.get_model(model).transform(input, capability=capability)
    if not result.content and not result.embeddings and not result.ranked:
        raise TektonLLMError("nothing came of it")
    return f"{result.capability} by {result.metadata['model']}"


async def _refused(provider: MediaProvider, input: MediaInput) -> str:
    try:
        await provider.get_model(NOWHERE).transform(input)
    except TektonLLMError as error:
        return f"a model that is not there: {error.code}"
    raise TektonLLMError("a model that is not there has answered")
