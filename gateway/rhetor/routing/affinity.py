"""Who has read which conversation: providers answer sooner and cheaper what begins as they know it."""

from __future__ import annotations

from rhetor.core.content import Text
from rhetor.core.request import Chat, Request, Role
from rhetor.routing.catalog import Target

KEPT_S = 600.0  # providers forget prefixes after five to ten minutes
MOST = 10_000
WORTH_CHARS = 4000  # prefixes of fewer than about a thousand tokens are cached by nobody


class Affinity:
    """The latest readers of conversations, the oldest forgotten first."""

    __slots__ = ("_readers",)

    def __init__(self) -> None:
        self._readers: dict[int, tuple[Target, float]] = {}

    def served(self, prefix: int, target: Target, now_s: float) -> None:
        readers = self._readers
        readers.pop(prefix, None)  # so that it stands last
        readers[prefix] = (target, now_s)
        if len(readers) > MOST:
            del readers[next(iter(readers))]

    def reader_of(self, prefix: int, now_s: float) -> Target | None:
        found = self._readers.get(prefix)
        return found[0] if found is not None and now_s - found[1] <= KEPT_S else None


def prefix_of(request: Request) -> int | None:
    """What all turns of a conversation have in common, as a number; None when it is too short to matter.

    That is everything up to the first words of the user.
    """
    if not isinstance(request.input, Chat):
        return None
    texts: list[str] = []
    for message in request.input.messages:
        texts += [part.text for part in message.parts if isinstance(part, Text)]
        if message.role is Role.USER:
            break
    return hash((request.model, *texts)) if sum(map(len, texts)) >= WORTH_CHARS else None
