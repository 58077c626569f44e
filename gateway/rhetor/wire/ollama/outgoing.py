"""A chat request in Ollama's language: `POST /api/chat`.

https://docs.ollama.com/api/chat (read 2026-11-20). Sampling settings stand
under `options` by their llama.cpp names, pictures are base64 texts beside the
message's content, arguments of tool calls are objects.

Ollama names a tool's result by the tool (`tool_name`). Since 0.12.10 its tool
calls have ids too (https://github.com/ollama/ollama/pull/12956, read
2026-11-20): they are sent back with both, and older servers ignore the ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import assert_never

import orjson

from rhetor.core.content import (
    Audio,
    File,
    Image,
    Inline,
    JsonValue,
    Opaque,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)
from rhetor.core.errors import BadRequest, Code
from rhetor.core.request import Chat, Message, Reasoning, ResponseFormat, Role, Tool
from rhetor.wire.base import Quirks

EFFORTS: Mapping[str, bool | str] = {
    "none": False,
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
    "max": "high",
}
"""`think` is a boolean or one of three levels; models without levels take every level as true.

https://docs.ollama.com/capabilities/thinking (read 2026-11-20).
"""

BETWEEN_TEXTS = "\n\n"
INVALID_JSON = "INVALID_JSON"  # under this key Anthropic's documentation sends broken arguments back


class ChatBody:
    """One request being written, and what could not be."""

    def __init__(self, chat: Chat, model: str, stream: bool, quirks: Quirks) -> None:
        self.dropped: list[str] = []
        self._tool_names = dict(_names_of_calls(chat.messages))
        written: dict[str, JsonValue] = {
            "model": model,
            "messages": list(self._messages(chat.messages)),
            "stream": stream,
            "tools": self._tools(chat),
            "format": self._format(chat.response_format),
            "think": self._think(chat.reasoning),
            "logprobs": chat.logprobs or None,
            "top_logprobs": chat.top_logprobs,
            "options": self._options(chat, quirks),
        }
        self._name_the_rest(chat)
        self.fields = {name: value for name, value in written.items() if value is not None}

    def _messages(self, messages: Iterable[Message]) -> Iterator[JsonValue]:
        for number, message in enumerate(messages):
            path = f"messages[{number}]"
            if message.name is not None:
                self.dropped.append(f"{path}.name")
            if message.role is Role.TOOL:
                yield from self._results(message, path)
            else:
                yield {"role": message.role.value, **self._said(message.parts, f"{path}.content")}

    def _results(self, message: Message, path: str) -> Iterator[JsonValue]:
        """The results of one round: each is a message of its own."""
        for number, part in enumerate(message.parts):
            where = f"{path}.content[{number}]"
            if not isinstance(part, ToolResult):
                raise BadRequest(f"{where}: expected a tool's result", param=where)
            if part.is_error:
                self.dropped.append(f"{where}.is_error")
            self._name_cache(part)
            name = self._tool_names.get(part.tool_use_id)
            known: dict[str, JsonValue] = {} if name is None else {"tool_name": name}
            said = self._said(part.parts, f"{where}.content")
            yield {"role": "tool", **known, "tool_call_id": part.tool_use_id, **said}

    def _said(self, parts: Iterable[Part], path: str) -> dict[str, JsonValue]:
        """Parts as the fields of one message; a blank line between two texts."""
        texts: list[str] = []
        thoughts: list[str] = []
        images: list[JsonValue] = []
        calls: list[JsonValue] = []
        for number, part in enumerate(parts):
            where = f"{path}[{number}]"
            self._name_cache(part)
            match part:
                case Text(text) | Refusal(text):
                    texts.append(text)
                case Thinking(text):
                    thoughts.append(text)
                case Image():
                    images.append(self._image(part, where))
                case ToolUse():
                    calls.append(_tool_call(part))
                case Opaque():
                    self.dropped.append(f"{where}: opaque {part.kind}")
                case Audio() | File() | ToolResult():
                    raise _unsupported(where, type(part).__name__.lower())
                case _:
                    assert_never(part)
        said: dict[str, JsonValue] = {"content": BETWEEN_TEXTS.join(texts)}
        if thoughts:
            said["thinking"] = BETWEEN_TEXTS.join(thoughts)
        if images:
            said["images"] = images
        if calls:
            said["tool_calls"] = calls
        return said

    def _image(self, image: Image, where: str) -> str:
        if image.detail is not None:
            self.dropped.append(f"{where}.detail")
        if not isinstance(image.source, Inline):
            raise _unsupported(where, "an image that is not inline")
        return image.source.base64

    def _tools(self, chat: Chat) -> list[JsonValue] | None:
        """The tools; none when the model must not call any, since there is no word for that."""
        choice = chat.tool_choice
        if choice is not None and choice.mode == "none":
            return None
        if choice is not None and choice.mode != "auto":
            self.dropped.append("tool_choice")
        if chat.parallel_tool_calls is False:
            self.dropped.append("parallel_tool_calls")
        return [self._tool(tool, f"tools[{number}]") for number, tool in enumerate(chat.tools)] or None

    def _tool(self, tool: Tool, where: str) -> JsonValue:
        if tool.strict:
            self.dropped.append(f"{where}.strict")
        self._name_cache(tool)
        function: dict[str, JsonValue] = {"name": tool.name}
        if tool.description is not None:
            function["description"] = tool.description
        return {"type": "function", "function": {**function, "parameters": tool.schema}}

    def _format(self, wanted: ResponseFormat | None) -> JsonValue:
        """`json` or a schema, which the sampler enforces.

        https://docs.ollama.com/capabilities/structured-outputs (read 2026-11-20).
        """
        if wanted is None or wanted.kind == "text":
            return None
        if wanted.description is not None:
            self.dropped.append("response_format.description")
        return "json" if wanted.schema is None else wanted.schema

    def _think(self, reasoning: Reasoning | None) -> JsonValue:
        if reasoning is None:
            return None
        if reasoning.budget_tokens is not None:
            self.dropped.append("reasoning.budget_tokens")
        return reasoning.enabled and EFFORTS.get(reasoning.effort or "", True)

    def _options(self, chat: Chat, quirks: Quirks) -> JsonValue:
        options: dict[str, JsonValue] = {
            "num_predict": chat.max_tokens,
            "temperature": self._temperature(chat.temperature, quirks.max_temperature),
            "top_p": chat.top_p,
            "top_k": chat.top_k,
            "presence_penalty": chat.presence_penalty,
            "frequency_penalty": chat.frequency_penalty,
            "seed": chat.seed,
            "stop": list(chat.stop) or None,
        }
        for name in sorted(quirks.drop_fields & options.keys()):
            if options.pop(name) is not None:
                self.dropped.append(f"options.{name}")
        return {name: value for name, value in options.items() if value is not None} or None

    def _temperature(self, wanted: float | None, highest: float) -> float | None:
        if wanted is None or wanted <= highest:
            return wanted
        self.dropped.append(f"temperature: lowered to {highest}")
        return highest

    def _name_cache(self, part: Part | Tool) -> None:
        """Ollama keeps prefixes by itself and cannot be told which; named once."""
        if getattr(part, "cache", None) is not None and "cache_control" not in self.dropped:
            self.dropped.append("cache_control")

    def _name_the_rest(self, chat: Chat) -> None:
        if chat.end_user is not None:
            self.dropped.append("end_user")


def _names_of_calls(messages: Iterable[Message]) -> Iterator[tuple[str, str]]:
    for message in messages:
        for part in message.parts:
            if isinstance(part, ToolUse):
                yield part.id, part.name


def _tool_call(use: ToolUse) -> JsonValue:
    return {
        "id": use.id,
        "type": "function",
        "function": {"name": use.name, "arguments": as_object(use.arguments)},
    }


def as_object(arguments: str) -> JsonValue:
    """Arguments travel as an object; what a model wrote that is none is wrapped, so that nothing is lost."""
    if not arguments:
        return {}
    try:
        value = orjson.loads(arguments)
    except orjson.JSONDecodeError:
        value = None
    return value if isinstance(value, dict) else {INVALID_JSON: arguments}


def _unsupported(where: str, what: str) -> BadRequest:
    message = f"{where}: Ollama takes text and inline images (base64), not {what}"
    return BadRequest(message, Code.UNSUPPORTED, param=where)
