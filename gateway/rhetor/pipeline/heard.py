"""What a caller has heard of a reply so far: all that another target needs to go on from there."""

from __future__ import annotations

from rhetor.core.events import (
    Event,
    Started,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    ToolUseDelta,
    UsageReport,
)
from rhetor.core.usage import Usage

PIECES = 512  # kept apart, until they are joined: a long reply takes the room of its text


class Heard:
    """Collects a reply's events in little room: what was said in many pieces is kept as one."""

    __slots__ = ("_log", "_pieces", "_wordless", "usage")

    def __init__(self) -> None:
        self._log: list[Event] = []
        self._pieces: list[str] = []
        self._wordless = False
        self.usage: Usage | None = None
        """The last that was reported."""

    def add(self, event: Event) -> None:
        kind = type(event)
        if kind is TextDelta:
            pieces = self._pieces
            pieces.append(event.text)  # type: ignore[union-attr]  # narrowed by identity, for speed
            if len(pieces) > PIECES:
                self._pieces = ["".join(pieces)]
        elif kind is UsageReport:
            self.usage = event.usage  # type: ignore[union-attr]
        else:
            self._add_other(event)

    @property
    def text(self) -> str:
        """The text that was being said last; empty when something else was."""
        return "".join(self._pieces)

    @property
    def can_be_continued(self) -> bool:
        """Whether it broke off within a text, after nothing but text and thoughts that had ended."""
        return not self._wordless and any(self._pieces)

    @property
    def chars(self) -> int:
        """How much was heard, in characters: for estimates."""
        return sum(map(_length, self._log)) + sum(map(len, self._pieces))

    def events(self) -> list[Event]:
        """The same in as few events as possible."""
        return [*self._log, TextDelta(self.text)] if self._pieces else list(self._log)

    def _add_other(self, event: Event) -> None:
        if self._pieces:
            self._log.append(TextDelta(self.text))
            self._pieces = []
        last = self._log[-1] if self._log else None
        match event:
            case ThinkingDelta(text) if isinstance(last, ThinkingDelta):
                self._log[-1] = ThinkingDelta(last.text + text)
            case ToolUseDelta(index, arguments) if isinstance(last, ToolUseDelta) and last.index == index:
                self._log[-1] = ToolUseDelta(index, last.arguments + arguments)
            case _:
                self._log.append(event)
        # Thoughts between two texts are a conversation of the model's own, which no other goes on with.
        between = isinstance(event, ThinkingDelta | ThinkingSigned) and any(
            isinstance(it, TextDelta) for it in self._log
        )
        self._wordless |= between or not isinstance(event, Started | ThinkingDelta | ThinkingSigned)


def _length(event: Event) -> int:
    match event:
        case TextDelta(text=text) | ThinkingDelta(text=text):
            return len(text)
        case ToolUseDelta(arguments=arguments):
            return len(arguments)
    return 0
