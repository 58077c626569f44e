"""Variables that callers set for their agents: never stored, so they are gone with this process."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from rhetor.core.errors import BadRequest, Code

NAME_CHARS = 100  # of a name that is refused, in the message


class Variables:
    """
    Args:
        allowed: the names that may be set.
    """

    def __init__(self, allowed: Collection[str]) -> None:
        self._allowed = frozenset(allowed)
        self._kept: dict[str, Mapping[str, str]] = {}

    def of(self, session_id: str) -> Mapping[str, str]:
        return self._kept.get(session_id, {})

    def ensure_allowed(self, given: Mapping[str, str]) -> None:
        """
        Raises:
            BadRequest: forbidden, one of them may not be set.
        """
        for name in given:
            if name not in self._allowed:
                message = f"environment: {name[:NAME_CHARS]} may not be set; see sessions.environment"
                raise BadRequest(message, Code.FORBIDDEN, param="environment")

    def keep(self, session_id: str, given: Mapping[str, str] | None) -> None:
        """In place of earlier ones, if there are any."""
        if given:
            self._kept[session_id] = given

    def forget(self, session_id: str) -> None:
        self._kept.pop(session_id, None)
