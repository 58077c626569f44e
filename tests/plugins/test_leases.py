"""A program that is shared ends with its last lease, and not before."""

from __future__ import annotations

import pytest

from rhetor.core.call import Call
from rhetor.core.errors import UpstreamError
from rhetor.plugins.leases import Lease, Leases
from rhetor.transport.base import Progress, Response

CALL = Call("POST", "guest://x/", {}, b"")


class Program:
    """A transport that answers nothing, and says when it ended."""

    def __init__(self) -> None:
        self.calls = 0
        self.closed = 0

    async def open(self, call: Call, progress: Progress) -> Response:
        self.calls += 1
        raise UpstreamError("nothing")

    async def close(self) -> None:
        self.closed += 1


async def test_it_outlives_a_configuration_while_the_next_one_needs_it() -> None:
    leases: Leases[Program] = Leases()
    earlier, later, never = (leases.lease("cow", Program) for _ in range(3))
    program = earlier.take()
    assert later.take() is earlier.take() is program
    await earlier.close()
    await earlier.close()
    await never.close()
    assert (program.closed, len(leases)) == (0, 1)
    await later.close()
    assert (program.closed, len(leases)) == (1, 0)
    assert leases.lease("cow", Program).take() is not program


async def test_a_call_takes_it_and_a_closed_one_says_so() -> None:
    leases: Leases[Program] = Leases()
    lease: Lease[Program] = leases.lease("cow", Program)
    with pytest.raises(UpstreamError, match="nothing"):
        await lease.open(CALL, Progress())
    program = lease.take()
    assert program.calls == 1
    await leases.close()
    assert program.closed == 1
    await lease.close()
    with pytest.raises(UpstreamError, match="the program was replaced, or removed"):
        await lease.open(CALL, Progress())


async def test_an_end_that_nobody_ordered_is_told() -> None:
    ended: list[None] = []
    leases: Leases[Program] = Leases(lambda: ended.append(None))
    lease: Lease[Program] = leases.lease("cow", Program)
    lease.take()
    await lease.close()
    assert len(ended) == 1
    leases.lease("cow", Program).take()
    await leases.close()
    assert len(ended) == 1
