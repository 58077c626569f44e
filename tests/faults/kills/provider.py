"""What the model says to whom: the last thing that was said decides, and it ends in `#` and its own name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import orjson

from rhetor.core.content import ToolUse
from rhetor.testing import Seen, Step, says, slow

GAP_S = 0.02
WORDS = 25
COMMAND = "setsid sleep 300 >/dev/null 2>&1 & sleep 0.2; echo made"
"""What an agent runs: a part of it leaves its group, and outlives its turn."""
_SAID = re.compile(r"(quick|talk|work) #([\w-]+)")
_ANSWERED = re.compile(r"said #([\w-]+)")


@dataclass(frozen=True)
class Told:
    """The names of what had been said, and of what had been answered to the end, in order."""

    said: Sequence[str]
    answered: Sequence[str]


class Provider:
    """Plays for an upstream, see `Upstream.always`."""

    def __init__(self) -> None:
        self.told: dict[str, Told] = {}
        """By the name of what was said last: what was told with it."""
        self._tools = count(1)

    def play(self, seen: Seen) -> Step:
        if "/messages" not in seen.path or not seen.body:
            return Step()
        messages = seen.json["messages"]
        named = _found(_SAID, messages, "user")
        if not named:
            return says("well")
        kind, name = named[-1]
        self.told[name] = Told([each for _, each in named], _found(_ANSWERED, messages, "assistant"))
        if kind == "talk":
            words = " ".join(f"w{n}" for n in range(WORDS))
            return says(f"{words} said #{name}").but(slow(gap_s=GAP_S))
        if kind == "work" and b"tool_result" not in orjson.dumps(messages[-1]):
            use = ToolUse(f"toolu_{next(self._tools)}", "Bash", orjson.dumps({"command": COMMAND}).decode())
            return says("I look. ", use)
        return says(f"well said #{name}")


def _found(pattern: re.Pattern[str], messages: Sequence[Mapping[str, Any]], role: str) -> list[Any]:
    said = (orjson.dumps(message["content"]).decode() for message in messages if message["role"] == role)
    return [each for text in said for each in pattern.findall(text)]
