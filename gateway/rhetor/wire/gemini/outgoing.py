"""A conversation as this language says it to a provider.

The shape is https://ai.google.dev/api/generate-content (read 2026-11-21). Knobs that the language or the
model's generation does not have are left out and named in `Outgoing.dropped`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rhetor.core.content import JsonValue
from rhetor.core.request import Chat, Reasoning, Request, Tool, ToolChoice
from rhetor.wire import fields
from rhetor.wire.base import Outgoing, Quirks
from rhetor.wire.gemini.conversation import write_conversation
from rhetor.wire.gemini.generations import Generation, generation_of
from rhetor.wire.gemini.parts import Dropped, Written
from rhetor.wire.gemini.vocabulary import path_of

MOST_STOPS = 5
"""https://ai.google.dev/api/generate-content#GenerationConfig (read 2026-11-21)."""
SEEDS = range(-(2**31), 2**31)

BUDGETS: Mapping[str, int] = {
    "minimal": 512,
    "low": 1024,
    "medium": 8192,
    "high": 24_576,
    "xhigh": 24_576,
    "max": 32_768,
}
"""Tokens that an effort means to models that take a budget, weakest first.

Low to high are those of https://ai.google.dev/gemini-api/docs/openai#thinking (read 2026-11-21).
"""

_MODES: Mapping[str, str] = {"auto": "AUTO", "none": "NONE", "required": "ANY", "named": "ANY"}


def build_chat(request: Request, model: str, quirks: Quirks) -> Outgoing:
    """The call of `generateContent`, or of `streamGenerateContent`, for a canonical request."""
    chat = request.input
    assert isinstance(chat, Chat)
    dropped = Dropped()
    generation = generation_of(model)
    body = write_talk(chat, generation, dropped)
    config = _settings(chat, generation, quirks, dropped)
    config |= _write_format(chat, generation, dropped)
    if chat.reasoning is not None:
        config |= _write_reasoning(chat.reasoning, generation, dropped)
    if config:
        body["generationConfig"] = config
    dropped += _wordless(chat)
    return sent(model, body, request.stream, dropped, quirks)


def sent(model: str, body: Written, stream: bool, dropped: Dropped, quirks: Quirks) -> Outgoing:
    """The body on its way; fields that the row's quirks leave out may be settings as well."""
    config = body.get("generationConfig")
    for place in (body, config if isinstance(config, dict) else {}):
        for name in sorted(quirks.drop_fields & place.keys()):
            del place[name]
            dropped.append(name)
    path = path_of(model, "streamGenerateContent?alt=sse" if stream else "generateContent")
    return Outgoing(path, fields.dump(body), dropped=tuple(dropped))


def write_talk(chat: Chat, generation: Generation, dropped: Dropped) -> Written:
    """The conversation and the tools: what is read before the answer begins."""
    body = write_conversation(chat.messages, generation, dropped)
    if chat.tools:
        written = [_write_tool(tool, number, dropped) for number, tool in enumerate(chat.tools)]
        body["tools"] = [{"functionDeclarations": list(written)}]
        if chat.parallel_tool_calls is False:
            dropped.append("parallel_tool_calls: the model may call several tools at once")
        if chat.tool_choice is not None:
            body["toolConfig"] = {"functionCallingConfig": _write_choice(chat.tool_choice)}
    elif chat.tool_choice is not None and chat.tool_choice.mode in ("required", "named"):
        dropped.append("tool_choice: there are no tools")
    return body


def _write_tool(tool: Tool, number: int, dropped: Dropped) -> Written:
    written: Written = {"name": tool.name}
    if tool.description is not None:
        written["description"] = tool.description
    if tool.schema:
        typed = tool.schema if "type" in tool.schema else {"type": "object", **tool.schema}
        written["parametersJsonSchema"] = typed
    if tool.strict:
        dropped.append(f"tools[{number}].strict")
    if tool.cache is not None:
        dropped.once("cache_control")
    return written


def _write_choice(choice: ToolChoice) -> Written:
    written: Written = {"mode": _MODES[choice.mode]}
    if choice.name is not None:
        written["allowedFunctionNames"] = [choice.name]
    return written


def _settings(chat: Chat, generation: Generation, quirks: Quirks, dropped: Dropped) -> Written:
    written: Written = {}
    said: dict[str, JsonValue] = {
        "maxOutputTokens": chat.max_tokens,
        "temperature": chat.temperature,
        "topP": chat.top_p,
        "topK": chat.top_k,
        "seed": chat.seed,
        "presencePenalty": chat.presence_penalty,
        "frequencyPenalty": chat.frequency_penalty,
    }
    for name, value in said.items():
        if value is not None:
            written[name] = value
    if chat.seed is not None and chat.seed not in SEEDS:
        del written["seed"]
        dropped.append("seed: not a number of 32 bits")
    if chat.temperature is not None and chat.temperature > quirks.max_temperature:
        written["temperature"] = quirks.max_temperature
        dropped.append(f"temperature: lowered to {quirks.max_temperature}")
    if chat.stop:
        written["stopSequences"] = list(chat.stop[:MOST_STOPS])
        dropped += [f"stop[{number}]" for number in range(MOST_STOPS, len(chat.stop))]
    return written | _write_knobs(chat, generation, written, dropped)


def _write_knobs(chat: Chat, generation: Generation, written: Written, dropped: Dropped) -> Written:
    """What newer models answer with an error."""
    if generation.knobs:
        return {"responseLogprobs": True, "logprobs": chat.top_logprobs or 1} if chat.logprobs else {}
    for name, ours in (("presencePenalty", "presence_penalty"), ("frequencyPenalty", "frequency_penalty")):
        if written.pop(name, None):  # 0 says nothing
            dropped.append(f"{ours}: the model has none")
    if chat.logprobs:
        dropped.append("logprobs: the model tells none")
    return {}


def _write_format(chat: Chat, generation: Generation, dropped: Dropped) -> Written:
    """The name of a schema is only a label, and it always holds strictly: neither is lost."""
    wanted = chat.response_format
    if wanted is None or wanted.kind == "text":
        return {}
    if chat.tools and not generation.format_with_tools:
        dropped.append("response_format: not together with tools")
        return {}
    written: Written = {"responseMimeType": "application/json"}
    if wanted.kind == "json_schema":
        written["responseJsonSchema"] = wanted.schema or {}
        if wanted.description is not None:
            dropped.append("response_format.description")
    return written


def _write_reasoning(wanted: Reasoning, generation: Generation, dropped: Dropped) -> Written:
    if not generation.thinks:
        if wanted.enabled and wanted.effort != "none":
            dropped.append("reasoning: the model does not think")
        return {}
    if not wanted.enabled or wanted.effort == "none":
        return {"thinkingConfig": _write_none(generation, dropped)}
    thinking: Written = {"includeThoughts": True}
    if wanted.effort is not None and wanted.effort not in BUDGETS:
        dropped.append(f"reasoning.effort: {wanted.effort}")
    if generation.budgets is not None:
        thinking |= _write_budget(wanted, generation.budgets, dropped)
    elif (effort := _effort_of(wanted)) is not None:
        thinking["thinkingLevel"] = _nearest(effort, generation.levels).upper()
    return {"thinkingConfig": thinking}


def _write_none(generation: Generation, dropped: Dropped) -> Written:
    """As little thinking as there can be."""
    if generation.budgets is not None and generation.may_not_think:
        return {"thinkingBudget": 0}
    dropped.append("reasoning: the model always thinks")
    if generation.budgets is not None:
        return {"thinkingBudget": generation.budgets[0]}
    return {"thinkingLevel": generation.levels[0].upper()}


def _write_budget(wanted: Reasoning, allowed: tuple[int, int], dropped: Dropped) -> Written:
    budget = wanted.budget_tokens or BUDGETS.get(wanted.effort or "")
    if budget is None:
        return {}
    least, most = allowed
    fitting = min(max(budget, least), most)
    if wanted.budget_tokens is not None and fitting != budget:
        dropped.append(f"reasoning.budget_tokens: {budget} became {fitting}")
    return {"thinkingBudget": fitting}


def _effort_of(wanted: Reasoning) -> str | None:
    """The effort that is wanted; of a budget, the strongest whose own is not larger."""
    if wanted.effort in BUDGETS:
        return wanted.effort
    if wanted.budget_tokens is None:
        return None
    fitting = [effort for effort, tokens in BUDGETS.items() if tokens <= wanted.budget_tokens]
    return fitting[-1] if fitting else "minimal"


def _nearest(effort: str, levels: tuple[str, ...]) -> str:
    """The level that a model has for an effort: the same, the next weaker one, else its weakest."""
    order = list(BUDGETS)
    weaker = [level for level in levels if order.index(level) <= order.index(effort)]
    return weaker[-1] if weaker else levels[0]


def _wordless(chat: Chat) -> Iterator[str]:
    """Knobs that the language has no word for."""
    if chat.end_user is not None:
        yield "end_user"
