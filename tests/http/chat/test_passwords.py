"""Passwords: what is kept tells nothing, and nobody learns from how long an answer takes."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from rhetor.core.errors import Code, RhetorError
from rhetor.http.chat import passwords as module
from rhetor.http.chat.passwords import USUAL, Cost, Passwords

CHEAP = Cost(n=2, r=1, p=1)


async def test_fits_its_own_and_no_other() -> None:
    passwords = Passwords(CHEAP)
    kept = await passwords.hashed("correct horse")

    assert await passwords.fits("correct horse", kept)
    assert not await passwords.fits("correct horse ", kept)
    assert not await passwords.fits("", kept)


async def test_what_is_kept_is_never_the_same_and_never_the_password() -> None:
    passwords = Passwords(CHEAP)
    one, other = await passwords.hashed("correct horse"), await passwords.hashed("correct horse")

    assert one != other
    assert "horse" not in one


async def test_any_text_can_be_one() -> None:
    passwords = Passwords(CHEAP)
    for password in ("pässwörd €", "\0\n", "x" * 1000, "日本語パスワード"):
        assert await passwords.fits(password, await passwords.hashed(password))


async def test_what_was_kept_at_another_cost_still_fits() -> None:
    kept = await Passwords(CHEAP).hashed("correct horse")

    assert await Passwords(Cost(n=4, r=1, p=1)).fits("correct horse", kept)


async def test_nobodys_password_takes_the_same_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which names are known is not told by the time of an answer."""
    done: list[Cost] = []
    scrypt = module._scrypt

    def counted(password: bytes, cost: Cost, salt: bytes) -> bytes:
        done.append(cost)
        return scrypt(password, cost, salt)

    monkeypatch.setattr(module, "_scrypt", counted)
    passwords = Passwords(CHEAP)
    kept = await passwords.hashed("correct horse")

    await passwords.fits("wrong", kept)
    assert not await passwords.fits("wrong", None)
    assert not await passwords.fits("", None)

    assert done == [CHEAP] * 4


async def test_hashing_leaves_the_loop_alone_and_has_few_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever signs in costs memory and time: a crowd waits, and a larger one is sent away."""
    monkeypatch.setattr(module, "MOST_WAITING", 5)
    gate, busy, most, at_once = threading.Event(), threading.Semaphore(0), [0], [0]
    lock = threading.Lock()

    def slow(*_: Any) -> bytes:
        with lock:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
        busy.release()
        gate.wait(5)
        with lock:
            at_once[0] -= 1
        return bytes(32)

    monkeypatch.setattr(module, "_scrypt", slow)
    passwords = Passwords(CHEAP)
    async with asyncio.TaskGroup() as group:
        crowd = [group.create_task(passwords.hashed(str(n))) for n in range(5)]
        for _ in range(2):
            await asyncio.to_thread(busy.acquire)
        with pytest.raises(RhetorError) as refused:
            await passwords.hashed("one too many")
        gate.set()

    assert refused.value.code is Code.POOL_FULL
    assert len({task.result() for task in crowd}) == 5
    assert most[0] == 2


def test_the_usual_cost_is_what_is_recommended() -> None:
    """Some 16 MiB for each guess, five times over."""
    assert 128 * USUAL.n * USUAL.r == 16 << 20
    assert USUAL.p >= 5
