"""Whom the gateway is to ask when the first one fails. Nothing here answers by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from tekton_llm_client.adapters.base import BaseAdapter


class FallbackAdapter(BaseAdapter):
    """Names a fallback to the gateway.

    Args:
        fallback_models: as `provider/model`. A request names one fallback, so the first of them counts; who
            wants several makes a route of them at the gateway, and names that.
        max_retries, timeout: as for `TektonLLMClient`.
    """

    adapter_id = "fallback"

    def __init__(
        self,
        fallback_models: Sequence[str] = (),
        max_retries: int | None = None,
        timeout: float | None = None,
    ) -> None:
        self.fallback_models = list(fallback_models)
        self.max_retries = max_retries
        self.timeout = timeout

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """The fallback that these options name."""
        said = (options.get("fallback_provider"), options.get("fallback_model"))
        name = "/".join(part for part in said if part)
        return cls([name] if name else [])

    @property
    def options(self) -> dict[str, Any]:
        """What says so in a request."""
        return {"fallback_model": self.fallback_models[0]} if self.fallback_models else {}

    async def initialize(self) -> bool:
        """Whether it names anybody."""
        return bool(self.fallback_models)

    async def shutdown(self) -> None:
        """It holds nothing."""
