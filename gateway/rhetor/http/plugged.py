"""What doors need of whoever has the plugins."""

from __future__ import annotations

from typing import Protocol

from rhetor.core.capability import Capability
from rhetor.core.content import Json
from rhetor.plugins.desk import Wish


class Plugins(Protocol):
    @property
    def may_change(self) -> bool | None:
        """Whether callers may add and remove plugins; None: those who show a token."""

    def all(self) -> Json:
        """Every plugin with its status."""

    async def about(self, id: str) -> Json:
        """One of them, and what its programs do.

        Raises:
            BadRequest: not_found.
        """

    async def look(self, said: str, granted: tuple[str, ...]) -> Json:
        """What a source would bring."""

    async def add(self, said: str, granted: tuple[str, ...]) -> Json:
        """Take a plugin in; it can be asked when this returns."""

    async def update(self, id: str, wish: Wish) -> Json:
        """Fetch it again."""

    async def remove(self, id: str) -> Json:
        """Forget it."""

    async def check(self, id: str, only: frozenset[Capability], thorough: bool) -> Json:
        """Ask all that a plugin brings what it claims to answer; the report.

        Args:
            only: these capabilities; empty: all.
            thorough: ask twice for what is dear, too.

        Raises:
            RhetorError: not_found; conflict, one is checked already; total_timeout.
        """

    async def test(self, provider: str) -> str | None:
        """Ask a provider that is a program whether it works; None: it is none, or says nothing against it.

        Raises:
            RhetorError: it does not, and why.
        """
