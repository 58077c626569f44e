"""How the reply of a second target becomes the rest of the first one's. Pure: events in, events out.

The texts of two models are never glued blindly. Either the second was handed
what the first had said and goes on from there (`Prefilled`), or it answers from
the beginning, and its beginning must be the same (`Restarted`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from rhetor.core.errors import Code, UpstreamError
from rhetor.core.events import (
    Event,
    Failed,
    Finished,
    Started,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    UsageReport,
)
from rhetor.core.usage import Usage, estimate_tokens

ECHO_CHARS = 16  # of a text this long, its repetition is no coincidence


class Continuation(Protocol):
    """Events of the second reply → those of them that the caller has not heard yet."""

    reported: Usage | None
    """What the second provider said of its own usage."""
    skipped_chars: int
    """What it said that the caller knew already."""

    def feed(self, events: list[Event]) -> list[Event]:
        """What is new in these events.

        Raises:
            UpstreamError: diverged, this is not the rest of what was said.
        """


class Restarted:
    """The second target answers anew; what the caller knows already is checked and skipped."""

    def __init__(self, text: str) -> None:
        self.reported: Usage | None = None
        self.skipped_chars = 0
        self._text = text

    def feed(self, events: list[Event]) -> list[Event]:
        return [new for event in events if (new := self._new(event)) is not None]

    def _new(self, event: Event) -> Event | None:
        match event:
            case Started() | ThinkingDelta() | ThinkingSigned():
                return None  # the caller was told who answers, and has heard thoughts before this text
            case UsageReport(usage):
                self.reported = usage
                return event
            case Failed():
                return event
        if self.skipped_chars == len(self._text):
            return event
        match event:
            case TextDelta(text):
                return self._unknown(text)
            case Finished() if not self._text[self.skipped_chars :].strip():
                return event
        raise _diverged()

    def _unknown(self, text: str) -> Event | None:
        known = min(len(text), len(self._text) - self.skipped_chars)
        if not self._text.startswith(text[:known], self.skipped_chars):
            raise _diverged()
        self.skipped_chars += known
        return TextDelta(text[known:]) if known < len(text) else None


class Prefilled:
    """The second target was given the text as its own beginning, and goes on.

    Args:
        text: what the caller has heard.
        given: what the target was given of it; some take no white space at the end.
    """

    def __init__(self, text: str, given: str) -> None:
        self.reported: Usage | None = None
        self.skipped_chars = 0
        self._tokens = estimate_tokens(text)
        self._given = given
        self._blanks = text[len(given) :]
        self._held = ""
        self._goes_on = False

    def feed(self, events: list[Event]) -> list[Event]:
        return [new for event in events for new in self._new(event)]

    def _new(self, event: Event) -> list[Event]:
        match event:
            case Started() | ThinkingDelta() | ThinkingSigned():
                return []
            case UsageReport(usage):
                self.reported = usage
                # One reply to the caller: what the first target said of it counts as output.
                output_tokens = usage.output_tokens + self._tokens
                return [UsageReport(replace(usage, output_tokens=output_tokens, source="estimated"))]
            case Failed():
                return [event]
        if self._goes_on:
            return [event]
        if isinstance(event, TextDelta):
            self._held += event.text
            if self._may_be_echo():
                return []
            event = TextDelta(self._released())
        elif self._held:
            return [TextDelta(self._released()), event]
        self._goes_on = True
        return [event] if not isinstance(event, TextDelta) or event.text else []

    def _may_be_echo(self) -> bool:
        """Whether it may be saying again what it was given, or the white space that it was not."""
        held = self._held
        if len(self._given) >= ECHO_CHARS and self._given.startswith(held):
            return True
        return len(held) < len(self._blanks) and self._blanks.startswith(held)

    def _released(self) -> str:
        """What was held back, without what the caller has heard."""
        held = self._held
        if len(self._given) >= ECHO_CHARS and held.startswith(self._given):
            held = held[len(self._given) :]
            self.skipped_chars = len(self._given)
        self._held = ""
        self._goes_on = True
        return held.removeprefix(self._blanks)


def _diverged() -> UpstreamError:
    return UpstreamError("another target answered otherwise than the one that failed", Code.DIVERGED)
