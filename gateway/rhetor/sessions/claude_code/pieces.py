"""An answer's text, told once: its pieces as they come, and what a complete message has beyond them."""

from __future__ import annotations

from collections.abc import Mapping

from rhetor.core.content import Json
from rhetor.sessions.event import Event, EventType
from rhetor.wire.lenient import thing, word

KINDS: Mapping[str, EventType] = {"text": EventType.ASSISTANT, "thinking": EventType.THINKING}
DELTAS: Mapping[str, str] = {"text_delta": "text", "thinking_delta": "thinking"}
UNKNOWN = "unknown"  # the id of a message that has none


class Pieces:
    """Of one message after the other: first its pieces come, then it comes again, block by block."""

    def __init__(self) -> None:
        self.told = False
        """Whether anything was, since `begin_turn`."""
        self._begin(UNKNOWN)

    def begin_turn(self) -> None:
        self.told = False

    def stream(self, event: Json) -> Event | None:
        """One of Anthropic's stream events."""
        match word(event, "type"):
            case "message_start":
                self._begin(word(thing(event, "message"), "id") or UNKNOWN)
            case "content_block_start":
                block = thing(event, "content_block")
                return self._stream(word(block, "type"), block)
            case "content_block_delta":
                delta = thing(event, "delta")
                return self._stream(DELTAS.get(word(delta, "type"), ""), delta)
        return None

    def complete(self, message_id: str, block: Json) -> Event | None:
        """A whole block of a message.

        What was not streamed is told now. A block that differs from its pieces is not told again: they are
        what the model has said.
        """
        kind = word(block, "type")
        text = word(block, kind)
        if kind not in KINDS or not text:
            return None
        if message_id != self._message:
            self._begin(message_id)
        self._whole[kind] = whole = self._whole.get(kind, "") + text
        streamed = "".join(self._streamed.get(kind, ()))
        if not whole.startswith(streamed):
            return None
        self._streamed[kind] = [whole]
        return self._tell(kind, whole[len(streamed) :])

    def _begin(self, message_id: str) -> None:
        self._message = message_id
        self._streamed: dict[str, list[str]] = {}
        self._whole: dict[str, str] = {}

    def _stream(self, kind: str, fields: Json) -> Event | None:
        text = word(fields, kind) if kind in KINDS else ""
        if text:
            self._streamed.setdefault(kind, []).append(text)
        return self._tell(kind, text)

    def _tell(self, kind: str, text: str) -> Event | None:
        if not text:
            return None
        self.told = self.told or kind == "text"
        return Event(KINDS[kind], text, {"message_id": self._message})
