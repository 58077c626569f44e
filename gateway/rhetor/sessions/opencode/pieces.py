"""Texts that grow: each is told once, whole, and not before those that come before it."""

from __future__ import annotations

from dataclasses import dataclass

from rhetor.core.content import JsonValue
from rhetor.sessions.event import Event, EventType


@dataclass(slots=True)
class _Piece:
    type: EventType
    message: str
    told: str = ""
    synced: bool = True
    """What was told is all that there is so far, so the next delta follows on it."""
    whole: bool = False


class Pieces:
    """The texts and thoughts of one turn.

    Deltas are told as they come. Where one may have been missed, the rest of its text waits until a snapshot
    has it.
    """

    def __init__(self) -> None:
        self._pieces: dict[str, _Piece] = {}
        self.wants_messages = False
        """A text came while an earlier one was not whole: its end was missed."""

    def on_gap(self) -> None:
        """Events may have been missed."""
        for piece in self._pieces.values():
            piece.synced = False

    def on_delta(self, part: str, delta: str, live: bool) -> list[Event]:
        """
        Args:
            live: it comes in its turn.
        """
        piece = self._pieces.get(part)
        if piece is None or piece.whole or not piece.synced:
            return []
        if not live:
            piece.synced = False
            return []
        piece.told += delta
        return _told(piece, delta)

    def on_snapshot(
        self, part: str, type: EventType, message: str, text: str, *, whole: bool, live: bool
    ) -> list[Event]:
        """
        Args:
            whole: nothing follows.
            live: it comes in its turn, so the next delta follows on it.
        """
        piece = self._pieces.get(part)
        if piece is None:
            piece = self._pieces[part] = _Piece(type, message, synced=live)
        if piece.whole or self._comes_too_early(part, piece):
            return []
        piece.whole = whole
        if not text.startswith(piece.told):
            return _correction(piece, text) if whole else []
        new = text[len(piece.told) :]
        piece.told = text
        if live or new:  # what is ahead of the events may be in those that come
            piece.synced = live
        return _told(piece, new)

    def _comes_too_early(self, part: str, piece: _Piece) -> bool:
        """Answers are told one after the other; thoughts beside them."""
        if piece.type is not EventType.ASSISTANT:
            return False
        for other, before in self._pieces.items():
            if other == part:
                return False
            if before.type is piece.type and not before.whole:
                piece.synced = False
                self.wants_messages = True
                return True
        return False


def _told(piece: _Piece, text: str) -> list[Event]:
    return [Event(piece.type, text, {"message_id": piece.message})] if text else []


def _correction(piece: _Piece, text: str) -> list[Event]:
    """What was told cannot be taken back. Mere space at its end is no matter."""
    told, piece.told = piece.told, text
    if told.rstrip() == text.rstrip():
        return []
    data: dict[str, JsonValue] = {"message_id": piece.message, "text": text, "told": told}
    return [Event(EventType.SYSTEM, "a message reads otherwise than it was told", data)]
