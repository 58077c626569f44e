"""The turns of a conversation as this language orders them.

Neighbouring messages of one side are one turn, and the results of tools, which
the user sends here, come first in theirs. What the system says first is a
field of the request; what it says later stays where it was if the model takes
that (https://platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages,
read 2026-11-20), else it joins the first.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass, field

from rhetor.core.content import JsonValue
from rhetor.core.errors import BadRequest, Code
from rhetor.core.request import Message, Role
from rhetor.wire.anthropic.blocks import Block, Dropped, write_blocks


@dataclass(slots=True)
class Turn:
    role: str
    blocks: list[Block] = field(default_factory=list)


@dataclass(slots=True)
class Conversation:
    system: list[Block]
    turns: list[Turn]

    def fields(self) -> dict[str, JsonValue]:
        """`system` and `messages` of a request."""
        said: dict[str, JsonValue] = {"system": _content(self.system)} if self.system else {}
        said["messages"] = [{"role": turn.role, "content": _content(turn.blocks)} for turn in self.turns]
        return said


def write_conversation(messages: Sequence[Message], system_inside: bool, dropped: Dropped) -> Conversation:
    """The conversation in turns.

    Args:
        system_inside: whether the model takes messages of the system among the others.

    Raises:
        BadRequest: unsupported, something cannot be said in this language, or nobody but the system speaks.
    """
    talk = Conversation([], [])
    others = [number for number, it in enumerate(messages) if it.role is not Role.SYSTEM]
    for number, message in enumerate(messages):
        path = f"messages[{number}]"
        blocks = write_blocks(message.parts, f"{path}.content", dropped)
        if message.name is not None:
            dropped.append(f"{path}.name")
        if not blocks:
            dropped.append(f"{path}: empty")
        elif message.role is not Role.SYSTEM:
            _add(talk.turns, _SIDES[message.role], blocks)
        elif not talk.turns:
            talk.system += [_system_text(block, path) for block in blocks]
        elif system_inside and _is_placed(messages, others, number):
            _add(talk.turns, "system", blocks)
        else:
            dropped.append(f"{path}: moved to system")
            talk.system += [_system_text(block, path) for block in blocks]
    for turn in talk.turns:
        turn.blocks.sort(key=_after_results)
    if not talk.turns:
        raise BadRequest("messages: the user has to say something", Code.UNSUPPORTED, param="messages")
    return talk


_SIDES = {Role.USER: "user", Role.TOOL: "user", Role.ASSISTANT: "assistant"}


def _add(turns: list[Turn], role: str, blocks: list[Block]) -> None:
    if not turns or turns[-1].role != role:
        turns.append(Turn(role))
    turns[-1].blocks += blocks


def _after_results(block: Block) -> bool:
    return block["type"] != "tool_result"


def _is_placed(messages: Sequence[Message], others: Sequence[int], number: int) -> bool:
    """Whether the API takes a system message here: after the user, and before the assistant or at the end.

    Args:
        others: the numbers of all messages that are not the system's; the first comes before this one.
    """
    at = bisect(others, number)
    after = messages[others[at]].role if at < len(others) else Role.ASSISTANT
    return messages[others[at - 1]].role is not Role.ASSISTANT and after is Role.ASSISTANT


def _system_text(block: Block, path: str) -> Block:
    if block["type"] == "text":
        return block
    message = f"{path}: the system can only say text, not {block['type']}"
    raise BadRequest(message, Code.UNSUPPORTED, param=path)


def _content(blocks: list[Block]) -> JsonValue:
    """Content as short as it can be: one plain text as a string, all else as blocks."""
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
        return blocks[0]["text"]
    return list(blocks)
