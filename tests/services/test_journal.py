"""The last lines that were said, whole, without secrets, in bounded memory; and those that come."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from rhetor.core.clock import SystemClock
from rhetor.services.journal import AT_ONCE, HELD, LINE_BYTES, Journal
from rhetor.tasks import spawn
from rhetor.telemetry.logs import Redactor

SECRET = "canary-of-a-journal"


def journal(most_bytes: int = 100_000) -> Journal:
    redactor = Redactor()
    redactor.learn([SECRET])
    return Journal(most_bytes, redactor, SystemClock())


def texts(journal: Journal) -> Sequence[str]:
    return [line.text for line in journal.after(0)]


@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        ([b"one\ntw", b"o\n\n"], ["one", "two", ""]),
        ([b"caf\xc3", b"\xa9\r\n", b"\xff\n"], ["café", "�"]),
        ([b"10%\r20%", b"\r30%\ndone\n"], ["30%", "done"]),
        ([b"it is canary-of", b"-a-journal\n"], ["it is [redacted]"]),
        ([b"no end"], []),
    ],
)
def test_lines(pieces: list[bytes], lines: list[str]) -> None:
    said = journal()
    for piece in pieces:
        said.put(piece)
    assert texts(said) == lines


def test_a_remark_stands_on_a_line_of_its_own() -> None:
    said = journal()
    said.put(b"half a li")
    said.note("it has ended")
    assert [(line.text, line.ours) for line in said.after(0)] == [
        ("half a li", False),
        ("it has ended", True),
    ]


def test_only_the_last_is_kept() -> None:
    said = journal(10 * (LINE_BYTES + 1))
    for n in range(100):
        said.put(b"%d\n" % (n % 10))
    assert [line.seq for line in said.after(0)] == list(range(91, 101))
    assert [line.seq for line in said.after(98)] == [99, 100]
    assert [line.seq for line in said.latest(3)] == [98, 99, 100]
    assert (said.latest(0), said.last) == ([], 100)


def test_a_line_without_an_end_is_cut_and_a_secret_in_it_is_not() -> None:
    said = journal()
    for _ in range(4_000):
        said.put(SECRET.encode())
    text = "".join(texts(said))
    assert len(text) > 30_000
    assert "canary" not in text


LONG = "".join(f"k{n}-" for n in range(700))
JWT = "eyJhbGciOiJub25lIn0." + "abcdefghij" * 300 + ".c2lnbmF0dXJl"


@pytest.mark.parametrize("before", [0, 2_000, 5_504, 7_000, 8_104, 8_184])
@pytest.mark.parametrize(
    ("said", "secret"),
    [
        (f'"{LONG}"', LONG),
        (f"x {JWT} y", JWT),
        (f'{{"a":1,"token":"{JWT}"}}', JWT),
        (f"Bearer {'s3cr3t' * 400}", "s3cr3t" * 400),
        (f"postgres://me:{'pa,ss' * 150}@db/x", "pa,ss" * 150),
    ],
)
def test_a_long_line_is_cut_where_no_secret_is(said: str, secret: str, before: int) -> None:
    redactor = Redactor()
    redactor.learn([LONG])
    line = ('{"n":1},' * 1100)[:before] + said + " and more" * 1500
    told = Journal(100_000, redactor, SystemClock())
    for at in range(0, len(line), 500):
        told.put(line[at : at + 500].encode())
    assert len(texts(told)) > 1
    told.put(b"\n")
    text = "".join(texts(told))
    assert "[redacted]" in text
    assert not any(secret[at : at + 12] in text for at in range(0, len(secret) - 12, 12))
    assert text.endswith(" and more")


def test_a_line_that_may_be_one_secret_is_not_held_for_ever() -> None:
    said = journal()
    said.put(b"sk-" + b"a" * HELD)
    assert texts(said) == ["[redacted]"]


async def test_followers_hear_what_comes(no_leaks: None) -> None:
    said = journal()
    said.put(b"one\n")
    heard: list[str] = []

    async def follow() -> None:
        async for lines in said.follow(0):
            heard.extend(line.text for line in lines)
            if len(heard) == 1:
                said.put(b"two\nthree\n")
            if len(heard) == 3:
                return

    await spawn(follow(), "follow")
    assert heard == ["one", "two", "three"]


def test_a_flood_of_lines_is_cut_short_and_says_so() -> None:
    said = journal()
    said.put(b"\n" * 65_536 + b"the end\n")
    lines = said.after(0)
    assert len(lines) <= AT_ONCE + 1
    assert lines[0].ours
    assert "left out" in lines[0].text
    assert lines[-1].text == "the end"
