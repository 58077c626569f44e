"""Objects that can be read like the dicts which some of their readers take them for.

`provider["models"]` is `provider.models`, and a list of models can be asked for
`.items()`. Inherited before pydantic's class, or by a dataclass.
"""

from __future__ import annotations

from collections.abc import Generator, ItemsView, KeysView, ValuesView
from typing import Any


class AsMapping:
    """Attributes, by key as well."""

    def __getitem__(self, name: str) -> Any:
        return vars(self)[name]

    def __contains__(self, name: object) -> bool:
        return name in vars(self)

    def get(self, name: str, default: Any = None) -> Any:
        try:
            return self[name]
        except KeyError:
            return default

    def keys(self) -> KeysView[str]:
        return vars(self).keys()

    def values(self) -> ValuesView[Any]:
        return {name: self[name] for name in self.keys()}.values()

    def items(self) -> ItemsView[str, Any]:
        return {name: self[name] for name in self.keys()}.items()


class Models(list[Any]):
    """Models in their order, and by id."""

    def __getitem__(self, which: Any) -> Any:
        return self._by_id()[which] if isinstance(which, str) else super().__getitem__(which)

    def __contains__(self, which: object) -> bool:
        return which in self._by_id() if isinstance(which, str) else super().__contains__(which)

    def get(self, id: str, default: Any = None) -> Any:
        return self._by_id().get(id, default)

    def keys(self) -> KeysView[str]:
        return self._by_id().keys()

    def values(self) -> ValuesView[Any]:
        return self._by_id().values()

    def items(self) -> ItemsView[str, Any]:
        return self._by_id().items()

    def _by_id(self) -> dict[str, Any]:
        return {model.id: model for model in self}


class ProviderAsMapping(AsMapping):
    """Its models are found by their ids."""

    def __getitem__(self, name: str) -> Any:
        found = super().__getitem__(name)
        return Models(found) if name == "models" else found


class ProvidersAsList:
    """Iterated, it gives each provider as a dict, `id` included."""

    providers: dict[str, Any]

    def __iter__(self) -> Generator[Any, None, None]:
        return ({"id": id, **provider.model_dump()} for id, provider in self.providers.items())

    def __len__(self) -> int:
        return len(self.providers)
