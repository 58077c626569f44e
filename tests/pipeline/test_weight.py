"""What is weighed is what is held."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable

import pytest

from rhetor.core.content import Opaque
from rhetor.core.events import (
    Event,
    MediumDelta,
    MediumLink,
    OpaquePart,
    TextDelta,
    ThinkingDelta,
    Timed,
    ToolUseDelta,
    Vector,
)
from rhetor.pipeline.weight import weigh


@pytest.mark.parametrize(
    "make",
    [
        lambda n: TextDelta(f"w{n} "),
        lambda n: TextDelta("ж" * 200 + str(n)),
        lambda n: TextDelta(
            f"w{n}", [{"token": f"w{n}", "logprob": -0.5, "top_logprobs": [{"token": str(n)}]}]
        ),
        lambda n: ThinkingDelta("x" * n),
        lambda n: ToolUseDelta(0, f'{{"a":{n}}}'),
        lambda n: Vector(n, [n + i / 7 for i in range(100)]),
        lambda n: MediumDelta(0, bytes(n)),
        lambda n: MediumLink(n, f"https://media.test/{n}.png", "image/png"),
        lambda n: Timed("word", f"w{n}", n / 7, (n + 1) / 7),
        lambda n: OpaquePart(Opaque("anthropic", {"type": "x", "data": [{"n": n, "text": f"t{n}"}] * 3})),
    ],
    ids=[
        "word",
        "letters",
        "logprobs",
        "thought",
        "arguments",
        "vector",
        "medium",
        "link",
        "word of a transcript",
        "opaque",
    ],
)
def test_what_is_weighed_is_what_is_held(make: Callable[[int], Event]) -> None:
    """At least what it is, so that the bounds hold, and not so much more that they mean nothing."""
    gc.collect()
    tracemalloc.start()
    held = [[make(n)] for n in range(500)]
    real_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    weighed = sum(map(weigh, held))
    assert real_bytes < weighed < 6 * real_bytes
