"""Calling something again when that is of use. The client does so by itself; this is for everything else."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tekton_llm_client.exceptions import (
    ConnectionError,
    RateLimitError,
    ServiceUnavailableError,
    TektonLLMError,
    TimeoutError,
)

T = TypeVar("T")

PASSING = (ConnectionError, TimeoutError, ServiceUnavailableError, RateLimitError)
"""What may be over in a moment."""
LIMITED_S = 5.0  # limits count by the minute: who comes back at once only uses up the next one
JITTER = 0.15
DOUBLINGS = 30  # after which every pause is the longest one


@dataclass(frozen=True, slots=True)
class RetryConfig:
    """How often to try again, and how long to wait.

    Args:
        max_retries: further tries after the first.
        base_delay, max_delay: milliseconds. The first pause, which doubles each time, and the longest one.
        jitter: vary the pauses by 15 %, so that those who failed together do not come back together.
        retry_on: the exceptions that are worth another try, instead of those that may pass by themselves.
    """

    max_retries: int = 3
    base_delay: float = 1000
    max_delay: float = 30_000
    jitter: bool = True
    retry_on: Sequence[type[BaseException]] | None = None

    def should_retry(self, error: BaseException, attempt: int) -> bool:
        """Whether to try again after this failure. Attempts are counted from 0.

        Who is told to wait longer than the longest pause is better off with the error.
        """
        if attempt >= self.max_retries or not isinstance(error, tuple(self.retry_on or PASSING)):
            return False
        if not isinstance(error, TektonLLMError):
            return True
        return error.retry is not False and (error.retry_after_s or 0) <= self.max_delay / 1000

    def get_delay(self, attempt: int, error: BaseException | None = None) -> float:
        """How long to wait after this attempt, in seconds."""
        if isinstance(error, TektonLLMError) and error.retry_after_s is not None:
            return error.retry_after_s
        delay_s = self.base_delay / 1000 * 2.0 ** min(attempt, DOUBLINGS)
        if self.jitter:
            delay_s *= random.uniform(1 - JITTER, 1 + JITTER)
        delay_s = min(delay_s, self.max_delay / 1000)
        return max(delay_s, LIMITED_S) if isinstance(error, RateLimitError) else delay_s


async def retry_async(
    operation: Callable[[], Awaitable[T]],
    config: RetryConfig | None = None,
    *,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> T:
    """What the operation returns, after as many tries as it takes and the configuration allows.

    Raises:
        Exception: what the last try raised.
    """
    config = config or RetryConfig()
    attempt = 0
    while True:
        try:
            return await operation()
        except Exception as error:
            if not config.should_retry(error, attempt):
                raise
            pause_s = config.get_delay(attempt, error)
        await sleep(pause_s)
        attempt += 1
