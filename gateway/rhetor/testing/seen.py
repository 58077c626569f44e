"""A request as the upstream saw it, and what became of its reply."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from functools import cached_property
from typing import Any
from urllib.parse import unquote

import orjson

from rhetor.core.request import Request
from rhetor.testing.http1 import HttpRequest
from rhetor.testing.waiting import WITHIN_S, Changes

_MODEL_IN_PATH = re.compile(r"/models?/([^/:]+)(?::\w+|/[a-z-]+)$")


class Outcome(StrEnum):
    """How a reply ended, as the upstream's socket tells."""

    COMPLETED = "completed"
    """Sent to its end, with whatever content the script wanted."""
    BROKEN = "broken"
    """Broken off by the script."""
    ABORTED = "aborted"
    """The caller left before the end."""


class Seen:
    """One request that reached the upstream."""

    def __init__(self, request: HttpRequest, arrived_s: float = 0.0) -> None:
        self.method = request.method
        self.path = request.path
        self.target = request.target
        self.headers: Mapping[str, str] = request.headers
        self.body = request.body
        self.arrived_s = arrived_s
        """When it was there, by the loop's clock."""
        self.heard: Request | None = None
        """What is asked, in canonical form, where the language has a door."""
        self.sent_events = 0
        """Content events sent so far."""
        self.outcome: Outcome | None = None
        """None while the reply goes on."""
        self._is_hanging = False
        self._changes = Changes()

    def __repr__(self) -> str:
        return f"Seen({self.method} {self.target}, {len(self.body)} bytes, {self.outcome or 'replying'})"

    @cached_property
    def json(self) -> Any:
        """The parsed body. Any: it is whatever was sent, and tests look into it freely."""
        return orjson.loads(self.body)

    @property
    def model(self) -> str:
        """In the body, or where the language has it there, in the path."""
        if self.heard is not None and self.heard.model:
            return self.heard.model
        named = _MODEL_IN_PATH.search(self.path)
        return str(self.json["model"]) if named is None else unquote(named[1])

    async def hanging(self, within_s: float = WITHIN_S) -> None:
        """Return once the reply has fallen silent at a point of its script."""
        await self._changes.until(lambda: self._is_hanging, within_s, f"{self} hangs")

    async def ended(self, within_s: float = WITHIN_S) -> Outcome:
        """How the reply ended, once it has."""
        await self._changes.until(lambda: self.outcome is not None, within_s, f"the reply to {self} ends")
        assert self.outcome is not None
        return self.outcome

    async def aborted(self, within_s: float = WITHIN_S) -> None:
        """Return once the caller has left.

        Raises:
            AssertionError: the caller did not leave in time, or the reply ended otherwise.
        """
        outcome = await self.ended(within_s)
        if outcome is not Outcome.ABORTED:
            raise AssertionError(f"the caller stayed until the end: {self}")

    def on_hang(self, hangs: bool) -> None:
        self._is_hanging = hangs
        self._changes.tell()

    def on_end(self, outcome: Outcome) -> None:
        """The first ending counts."""
        if self.outcome is None:
            self.outcome = outcome
            self._changes.tell()
