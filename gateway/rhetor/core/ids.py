"""Names for things that have none: random, so that nobody guesses another caller's."""

from __future__ import annotations

from collections.abc import Iterator
from os import urandom

BYTES = 12
AT_ONCE = 256  # ids for one call of the kernel


def new_id(prefix: str) -> str:
    """The prefix, an underscore and 24 hexadecimal digits; never the same twice."""
    return f"{prefix}_{next(_DIGITS)}"


def _digits() -> Iterator[str]:
    size = 2 * BYTES
    while True:
        digits = urandom(BYTES * AT_ONCE).hex()
        yield from (digits[at : at + size] for at in range(0, len(digits), size))


_DIGITS = _digits()
