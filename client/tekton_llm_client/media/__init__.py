"""Pictures, speech, transcripts and films through the gateway, in MediaConduit's words.

    provider = await get_provider_registry().get_provider("together")
    result = await provider.get_model("black-forest-labs/FLUX.1-schnell").transform("a fox in the snow")

Each name brings its module when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tekton_llm_client.media.check import Check, MigrationValidator, ValidationReport
    from tekton_llm_client.media.choice import (
        HealthReport,
        ProviderHealthMonitor,
        ProviderLoadBalancer,
        SmartProviderSelector,
    )
    from tekton_llm_client.media.gateway import MediaGateway, MediaInput, MediaJob
    from tekton_llm_client.media.provider import MediaModel, MediaProvider, ProviderHealth
    from tekton_llm_client.media.registry import ProviderRegistry, get_provider_registry
    from tekton_llm_client.media.results import MediaAsset, MediaResult, Text
    from tekton_llm_client.media.words import (
        MediaCapability,
        MediaProgress,
        ProviderCreationError,
        ProviderModel,
        ProviderNotFoundError,
        ProviderType,
    )

__all__ = [
    "Check",
    "HealthReport",
    "MediaAsset",
    "MediaCapability",
    "MediaGateway",
    "MediaInput",
    "MediaJob",
    "MediaModel",
    "MediaProgress",
    "MediaProvider",
    "MediaResult",
    "MigrationValidator",
    "ProviderCreationError",
    "ProviderHealth",
    "ProviderHealthMonitor",
    "ProviderLoadBalancer",
    "ProviderModel",
    "ProviderNotFoundError",
    "ProviderRegistry",
    "ProviderType",
    "SmartProviderSelector",
    "Text",
    "ValidationReport",
    "get_provider_registry",
]

_ROOMS = {
    "check": ("Check", "MigrationValidator", "ValidationReport"),
    "choice": ("HealthReport", "ProviderHealthMonitor", "ProviderLoadBalancer", "SmartProviderSelector"),
    "gateway": ("MediaGateway", "MediaInput", "MediaJob"),
    "provider": ("MediaModel", "MediaProvider", "ProviderHealth"),
    "registry": ("ProviderRegistry", "get_provider_registry"),
    "results": ("MediaAsset", "MediaResult", "Text"),
    "words": (
        "MediaCapability",
        "MediaProgress",
        "ProviderCreationError",
        "ProviderModel",
        "ProviderNotFoundError",
        "ProviderType",
    ),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}


def __getattr__(name: str) -> object:
    room = _ROOM_OF.get(name)
    if room is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(f"{__name__}.{room}"), name)
    globals()[name] = found  # next time it is simply there
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
