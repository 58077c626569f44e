"""What this language can say, for the laws."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby

from rhetor.core.content import File, Image, Text, ToolResult, ToolUse
from rhetor.core.events import FinishReason
from rhetor.core.request import Chat, Message
from tests.wire.strategies import KNOBS, Speech

SPEECH = Speech(
    # Reasoning and formats are translated rather than copied: they have tests of their own.
    knobs=KNOBS
    - {
        "presence_penalty",
        "frequency_penalty",
        "seed",
        "logprobs",
        "top_logprobs",
        "reasoning",
        "response_format",
    },
    knobs_always=frozenset({"max_tokens"}),
    system_anywhere=False,
    names=False,
    image_detail=False,
    audio=(),
    file_types=("application/pdf",),
    cache=(Text, Image, File, ToolUse, ToolResult),
    refusals=False,
    max_temperature=1.0,
    logprobs=False,
    finishes=tuple(reason for reason in FinishReason if reason is not FinishReason.OTHER),
)


def as_heard(chat: Chat) -> Chat:
    """The same request in the form in which this language is read.

    Neighbours of one side are one turn, and whether calls may come at once is
    a part of the tool choice, which is not there when nothing is to be called.
    """
    choice = chat.tool_choice
    if choice is None or choice.mode == "none":
        chat = replace(chat, parallel_tool_calls=None)
    return replace(chat, messages=tuple(_joined(chat.messages)))


def _joined(messages: tuple[Message, ...]) -> list[Message]:
    runs = ((role, list(run)) for role, run in groupby(messages, lambda message: message.role))
    return [Message(role, tuple(part for message in run for part in message.parts)) for role, run in runs]
