"""What the generations of Gemini take: the same request is an error to one and plain to another.

The facts are from https://ai.google.dev/gemini-api/docs/thinking, …/thought-signatures and
…/function-calling (read 2026-11-21); the levels of each model from
https://docs.cloud.google.com/gemini-enterprise-agent-platform/models/thinking (read 2026-11-21). That
penalties and log probabilities are refused since 2.5 (`Penalty is not enabled for models/…`) stands in
no documentation, but in https://github.com/BerriAI/litellm/pull/32273 and
https://github.com/googleapis/python-genai/issues/1921 (read 2026-11-21). A Gemini that the table does
not know is taken for the newest.
"""

from __future__ import annotations

from dataclasses import dataclass

LOW_TO_HIGH = ("low", "medium", "high")
MINIMAL_TO_HIGH = ("minimal", *LOW_TO_HIGH)


@dataclass(frozen=True, slots=True)
class Generation:
    """What the models of one generation take. The defaults are those of the newest."""

    levels: tuple[str, ...] = LOW_TO_HIGH
    """Of `thinkingLevel`, lowest first; empty: the field is an error."""
    budgets: tuple[int, int] | None = None
    """The least and the largest `thinkingBudget`; None: the field is an error, or gone."""
    may_not_think: bool = False
    """Takes a budget of 0."""
    signed_calls: bool = True
    """Refuses the first call of a step that comes back without a signature."""
    results_with_media: bool = True
    """A function's response may have pictures in it."""
    format_with_tools: bool = True
    """Takes a response format beside tools."""
    knobs: bool = False
    """Takes penalties and log probabilities."""

    @property
    def thinks(self) -> bool:
        return bool(self.levels) or self.budgets is not None


_NEWEST = Generation()
_MINIMAL = Generation(levels=MINIMAL_TO_HIGH)
_PRO_3 = Generation(levels=("low", "high"))
_PRO_2_5 = Generation(
    levels=(),
    budgets=(128, 32_768),
    signed_calls=False,
    results_with_media=False,
    format_with_tools=False,
)
_FLASH_2_5 = Generation(
    levels=(),
    budgets=(512, 24_576),
    may_not_think=True,
    signed_calls=False,
    results_with_media=False,
    format_with_tools=False,
)
_THOUGHTLESS = Generation(
    levels=(),
    signed_calls=False,
    results_with_media=False,
    format_with_tools=False,
    knobs=True,
)

_BY_NAME: tuple[tuple[str, Generation], ...] = (
    # The first fragment found in the name decides, so 3-5-flash stands before 3-.
    ("gemini-1", _THOUGHTLESS),
    ("gemini-2-0", _THOUGHTLESS),
    ("gemini-2-5-pro", _PRO_2_5),
    ("gemini-2-5", _FLASH_2_5),
    ("gemini-3-pro", _PRO_3),
    ("gemini-3-flash", _MINIMAL),
    ("gemini-3-1-flash", _MINIMAL),
    ("gemini-3-5-flash", _MINIMAL),
    ("gemini", _NEWEST),
    ("nano-banana", _NEWEST),
)


def generation_of(model: str) -> Generation:
    """What a model takes, by its name; models that are no Gemini (Gemma, LearnLM) do not think."""
    name = model.lower().replace(".", "-")
    return next((generation for fragment, generation in _BY_NAME if fragment in name), _THOUGHTLESS)
