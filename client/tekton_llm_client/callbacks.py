"""Calling what the user of this package gave us, be it `def` or `async def`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeAlias

from tekton_llm_client.models import StreamingChunk

Callback: TypeAlias = Callable[[StreamingChunk], Any]
"""Gets each chunk; where it is `async`, it is awaited before the next."""


async def tell(callback: Callable[..., Any] | None, *said: Any) -> None:
    """Call it and see it through; nobody is told nothing."""
    if callback is None:
        return
    result = callback(*said)
    if inspect.isawaitable(result):
        await result
