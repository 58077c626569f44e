"""What the agent asks leave for: told once, with its tool's input, and withdrawn in the end."""

from __future__ import annotations

from rhetor.core.content import Json
from rhetor.sessions.backend import Asked, Happening, Withdrawn
from rhetor.sessions.opencode import reading
from rhetor.sessions.opencode.reading import object_of, text_of


class Asks:
    """The requests of one turn, of the session's own tools and of its subagents' alike."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._open: dict[str, Asked] = {}
        self._held: dict[str, Json] = {}
        self._inputs: dict[tuple[str, str], tuple[str, Json]] = {}

    @property
    def held(self) -> bool:
        """Some wait for the tool's input, which mostly comes at the same time. See `release`."""
        return bool(self._held)

    def find(self, request: str) -> Asked | None:
        """One that waits for an answer."""
        return self._open.get(request)

    def on_tool(self, part: Json) -> list[Happening]:
        """A tool's input is known."""
        key = (text_of(part.get("messageID")), text_of(part.get("callID")))
        self._inputs[key] = (reading.tool_of(part), reading.input_of(part))
        return [self._tell(id) for id, ask in list(self._held.items()) if _key(ask) == key]

    def on_asked(self, ask: Json) -> list[Happening]:
        id = text_of(ask.get("id"))
        if not id or id in self._known:
            return []
        self._known.add(id)
        self._held[id] = ask
        return [self._tell(id)] if _key(ask) in self._inputs else []

    def on_replied(self, request: str) -> list[Happening]:
        """By us, or together with another one."""
        self._known.add(request)
        self._held.pop(request, None)
        return [Withdrawn(request)] if self._open.pop(request, None) is not None else []

    def on_pending(self, asks: list[Json]) -> list[Happening]:
        """These are all that wait now."""
        waiting = {text_of(ask.get("id")) for ask in asks}
        told = [it for id in [*self._open, *self._held] if id not in waiting for it in self.on_replied(id)]
        return [*told, *(it for ask in asks for it in self.on_asked(ask))]

    def release(self) -> list[Happening]:
        """Tell those whose tool's input did not come."""
        return [self._tell(id) for id in list(self._held)]

    def answered(self, request: str) -> None:
        self._open.pop(request, None)

    def end(self) -> list[Happening]:
        """Nobody waits any more."""
        self._held.clear()
        return [it for id in list(self._open) for it in self.on_replied(id)]

    def _tell(self, id: str) -> Asked:
        ask = self._held.pop(id)
        about = object_of(ask.get("metadata"))
        permission = text_of(ask.get("permission"))
        listed = ask.get("patterns")
        patterns = [text_of(it) for it in listed] if isinstance(listed, list) else []
        tool, given = self._inputs.get(_key(ask), (permission, about))
        question = reading.question(permission, patterns, about)
        self._open[id] = Asked(id, tool, given, question, always=bool(ask.get("always")))
        return self._open[id]


def _key(ask: Json) -> tuple[str, str]:
    tool = object_of(ask.get("tool"))
    return text_of(tool.get("messageID")), text_of(tool.get("callID"))
