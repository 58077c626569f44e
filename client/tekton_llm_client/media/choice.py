"""Who is to be asked, and how they all are: what MediaConduit has announced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tekton_llm_client.media.provider import MediaProvider
from tekton_llm_client.media.registry import ProviderRegistry, get_provider_registry
from tekton_llm_client.media.words import MediaCapability, ProviderNotFoundError

Strategy = Literal["round_robin", "health", "cost"]

_WISHES: Mapping[str, Mapping[str, str]] = {
    "basic": {},
    "reasoning": {"capabilities": "thinking", "strengths": "reasoning"},
    "creative": {"strengths": "creative"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthReport:
    """How a provider was when it was asked."""

    provider: str
    name: str
    status: str
    """`healthy`, `degraded`, `unhealthy`; `unknown`: it could not be asked without starting or paying
    something; `off`: it lacks its key, say."""
    available: bool
    latency_ms: float | None
    models: int | None
    active: int
    """Requests under way."""
    left_alone: int
    """Models that are not asked for a while."""
    last_error: str | None
    checked_at: str


class SmartProviderSelector:
    """Chooses by what the gateway knows.

    That is: prices, what vendors call their models good at, and how fast they were of late.
    """

    def __init__(self, registry: ProviderRegistry | None = None) -> None:
        self._registry = registry or get_provider_registry()

    async def get_best_text_provider(
        self,
        *,
        speed: Literal["fast", "balanced", "quality"] = "balanced",
        cost: Literal["free", "cheap", "premium"] | None = None,
        capability: Literal["basic", "reasoning", "creative"] = "basic",
    ) -> MediaProvider:
        """Who answers best; its `best_model` is the model that is meant.

        Raises:
            ProviderNotFoundError: nobody does.
        """
        demands = {"speed": speed, "cost": cost, **_WISHES[capability]}
        ranked = await self._registry.ranked(MediaCapability.TEXT_TO_TEXT, **demands)
        if not ranked:
            raise ProviderNotFoundError(" ".join(filter(None, (speed, cost, capability, "text"))))
        return ranked[0]


class ProviderLoadBalancer:
    """Shares out what is asked over those who can do it: in turn, by health, or by cost."""

    def __init__(self, registry: ProviderRegistry | None = None, strategy: Strategy = "round_robin") -> None:
        self._registry = registry or get_provider_registry()
        self.strategy = strategy
        self._turns = 0

    async def get_provider(self, capability: MediaCapability | str) -> MediaProvider:
        """Whose turn it is; its `best_model` is the model that is meant.

        Who is left alone for failures is passed over.

        Raises:
            ProviderNotFoundError: nobody can.
        """
        prefer = "cost" if self.strategy == "cost" else None
        balance = None if prefer else "health"
        able = await self._registry.ranked(capability, load_balancing=balance, prefer=prefer)
        if not able:
            raise ProviderNotFoundError(str(capability))
        targets = (await self._registry.gateway.ask("GET", "/api/v1/health/targets"))["targets"]
        left_alone = {row["target"] for row in targets if row["breaker"] != "closed"}
        able = [each for each in able if _best(each) not in left_alone] or able
        if self.strategy != "round_robin":
            return able[0]
        able.sort(key=lambda provider: provider.id)  # the same order each time
        chosen = able[self._turns % len(able)]
        self._turns += 1
        return chosen


def _best(provider: MediaProvider) -> str:
    return f"{provider.id}/{provider.best_model.id}" if provider.best_model is not None else provider.id


class ProviderHealthMonitor:
    """Asks every provider how it is."""

    def __init__(self, registry: ProviderRegistry | None = None) -> None:
        self._registry = registry or get_provider_registry()

    async def check_all_providers(self) -> list[HealthReport]:
        """Also of those that are off, and why."""
        told = await self._registry.gateway.ask("GET", "/v1/providers/health")
        return [_report(said) for said in told["data"]]


def _report(said: Mapping[str, Any]) -> HealthReport:
    return HealthReport(**{name: said.get(name) for name in HealthReport.__dataclass_fields__})  # type: ignore[arg-type]  # as the gateway promises
