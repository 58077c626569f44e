"""How much the model may think: `thinking` and `output_config.effort` ↔ `Reasoning`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rhetor.core.content import Json, JsonValue, Opaque, Thinking
from rhetor.core.request import Chat, Message, Reasoning, Role
from rhetor.wire import fields
from rhetor.wire.anthropic.generations import Generation
from rhetor.wire.anthropic.parts import Unsaid, name_rest
from rhetor.wire.anthropic.proofs import is_foreign

LEAST_BUDGET = 1024
"""https://platform.claude.com/docs/en/api/messages/create#body-thinking (read 2026-11-20)."""

BUDGETS: Mapping[str, int] = {
    "minimal": LEAST_BUDGET,
    "low": 2048,
    "medium": 8192,
    "high": 16384,
    "xhigh": 24576,
    "max": 32000,
}
"""Tokens of thinking that an effort means to models that take a budget, weakest first.

Ours, not a vendor's: each step about doubles, and the largest stays under the
output limits of every model that thinks.
"""


def read_reasoning(said: Json, unsaid: Unsaid) -> Reasoning | None:
    """What a caller asks for with `thinking` and `output_config`; None when with neither."""
    config = fields.optional_mapping(said, "output_config") or {}
    name_rest(config, frozenset({"effort", "format"}), "output_config", unsaid)
    effort = fields.optional_text(config, "effort", "output_config")
    thinking = fields.optional_mapping(said, "thinking")
    if thinking is None:
        return None if effort is None else Reasoning(effort)
    name_rest(thinking, frozenset({"type", "budget_tokens"}), "thinking", unsaid)
    kind = fields.text(thinking, "type", "thinking")
    if kind not in _KINDS:
        unsaid.append(f"thinking.type: {kind}")
    return Reasoning(
        effort,
        fields.optional_integer(thinking, "budget_tokens", "thinking"),
        enabled=kind not in _KINDS_OF_NONE,
    )


_KINDS_OF_NONE = ("disabled", "between_tools")
_KINDS = ("enabled", "adaptive", *_KINDS_OF_NONE)


@dataclass(slots=True)
class Thought:
    """What a request says about thinking, in the language of one generation."""

    thinking: dict[str, JsonValue] | None = None
    effort: str | None = None
    extra_tokens: int = 0
    """What thinking takes from `max_tokens`, to be added where the caller set no limit."""
    dropped: list[str] = field(default_factory=list)

    @property
    def is_on(self) -> bool:
        return self.thinking is not None and self.thinking["type"] in ("enabled", "adaptive")


def write_reasoning(chat: Chat, generation: Generation) -> Thought:
    """How to ask a model of this generation for the reasoning that the caller wants."""
    wanted = chat.reasoning
    if wanted is None:
        return Thought()
    if not wanted.enabled or wanted.effort == "none":
        return _write_none(wanted, generation)
    thought = Thought(effort=_nearest(wanted.effort, generation.efforts))
    if wanted.effort is not None and wanted.effort not in BUDGETS:
        thought.dropped.append(f"reasoning.effort: {wanted.effort}")
    if generation.adaptive and (wanted.budget_tokens is None or not generation.budgets):
        thought.thinking = {"type": "adaptive"}
        thought.extra_tokens = _budget_of(wanted)
        if thought.effort is None and wanted.budget_tokens is not None:
            thought.effort = _nearest(_effort_of(wanted.budget_tokens), generation.efforts)
        return thought
    return _write_budget(thought, chat, wanted)


def _write_none(wanted: Reasoning, generation: Generation) -> Thought:
    if generation.off is None:
        # Less than the lowest effort cannot be said to a model that always thinks.
        return Thought(effort=generation.efforts[0], dropped=["reasoning: the model always thinks"])
    effort = None if wanted.effort == "none" else _nearest(wanted.effort, generation.efforts)
    if effort in ("xhigh", "max"):
        effort = "high"  # more is an error while thinking is off
    return Thought({"type": generation.off}, effort)


def _write_budget(thought: Thought, chat: Chat, wanted: Reasoning) -> Thought:
    """Thinking with a budget, where the rest of the request allows it."""
    obstacle = _obstacle(chat)
    if obstacle is not None:
        thought.dropped.append(f"reasoning: {obstacle}")
        return thought
    budget, limit = _budget_of(wanted), chat.max_tokens
    allowed = max(LEAST_BUDGET, budget if limit is None or budget < limit else limit // 2)
    if wanted.budget_tokens is not None and allowed != budget:
        thought.dropped.append(f"reasoning.budget_tokens: {budget} became {allowed}")
    thought.thinking = {"type": "enabled", "budget_tokens": allowed}
    thought.extra_tokens = allowed
    return thought


def _obstacle(chat: Chat) -> str | None:
    """Why a budget would be answered with an error. Adaptive thinking has none of these rules."""
    if chat.max_tokens is not None and chat.max_tokens <= LEAST_BUDGET:
        return f"max_tokens leaves no room for the least budget of {LEAST_BUDGET}"
    if chat.tool_choice is not None and chat.tool_choice.mode in ("required", "named"):
        return "not together with a demanded tool call"
    if _last_turn_lacks_thought(chat):
        return "the tool calls being answered came without their thoughts"
    return None


def _last_turn_lacks_thought(chat: Chat) -> bool:
    """Whether the turn that tool results answer began without a thought: the provider demands it back."""
    turn: list[Message] = []
    before: Message | None = None
    for message in chat.messages:
        # What a user adds to tool results travels in the same message, and begins no new turn.
        if message.role is Role.USER and (before is None or before.role is not Role.TOOL):
            turn = []
        turn.append(message)
        before = message
    first = next((message for message in turn if message.role is Role.ASSISTANT), None)
    answered = any(message.role is Role.TOOL for message in turn)
    return answered and first is not None and not _begins_with_thought(first)


def _begins_with_thought(message: Message) -> bool:
    match message.parts[:1]:
        case (Thinking(signature=str() as proof),):
            return not is_foreign(proof)  # another provider's is not sent
        case (Opaque() as part,):
            return part.kind == "redacted_thinking"
        case _:
            return False


def _budget_of(wanted: Reasoning) -> int:
    return wanted.budget_tokens or BUDGETS.get(wanted.effort or "", BUDGETS["medium"])


def _nearest(effort: str | None, efforts: tuple[str, ...]) -> str | None:
    """The level that a model has for an effort: the same, the next weaker one, else its weakest."""
    if effort is None or effort not in BUDGETS or not efforts:
        return None
    weaker = [level for level in efforts if BUDGETS[level] <= BUDGETS[effort]]
    return weaker[-1] if weaker else efforts[0]


def _effort_of(budget_tokens: int) -> str:
    """The strongest effort whose budget is not larger."""
    return max(
        (it for it in BUDGETS if BUDGETS[it] <= budget_tokens), key=BUDGETS.__getitem__, default="minimal"
    )
