"""Which providers there are: one immutable snapshot, swapped whole; a trip keeps the one it started with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rhetor.core.errors import Code, UpstreamError
from rhetor.providers.provider import Provider
from rhetor.routing.catalog import Catalog, Target


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    providers: Mapping[str, Provider]
    catalog: Catalog

    def provider_of(self, target: Target) -> Provider:
        """The provider behind a target of this snapshot's catalog."""
        try:
            return self.providers[target.provider]
        except KeyError:
            raise UpstreamError(f"no provider {target.provider!r}", Code.NOTHING_TO_TRY) from None


class Registry:
    """Holds the current snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    @property
    def snapshot(self) -> Snapshot:
        return self._snapshot

    def swap(self, snapshot: Snapshot) -> Snapshot:
        """Make this the current snapshot; gives the old one back for closing what is no longer used."""
        old, self._snapshot = self._snapshot, snapshot
        return old
