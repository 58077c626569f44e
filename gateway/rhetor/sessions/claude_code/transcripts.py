"""The transcripts that Claude Code keeps in its home, and what a kill makes wrong in them.

A transcript is a tree of messages, one line each. A process that ends in order adds a `last-prompt`, which
names the message to go on from, and the next one believes the last of these. One that is killed adds none:
then an earlier one may name a message on a branch that was left, such as a tool use without a result, and
whatever was said since would be forgotten. Without any it goes on from the latest message. Seen running,
version 2.1.197, 2026-11-21.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import orjson

log = logging.getLogger(__name__)

POINTER = "last-prompt"
MESSAGES = frozenset({"user", "assistant"})


def mend(home: Path, native_id: str) -> None:
    """See that the conversation goes on from its latest message. Blocks; nobody writes it meanwhile.

    Raises:
        OSError: its transcript cannot be read or written.
    """
    for path in (home / ".claude" / "projects").glob(f"*/{native_id}.jsonl"):
        lines = path.read_bytes().splitlines(keepends=True)
        kinds = [_kind(line) for line in lines]
        if _is_stale(kinds):
            log.info("transcript mended", extra={"transcript": str(path)})
            _replace(path, [line for line, kind in zip(lines, kinds, strict=True) if kind != POINTER])


def _is_stale(kinds: Sequence[str]) -> bool:
    """Whether something was said after the last pointer."""
    if POINTER not in kinds:
        return False
    since = kinds[::-1].index(POINTER)
    return not MESSAGES.isdisjoint(kinds[len(kinds) - since :])


def _kind(line: bytes) -> str:
    try:
        said = orjson.loads(line)
    except orjson.JSONDecodeError:  # it was killed in the middle of it
        return ""
    kind = said.get("type") if isinstance(said, dict) else None
    return kind if isinstance(kind, str) else ""


def _replace(path: Path, lines: Sequence[bytes]) -> None:
    beside = path.with_suffix(".mended")
    beside.write_bytes(b"".join(lines))
    beside.chmod(path.stat().st_mode & 0o777)
    os.replace(beside, path)
