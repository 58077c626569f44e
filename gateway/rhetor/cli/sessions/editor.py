"""A line that people type: bytes of a terminal → text with a cursor, and what to do with it. No I/O."""

from __future__ import annotations

import codecs
import re
from enum import StrEnum

MOST_CHARS = 1_000_000
MOST_LINES_KEPT = 200


class Wish(StrEnum):
    """What a key means beyond changing the line."""

    ENTER = "enter"
    LEAVE = "leave"
    """Ctrl-D, on an empty line."""


class Editor:
    """The line so far. Earlier ones come back with the arrows; what is pasted may have several lines."""

    def __init__(self) -> None:
        self.text = ""
        self.cursor = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self._pasting = False
        self._kept: list[str] = []
        self._place = 0  # in what is kept; its end: the line that is being typed
        self._draft = ""

    def feed(self, data: bytes) -> list[tuple[Wish, str]]:
        """What these bytes ask for, each with the line that it was asked with."""
        self._held += self._decoder.decode(data)
        wishes: list[tuple[Wish, str]] = []
        while self._held and (key := self._next_key()) is not None:
            if (wish := self._press(key)) is not None:
                wishes.append(wish)
        return wishes

    def settle(self) -> None:
        """Nothing follows: an Escape that is held stood for itself."""
        self._held = ""

    def set(self, text: str) -> None:
        """Put this in the line's place."""
        self.text, self.cursor = text[:MOST_CHARS], min(len(text), MOST_CHARS)

    def _next_key(self) -> str | None:
        """One character, or one sequence; None: its rest has not come."""
        if not self._held.startswith("\x1b"):
            key, self._held = self._held[0], self._held[1:]
            return key
        if (match := _SEQUENCE.match(self._held)) is None:
            return None
        self._held = self._held[match.end() :]
        return match[0]

    def _press(self, key: str) -> tuple[Wish, str] | None:
        if key in (PASTE_BEGINS, PASTE_ENDS):
            self._pasting = key == PASTE_BEGINS
        elif key in ("\r", "\n") and not self._pasting:
            return self._enter()
        elif key in NEW_LINE or (self._pasting and key in ("\r", "\n")):
            self._insert("\n")
        elif key == "\x04" and not self.text:
            return Wish.LEAVE, ""
        elif key in _EDITS:
            _EDITS[key](self)
        elif key == "\t" or (len(key) == 1 and key.isprintable()):
            self._insert(key)
        return None

    def _enter(self) -> tuple[Wish, str]:
        said = self.text
        if said.strip() and (not self._kept or self._kept[-1] != said):
            self._kept = [*self._kept, said][-MOST_LINES_KEPT:]
        self._place = len(self._kept)
        self.set("")
        return Wish.ENTER, said

    def _insert(self, text: str) -> None:
        if len(self.text) < MOST_CHARS:
            self.text = self.text[: self.cursor] + text + self.text[self.cursor :]
            self.cursor += len(text)

    def _cut(self, begin: int, end: int) -> None:
        self.text = self.text[:begin] + self.text[end:]
        self.cursor = begin

    def _word_before(self) -> int:
        before = self.text[: self.cursor].rstrip()
        return len(before) - len(before.split()[-1]) if before else 0

    def _recall(self, step: int) -> None:
        place = self._place + step
        if not 0 <= place <= len(self._kept):
            return
        if self._place == len(self._kept):
            self._draft = self.text
        self._place = place
        self.set(self._draft if place == len(self._kept) else self._kept[place])

    def _left(self) -> None:
        self.cursor = max(self.cursor - 1, 0)

    def _right(self) -> None:
        self.cursor = min(self.cursor + 1, len(self.text))

    def _home(self) -> None:
        self.cursor = 0

    def _end(self) -> None:
        self.cursor = len(self.text)

    def _backspace(self) -> None:
        if self.cursor:
            self._cut(self.cursor - 1, self.cursor)

    def _delete(self) -> None:
        self._cut(self.cursor, self.cursor + 1)

    def _delete_word(self) -> None:
        self._cut(self._word_before(), self.cursor)

    def _delete_before(self) -> None:
        self._cut(0, self.cursor)

    def _delete_after(self) -> None:
        self._cut(self.cursor, len(self.text))

    def _up(self) -> None:
        self._recall(-1)

    def _down(self) -> None:
        self._recall(1)


PASTE_BEGINS, PASTE_ENDS = "\x1b[200~", "\x1b[201~"
NEW_LINE = ("\x1b\r", "\x1b\n")  # Alt-Enter
_SEQUENCE = re.compile(r"\x1b(\[[0-9;?]*[ -/]*[@-~]|O.|[^\[O])", re.DOTALL)
_EDITS = {
    "\x7f": Editor._backspace,
    "\b": Editor._backspace,
    "\x01": Editor._home,
    "\x05": Editor._end,
    "\x04": Editor._delete,
    "\x0b": Editor._delete_after,
    "\x15": Editor._delete_before,
    "\x17": Editor._delete_word,
    "\x1b[A": Editor._up,
    "\x1bOA": Editor._up,
    "\x1b[B": Editor._down,
    "\x1bOB": Editor._down,
    "\x1b[C": Editor._right,
    "\x1bOC": Editor._right,
    "\x1b[D": Editor._left,
    "\x1bOD": Editor._left,
    "\x1b[H": Editor._home,
    "\x1bOH": Editor._home,
    "\x1b[1~": Editor._home,
    "\x1b[F": Editor._end,
    "\x1bOF": Editor._end,
    "\x1b[4~": Editor._end,
    "\x1b[3~": Editor._delete,
    "\x1b\x7f": Editor._delete_word,
}
"""Keys as xterm and its many heirs send them."""
