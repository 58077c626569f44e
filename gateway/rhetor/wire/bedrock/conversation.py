"""The turns of a conversation as this language orders them.

Neighbouring messages of one side are one turn, and the results of tools, which the user sends here, come
first in theirs. Whatever the system says joins its field. A turn with a document has to say something too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rhetor.core.content import JsonValue
from rhetor.core.errors import BadRequest, Code
from rhetor.core.request import Message, Role
from rhetor.wire.bedrock.blocks import Block, Writer

_SIDES = {Role.USER: "user", Role.TOOL: "user", Role.ASSISTANT: "assistant"}
_OF_THE_SYSTEM = ({"text"}, {"cachePoint"})


@dataclass(slots=True)
class _Turn:
    role: str
    blocks: list[Block] = field(default_factory=list)


def write_conversation(messages: Sequence[Message], writer: Writer) -> Block:
    """`system` and `messages` of a request.

    Raises:
        BadRequest: unsupported, something cannot be said in this language, or nobody but the system speaks.
    """
    system: list[Block] = []
    turns: list[_Turn] = []
    for number, message in enumerate(messages):
        path = f"messages[{number}]"
        blocks = writer.write(message.parts, f"{path}.content")
        if message.name is not None:
            writer.dropped.append(f"{path}.name")
        if not blocks:
            writer.dropped.append(f"{path}: empty")
        elif message.role is Role.SYSTEM:
            system += [_of_the_system(block, path) for block in blocks]
            if turns:
                writer.dropped.append(f"{path}: moved to system")
        else:
            _add(turns, _SIDES[message.role], blocks)
    if not turns:
        raise BadRequest("messages: the user has to say something", Code.UNSUPPORTED, param="messages")
    said: Block = {"system": list(system)} if system else {}
    said["messages"] = [{"role": turn.role, "content": _content(turn.blocks)} for turn in turns]
    return said


def _add(turns: list[_Turn], role: str, blocks: list[Block]) -> None:
    if not turns or turns[-1].role != role:
        turns.append(_Turn(role))
    turns[-1].blocks += blocks


def _content(blocks: list[Block]) -> list[JsonValue]:
    ordered = sorted(blocks, key=lambda block: "toolResult" not in block)
    if any("document" in block for block in blocks) and not any("text" in block for block in blocks):
        ordered.append({"text": "The document."})
    return list(ordered)


def _of_the_system(block: Block, path: str) -> Block:
    if block.keys() in _OF_THE_SYSTEM:
        return block
    message = f"{path}: the system can only say text, not {next(iter(block))}"
    raise BadRequest(message, Code.UNSUPPORTED, param=path)
