"""What may be shown in a terminal of what others say."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TextIO


def printable(text: str) -> str:
    """Text of others, without what a terminal would take for a command, or what hides text from readers."""
    return text if text.isprintable() else text.translate(_UNPRINTABLE)


_UNPRINTABLE = {
    code: "\ufffd"
    for codes in (range(0x20), range(0x7F, 0xA0), range(0x202A, 0x202F), range(0x2066, 0x206A))
    for code in codes
    if chr(code) not in "\n\t"
}


def printed(lines: Iterable[str]) -> str:
    """Lines for a terminal: none of them steers it, whoever's words are in it, or looks like several."""
    return "\n".join(printable(line).replace("\n", " ") for line in lines)


def show(text: str, out: TextIO | None = None) -> None:
    """What somebody says, at once and without a line end; a program that reads it gets it as it is."""
    out = out or sys.stdout
    print(printable(text) if out.isatty() else text, end="", flush=True, file=out)
