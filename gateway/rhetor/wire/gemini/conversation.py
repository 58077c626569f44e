"""The turns of a conversation as this language orders them.

Neighbouring messages of one side are one content; results of tools are one of their own, right after the
calls that they answer, as many as there were calls. Whatever the system says is one instruction.

Models think beside their answers and sign what they thought: the signature stands at the first call of a
step, and newer models refuse the step without it
(https://ai.google.dev/gemini-api/docs/thought-signatures, read 2026-11-21). Here it travels as the proof
of the thought before the call. Callers whose language has no place for it get along with `UNSIGNED`,
which that page offers to whoever has none. A signature at a text is asked for, but not demanded, and no
other language has a place for it: there it is let go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from rhetor.core.content import Image, JsonValue, Part, Text, Thinking, ToolResult, ToolUse
from rhetor.core.errors import BadRequest, Code
from rhetor.core.request import Message, Role
from rhetor.wire.gemini.generations import Generation
from rhetor.wire.gemini.parts import Dropped, Written, unsayable, write_part
from rhetor.wire.gemini.vocabulary import signature_of
from rhetor.wire.lenient import parse

UNSIGNED = "skip_thought_signature_validator"

USER, MODEL = "user", "model"
_RESULTS = "results"


@dataclass(slots=True)
class Content:
    kind: str
    parts: list[Written] = field(default_factory=list)


def write_conversation(messages: Sequence[Message], generation: Generation, dropped: Dropped) -> Written:
    """`systemInstruction` and `contents` of a request.

    Raises:
        BadRequest: unsupported, something cannot be said in this language, or nobody but the system speaks.
    """
    talk = _Talk(messages, generation, dropped)
    for number, message in enumerate(messages):
        talk.add(message, f"messages[{number}]")
    return talk.fields()


class _Talk:
    def __init__(self, messages: Iterable[Message], generation: Generation, dropped: Dropped) -> None:
        self._generation = generation
        self._dropped = dropped
        self._names: Mapping[str, str] = {
            part.id: part.name for message in messages for part in message.parts if isinstance(part, ToolUse)
        }
        """Of tools, by call: a result has to repeat it."""
        self._system: list[JsonValue] = []
        self._contents: list[Content] = []

    def fields(self) -> Written:
        if not self._contents:
            raise BadRequest("messages: the user has to say something", Code.UNSUPPORTED, param="messages")
        said: Written = {"systemInstruction": {"parts": self._system}} if self._system else {}
        said["contents"] = [
            {"role": MODEL if it.kind == MODEL else USER, "parts": list(it.parts)} for it in self._contents
        ]
        return said

    def add(self, message: Message, path: str) -> None:
        if message.name is not None:
            self._dropped.append(f"{path}.name")
        placed = [(part, f"{path}.content[{at}]") for at, part in enumerate(message.parts)]
        match message.role:
            case Role.SYSTEM:
                self._instruct(placed, path)
            case Role.TOOL:
                self._answer(placed)
            case Role.ASSISTANT:
                self._extend(MODEL, self._spoken(placed), path)
            case Role.USER:
                written = [it for part, where in placed for it in write_part(part, where, self._dropped)]
                self._extend(USER, written, path)

    def _extend(self, kind: str, parts: list[Written], path: str) -> None:
        if not parts:
            self._dropped.append(f"{path}: empty")
            return
        if not self._contents or self._contents[-1].kind != kind:
            self._contents.append(Content(kind))
        self._contents[-1].parts += parts

    def _instruct(self, placed: Sequence[tuple[Part, str]], path: str) -> None:
        for part, where in placed:
            if not isinstance(part, Text):
                raise unsayable(where, f"{type(part).__name__.lower()} of the system")
            self._system += write_part(part, where, self._dropped)
        if self._contents:
            self._dropped.append(f"{path}: moved to the system's instruction")

    def _spoken(self, placed: Sequence[tuple[Part, str]]) -> list[Written]:
        """What the model said: texts, and calls with the signature of the thought before them."""
        written: list[Written] = []
        signature: str | None = None
        calls = 0
        for part, path in placed:
            if isinstance(part, Thinking):
                signature = signature_of(part.signature)
                if signature is None:
                    self._dropped.append(f"{path}: a thought without its signature")
            elif isinstance(part, ToolUse):
                if signature is None and not calls and self._generation.signed_calls:
                    signature = UNSIGNED
                written.append(_call(part, path, signature, self._dropped))
                signature = None
                calls += 1
            else:
                written += write_part(part, path, self._dropped)
        return written

    def _answer(self, placed: Sequence[tuple[Part, str]]) -> None:
        """The results of one round, and what is in them and cannot be part of a result."""
        if not self._contents or self._contents[-1].kind != _RESULTS:
            self._contents.append(Content(_RESULTS))
        results = self._contents[-1]
        beside: list[Written] = []
        for part, path in placed:
            if not isinstance(part, ToolResult):
                raise unsayable(path, f"{type(part).__name__.lower()} in a tool's message")
            results.parts.append({"functionResponse": self._result(part, path, beside)})
        if beside:
            self._contents.append(Content(USER, beside))

    def _result(self, result: ToolResult, path: str, beside: list[Written]) -> Written:
        if result.cache is not None:
            self._dropped.once("cache_control")
        texts: list[str] = []
        media: list[JsonValue] = []
        for at, part in enumerate(result.parts):
            where = f"{path}.content[{at}]"
            if isinstance(part, Text):
                texts.append(part.text)
                continue
            written = write_part(part, where, self._dropped)
            if self._generation.results_with_media and isinstance(part, Image):
                media += written
            else:
                beside += written
                self._dropped.append(f"{where}: moved to a user's message")
        said: Written = {
            "id": result.tool_use_id,
            "name": self._names.get(result.tool_use_id, result.tool_use_id),
            "response": {"error" if result.is_error else "output": _output(texts)},
        }
        return {**said, "parts": media} if media else said


def _call(call: ToolUse, path: str, signature: str | None, dropped: Dropped) -> Written:
    """A call as it came; arguments that are no object, which the language demands, are left out."""
    if call.cache is not None:
        dropped.once("cache_control")
    arguments = parse(call.arguments) if call.arguments else {}
    if arguments is None:
        dropped.append(f"{path}.arguments: not a JSON object")
    function: Written = {"id": call.id, "name": call.name, "args": arguments or {}}
    return {"functionCall": function, **({"thoughtSignature": signature} if signature else {})}


def _output(texts: Sequence[str]) -> JsonValue:
    """What a tool gave back: an object as one, everything else as the text that it is."""
    text = "\n\n".join(texts)
    value = parse(text) if text.startswith("{") else None
    return text if value is None else value
