"""Recordings of Codex, read again."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import orjson

from rhetor.sessions.backend import Asked, TurnEnded
from rhetor.sessions.codex.reading import Answered, Heard, Reader, Reply
from rhetor.sessions.event import Event, EventType
from tests.sessions.conformance import Grammar

RECORDINGS = Path(__file__).parent / "recordings"
DIRECTORY = "/mnt/work"

T = TypeVar("T")


def lines(name: str) -> list[bytes]:
    return (RECORDINGS / f"{name}.jsonl").read_bytes().splitlines()


def line(**fields: object) -> bytes:
    return orjson.dumps(fields)


class Turn:
    """What was heard between a message and its end."""

    def __init__(self, heard: list[Heard]) -> None:
        self.heard = heard

    @property
    def ended(self) -> TurnEnded:
        return self.all(TurnEnded)[-1]

    @property
    def text(self) -> str:
        return "".join(self.contents(EventType.ASSISTANT))

    def all(self, kind: type[T]) -> list[T]:
        return [each for each in self.heard if isinstance(each, kind)]

    def events(self, *types: EventType) -> list[Event]:
        return [each for each in self.all(Event) if each.type in types]

    def contents(self, *types: EventType) -> list[str]:
        return [each.content for each in self.events(*types)]


def replay(name: str, reader: Reader | None = None, *, answered: bool = True) -> list[Turn]:
    """Its turns; all of them keep the grammar.

    Args:
        answered: whoever asks got an answer at once.
    """
    reader = reader or Reader(DIRECTORY)
    reader.thread = thread_of(name)
    grammar = Grammar()
    turns: list[list[Heard]] = [[]]
    reader.begin_turn()
    grammar.on_sent()
    for said in lines(name):
        for heard in reader.feed(said):
            if isinstance(heard, Answered):
                continue
            turns[-1].append(heard)
            if isinstance(heard, Reply):
                continue
            grammar.on_told(heard)
            if answered and isinstance(heard, Asked):
                reader.open.pop(heard.request_id)
                grammar.on_answered(heard.request_id)
            if isinstance(heard, TurnEnded):
                turns.append([])
                reader.begin_turn()
                grammar.on_sent()
    assert not turns[-1], "the last turn has no end"
    return [Turn(turn) for turn in turns[:-1]]


def thread_of(name: str) -> str:
    for said in lines(name):
        answer = orjson.loads(said)
        if "thread" in answer.get("result", {}):
            return str(answer["result"]["thread"]["id"])
    raise AssertionError(f"{name} has no thread")
