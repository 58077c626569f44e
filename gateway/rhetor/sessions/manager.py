"""All sessions: begun, found, asked and ended here. Doors ask nobody else."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from rhetor.core.clock import Clock
from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import BadRequest, Code, RhetorError, UpstreamError
from rhetor.core.record import TripRecord
from rhetor.sessions.archive import Archive, closing
from rhetor.sessions.asking import Accepted, NewSession, Page, Requirements
from rhetor.sessions.backend import Ability, Access, Backend, Said, Setup, Verdict
from rhetor.sessions.commands import Answer, Command, Interrupt, Note, Resume, Send, Suspend, Terminate
from rhetor.sessions.draft import taken_at
from rhetor.sessions.event import Event
from rhetor.sessions.folders import Folders
from rhetor.sessions.founding import (
    Defaults,
    another_session,
    document_of,
    id_of,
    model_of,
    setup_of,
    text_of,
)
from rhetor.sessions.off import Off
from rhetor.sessions.partner import CANCEL_S, CLOSE_S
from rhetor.sessions.places import Places
from rhetor.sessions.selection import Explain, Prospect, choose
from rhetor.sessions.session import Live
from rhetor.sessions.states import IN_TURN, LIVE, MOVES, Move, State, after
from rhetor.sessions.surroundings import Limits, Passes
from rhetor.sessions.variables import Variables
from rhetor.store.base import SessionRow, SessionStore
from rhetor.tasks import Tasks

log = logging.getLogger(__name__)

DEFAULT_BACKEND = "chat"
CLEANED_AT_ONCE = 200
UNSPOKEN = (State.INITIALIZING, State.SUSPENDED)
STOP_S = CANCEL_S + CLOSE_S + 5.0  # for all to suspend
MEND_S = 5.0  # a disk that is full for a moment has room again
CLEAN_EVERY_S = 60.0


class Sessions:
    """Each call belongs to an owner; what is somebody else's does not exist.

    Raises, all of them:
        BadRequest: not_found, there is no such session; conflict, its state does not allow that, or another
            process has it; invalid_request, with `param`.
        RhetorError: unavailable, the backend or the store cannot be used; pool_full, too many are live;
            shutting_down.

    Args:
        backends: by name, the one that is preferred first.
        open_store: called once, when the first session is asked for, or by `start`.
        defaults: what counts where a session says nothing, by backend.
    """

    def __init__(
        self,
        backends: Mapping[str, Backend],
        open_store: Callable[[], Awaitable[SessionStore]],
        clock: Clock,
        passes: Passes,
        explain: Explain,
        folder: Path,
        directories: Sequence[str],
        limits: Limits,
        defaults: Mapping[str, Defaults],
    ) -> None:
        self.backends = backends
        self._archive = Archive(open_store, clock, self._is_live)
        self._clock = clock
        self._passes = passes
        self._explain = explain
        self._folders = Folders(folder, directories)
        self._limits = limits
        self._defaults = defaults
        self._live: dict[str, Live] = {}
        self._places = Places(backends, self._live, limits.max_live)
        self._beginning: dict[str, tuple[asyncio.Task[SessionRow | RhetorError], JsonValue]] = {}
        self._variables = Variables(limits.environment)
        self._tasks = Tasks()
        self._draining = False
        self._closing = False

    # --- from start to stop

    async def start(self, stored: bool) -> None:
        """Find what an earlier process left, suspended; and forget, from now on, what has expired.

        Args:
            stored: there may be something; else the store is opened when it is needed.
        """
        if stored:
            await self._archive.opened()
        await self._archive.in_use.wait()
        while True:
            await self._expire()
            await asyncio.sleep(CLEAN_EVERY_S)

    async def open(self) -> None:
        """See that the store is open."""
        await self._archive.opened()

    def drain(self) -> None:
        """Begin nothing any more; what is under way goes on."""
        self._draining = True

    async def close(self) -> None:
        """Suspend what is live, and give everything back."""
        self._draining = self._closing = True
        goodbyes = [
            self._tasks.spawn(self._say_goodbye(live), f"suspend {id}") for id, live in self._live.items()
        ]
        if goodbyes:
            await asyncio.wait(goodbyes, timeout=STOP_S)
        await self._tasks.close()
        await self._archive.close()

    @property
    def live(self) -> int:
        """How many have a turn under way or a backend open."""
        return self._places.taken

    @property
    def at_work(self) -> int:
        """How many are in a turn that goes on without their callers."""
        return sum(live.state in (State.INITIALIZING, State.ACTIVE) for live in self._live.values())

    # --- what callers ask

    async def create(self, new: NewSession) -> SessionRow:
        """A session; with a message its first turn begins."""
        self._variables.ensure_allowed(new.environment)
        id = id_of(new)
        backend, model, selection = await self._chosen(new)
        directory = self._folders.allowed(new.directory) if new.directory is not None else None
        now = self._clock.utc()
        state = State.IDLE if new.message is None else State.INITIALIZING
        row = SessionRow(
            id=id,
            owner=new.owner,
            backend=backend.name,
            state=state.value,
            created_at=now,
            updated_at=now,
            document=document_of(
                new, backend.name, model, str(directory or self._folders.work(id)), self._defaults, selection
            ),
        )
        # Who leaves meanwhile does not leave half a session.
        wanted = row.document["wanted"]
        if id not in self._beginning:
            self._ensure_open()
            beginning = self._tasks.spawn(self._begun(row, new), f"create {id}")
            self._beginning[id] = (beginning, wanted)
            beginning.add_done_callback(lambda _: self._beginning.pop(id))
        beginning, begun_for = self._beginning[id]
        if begun_for != wanted:
            raise another_session()
        begun = await asyncio.shield(beginning)
        if isinstance(begun, RhetorError):
            raise begun
        return begun

    async def get(self, owner: str, id: str) -> SessionRow:
        return _owned(await self._archive.find(id), owner, id)

    async def list(
        self,
        owner: str,
        *,
        states: Collection[str] | None = None,
        backend: str | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> Sequence[SessionRow]:
        """What was changed last comes first."""
        store = await self._archive.opened()
        return await store.list(owner, states=states, backend=backend, limit=limit, offset=offset)

    async def count(self, owner: str | None = None, states: Collection[str] | None = None) -> dict[str, int]:
        """By backend; owner None: of all owners."""
        store = await self._archive.opened()
        return await store.count(owner, states)

    async def send(
        self,
        owner: str,
        id: str,
        said: Said,
        *,
        resume: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> Accepted:
        """Begin a turn. The message is in the log when this returns.

        Args:
            resume: first, where the session is suspended or failed.
        """
        self._variables.ensure_allowed(environment or {})
        row, command = await self.get(owner, id), Send(said, resume, environment)
        if taken_at(row, said.message_id, said.text) is None:
            self._ensure_open()
            self._backend_of(row)
            state = State(row.state)
            resumes = resume and Move.RESUME in MOVES[state]
            if not resumes and (self._has_owner(id) or state not in IN_TURN):
                after(state, Move.SEND)  # before anybody gives his place for it
            await self._places.take(row, command)
        accepted: Accepted = await self._ask(owner, id, command)
        return accepted

    async def answer(self, owner: str, id: str, request_id: str, verdict: Verdict) -> SessionRow:
        row: SessionRow = await self._ask(owner, id, Answer(request_id, verdict))
        return row

    async def interrupt(self, owner: str, id: str) -> SessionRow:
        """Ask for the end of the turn, which comes soon: see the log."""
        row: SessionRow = await self._ask(owner, id, Interrupt())
        return row

    async def suspend(self, owner: str, id: str) -> Json:
        """Give back whatever it holds; the state by which it is resumed, today or by another process."""
        state: Json = await self._ask(owner, id, Suspend())
        return state

    async def resume(
        self,
        owner: str,
        id: str,
        state: Mapping[str, JsonValue] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> SessionRow:
        """Make it idle again.

        Args:
            state: what `suspend` gave, if the caller kept it; it must be of this session, and not newer than
                the store.
        """
        self._variables.ensure_allowed(environment or {})
        row: SessionRow = await self._ask(owner, id, Resume(state, environment))
        return row

    async def terminate(self, owner: str, id: str, reason: str = "terminated") -> SessionRow:
        row: SessionRow = await self._ask(owner, id, Terminate(reason))
        return row

    async def forget(self, owner: str, id: str) -> None:
        """Remove it with its log and its folders, terminated or not."""
        row = await self.get(owner, id)
        if row.state != State.TERMINATED:
            try:
                row = await self.terminate(owner, id, "forgotten")
            except BadRequest as error:
                if error.code is not Code.CONFLICT:  # else somebody else was faster
                    raise
        await self._remove(row)

    async def cleanup(self, owner: str | None, max_age_s: float) -> dict[str, int]:
        """Forget what was not touched for so long and is in no turn; how many, by backend."""
        store = await self._archive.opened()
        before = self._clock.utc() - timedelta(seconds=max_age_s)
        gone: dict[str, int] = {}
        passed_over = 0
        while rows := await store.idle_since(before, CLEANED_AT_ONCE, passed_over, owner):
            for row in rows:
                if await self._let_expire(row):
                    gone[row.backend] = gone.get(row.backend, 0) + 1
                else:
                    passed_over += 1
        return gone

    async def note(self, owner: str, id: str, events: Sequence[Event]) -> SessionRow:
        """Add to the log of a session that is in no turn: that its context was summed up, say."""
        row: SessionRow = await self._ask(owner, id, Note(tuple(events)))
        return row

    async def read(self, owner: str, id: str, after: int, limit: int) -> Page:
        """Events with greater numbers than `after`; none where there are none."""
        return await self.wait(owner, id, after, limit, 0.0)

    async def wait(self, owner: str, id: str, after: int, limit: int, within_s: float) -> Page:
        """The same, waiting for the first one: none, when none came within so many seconds."""
        return await self._archive.wait(await self.get(owner, id), after, limit, within_s)

    async def choose(self, owner: str, requirements: Requirements) -> Json:
        """Who would be chosen, and why; {backend, model, reasons, dropped, plan}."""
        return choose(requirements, await self.prospects(), self._explain, owner)

    async def prospects(self) -> Sequence[Prospect]:
        """Every backend as it is now."""
        conditions = await asyncio.gather(*(backend.check() for backend in self.backends.values()))
        return [
            Prospect(backend=backend, condition=condition, live=self._places.taken_of(backend))
            for backend, condition in zip(self.backends.values(), conditions, strict=True)
        ]

    def on_trip(self, record: TripRecord) -> None:
        """A model call was booked; of a session it is told in its log."""
        if record.session is None or self._closing:
            return
        if (live := self._live.get(record.session)) is not None:
            live.on_trip(record)
        else:
            self._tasks.spawn(self._book(record), f"book {record.session}")

    # --- how it is done

    async def _chosen(self, new: NewSession) -> tuple[Backend, str, Json | None]:
        if new.backend is None and new.requirements is not None:
            requirements = new.requirements
            if new.model and not requirements.model:
                requirements = replace(requirements, model=new.model)
            selection = await self.choose(new.owner, requirements)
            return self.backends[str(selection["backend"])], str(selection["model"]), selection
        name = new.backend or DEFAULT_BACKEND
        backend = self.backends.get(name)
        if backend is None:
            known = ", ".join(self.backends)
            raise BadRequest(f"backend: there is no {name!r}; there are {known}", param="backend")
        condition = await backend.check()
        if not condition.healthy:
            raise UpstreamError(condition.error or f"{name} is not well", Code.UNAVAILABLE, origin=name)
        return backend, model_of(new, backend), None

    async def _begun(self, row: SessionRow, new: NewSession) -> SessionRow | RhetorError:
        try:
            return await self._begin(row, new)
        except RhetorError as error:  # for its callers, not for the log
            return error

    async def _begin(self, row: SessionRow, new: NewSession) -> SessionRow:
        store = await self._archive.opened()
        known, said = await store.find(row.id), new.message
        if known is not None:
            if _owned(known, new.owner, row.id).document.get("wanted") != row.document["wanted"]:
                raise another_session()
            if known.turn or known.state not in UNSPOKEN:
                return known
        # Also when somebody died between founding it and its first message: it was begun for this one.
        command = None if said is None else Send(said, True, new.environment)
        if command is not None:
            await self._places.take(row, command)
        try:
            known = known or await self._archive.found(row)
            self._variables.keep(row.id, new.environment)
        except BaseException:
            if command is not None:
                command.fail(closing())
            raise
        if command is None:
            return known
        accepted: Accepted = await self._ask(row.owner, row.id, command)
        return accepted.row

    async def _ask(self, owner: str, id: str, command: Command) -> Any:
        try:
            row = await self.get(owner, id)
            # Nothing is awaited from here to its place in the inbox.
            live = self._live.get(id) or self._awake(row)
        except BaseException as error:
            command.fail(error if isinstance(error, RhetorError) else closing())
            raise
        return await live.ask(command)

    def _ensure_open(self) -> None:
        if self._draining:
            raise closing()

    def _backend_of(self, row: SessionRow) -> Backend:
        if (backend := self.backends.get(row.backend)) is None:
            raise Off(row.backend).refusal()
        return backend

    def _awake(self, row: SessionRow) -> Live:
        if self._closing:
            raise closing()
        timeout_s = row.document.get("timeout_s")
        live = Live(
            self._archive.feed(row),
            self.backends.get(row.backend) or Off(row.backend),
            self._archive.store,
            self._clock,
            self._setup,
            min(timeout_s, self._limits.turn_s)
            if isinstance(timeout_s, float | int)
            else self._limits.turn_s,
            self._on_rest,
            lambda live: self._passes.revoke(live.row.id),
            self._variables.keep,
        )
        self._live[row.id] = live
        self._tasks.spawn(live.own(), f"owner {row.id}")
        return live

    def _on_rest(self, live: Live) -> None:
        if self._live.get(live.row.id) is live:
            del self._live[live.row.id]
        self._archive.let_go(live.feed)
        if live.state in IN_TURN and not self._closing:
            self._tasks.spawn(self._mend(live.row.id), f"mend {live.row.id}")

    async def _mend(self, id: str) -> None:
        """A session whose owner died in a turn, of a store that failed, say: its next one ends that turn."""
        pause_s = MEND_S
        while not self._closing:
            await asyncio.sleep(pause_s)
            try:
                row = await self._archive.find(id)
                if row is not None and row.state in IN_TURN and id not in self._live:
                    self._awake(row)
                return
            except RhetorError:
                pause_s = min(2 * pause_s, CLEAN_EVERY_S)

    async def _setup(self, row: SessionRow) -> Setup:
        home, directory = self._folders.home(row.id), self._folders.of(row)
        access = Access("", "")
        if Ability.FILE_OPERATIONS in self._backend_of(row).abilities:  # it runs beside us
            await self._folders.ensure(row.id, directory)
            access = self._passes.give(row.id, row.owner)
        history = partial(self._archive.history, row.id)
        return setup_of(row, directory, home, history, access, self._variables.of(row.id))

    def _has_owner(self, id: str) -> bool:
        return id in self._live and not self._live[id].ended

    def _is_live(self, id: str) -> bool:
        return id in self._live

    async def _let_expire(self, row: SessionRow) -> bool:
        """Forget it, if nothing has happened in it since this row was read."""
        try:
            if self._is_live(row.id) and row.state != State.TERMINATED:
                row = await self._ask(row.owner, row.id, Terminate("expired", row.last_seq))
            return await self._remove(row, row.last_seq)
        except BadRequest:
            return False  # it is in use, or gone

    async def _remove(self, row: SessionRow, last_seq: int | None = None) -> bool:
        if not await self._archive.remove(row, last_seq):
            return False
        self._variables.forget(row.id)
        backend, native_id = self.backends.get(row.backend), text_of(row, "native_id")
        if backend is not None and native_id is not None:
            await backend.forget(native_id, self._folders.home(row.id))
        await self._folders.remove(row.id)
        return True

    async def _book(self, record: TripRecord) -> None:
        """Of a session without an owner."""
        assert record.session is not None
        try:
            row = await self._archive.find(record.session)
            if row is not None and not self._closing:
                (self._live.get(row.id) or self._awake(row)).on_trip(record)
        except RhetorError as error:
            log.warning("use not told", extra={"session": record.session, "reason": error.message})

    async def _say_goodbye(self, live: Live) -> None:
        try:
            if live.state in LIVE:
                await live.ask(Suspend("gateway stopped"))
        except RhetorError as error:
            log.warning("not suspended", extra={"session": live.row.id, "reason": error.message})

    async def _expire(self) -> None:
        try:
            gone = await self.cleanup(None, self._limits.expire_s)
        except RhetorError as error:
            log.warning("sessions not cleaned up", extra={"reason": error.message})
            return
        if gone:
            log.info("sessions expired", extra={"gone": gone})


def _owned(row: SessionRow | None, owner: str, id: str) -> SessionRow:
    if row is None or row.owner != owner:
        raise BadRequest(f"there is no session {id[:100]!r}", Code.NOT_FOUND)
    return row
