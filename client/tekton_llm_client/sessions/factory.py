"""Where Jelmore's callers get their service and their providers, and add providers of their own."""

from __future__ import annotations

import asyncio
import importlib.util
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from tekton_llm_client.exceptions import ServiceUnavailableError, TektonLLMError
from tekton_llm_client.sessions.errors import ProviderError
from tekton_llm_client.sessions.providers import GatewayProvider, Provider, ProviderSession, backend_named
from tekton_llm_client.sessions.rest import JelmoreService
from tekton_llm_client.sessions.service import SessionService
from tekton_llm_client.sessions.words import provider_of

UNSUPPORTED = "unsupported"
OFF = frozenset({"false", "0", "no", "off"})
WHERE = ("RHETOR_URL", "RHETOR_AUTH_TOKEN", "JELMORE_DEFAULT_PROVIDER", "JELMORE_URL", "JELMORE_API_KEY")
"""The variables that make another service, where they change."""

MakeProvider: TypeAlias = Callable[[Any], Provider]

_providers: dict[str, MakeProvider] = {}
"""Of this process; a provider of the gateway with the same name stands back."""
_services: dict[tuple[str | None, ...], SessionService] = {}
_rest: dict[tuple[str | None, ...], JelmoreService] = {}
_factories: dict[int, ProviderFactory] = {}


async def get_session_service() -> SessionService | JelmoreService:
    """The service of this process, as the environment says.

    With USE_PROVIDER_SYSTEM=false it is one that talks to a Jelmore, which is the way back: the same methods,
    over its own REST, at JELMORE_URL.
    """
    where = _where()
    if os.environ.get("USE_PROVIDER_SYSTEM", "").strip().lower() in OFF:
        return _rest.setdefault(where, JelmoreService())
    return _service()


def get_provider_factory() -> ProviderFactory:
    """The factory of this process, as the environment says."""
    service = _service()
    return _factories.setdefault(id(service), ProviderFactory(service))


async def create_session_with_auto_selection(
    query: str, requirements: Mapping[str, Any] | None = None, config: Any = None
) -> ProviderSession:
    """A session with whom the gateway chooses; its attributes are keys as well.

    Args:
        requirements: `model`, `capabilities`, `load_balancing`, `cost_optimization`, `max_tokens`.
    """
    service = _service()
    session = await service.begin(query, config=config, requirements=requirements or {})
    return ProviderSession(service, session, config)


def register_provider(name: str, make: MakeProvider) -> None:
    """Have `get_provider` and `create_provider` know a provider of your own: a class, or what makes one.

    It lives in this process. What all components shall have is a backend of the gateway.
    """
    _providers[name] = make


def load_provider_plugin(path: str | Path) -> str:
    """Register what a Python file offers as PROVIDER_NAME and PROVIDER_CLASS; its name.

    The file is run: load only what you would import.

    Raises:
        ProviderError: it offers none.
    """
    path = Path(path)
    spec = importlib.util.spec_from_file_location(f"tekton_provider_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ProviderError(f"no Python file: {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    name, make = getattr(module, "PROVIDER_NAME", None), getattr(module, "PROVIDER_CLASS", None)
    if not isinstance(name, str) or make is None:
        raise ProviderError(f"{path} has no PROVIDER_NAME and PROVIDER_CLASS")
    register_provider(name, make)
    return name


class ProviderFactory:
    """The providers: the gateway's backends, and those that were registered in this process."""

    def __init__(self, service: SessionService) -> None:
        self._service = service
        self._providers: dict[str, Any] = {}

    async def get_provider(self, name: str | None = None) -> Any:
        """A provider; without a name that of JELMORE_DEFAULT_PROVIDER, else one that has tools.

        Raises:
            ProviderUnavailableError: there is none of this name.
        """
        name = name or self._service.default_provider or await self.select_best_provider()
        if name is None:
            raise ProviderError("no provider can be had now: see the gateway's `sessions` section")
        name = provider_of(name)
        if name not in self._providers:
            await self.create_provider(name)
        return self._providers[name]

    async def create_provider(self, name: str, config: Any = None) -> Any:
        """A provider with this configuration, which `get_provider` gives from now on."""
        name = provider_of(name)
        if (make := _providers.get(name)) is not None:
            self._providers[name] = make(config)
        else:
            backend = await backend_named(self._service, name)
            self._providers[name] = GatewayProvider(self._service, backend, config)
        return self._providers[name]

    async def select_best_provider(self, requirements: Mapping[str, Any] | None = None) -> str | None:
        """The name of the one that fits best, as the gateway sees it; None: none does.

        Raises:
            InvalidRequestError: nobody knows such a capability.
        """
        demands = {"capabilities": ["tools"]} if requirements is None else requirements
        try:
            return provider_of((await self._service.client.choose(demands)).backend)
        except TektonLLMError as error:
            if error.code != UNSUPPORTED and not isinstance(error, ServiceUnavailableError):
                raise
        for name in _providers:
            provider = self._providers.get(name) or await self.create_provider(name)
            if _fits(provider, demands):
                return name
        return None

    def list_active_providers(self) -> list[str]:
        """Those that were asked for or looked at so far."""
        return list(self._providers)

    async def list_available_providers(self) -> list[str]:
        """All there are."""
        ours = (provider_of(backend.name) for backend in await self._service.client.backends())
        return list(dict.fromkeys((*_providers, *ours)))

    async def health_check_all(self) -> dict[str, dict[str, Any]]:
        """How each of them is: `status` is healthy, unhealthy or error."""
        found = {}
        for name, provider in (await self._all()).items():
            try:
                found[name] = await provider.health_check()
            except Exception as error:  # of a class of the caller's
                found[name] = {"status": "error", "provider": name, "error": str(error)}
        return found

    async def get_provider_metrics(self) -> dict[str, Any]:
        """How many providers there are, and the sessions of each."""
        providers = await self._all()
        names = list(providers)
        counted = await asyncio.gather(*(provider.get_metrics() for provider in providers.values()))
        return {
            "total_providers": len(names),
            "configured_providers": names,
            "available_types": names,
            "default_provider": self._service.default_provider or next(iter(names), None),
            "providers": dict(zip(names, counted, strict=True)),
        }

    async def shutdown(self) -> None:
        """Close the connections, and the providers of your own."""
        for provider in self._providers.values():
            await provider.shutdown()
        self._providers.clear()
        await self._service.shutdown()

    async def _all(self) -> dict[str, Any]:
        """Every provider there is, by name; they are active from now on."""
        for backend in await self._service.client.backends():
            name = provider_of(backend.name)
            if name not in _providers:
                known = self._providers.get(name)
                config = known.config if known is not None else None
                self._providers[name] = GatewayProvider(self._service, backend, config)
        return dict(self._providers)


def _fits(provider: Provider, demands: Mapping[str, Any]) -> bool:
    able = provider.capabilities
    words = (str(word).removeprefix("supports_") for word in demands.get("capabilities") or ())
    if not all(getattr(able, f"supports_{word}", False) for word in words):
        return False
    model = demands.get("model")
    offered = [getattr(each, "name", each) for each in getattr(provider, "available_models", ())]
    return not model or model == "auto" or not offered or model in offered


def _service() -> SessionService:
    where = _where()
    if where not in _services:
        _services[where] = SessionService()
    return _services[where]


def _where() -> tuple[str | None, ...]:
    return tuple(map(os.environ.get, WHERE))
