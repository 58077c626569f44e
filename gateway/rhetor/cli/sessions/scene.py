"""How a session is, as far as its events have told: what somebody sees who watches it. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rhetor.cli.sessions.calls import IN_TURN, Told
from rhetor.core.content import Json

FENCE = ("```", "~~~")


class Blocks:
    """A text that comes in pieces → its paragraphs and blocks of code, each once it is complete."""

    def __init__(self) -> None:
        self.rest = ""
        """What is not complete yet."""

    def feed(self, piece: str) -> list[str]:
        self.rest += piece
        found: list[str] = []
        while "\n" in piece and (end := _end_of_block(self.rest)) is not None:
            block, self.rest = self.rest[:end], self.rest[end:].lstrip("\n")
            if block.strip():
                found.append(block.rstrip("\n"))
        return found

    def flush(self) -> str:
        """The rest, as it is."""
        rest, self.rest = self.rest, ""
        return rest.strip("\n")


def _end_of_block(text: str) -> int | None:
    """Where the first block ends; None: it may go on."""
    fence, place = "", 0
    lines = text.split("\n")
    for line in lines[:-1]:  # the last one may go on
        place += len(line) + 1
        mark = line.strip()[:3]
        if fence:
            if mark == fence:
                return place
        elif mark in FENCE:
            fence = mark
        elif not line.strip():
            return place
    return None


@dataclass(slots=True)
class Usage:
    """What was used so far."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_micros: int | None = 0

    def add(self, data: Mapping[str, Any]) -> None:
        self.calls += 1
        self.input_tokens += int(data.get("input_tokens") or 0)
        self.output_tokens += int(data.get("output_tokens") or 0)
        cost = data.get("cost_micros")
        unknown = self.cost_micros is None or not isinstance(cost, int)
        self.cost_micros = None if unknown else (self.cost_micros or 0) + int(cost or 0)

    def told(self) -> dict[str, Any]:
        return {
            "calls": self.calls,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cost_micros": self.cost_micros,
        }


@dataclass(slots=True)
class Scene:
    """The session now."""

    id: str
    backend: str = ""
    model: str = ""
    title: str = ""
    state: str = "idle"
    turn: int = 0
    directory: str = ""
    usage: Usage = field(default_factory=Usage)
    asks: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """What an agent asks, by id, in order; with the question as its `question`."""
    tools: dict[str, Told] = field(default_factory=dict)
    """What it uses right now."""
    lost: bool = False
    """The connection is gone, and sought."""

    @classmethod
    def of(cls, session: Json) -> Scene:
        """As the gateway tells it. Its usage is of all events so far."""
        said = session.get("usage")
        usage = Usage()
        if isinstance(said, Mapping):
            usage = Usage(**{name: said.get(name) or 0 for name in usage.told()})  # type: ignore[arg-type]
            if said.get("cost_micros") is None:
                usage.cost_micros = None
        return cls(
            id=str(session["id"]),
            backend=str(session.get("backend") or ""),
            model=str(session.get("model") or ""),
            title=str(session.get("title") or ""),
            state=str(session["state"]),
            turn=turn if isinstance(turn := session.get("turn"), int) else 0,
            directory=str(session.get("current_directory") or session.get("directory") or ""),
            usage=usage,
            asks=_asks(session.get("waiting_for")),
        )

    @property
    def in_turn(self) -> bool:
        return self.state in IN_TURN

    def on_event(self, event: Told) -> None:
        """What it changes."""
        data = event.data
        self.turn = max(self.turn, event.turn)
        match event.type:
            case "status_change":
                self.state = str(data.get("to") or event.content)
                if not self.in_turn:
                    self.asks.clear()
            case "approval_request":
                self.asks[str(data.get("request_id"))] = {**data, "question": event.content}
            case "approval_resolved":
                self.asks.pop(str(data.get("request_id")), None)
            case "directory_change":
                self.directory = str(data.get("directory") or event.content)
            case "usage":
                self.usage.add(data)


def _asks(waiting: object) -> dict[str, Mapping[str, Any]]:
    rows = waiting if isinstance(waiting, list) else []
    return {str(row.get("request_id")): row for row in rows if isinstance(row, Mapping)}
