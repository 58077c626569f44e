"""A program that is run to its end for what it says, within its time."""

from __future__ import annotations

import asyncio

from rhetor.core.errors import Code, RhetorError
from rhetor.core.value import value
from rhetor.services.process import House, OnSaid, Spec, start

STOP_S = 2.0


@value
class Outcome:
    code: int
    out: str
    err: str
    """The end of it."""


async def run(
    spec: Spec, house: str | House, *, mark: str, within_s: float, on_said: OnSaid | None = None
) -> Outcome:
    """
    Args:
        on_said: is told what it writes to stderr.

    Raises:
        RhetorError: unavailable, it cannot be started, or has not ended within that time.
    """
    assert spec.stdout == "lines"
    child = await start(spec, house, mark=mark, on_said=on_said)
    try:
        async with asyncio.timeout(within_s):
            lines = [line.decode(errors="replace") async for line in child.lines()]
            code = await child.wait()
    except TimeoutError as error:
        raise RhetorError(f"{spec.label} has not ended after {within_s:g} s", Code.UNAVAILABLE) from error
    finally:
        await child.stop(STOP_S if child.returncode is None else 0.0)
    return Outcome(code, "\n".join(lines), child.said())
