"""What a generation consumed, and what that costs: whole tokens and whole micro-dollars."""

from __future__ import annotations

from typing import Literal

from rhetor.core.value import value


@value
class Usage:
    """What one generation consumed, in tokens and in whatever else its kind is counted in.

    `input_tokens` counts everything that went in, cached or not, and
    `output_tokens` everything that came out, thought or said; the other three
    are parts of these two. Providers that count otherwise are converted by
    their wire. What is not counted in tokens is counted by its own measure.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    characters: int = 0
    """Spoken."""
    audio_ms: int = 0
    """Written down, or made: milliseconds of sound."""
    images: int = 0
    """Made."""
    video_ms: int = 0
    """Made: milliseconds of film."""
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
    character_micros: int = 0
    """For a million characters."""
    audio_micros: int = 0
    """For a million milliseconds, some 17 minutes."""
    video_micros: int = 0
    """For a million milliseconds."""
    image_micros: int = 0
    """For one."""

    @property
    def price_class(self) -> Literal["free", "cheap", "premium"] | None:
        """What people call such a price: a million tokens in and a quarter of that out cost up to a dollar
        where it is cheap, and from five dollars where it is premium. None: something between, or not paid by
        tokens.
        """
        blend = self.input_micros + self.output_micros // 4
        if blend:
            return "cheap" if blend <= CHEAP_MICROS else "premium" if blend >= PREMIUM_MICROS else None
        media = (self.character_micros, self.audio_micros, self.video_micros, self.image_micros)
        return None if any(media) else "free"

    def cost_micros(self, usage: Usage) -> int:
        """Micro-dollars for this usage, rounded half up; cached tokens without a price cost as input."""
        fresh = usage.input_tokens - usage.cache_read_tokens - usage.cache_write_tokens
        total = (
            max(fresh, 0) * self.input_micros
            + usage.cache_read_tokens * _or(self.cache_read_micros, self.input_micros)
            + usage.cache_write_tokens * _or(self.cache_write_micros, self.input_micros)
            + usage.output_tokens * self.output_micros
        )
        if self.character_micros or self.audio_micros or self.video_micros or self.image_micros:
            total += usage.characters * self.character_micros + usage.audio_ms * self.audio_micros
            total += usage.video_ms * self.video_micros
            total += usage.images * self.image_micros * TOKENS_PER_PRICE
        return (total + TOKENS_PER_PRICE // 2) // TOKENS_PER_PRICE


TOKENS_PER_PRICE = 1_000_000
CHEAP_MICROS = 1_000_000  # what small models cost, by the price lists of November 2026
PREMIUM_MICROS = 5_000_000  # where the largest ones begin


def estimate_tokens(text: str) -> int:
    """A guess for texts whose provider reports nothing: four characters to a token, rounded up."""
    return -(-len(text) // 4)


def _or(value: int | None, default: int) -> int:
    return default if value is None else value
