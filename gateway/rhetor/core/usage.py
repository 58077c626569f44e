"""What a generation consumed, and what that costs: whole tokens and whole micro-dollars."""

from __future__ import annotations

from typing import Literal

from rhetor.core.value import value


@value
class Usage:
    """Tokens of one generation.

    `input_tokens` counts everything that went in, cached or not, and
    `output_tokens` everything that came out, thought or said; the other three
    are parts of these two. Providers that count otherwise are converted by
    their wire.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    source: Literal["provider", "estimated"] = "provider"

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens


@value
class Price:
    """Micro-dollars per million tokens: 3_000_000 is three dollars per million."""

    input_micros: int
    output_micros: int
    cache_read_micros: int | None = None
    cache_write_micros: int | None = None

    def cost_micros(self, usage: Usage) -> int:
        """Micro-dollars for this usage, rounded half up; cached tokens without a price cost as input."""
        fresh = usage.input_tokens - usage.cache_read_tokens - usage.cache_write_tokens
        total = (
            max(fresh, 0) * self.input_micros
            + usage.cache_read_tokens * _or(self.cache_read_micros, self.input_micros)
            + usage.cache_write_tokens * _or(self.cache_write_micros, self.input_micros)
            + usage.output_tokens * self.output_micros
        )
        return (total + TOKENS_PER_PRICE // 2) // TOKENS_PER_PRICE


TOKENS_PER_PRICE = 1_000_000


def estimate_tokens(text: str) -> int:
    """A guess for texts whose provider reports nothing: four characters to a token, rounded up."""
    return -(-len(text) // 4)


def _or(value: int | None, default: int) -> int:
    return default if value is None else value
