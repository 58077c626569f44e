"""Places for live sessions: how many there are, who has one, and who gives its own away."""

from __future__ import annotations

from collections.abc import Mapping

from rhetor.core.errors import Code, RhetorError
from rhetor.sessions.backend import Backend
from rhetor.sessions.commands import Command, Rest
from rhetor.sessions.session import Live
from rhetor.store.base import SessionRow

RETRY_S = 5.0  # turns end, if not soon


class Places:
    """
    Args:
        live: the sessions with an owner, by id; somebody else's to change.
        most: places in all.
    """

    def __init__(self, backends: Mapping[str, Backend], live: Mapping[str, Live], most: int) -> None:
        self._backends = backends
        self._live = live
        self._most = most
        self._coming: dict[str, str] = {}
        """Those that have a place before they fill it, and their backends."""

    @property
    def taken(self) -> int:
        return len(self._coming) + sum(
            live.holds for id, live in self._live.items() if id not in self._coming
        )

    def taken_of(self, backend: Backend) -> int:
        coming = sum(name == backend.name for name in self._coming.values())
        return coming + sum(
            live.holds
            for id, live in self._live.items()
            if live.partner.backend is backend and id not in self._coming
        )

    async def take(self, row: SessionRow, command: Command) -> None:
        """A place, until what the command begins fills it; who has been idle for longest gives its own.

        Raises:
            RhetorError: pool_full, all of them work.
        """
        while (quiet := self._in_the_way(row)) is not None:
            await quiet.ask(Rest())
        self._coming[row.id] = row.backend  # nothing was awaited since the last look
        # It is the command's and not its caller's, who may leave before it is done.
        command.done.add_done_callback(lambda _: self._coming.pop(row.id, None))

    def _in_the_way(self, row: SessionRow) -> Live | None:
        live = self._live.get(row.id)
        backend = self._backends.get(row.backend)
        if backend is None or row.id in self._coming or (live is not None and live.holds):
            return None
        if len(self._live) + len(self._coming) < min(backend.max_sessions, self._most):
            return None
        for full, most, of, named in (
            (self.taken_of(backend), backend.max_sessions, backend, f"sessions.{backend.name}.max_sessions"),
            (self.taken, self._most, None, "sessions.max_live"),
        ):
            if full < most:
                continue
            quiet = [
                (each.quiet_since_s, id)
                for id, each in self._live.items()
                if each.quiet_since_s is not None
                and not each.ended
                and (of is None or each.partner.backend is of)
            ]
            if not quiet:
                message = f"{full} sessions are at work, which is all there may be; see {named}"
                raise RhetorError(message, Code.POOL_FULL, retry_after_s=RETRY_S)
            return self._live[min(quiet)[1]]
        return None
