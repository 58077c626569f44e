"""Claude Code: a program that is started for each conversation, and stays while it is talked to."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from rhetor.core.capability import Feature
from rhetor.core.clock import Clock
from rhetor.services.process import House
from rhetor.sessions.backend import Ability, Condition, Permissions, Setup
from rhetor.sessions.claude_code.command import furnish, spec
from rhetor.sessions.claude_code.conversation import Talk
from rhetor.sessions.claude_code.endings import NAME
from rhetor.sessions.claude_code.reading import Reader
from rhetor.sessions.claude_code.transcripts import mend
from rhetor.sessions.program import Limits, Make, Program, cleaner, failure

OPEN_S = 30.0  # it takes half a second here, and several on a cold disk
MAKE = Make(
    name=NAME,
    title="Claude Code",
    version=re.compile(r"^(\d+)\.(\d+)\.(\d+)", re.MULTILINE),
    oldest=(2, 1, 150),  # with it and with 2.1.197 the tests pass, with 2.1.100 they do not (2026-11-21)
    install="npm install -g @anthropic-ai/claude-code",
)


class ClaudeCode:
    """
    Args:
        command: the program, by its name or its path.
        children: whom its processes belong to.
        limits: what is known of a model, by its name.
        environ: this gateway's own environment; None: that of this process.
    """

    name = NAME
    abilities = frozenset(Ability)
    features = frozenset({Feature.TOOLS, Feature.STREAMING})

    def __init__(
        self,
        command: str,
        children: str | House,
        *,
        default_model: str = "",
        models: tuple[str, ...] = (),
        max_sessions: int = 10,
        warm_s: float = 600.0,
        limits: Callable[[str], Limits] = lambda model: Limits(),
        environ: Mapping[str, str] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.default_model = default_model
        self.models = models
        self.max_sessions = max_sessions
        self.warm_s = warm_s
        self._limits = limits
        self._program = Program(MAKE, command, children, environ, clock)

    async def check(self) -> Condition:
        return await self._program.check()

    async def open(self, setup: Setup) -> Talk:
        program = self._program
        wanted = spec(program.find(), setup, self._limits(setup.model), program.inherited())
        try:
            await asyncio.to_thread(furnish, setup)
            if setup.native_id is not None:
                await asyncio.to_thread(mend, setup.home, setup.native_id)
        except OSError as error:
            raise failure(NAME, f"claude cannot have its home: {error}") from error
        child = await program.start(wanted, setup.session_id)
        clean = cleaner(setup)
        reader = Reader(str(setup.directory), clean, only_plans=setup.permissions is Permissions.PLAN)
        talk = Talk(child, reader, clean)
        try:
            async with asyncio.timeout(OPEN_S):
                await talk.begin(setup.system, setup.native_id is not None)
        except TimeoutError:
            await child.stop()
            raise failure(NAME, f"claude did not answer within {OPEN_S:g} s of its start") from None
        except BaseException:
            await child.stop()  # bounded, and it goes on when we are cancelled once more
            raise
        return talk

    async def forget(self, native_id: str, home: Path) -> None:
        """All that it keeps is in the session's home."""
