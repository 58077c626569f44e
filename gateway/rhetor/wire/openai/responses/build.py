"""What goes to a provider of this language: a canonical request, or the caller's own body."""

from __future__ import annotations

from rhetor.core.content import Json, JsonValue
from rhetor.core.request import Chat, Original, Reasoning, Request, ResponseFormat, Tool, ToolChoice
from rhetor.wire import fields
from rhetor.wire.base import Outgoing, Quirks
from rhetor.wire.openai.content import Dropped
from rhetor.wire.openai.demands import OURS, Demands
from rhetor.wire.openai.responses.items import write_items
from rhetor.wire.openai.responses.vocabulary import LOGPROBS, is_sealed, may_hold_seals
from rhetor.wire.splice import with_model

PATH = "/responses"

_SAME_NAME = ("parallel_tool_calls", "temperature", "top_p", "top_logprobs")
"""Fields of `Chat` that are called the same, and left out when None."""
_NO_WORD = ("top_k", "presence_penalty", "frequency_penalty", "seed", "stop")


def build_response(request: Request, model: str, quirks: Quirks) -> Outgoing:
    """The request, as this provider takes it.

    Raises:
        BadRequest: unsupported, the language cannot say it.
    """
    chat = request.input
    assert isinstance(chat, Chat)
    dropped = Dropped()
    body: dict[str, JsonValue] = {"model": model, "input": write_items(chat.messages, quirks, dropped)}
    body |= _settings(chat, dropped)
    body["store"] = False  # the provider would keep it, which callers of other languages do not ask for
    if request.stream:
        body["stream"] = True
    wanted = demands(body, quirks)
    return Outgoing(PATH, fields.dump(wanted.apply(body)), dropped=(*dropped, *wanted.dropped))


def retarget(original: Original, model: str, quirks: Quirks) -> Outgoing:
    """The caller's body for another model: spliced where that is enough, else written anew."""
    said = original.fields
    wanted = demands(said, quirks)
    if may_hold_seals(original.body):
        _leave_out_sealed(said, wanted)
    body = None if wanted.removed or wanted.changed else with_model(original, model)
    if body is None:
        wanted.changed["model"] = model
        body = fields.dump(wanted.apply(said))
    return Outgoing(PATH, body, dropped=tuple(wanted.dropped))


def demands(body: Json, quirks: Quirks) -> Demands:
    """What has to change in this body before the provider takes it."""
    wanted = Demands()
    wanted.removed |= OURS & body.keys()
    for name in sorted(quirks.drop_fields & body.keys()):
        wanted.remove(name)
    if body.get("tool_choice") == "required" and quirks.tool_choice_required != "required":
        wanted.changed["tool_choice"] = quirks.tool_choice_required
    temperature = body.get("temperature")
    if isinstance(temperature, int | float) and temperature > quirks.max_temperature:
        wanted.changed["temperature"] = quirks.max_temperature
        wanted.dropped.append(f"temperature: lowered to {quirks.max_temperature}")
    return wanted


def _leave_out_sealed(said: Json, wanted: Demands) -> None:
    """Thoughts of models of another language: this provider would refuse their proofs."""
    items = said.get("input")
    if not isinstance(items, list):
        return
    kept = [item for item in items if not (isinstance(item, dict) and is_sealed(item))]
    if len(kept) < len(items):
        wanted.changed["input"] = kept
        wanted.dropped.append("input: thoughts of another language's model")


def _settings(chat: Chat, dropped: Dropped) -> dict[str, JsonValue]:
    body: dict[str, JsonValue] = {}
    if chat.tools:
        body["tools"] = [_tool(tool, dropped) for tool in chat.tools]
    if chat.tool_choice is not None:
        body["tool_choice"] = _tool_choice(chat.tool_choice)
    if chat.response_format is not None:
        body["text"] = {"format": _format(chat.response_format)}
    if chat.max_tokens is not None:
        body["max_output_tokens"] = chat.max_tokens
    body |= {name: value for name in _SAME_NAME if (value := getattr(chat, name)) is not None}
    if chat.reasoning is not None:
        body |= _reasoning(chat.reasoning, dropped)
    if chat.logprobs:
        body["include"] = [LOGPROBS]
    if chat.end_user is not None:
        body["user"] = chat.end_user
    dropped += [name for name in _NO_WORD if getattr(chat, name) not in (None, ())]
    return body


def _reasoning(reasoning: Reasoning, dropped: Dropped) -> dict[str, JsonValue]:
    """The effort. A budget has no word here; summaries are not asked for, since not every account may."""
    if reasoning.budget_tokens is not None:
        dropped.append("reasoning.budget_tokens")
    return {} if reasoning.effort is None else {"reasoning": {"effort": reasoning.effort}}


def _tool(tool: Tool, dropped: Dropped) -> JsonValue:
    if tool.cache is not None:
        dropped.once("cache_control")
    said: dict[str, JsonValue] = {"type": "function", "name": tool.name}
    if tool.description is not None:
        said["description"] = tool.description
    # Both are demanded here, and strictness is the default, which not every schema bears.
    return {**said, "parameters": tool.schema or None, "strict": tool.strict is True}


def _tool_choice(choice: ToolChoice) -> JsonValue:
    return {"type": "function", "name": choice.name} if choice.mode == "named" else choice.mode


def _format(wanted: ResponseFormat) -> JsonValue:
    if wanted.kind != "json_schema":
        return {"type": "text" if wanted.kind == "text" else "json_object"}
    said = {
        "type": "json_schema",
        "name": wanted.name or "reply",  # the language demands one
        "description": wanted.description,
        "schema": wanted.schema,
        "strict": wanted.strict,
    }
    return {key: value for key, value in said.items() if value is not None}
