"""What may be shown in a terminal of what others say."""

from __future__ import annotations

import io

import pytest

from rhetor.cli.terminal import printable, printed, show

STEERING = "a\x1b[2Jb\u202e\x9bc\n\td"


def test_nothing_steers_the_terminal() -> None:
    assert printable(STEERING) == "a\ufffd[2Jb\ufffd\ufffdc\n\td"


def test_a_line_stays_one() -> None:
    assert printed(["x\n✓ y", "z"]) == "x ✓ y\nz"


@pytest.mark.parametrize(("is_terminal", "shown"), [(True, printable(STEERING)), (False, STEERING)])
def test_programs_read_what_was_said(is_terminal: bool, shown: str) -> None:
    class Out(io.StringIO):
        def isatty(self) -> bool:
            return is_terminal

    out = Out()
    show(STEERING, out)
    assert out.getvalue() == shown
