"""A conversation as this language says it to a provider: `Converse` and `ConverseStream`.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html (read 2026-11-21). The
models are those of many vendors. What only some of them take goes into `additionalModelRequestFields` in
their own words, and Claude's generations accept there what they accept anywhere. Knobs that nobody takes
are left out and named in `Outgoing.dropped`. What OpenAI's and Nova's models refuse, and how Claude is told
to call one tool at a time, is not documented: recorded replies are at
https://github.com/vercel/ai/tree/main/packages/amazon-bedrock/src/__fixtures__ (read 2026-11-21).
"""

from __future__ import annotations

from collections.abc import Iterator

from rhetor.core.content import JsonValue, ToolUse
from rhetor.core.request import Chat, Reasoning, Request, Tool
from rhetor.wire import fields
from rhetor.wire.anthropic.generations import ANY_SERVER, Generation, generation_of
from rhetor.wire.anthropic.reasoning import Thought, write_reasoning
from rhetor.wire.base import Outgoing, Quirks
from rhetor.wire.bedrock.blocks import Block, Writer
from rhetor.wire.bedrock.conversation import write_conversation
from rhetor.wire.bedrock.vocabulary import (
    STOP_SEQUENCE,
    STREAMED_STOP_SEQUENCE,
    is_claude,
    is_gpt,
    is_nova,
    path_of,
)

MAX_TEMPERATURE = 1.0
"""Of `inferenceConfig`, whoever the model is."""
LEAST_TOP_P_THINKING = 0.95
"""As in Anthropic's own language."""
NOVA_EFFORTS = ("low", "medium", "high")
"""https://docs.aws.amazon.com/nova/latest/nova2-userguide/using-converse-api.html (read 2026-11-21)."""


def build_chat(request: Request, model: str, quirks: Quirks) -> Outgoing:
    """The call of `Converse`, or of `ConverseStream`, for a canonical request."""
    chat = request.input
    assert isinstance(chat, Chat)
    writer = Writer(model)
    claude = is_claude(model)
    generation = generation_of(model) if claude else ANY_SERVER
    thought = write_reasoning(chat, generation) if claude else _other_thought(chat, model)
    body = write_talk(chat, model, writer)
    writer.dropped += thought.dropped
    if config := _inference(chat, model, generation, thought, quirks, writer.dropped):
        body["inferenceConfig"] = config
    if output := _write_output(chat, thought, writer.dropped):
        body["outputConfig"] = output
    if more := _additional(chat, model, generation, thought, writer.dropped):
        body["additionalModelRequestFields"] = more
    if "stopSequences" in config and claude:
        told = STREAMED_STOP_SEQUENCE if request.stream else STOP_SEQUENCE
        body["additionalModelResponseFieldPaths"] = [told]
    writer.dropped += _wordless(chat)
    for name in sorted(quirks.drop_fields & body.keys()):
        del body[name]
        writer.dropped.append(name)
    path = path_of(model, "converse-stream" if request.stream else "converse")
    return Outgoing(path, fields.dump(body), dropped=tuple(writer.dropped))


def write_talk(chat: Chat, model: str, writer: Writer) -> Block:
    """The conversation and the tools: what is read before the answer begins."""
    body = write_conversation(chat.messages, writer)
    if tools := _write_tools(chat, writer):
        config: Block = {"tools": list(tools)}
        body["toolConfig"] = config | _write_choice(chat, model, writer.dropped)
    elif chat.tool_choice is not None and chat.tool_choice.mode in ("required", "named"):
        writer.dropped.append("tool_choice: there are no tools")
    return body


def _write_tools(chat: Chat, writer: Writer) -> list[Block]:
    """The tools; where earlier calls are told, there must be some, if only those."""
    called = [part.name for it in chat.messages for part in it.parts if isinstance(part, ToolUse)]
    if chat.tool_choice is not None and chat.tool_choice.mode == "none" and not called:
        return []
    tools = chat.tools or tuple(Tool(name) for name in dict.fromkeys(called))
    written: list[Block] = []
    for tool in tools:
        written.append({"toolSpec": _write_tool(tool)})
        written += writer.cache_point(tool.cache)
    return written


def _write_tool(tool: Tool) -> Block:
    schema = tool.schema if "type" in tool.schema else {"type": "object", **tool.schema}
    written: Block = {"name": tool.name, "inputSchema": {"json": schema}}
    if tool.description:
        written["description"] = tool.description
    if tool.strict is not None:
        written["strict"] = tool.strict
    return written


def _write_choice(chat: Chat, model: str, dropped: list[str]) -> Block:
    serial = chat.parallel_tool_calls is False
    if serial and not is_claude(model):
        dropped.append("parallel_tool_calls: the model may call several tools at once")
    choice = chat.tool_choice
    if choice is None or (serial and is_claude(model)):
        return {}  # or told in Claude's own words, which may not be told twice
    if choice.mode == "none":
        dropped.append("tool_choice: the model may call a tool, as it did before")
        return {}
    if _is_free(chat, model):
        dropped.append("tool_choice: the model cannot be made to call a tool")
        return {"toolChoice": {"auto": {}}}
    if choice.mode == "named":
        return {"toolChoice": {"tool": {"name": choice.name}}}
    return {"toolChoice": {"auto" if choice.mode == "auto" else "any": {}}}


def _is_free(chat: Chat, model: str) -> bool:
    """Whether a call is demanded of a model that nobody can make call."""
    demanded = chat.tool_choice is not None and chat.tool_choice.mode in ("required", "named")
    return demanded and is_claude(model) and not generation_of(model).forced_tools


def _serial_choice(chat: Chat, model: str, dropped: list[str]) -> Block:
    """One call at a time, which only Claude knows, and in its own words."""
    choice = chat.tool_choice
    kinds = {"auto": "auto", "none": "auto", "required": "any", "named": "tool"}
    kind = "auto" if choice is None or _is_free(chat, model) else kinds[choice.mode]
    if choice is not None and kind == "auto" != choice.mode:
        dropped.append("tool_choice: the model calls a tool as it likes")
    written: Block = {"type": kind, "disable_parallel_tool_use": True}
    return {**written, "name": choice.name} if choice is not None and kind == "tool" else written


def _inference(
    chat: Chat, model: str, generation: Generation, thought: Thought, quirks: Quirks, dropped: list[str]
) -> Block:
    if is_gpt(model):
        lost = {"temperature": chat.temperature, "top_p": chat.top_p, "stop": chat.stop or None}
        dropped += [name for name, value in lost.items() if value is not None]
        return {"maxTokens": chat.max_tokens} if chat.max_tokens is not None else {}
    if thought.thinking is not None and thought.thinking.get("maxReasoningEffort") == "high":
        # Nova refuses all of them then.
        lost = {"max_tokens": chat.max_tokens, "temperature": chat.temperature, "top_p": chat.top_p}
        dropped += [f"{name}: not with high effort" for name, value in lost.items() if value is not None]
        return {"stopSequences": list(chat.stop)} if chat.stop else {}
    written: Block = {}
    limit = chat.max_tokens
    if limit is None and thought.thinking is not None and "budget_tokens" in thought.thinking:
        limit = quirks.default_max_tokens + thought.extra_tokens  # a budget must leave room for an answer
    if limit is not None:
        written["maxTokens"] = limit
    for name, value in (("temperature", chat.temperature), ("top_p", chat.top_p)):
        if value is None:
            continue
        if (reason := _refusal_of(name, value, chat, generation, thought)) is None:
            written["topP" if name == "top_p" else name] = value
        elif value != 1:
            dropped.append(f"{name}: {reason}")
    highest = min(MAX_TEMPERATURE, quirks.max_temperature)
    if chat.temperature is not None and "temperature" in written and chat.temperature > highest:
        written["temperature"] = highest
        dropped.append(f"temperature: lowered to {highest}")
    dropped += [f"stop[{n}]: only white space" for n, text in enumerate(chat.stop) if not text.strip()]
    if stop := [text for text in chat.stop if text.strip()]:
        written["stopSequences"] = list(stop)
    return written


def _refusal_of(name: str, value: float, chat: Chat, generation: Generation, thought: Thought) -> str | None:
    """Why a model of this generation would answer a sampling knob with an error."""
    if generation.sampling == "none":
        return "the model has no sampling"
    if thought.is_on and not (name == "top_p" and value >= LEAST_TOP_P_THINKING):
        return "not while thinking"
    if generation.sampling == "one" and name == "top_p" and chat.temperature is not None:
        return "not together with temperature"
    return None


def _write_output(chat: Chat, thought: Thought, dropped: list[str]) -> Block:
    """A schema is told as text, and always holds strictly."""
    written: Block = {"effort": thought.effort} if thought.effort is not None else {}
    wanted = chat.response_format
    if wanted is not None and wanted.kind == "json":
        dropped.append("response_format: JSON without a schema")
    elif wanted is not None and wanted.kind == "json_schema":
        schema: Block = {"schema": fields.dump(wanted.schema or {}).decode()}
        schema |= {
            name: value
            for name, value in (("name", wanted.name), ("description", wanted.description))
            if value is not None
        }
        written["textFormat"] = {"type": "json_schema", "structure": {"jsonSchema": schema}}
    return written


def _additional(
    chat: Chat, model: str, generation: Generation, thought: Thought, dropped: list[str]
) -> dict[str, JsonValue]:
    """What only this vendor's models take, in its words."""
    written: dict[str, JsonValue] = {}
    if thought.thinking is not None:
        written["reasoningConfig" if is_nova(model) else "thinking"] = thought.thinking
    elif "gpt-oss" in model and chat.reasoning is not None and chat.reasoning.effort is not None:
        written["reasoning_effort"] = chat.reasoning.effort
    if chat.tools and chat.parallel_tool_calls is False and is_claude(model):
        written["tool_choice"] = _serial_choice(chat, model, dropped)
    if chat.top_k is None:
        return written
    if is_claude(model):
        reason = _refusal_of("top_k", chat.top_k, chat, generation, thought)
        if reason is None:
            written["top_k"] = chat.top_k
        else:
            dropped.append(f"top_k: {reason}")
    elif is_nova(model):
        written["inferenceConfig"] = {"topK": chat.top_k}
    else:
        dropped.append("top_k")
    return written


def _other_thought(chat: Chat, model: str) -> Thought:
    """How models that are not Claude are told to think, as far as they can be."""
    wanted = chat.reasoning
    if wanted is None:
        return Thought()
    if is_nova(model):
        return _nova_thought(wanted)
    told = "gpt-oss" in model and wanted.effort is not None
    silent = not wanted.enabled or wanted.effort == "none"
    return Thought(dropped=[] if told or silent else ["reasoning: the model thinks as it likes"])


def _nova_thought(wanted: Reasoning) -> Thought:
    if not wanted.enabled or wanted.effort == "none":
        return Thought({"type": "disabled"})
    effort = wanted.effort if wanted.effort in NOVA_EFFORTS else "medium"
    thought = Thought({"type": "enabled", "maxReasoningEffort": effort})
    if wanted.budget_tokens is not None:
        thought.dropped.append("reasoning.budget_tokens")
    elif wanted.effort is not None and wanted.effort != effort:
        thought.dropped.append(f"reasoning.effort: {wanted.effort} became {effort}")
    return thought


def _wordless(chat: Chat) -> Iterator[str]:
    """Knobs that the language has no word for."""
    if chat.seed is not None:
        yield "seed"
    if chat.presence_penalty:
        yield "presence_penalty"
    if chat.frequency_penalty:
        yield "frequency_penalty"
    if chat.logprobs:
        yield "logprobs"
    if chat.end_user is not None:
        yield "end_user"
