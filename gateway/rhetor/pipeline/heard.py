"""What a caller has heard of a reply so far: all that another target needs to go on from there."""

from __future__ import annotations

from rhetor.core.events import (
    Event,
    Finished,
    MediumLink,
    MediumStarted,
    Spoken,
    Started,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    ToolUseDelta,
    UsageReport,
)
from rhetor.core.usage import Usage

PIECES = 512  # kept apart, until they are joined: a long reply takes the room of its text
_UNCOUNTED = frozenset({Started, Finished})
"""Events in which nothing is said."""


class Heard:
    """Collects a reply's events in little room: what was said in many pieces is kept as one.

    Args:
        keeps: False where nobody can go on anyway: then it only counts.
    """

    __slots__ = ("_joined", "_keeps", "_log", "_pieces", "_wordless", "chars", "duration_s", "media", "usage")

    def __init__(self, keeps: bool = True) -> None:
        self._keeps = keeps
        self._log: list[Event] = []
        self._joined: list[str] = []
        self._pieces: list[str] = []
        self._wordless = False
        self.chars = 0
        """How much was heard, in characters: for estimates."""
        self.usage: Usage | None = None
        """The last that was reported."""
        self.media = 0
        """How many pictures, recordings, films were begun."""
        self.duration_s: float | None = None
        """Of the recording that is written down."""

    def add(self, event: Event) -> None:
        kind = type(event)
        if kind is TextDelta:
            text: str = event.text  # type: ignore[union-attr]  # narrowed by identity, for speed
            self.chars += len(text)
            if self._keeps:
                self._pieces.append(text)
                if len(self._pieces) > PIECES:
                    self._join()
        elif kind is UsageReport:
            self.usage = event.usage  # type: ignore[union-attr]
        elif self._keeps or kind not in _UNCOUNTED:
            self._add_other(event)

    @property
    def text(self) -> str:
        """The text that was being said last; empty when something else was."""
        return "".join([*self._joined, *self._pieces])

    @property
    def can_be_continued(self) -> bool:
        """Whether it broke off within a text, after nothing but text and thoughts that had ended."""
        return not self._wordless and (any(self._pieces) or bool(self._joined))

    def events(self) -> list[Event]:
        """The same in as few events as possible."""
        text = self.text
        return [*self._log, TextDelta(text)] if text else list(self._log)

    def _join(self) -> None:
        self._joined.append("".join(self._pieces))
        self._pieces = []

    def _add_other(self, event: Event) -> None:
        match event:
            case ThinkingDelta(text) | ToolUseDelta(arguments=text):
                self.chars += len(text)
            case MediumStarted() | MediumLink():
                self.media += 1
            case Spoken(duration_s=duration_s):
                self.duration_s = duration_s or self.duration_s
        if not self._keeps:
            return
        if text := self.text:
            self._log.append(TextDelta(text))
        self._joined, self._pieces = [], []
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
