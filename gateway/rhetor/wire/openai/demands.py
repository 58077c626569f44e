"""What a provider's quirks demand of a body, whoever wrote it: the caller or we."""

from __future__ import annotations

from dataclasses import dataclass, field

from rhetor.core.content import Json, JsonValue
from rhetor.core.request import Original
from rhetor.wire import fields
from rhetor.wire.base import Outgoing, Quirks
from rhetor.wire.splice import with_member, with_model

OURS = frozenset({"fallbacks", "requirements", "component", "task"})
"""Our own fields of a chat: no provider ever sees them."""
_OURS_ANYWHERE = frozenset({"fallbacks"})
_ASK_USAGE = b'"stream_options":{"include_usage":true}'


@dataclass(slots=True)
class Demands:
    """Changes to top-level fields; `dropped` names those that the caller should hear of."""

    removed: set[str] = field(default_factory=set)
    changed: dict[str, JsonValue] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)

    def remove(self, name: str) -> None:
        self.removed.add(name)
        self.dropped.append(name)

    def apply(self, body: Json) -> dict[str, JsonValue]:
        kept = {key: value for key, value in body.items() if key not in self.removed}
        return kept | self.changed


def demands(body: Json, quirks: Quirks) -> Demands:
    """What has to change in this body before the provider takes it."""
    wanted = Demands()
    # Elsewhere only the fallbacks are ours: some providers of embeddings know a task.
    wanted.removed |= (OURS if "messages" in body else _OURS_ANYWHERE) & body.keys()
    for name in sorted(quirks.drop_fields & body.keys()):
        wanted.remove(name)
    if not quirks.usage_in_stream and "stream_options" in body and "stream_options" not in wanted.removed:
        wanted.remove("stream_options")
    if quirks.max_tokens_field != "max_completion_tokens" and "max_completion_tokens" in body:
        wanted.removed.add("max_completion_tokens")
        wanted.changed[quirks.max_tokens_field] = body["max_completion_tokens"]
    if body.get("tool_choice") == "required" and quirks.tool_choice_required != "required":
        wanted.changed["tool_choice"] = quirks.tool_choice_required
    if quirks.prefill not in ("", "plain") and (flagged := _flagged(body, quirks.prefill)):
        wanted.changed["messages"] = flagged
    temperature = body.get("temperature")
    if isinstance(temperature, int | float) and temperature > quirks.max_temperature:
        wanted.changed["temperature"] = quirks.max_temperature
        wanted.dropped.append(f"temperature: lowered to {quirks.max_temperature}")
    return wanted


def _flagged(body: Json, flag: str) -> list[JsonValue] | None:
    """The messages, the last one marked as the beginning of the answer; None when it is not one."""
    messages = body.get("messages")
    last = messages[-1] if isinstance(messages, list) and messages else None
    if not isinstance(last, dict) or last.get("role") != "assistant" or flag in last:
        return None
    assert isinstance(messages, list)
    return [*messages[:-1], {**last, flag: True}]


def retarget(path: str, original: Original, model: str, quirks: Quirks) -> Outgoing:
    """The caller's body for another model: spliced where that is enough, else written anew.

    A caller who streams without asking for usage gets none, but we do: the
    frame that tells it is withheld. Integers beyond 64 bits survive the
    splice only.
    """
    said = original.fields
    wanted = demands(said, quirks)
    options = said.get("stream_options")
    asked = isinstance(options, dict) and options.get("include_usage") is True
    possible = quirks.usage_in_stream and "stream_options" not in quirks.drop_fields
    withhold = said.get("stream") is True and possible and not asked
    if withhold and "stream_options" in said:
        wanted.changed["stream_options"] = {
            **(options if isinstance(options, dict) else {}),
            "include_usage": True,
        }
    body = None
    if not wanted.removed and not wanted.changed:
        body = with_model(original, model)
    if body is None:
        wanted.changed["model"] = model
        body = fields.dump(wanted.apply(said))
    if withhold and "stream_options" not in said:
        body = with_member(body, _ASK_USAGE)
    return Outgoing(path, body, dropped=tuple(wanted.dropped), withhold_usage=withhold)
