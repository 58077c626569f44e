"""Tool calls of a streamed reply: pieces in any of the shapes that providers send → events.

Seen in the wild, beside the documented shape: no `index` at all (Gemini),
the same `index` for several calls (Gemini, and gateways in front of it), id and
name repeated in every piece, whole calls sent twice, names in a later piece
than ids, arguments as an object instead of text.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import orjson

from rhetor.core.content import Json
from rhetor.core.events import ToolUseDelta, ToolUseStarted
from rhetor.wire.base import Narrator
from rhetor.wire.lenient import parse, thing, word


@dataclass(slots=True)
class _Call:
    id: str
    name: str = ""
    number: int = -1
    """Its place among the calls that were opened; -1 until its name is known."""
    pieces: list[str] = field(default_factory=list)

    def has_said(self, arguments: str) -> bool:
        """Whether these arguments are, completely, what the call said before."""
        said = "".join(self.pieces)
        return said == arguments and parse(said) is not None


class Calls:
    """Opens each call once, in the order in which their names came, and passes the arguments on."""

    def __init__(self, narrator: Narrator) -> None:
        self._narrator = narrator
        self._calls: list[_Call] = []
        self._of_index: dict[int | None, _Call] = {}
        self._opened = 0

    @property
    def any(self) -> bool:
        return bool(self._calls)

    def add(self, piece: Json) -> None:
        """One entry of `delta.tool_calls`."""
        function = thing(piece, "function")
        id, name, arguments = word(piece, "id"), word(function, "name"), arguments_of(function)
        index = piece.get("index")
        call, known = self._call_of(index if isinstance(index, int) else None, id, name)
        if not call.name and name:
            call.name = name
        elif known and id and name and arguments and call.has_said(arguments):
            return
        if arguments:
            call.pieces.append(arguments)
        if call.number >= 0:
            if arguments:
                self._narrator.emit(ToolUseDelta(call.number, arguments))
        elif call.name:
            self._open(call)

    def finish(self) -> None:
        """The reply ends: calls that never got a name are told without one."""
        for call in self._calls:
            if call.number < 0:
                self._open(call)

    def _call_of(self, index: int | None, id: str, name: str) -> tuple[_Call, bool]:
        """The call that a piece belongs to, and whether it was known before."""
        if index is not None:
            call = self._of_index.get(index)
        elif id:
            call = next((it for it in self._calls if it.id == id), None)
        else:
            call = self._calls[-1] if self._calls and not name else None
        if call is None or (id and name and call.name and id != call.id):
            call = _Call(id)
            self._calls.append(call)
            self._of_index[index] = call
            return call, False
        call.id = call.id or id
        return call, True

    def _open(self, call: _Call) -> None:
        call.number = self._opened
        self._opened += 1
        call.id = call.id or self._narrator.call_id(call.number)
        self._narrator.emit(ToolUseStarted(call.number, call.id, call.name))
        for arguments in call.pieces:
            self._narrator.emit(ToolUseDelta(call.number, arguments))


def arguments_of(function: Json) -> str:
    """A call's arguments as JSON text."""
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        return arguments
    return orjson.dumps(arguments).decode() if isinstance(arguments, dict) else ""
