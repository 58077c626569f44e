"""`rhetor sessions attach` in a terminal: watch a session, answer what it asks, and say the next thing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from rhetor.cli.sessions.calls import Calls, Told
from rhetor.cli.sessions.editor import Editor, Wish
from rhetor.cli.sessions.keyboard import Keyboard
from rhetor.cli.sessions.scene import Scene
from rhetor.cli.sessions.screen import Screen
from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import RhetorError
from rhetor.tasks import Tasks

AGAIN_S = 3.0  # within which a second Ctrl-C leaves
ESCAPE_S = 0.1  # for the rest of a key's sequence to come
YES, NO, ALWAYS = frozenset({"y", "yes"}), frozenset({"n", "no"}), frozenset({"a", "always"})
RESUMABLE = ("suspended", "failed")
TERMINATED = "terminated"
HELP = (
    "Enter sends, Alt-Enter begins a new line, the arrows bring back what was said. "
    "Ctrl-C interrupts the turn; twice, or Ctrl-D, leaves. /suspend, /resume, /end, /leave."
)


async def attach(calls: Calls, id: str, turns: int) -> int:
    """Stay with a session until somebody leaves, or it ends; 0 then.

    Args:
        turns: how many of the earlier ones to show.

    Raises:
        RhetorError: there is no such session.
    """
    session = await calls.get(id)
    history = await calls.log(id)
    return await Attached(calls, session, history, turns).stay()


class Attached:
    """Somebody at a terminal, and a session."""

    def __init__(self, calls: Calls, session: Json, history: list[Told], turns: int) -> None:
        self._calls = calls
        self._scene = Scene.of(session)
        self._history = history
        self._turns = turns
        self._editor = Editor()
        self._screen = Screen(self._scene, self._editor)
        self._work = Tasks()
        self._queue: list[str] = []
        self._aside = ""
        self._interrupted_s = float("-inf")
        self._escape: asyncio.TimerHandle | None = None
        self._left: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def stay(self) -> int:
        try:
            with Keyboard(self._on_keys, self._on_interrupt, self._screen.redraw):
                self._show_history()
                self._screen.open()
                self._work.spawn(self._follow(), f"follow {self._scene.id}")
                self._hint()
                await self._left
        finally:
            await self._work.close()
            self._screen.close()
        if self._scene.state == TERMINATED:
            return 0
        print(f"left; it stays. To come back: rhetor sessions attach {self._scene.id}")
        return 0

    def _show_history(self) -> None:
        scene, last = self._scene, self._history[-1].seq if self._history else 0
        begins = scene.turn - self._turns
        shown = [event for event in self._history if event.turn > begins]
        name = " · ".join(part for part in (scene.id, scene.backend, scene.title) if part)
        self._screen.rule(name)
        if earlier := max(begins, 0):
            turns = "turn" if earlier == 1 else "turns"
            self._screen.print(f"… {earlier} earlier {turns}: rhetor sessions export {scene.id}", "dim")
        for event in shown:
            self._screen.show(event)
        del self._history
        self._after = last

    async def _follow(self) -> None:
        try:
            async for event in self._calls.follow(self._scene.id, self._after, on_lost=self._on_lost):
                self._scene.on_event(event)
                self._screen.show(event)
                self._on_event(event)
            self._leave()  # it is terminated
        except RhetorError as error:
            self._fail(error)

    def _on_event(self, event: Told) -> None:
        if event.type == "approval_request":
            self._put_aside()
        if event.type not in ("status_change", "approval_request", "approval_resolved"):
            return
        self._hint()
        if not self._scene.asks:
            self._take_up()
        if self._scene.state == "idle" and self._queue:
            following = self._queue.pop(0)
            self._do(lambda: self._send(following))

    def _put_aside(self) -> None:
        """What is half typed is no answer to what is asked now: it comes back afterwards."""
        self._aside, text = self._aside or self._editor.text, self._editor.text
        if text:
            self._editor.set("")
        self._screen.ring()

    def _take_up(self) -> None:
        if self._aside and not self._editor.text:
            self._editor.set(self._aside)
            self._aside = ""

    def _on_lost(self, lost: bool) -> None:
        if lost != self._scene.lost:
            self._scene.lost = lost
            self._screen.redraw()

    # What somebody wants.

    def _on_keys(self, data: bytes) -> None:
        if self._escape is not None:
            self._escape.cancel()
        wishes = self._editor.feed(data)
        for wish, text in wishes:
            if wish is Wish.ENTER and text.strip():
                self._on_line(text.strip())
        if not data or any(wish is Wish.LEAVE for wish, _ in wishes):
            self._leave()
        self._escape = asyncio.get_running_loop().call_later(ESCAPE_S, self._editor.settle)
        self._screen.redraw()

    def _on_interrupt(self) -> None:
        again = time.monotonic() - self._interrupted_s < AGAIN_S
        self._interrupted_s = time.monotonic()
        if again:
            self._leave()
        elif self._editor.text:
            self._editor.set("")
            self._hint()
        elif self._scene.in_turn:
            self._screen.note("interrupting … Ctrl-C again leaves, and the session goes on")
            self._do(lambda: self._calls.interrupt(self._scene.id))
        else:
            self._screen.note("Ctrl-C again leaves; the session stays")

    def _on_line(self, text: str) -> None:
        if (command := COMMANDS.get(text.lower())) is not None:
            command(self)
        elif self._scene.asks:
            request_id, request = next(iter(self._scene.asks.items()))
            self._do(lambda: self._answer(request_id, request, text))
        elif self._scene.in_turn:
            self._queue.append(text)
            self._screen.note(f"said when this turn has ended: {len(self._queue)} waiting")
        else:
            self._do(lambda: self._send(text))

    async def _send(self, text: str) -> None:
        try:
            await self._calls.send(self._scene.id, text, resume=self._scene.state in RESUMABLE)
        except RhetorError:
            if not self._editor.text:
                self._editor.set(text)  # it was not taken: nothing typed is lost
            raise

    async def _answer(self, request_id: str, request: Mapping[str, Any], text: str) -> None:
        word = text.lower()
        if word in ALWAYS and not request.get("always"):
            self._screen.note("this can only be allowed once: y or n", "yellow")
            return
        verdict: dict[str, JsonValue] = {"decision": "allow" if word in YES | ALWAYS else "deny"}
        if word in ALWAYS:
            verdict["always"] = True
        elif word not in YES | NO:
            verdict["message"] = text
        await self._calls.answer(self._scene.id, request_id, verdict)

    def _help(self) -> None:
        self._screen.print(HELP, "dim")

    def _suspend(self) -> None:
        self._do(lambda: self._calls.suspend(self._scene.id))

    def _resume(self) -> None:
        self._do(lambda: self._calls.resume(self._scene.id))

    def _end(self) -> None:
        self._do(lambda: self._calls.terminate(self._scene.id))

    def _leave(self) -> None:
        if not self._left.done():
            self._left.set_result(None)

    def _fail(self, error: RhetorError) -> None:
        if not self._left.done():
            self._left.set_exception(error)

    def _do(self, work: Callable[[], Awaitable[object]]) -> None:
        """Meanwhile events come and keys are taken."""
        self._work.spawn(self._carefully(work), "command")

    async def _carefully(self, work: Callable[[], Awaitable[object]]) -> None:
        try:
            await work()
        except RhetorError as error:
            self._screen.note(f"✗ {error.message}", "red")

    def _hint(self) -> None:
        """What can be done now."""
        if self._scene.asks:
            self._screen.note()
        elif self._scene.in_turn:
            self._screen.note("Ctrl-C interrupts · Ctrl-D leaves, and it goes on")
        elif self._scene.state in RESUMABLE:
            self._screen.note(f"{self._scene.state}: the next message resumes it · Ctrl-D leaves")
        else:
            self._screen.note("Enter sends · /help · Ctrl-D leaves")


COMMANDS = {
    "/help": Attached._help,
    "/suspend": Attached._suspend,
    "/resume": Attached._resume,
    "/end": Attached._end,
    "/leave": Attached._leave,
}
"""What is not said to the session. Other words with a stroke are: agents have their own."""
