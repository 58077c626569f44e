"""A request as this language says it to a provider.

The shape is https://platform.claude.com/docs/en/api/messages/create (read
2026-11-20). Knobs that the language or the model's generation does not have
are left out and named in `Outgoing.dropped`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rhetor.core.content import JsonValue
from rhetor.core.request import Chat, Original, Request, Tool
from rhetor.wire import fields
from rhetor.wire.anthropic.blocks import Block, Dropped
from rhetor.wire.anthropic.conversation import write_conversation
from rhetor.wire.anthropic.generations import ANY_SERVER, Generation, generation_of
from rhetor.wire.anthropic.proofs import own_messages
from rhetor.wire.anthropic.raw_predict import enclosed
from rhetor.wire.anthropic.reasoning import Thought, write_reasoning
from rhetor.wire.anthropic.vocabulary import cache_control
from rhetor.wire.base import Outgoing, Quirks
from rhetor.wire.lenient import thing
from rhetor.wire.splice import with_model

MESSAGES_PATH = "/v1/messages"
COUNT_PATH = "/v1/messages/count_tokens"

API_VERSION = "2023-06-01"
"""Newer ones refuse temperature, top_p and top_k of every model, also of those that have them.

https://platform.claude.com/docs/en/api/versioning (read 2026-11-20).
"""

MAX_TEMPERATURE = 1.0
LEAST_TOP_P_THINKING = 0.95


def build_messages(request: Request, model: str, quirks: Quirks) -> Outgoing:
    """The call of `/v1/messages` for a canonical request."""
    chat = request.input
    assert isinstance(chat, Chat)
    dropped: Dropped = []
    generation = generation_of(model)
    thought = write_reasoning(chat, generation)
    dropped += thought.dropped
    body: Block = {"model": model, "max_tokens": _max_tokens(chat, thought, quirks)}
    body |= _write_talk(chat, generation, dropped)
    body |= _write_output(chat, thought, dropped)
    body |= _write_sampling(chat, generation, thought, quirks, dropped)
    if stop := _write_stop(chat, generation, dropped):
        body["stop_sequences"] = stop
    if chat.end_user is not None:
        body["metadata"] = {"user_id": chat.end_user}
    if request.stream:
        body["stream"] = True
    dropped += _wordless(chat)
    return _sent(MESSAGES_PATH, body, dropped, quirks)


def build_count(request: Request, model: str, quirks: Quirks) -> Outgoing:
    """The call of `/v1/messages/count_tokens`: only what becomes input tokens."""
    chat = request.input
    assert isinstance(chat, Chat)
    dropped: Dropped = []
    body: Block = {"model": model, **_write_talk(chat, generation_of(model), dropped)}
    return _sent(COUNT_PATH, body, dropped, quirks)


def retarget(path: str, original: Original, model: str, quirks: Quirks) -> Outgoing:
    """The caller's own body for another model.

    Nothing but the model's name is changed, unless a quirk takes more from it, or another provider's thoughts
    are in it, which this one would refuse.
    """
    dropped = sorted(quirks.drop_fields & original.fields.keys())
    messages = own_messages(original)
    # The caller's version and betas say what its body and the reply mean.
    headers = {"anthropic-version": API_VERSION, **original.headers}
    if messages is None and not dropped and not quirks.raw_predict:
        body = with_model(original, model)
        if body is not None:
            return Outgoing(path, body, headers)
    kept = {key: value for key, value in original.fields.items() if key not in dropped}
    if messages is not None:
        kept["messages"] = messages
        dropped.append("thoughts of another provider")
        if thing(kept, "thinking").get("type") == "enabled":
            del kept["thinking"]  # it demands a thought where those are missing now
            dropped.append("thinking")
    return _written(path, kept | {"model": model}, headers, dropped, quirks)


def _sent(path: str, body: Block, dropped: Dropped, quirks: Quirks) -> Outgoing:
    for name in sorted(quirks.drop_fields & body.keys()):
        del body[name]
        dropped.append(name)
    return _written(path, body, {"anthropic-version": API_VERSION}, dropped, quirks)


def _written(
    path: str, body: Block, headers: Mapping[str, str], dropped: Dropped, quirks: Quirks
) -> Outgoing:
    if quirks.raw_predict:
        path, body, headers = enclosed(body, headers, counting=path == COUNT_PATH)
    return Outgoing(path, fields.dump(body), headers, tuple(dropped))


def _max_tokens(chat: Chat, thought: Thought, quirks: Quirks) -> int:
    if chat.max_tokens is not None:
        return chat.max_tokens
    return quirks.default_max_tokens + thought.extra_tokens


def _write_talk(chat: Chat, generation: Generation, dropped: Dropped) -> Block:
    """The conversation and the tools: what is read before the answer begins."""
    talk = write_conversation(chat.messages, generation.system_inside, dropped).fields()
    if chat.tools:
        talk["tools"] = [_write_tool(tool) for tool in chat.tools]
        talk |= _write_tool_choice(chat, generation, dropped)
    elif chat.tool_choice is not None and chat.tool_choice.mode in ("required", "named"):
        dropped.append("tool_choice: there are no tools")
    return talk


def _write_tool(tool: Tool) -> Block:
    written: Block = {"name": tool.name}
    if tool.description is not None:
        written["description"] = tool.description
    written["input_schema"] = tool.schema if "type" in tool.schema else {"type": "object", **tool.schema}
    if tool.strict is not None:
        written["strict"] = tool.strict
    if tool.cache is not None:
        written["cache_control"] = cache_control(tool.cache)
    return written


def _write_tool_choice(chat: Chat, generation: Generation, dropped: Dropped) -> Block:
    choice = chat.tool_choice
    serial = chat.parallel_tool_calls is False
    if choice is None:
        return {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}} if serial else {}
    if choice.mode == "none":
        return {"tool_choice": {"type": "none"}}
    written: Block = {"type": {"auto": "auto", "required": "any", "named": "tool"}[choice.mode]}
    if choice.mode != "auto" and not generation.forced_tools:
        dropped.append("tool_choice: the model cannot be made to call a tool")
        written = {"type": "auto"}
    elif choice.name is not None:
        written["name"] = choice.name
    if chat.parallel_tool_calls is not None:
        written["disable_parallel_tool_use"] = serial
    return {"tool_choice": written}


def _write_output(chat: Chat, thought: Thought, dropped: Dropped) -> Block:
    """`thinking` and `output_config`.

    Structured outputs are generally available as `output_config.format`:
    https://platform.claude.com/docs/en/build-with-claude/structured-outputs (read 2026-11-20).
    """
    written: Block = {}
    config: Block = {}
    if thought.thinking is not None:
        written["thinking"] = thought.thinking
    if thought.effort is not None:
        config["effort"] = thought.effort
    wanted = chat.response_format
    if wanted is not None and wanted.kind == "json":
        dropped.append("response_format: JSON without a schema")
    elif wanted is not None and wanted.kind == "json_schema":
        # The name is only a label, and the schema always holds strictly: neither is lost.
        config["format"] = {"type": "json_schema", "schema": wanted.schema or {}}
        if wanted.description is not None:
            dropped.append("response_format.description")
    if config:
        written["output_config"] = config
    return written


def _write_sampling(
    chat: Chat, generation: Generation, thought: Thought, quirks: Quirks, dropped: Dropped
) -> Block:
    wanted: dict[str, float | None] = {
        "temperature": chat.temperature,
        "top_p": chat.top_p,
        "top_k": chat.top_k,
    }
    written: Block = {}
    for name, value in wanted.items():
        if value is None:
            continue
        reason = _refusal_of(name, value, wanted, generation, thought)
        if reason is None:
            written[name] = value
        elif name == "top_k" or value != 1:  # 1 is what the others default to
            dropped.append(f"{name}: {reason}")
    highest = min(MAX_TEMPERATURE, quirks.max_temperature)
    if chat.temperature is not None and "temperature" in written and chat.temperature > highest:
        written["temperature"] = highest
        dropped.append(f"temperature: lowered to {highest}")
    return written


def _refusal_of(
    name: str, value: float, wanted: dict[str, float | None], generation: Generation, thought: Thought
) -> str | None:
    """Why the API would answer a sampling knob with an error."""
    if generation.sampling == "none":
        return "the model has no sampling"
    if thought.is_on and not (name == "top_p" and value >= LEAST_TOP_P_THINKING):
        return "not while thinking"
    if generation.sampling == "one" and name == "top_p" and wanted["temperature"] is not None:
        return "not together with temperature"
    return None


def _write_stop(chat: Chat, generation: Generation, dropped: Dropped) -> list[JsonValue]:
    """Stop sequences; Claude refuses those that are only white space."""
    if generation is ANY_SERVER:
        return list(chat.stop)
    blank = [number for number, text in enumerate(chat.stop) if not text.strip()]
    dropped += [f"stop[{number}]: only white space" for number in blank]
    return [text for text in chat.stop if text.strip()]


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
