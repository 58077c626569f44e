"""The filter of system calls, step by step; what the kernel makes of it, `test_jail` shows."""

from __future__ import annotations

import errno
import platform
from collections.abc import Sequence

import pytest

from rhetor.plugins.guest import kernel

ALLOWED, KILLED = 0x7FFF0000, 0x80000000
REFUSED = 0x00050000 | errno.EPERM


def run(sockets: str, number: int, *arguments: int, machine: int = 0xC000003E) -> int:
    """What the filter says to a call, as the kernel would run it."""
    data = {0: number, 4: machine, **{16 + 8 * n: it for n, it in enumerate((*arguments, 0, 0, 0))}}
    steps: Sequence[kernel.Step] = kernel._program(sockets)
    held, at = 0, 0
    while True:
        code, yes, no, value = steps[at]
        at += 1
        match code:
            case 0x20:
                held = data[value]
            case 0x54:
                held &= value
            case 0x06:
                return value
            case 0x15:
                at += yes if held == value else no
            case 0x35:
                at += yes if held >= value else no
            case 0x45:
                at += yes if held & value else no
            case _:
                raise AssertionError(code)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the numbers are those of x86-64")
@pytest.mark.parametrize(
    ("sockets", "call", "said"),
    [
        ("own", (0,), ALLOWED),  # read
        ("own", (59,), ALLOWED),  # execve
        ("own", (101,), REFUSED),  # ptrace
        ("own", (0x40000000 + 59,), KILLED),  # the other 32-bit interface
        ("own", (435,), 0x00050000 | errno.ENOSYS),  # clone3
        ("own", (56, 0x11), ALLOWED),  # clone: a child
        ("own", (56, 0x10000000), REFUSED),  # clone: a user namespace
        ("own", (53, 1, 1), ALLOWED),  # socketpair
        *(("own", (41, family, 1), ALLOWED) for family in (1, 2, 10, 16)),
        *(("own", (41, family, 1), REFUSED) for family in (17, 38, 40)),
        *(("none", (41, family, 1), REFUSED) for family in (1, 2, 10, 16, 40)),
        ("tcp", (41, 2, 0x80801, 0), ALLOWED),
        ("tcp", (41, 10, 1, 6), ALLOWED),
        ("tcp", (41, 2, 1, 262), REFUSED),  # multipath TCP
        ("tcp", (41, 2, 2, 17), REFUSED),  # UDP
        ("tcp", (41, 1, 1, 0), REFUSED),
        ("none", (302, 0, 7), ALLOWED),  # prlimit: its own limits
        ("none", (302, 42, 7), REFUSED),  # those of others
        ("own", (302, 42, 7), ALLOWED),  # there are none
        ("tcp", (141, 0, 0, 5), ALLOWED),  # setpriority: its own
        ("tcp", (141, 0, 42, 5), REFUSED),
        ("tcp", (141, 2, 0, 5), REFUSED),  # all of its user
        ("tcp", (203, 42), REFUSED),  # sched_setaffinity
        ("none", (41, 1, 1), REFUSED),
    ],
)
def test_what_the_filter_says(sockets: str, call: tuple[int, ...], said: int) -> None:
    assert run(sockets, *call) == said


def test_another_machine_is_not_listened_to() -> None:
    if platform.machine() == "x86_64":
        assert run("own", 0, machine=0x40000003) == KILLED
    assert kernel.can_filter() is (platform.machine() in kernel.MACHINES)


def test_a_filter_is_short_enough() -> None:
    """The kernel takes 4096 steps, and a comparison skips 255."""
    if kernel.can_filter():
        steps = kernel._program("tcp")
        assert len(steps) < 4096
        assert all(0 <= skip < 256 for step in steps for skip in step[1:3])
