"""Trying again, as long as the gateway is away, busy or limiting."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tekton_llm_client.exceptions import TektonLLMError
from tekton_llm_client.refusals import JITTER, pause_before_retry

T = TypeVar("T")


async def patiently(work: Callable[[], Awaitable[T]], retries: int, first_pause_s: float) -> T:
    """What the first try that succeeds returns.

    Raises:
        TektonLLMError: of the last try, or of one after which another is no use.
    """
    tried = 0
    while True:
        try:
            return await work()
        except TektonLLMError as error:
            tried += 1
            pause_s = pause_before_retry(error, tried, retries, first_pause_s)
            if pause_s is None:
                raise
        await asyncio.sleep(pause_s * random.uniform(1, 1 + JITTER))
