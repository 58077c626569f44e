"""Pipes give what was written, however it was cut, and hold no more than is wanted."""

from __future__ import annotations

import asyncio
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rhetor.core.errors import RhetorError
from rhetor.services.pipes import Lines, Ring, Writer
from rhetor.tasks import spawn

pytestmark = pytest.mark.usefixtures("no_leaks")


async def lines_of(pieces: list[bytes]) -> list[bytes]:
    end, begin = os.pipe()
    lines = Lines(end, 1_000_000, "it")
    for piece in pieces:
        os.write(begin, piece)
        await asyncio.sleep(0)
    os.close(begin)
    async with asyncio.timeout(5.0):
        return [line async for line in lines]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(max_size=8).map(lambda piece: piece.replace(b"\r", b"")), max_size=8))
def test_any_cut_of_the_same_bytes_gives_the_same_lines(pieces: list[bytes]) -> None:
    whole = b"".join(pieces).split(b"\n")
    expected = whole if whole[-1] else whole[:-1]
    assert asyncio.run(lines_of([piece for piece in pieces if piece])) == expected


async def test_a_writer_that_is_closed_wakes_who_waits() -> None:
    end, begin = os.pipe()
    writer = Writer(begin, "it")
    writing = spawn(writer.write(b"x" * 1_000_000, 5.0), "write")
    await asyncio.sleep(0)
    writer.close()
    with pytest.raises(RhetorError, match="takes no more input"):
        await writing
    os.close(end)


async def test_writes_of_several_do_not_mix() -> None:
    end, begin = os.pipe()
    writer = Writer(begin, "it")
    lines = Lines(end, 1_000_000, "it")
    async with asyncio.timeout(5.0), asyncio.TaskGroup() as group:
        for letter in (b"a", b"b", b"c"):
            group.create_task(writer.write(letter * 200_000 + b"\n", 5.0))
        heard = [await anext(lines) for _ in range(3)]
    assert heard == [b"a" * 200_000, b"b" * 200_000, b"c" * 200_000]
    writer.close()
    lines.reader.close()


async def test_a_write_that_was_cancelled_before_it_began_breaks_nothing() -> None:
    end, begin = os.pipe()
    writer = Writer(begin, "it")
    writing = spawn(writer.write(b"never\n", 5.0), "write")
    writing.cancel()
    await asyncio.wait([writing])
    await writer.write(b"hello\n", 5.0)
    assert os.read(end, 100) == b"hello\n"
    writer.close()
    os.close(end)


def test_a_ring_keeps_the_last() -> None:
    ring = Ring(10)
    for n in range(100):
        ring.put(b"%d," % n)
    assert ring.text().endswith(",98,99,")
    assert len(ring.text()) == 10
