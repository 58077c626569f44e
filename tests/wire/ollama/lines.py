"""Events as an Ollama server would tell them: what the decoders' laws need on the other side."""

from __future__ import annotations

from typing import Any

import orjson

from rhetor.core.content import ToolUse
from rhetor.core.events import Event, FinishReason, TextDelta, ThinkingDelta, fold


def tell(events: list[Event]) -> list[dict[str, Any]]:
    """The objects of a streamed reply; tool calls come whole, after everything else."""
    folded = fold(events)
    objects: list[dict[str, Any]] = []
    for event in events:
        if isinstance(event, ThinkingDelta):
            objects.append(_object(folded.model, content="", thinking=event.text))
        elif isinstance(event, TextDelta):
            objects.append(_object(folded.model, content=event.text))
            if event.logprobs is not None:
                objects[-1]["logprobs"] = event.logprobs
    objects += [_object(folded.model, content="", tool_calls=[_call(use)]) for use in folded.tool_uses]
    end: dict[str, Any] = {"done": True}
    if folded.usage is not None:
        end["prompt_eval_count"] = folded.usage.input_tokens
        end["eval_count"] = folded.usage.output_tokens
    end["done_reason"] = "length" if folded.finish is FinishReason.LENGTH else "stop"
    return [*objects, {**_object(folded.model, content=""), **end}]


def _call(use: ToolUse) -> dict[str, Any]:
    return {"id": use.id, "function": {"name": use.name, "arguments": orjson.loads(use.arguments)}}


def tell_whole(events: list[Event]) -> dict[str, Any]:
    """The one object of a reply that is not streamed."""
    *objects, last = tell(events)
    message: dict[str, Any] = {"role": "assistant", "content": ""}
    for each in objects:
        for name in ("content", "thinking"):
            if name in each["message"]:
                message[name] = message.get(name, "") + each["message"][name]
        message.setdefault("tool_calls", []).extend(each["message"].get("tool_calls", ()))
    return {**last, "message": message}


def _object(model: str, **message: Any) -> dict[str, Any]:
    stamp = {"model": model, "created_at": "2026-11-20T09:24:59.1Z"}
    return {**stamp, "message": {"role": "assistant", **message}, "done": False}


def lines(objects: list[dict[str, Any]]) -> bytes:
    return b"".join(orjson.dumps(each) + b"\n" for each in objects)
