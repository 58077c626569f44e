"""One live session: the one task that owns it, and its inbox.

Whatever happens to it, from its callers and from its backend, goes through the
inbox, is stored, and only then told and acted upon. So the log is in order, its
numbers have no gaps, and a reader never sees what a crash could take back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeAlias

from rhetor.core.clock import Clock
from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.core.record import TripRecord
from rhetor.sessions.asking import Accepted
from rhetor.sessions.backend import (
    Asked,
    Backend,
    Bound,
    Conversation,
    Permissions,
    Said,
    Setup,
    TurnEnded,
    Verdict,
    Withdrawn,
)
from rhetor.sessions.commands import Answer, Command, Interrupt, Note, Rest, Resume, Send, Suspend, Terminate
from rhetor.sessions.draft import Draft, is_open, taken_at, waiting_for
from rhetor.sessions.event import Event
from rhetor.sessions.log import Feed
from rhetor.sessions.partner import Broke, Heard, News, Opened, Partner, unavailable
from rhetor.sessions.states import IN_TURN, Move, State, after
from rhetor.sessions.suspended import check, state_of
from rhetor.store.base import SessionRow, SessionStore

log = logging.getLogger(__name__)

INBOX = 256  # what a backend may be ahead of the store; it waits then
STOP_S = 15.0  # from an interruption to the end of the turn
WAIT_S = 86_400.0  # for an answer of the caller's; a person may be asleep
DENIED = "the session's permissions deny what is not allowed beforehand"


@dataclass(slots=True)
class _Looked:
    """Look around: there is something beside the inbox, or it is time."""


_Item: TypeAlias = Command | Heard | _Looked

Act: TypeAlias = Callable[[], Awaitable[None]]
MakeSetup: TypeAlias = Callable[[SessionRow], Awaitable[Setup]]


class Live:
    """A session with an owner.

    Args:
        turn_s: how long a turn may take, in seconds; an open approval request stops this clock.
        on_rest: told when the owner is about to end, in the same step in which the inbox was found empty.
        on_released: told when nothing of the backend runs any more.
        keep: takes the variables that come with a message that was taken.
    """

    def __init__(
        self,
        feed: Feed,
        backend: Backend,
        store: SessionStore,
        clock: Clock,
        make_setup: MakeSetup,
        turn_s: float,
        on_rest: Callable[[Live], None],
        on_released: Callable[[Live], None],
        keep: Callable[[str, Mapping[str, str] | None], None],
    ) -> None:
        self.feed = feed
        self.partner = Partner(backend, self._put)
        self._store = store
        self._clock = clock
        self._make_setup = make_setup
        self._turn_s = turn_s
        self._on_rest = on_rest
        self._on_released = on_released
        self._keep = keep
        self._inbox: asyncio.Queue[_Item] = asyncio.Queue()
        self._room = asyncio.Event()
        """In the inbox, for what the backend tells."""
        self._telling = False
        """The backend is told something: it may have to be heard before it listens."""
        self._held: _Item | None = None
        self._booked: list[TripRecord] = []
        self._undelivered: Said | None = None
        self._deadline_s: float | None = None
        """When the turn must have ended."""
        self._left_s = turn_s
        """Of the turn, while somebody is asked."""
        self._stopping: str | None = None
        """Why the turn was asked to end."""
        self._quiet_since_s = clock.monotonic_s()
        self._gone = RhetorError(
            "the session's owner has gone; try again", Code.UNAVAILABLE, retry_after_s=1.0
        )
        """What they hear who ask when nobody is there any more."""
        self.ended = False
        """No command is taken any more."""

    @property
    def row(self) -> SessionRow:
        return self.feed.row

    @property
    def state(self) -> State:
        return State(self.row.state)

    @property
    def holds(self) -> bool:
        """Whether it fills a place: a turn is under way, or a backend open."""
        return self.partner.there or self.state in IN_TURN

    @property
    def quiet_since_s(self) -> float | None:
        """Since when its backend is open for nothing, on the monotonic clock; None: it works, or is shut."""
        return self._quiet_since_s if self.partner.there and self.state not in IN_TURN else None

    async def ask(self, command: Command) -> Any:
        """Have something done, and wait for what comes of it; who leaves meanwhile does not stop it.

        Raises:
            RhetorError: why it is not done.
        """
        if self.ended:
            command.fail(self._gone)
        elif self._inbox.qsize() >= 2 * INBOX:
            busy = RhetorError("the session has too much to do", Code.POOL_FULL, retry_after_s=1.0)
            command.fail(busy)
        else:
            self._inbox.put_nowait(command)
        return await asyncio.shield(command.done)

    def on_trip(self, record: TripRecord) -> None:
        self._booked.append(record)
        self._inbox.put_nowait(_Looked())

    async def own(self) -> None:
        """The owner: runs until nothing is left to be owned."""
        try:
            if self.state in IN_TURN and self.row.turn:
                await self._break(RhetorError("whoever had this turn under way is gone", Code.UNAVAILABLE))
            while not self._may_rest():
                item = await self._next()
                match item:
                    case Command():
                        await self._obey(item)
                    case Heard():
                        await self._hear_or_break(item)
                    case _:
                        await self._look()
        except RhetorError as error:  # the store; whoever reads the log finds there what is true
            log.error("session lost", extra={"session": self.row.id, "error": error.message})
            self._gone = error
        finally:
            self.ended = True
            self._refuse_rest()
            try:
                await self._release()  # before anybody else can own it: two agents would write one transcript
            finally:
                self._on_rest(self)

    def _may_rest(self) -> bool:
        """Nothing is owned, and nobody asks. There must be no await between this and the end."""
        idle = not self.partner.there and self.state not in IN_TURN and not self._booked
        return idle and self._held is None and self._inbox.empty()

    async def _next(self) -> _Item:
        """What comes next; a look around when it is time."""
        if self._held is not None:
            item, self._held = self._held, None
            return item
        try:
            async with asyncio.timeout(self._wait_s()):
                item = await self._inbox.get()
        except TimeoutError:
            return _Looked()
        if self._inbox.qsize() < INBOX:
            self._room.set()
        return item

    def _wait_s(self) -> float | None:
        now_s = self._clock.monotonic_s()
        if self._deadline_s is not None:
            return max(self._deadline_s - now_s, 0.0)
        if self.quiet_since_s is not None:
            return max(self.quiet_since_s + self.partner.backend.warm_s - now_s, 0.0)
        return None

    # --- what the backend tells

    async def _put(self, heard: Heard) -> None:
        while self._inbox.qsize() >= INBOX and not self._telling:
            self._room.clear()
            await self._room.wait()
        self._inbox.put_nowait(heard)

    async def _hear_or_break(self, item: Heard) -> None:
        """What the store will not have is the backend's fault, and not the session's end."""
        try:
            await self._hear(item)
        except BadRequest as error:
            if error.code is Code.CONFLICT:  # somebody else writes to the log
                raise
            await self._break(error)

    async def _hear(self, item: Heard) -> None:
        """What is at hand of it, in one step: what waited for the store together is stored together."""
        draft, acts = Draft(self.row), list[Act]()
        heard: _Item | None = item
        while heard is not None:
            if isinstance(heard, Command):
                self._held = heard
                break
            if isinstance(heard, Heard) and heard.epoch == self.partner.epoch:
                self._take(heard.news, draft, acts)
            heard = None if self._inbox.empty() else self._inbox.get_nowait()
        self._room.set()
        await self._commit(draft)
        for act in acts:
            await act()

    def _take(self, news: News, draft: Draft, acts: list[Act]) -> None:
        in_turn = draft.state in IN_TURN
        match news:
            case Event():
                draft.say(news)
            case Bound(native_id=native_id):
                draft.note(native_id=native_id)
            case Asked():
                draft.ask(news)
                if draft.row.document.get("permissions") == Permissions.DENY:
                    draft.resolve(news.request_id, "deny", "rule", DENIED)
                    acts.append(lambda: self._answer(news.request_id, Verdict("deny", DENIED)))
                elif in_turn:
                    if draft.state is not State.WAITING_INPUT:
                        self._stop_clock()
                    draft.move(Move.ASK)
            case Withdrawn(request_id=request_id) if not is_open(draft.row, request_id):
                pass  # it was answered in the same moment
            case Withdrawn(request_id=request_id):
                draft.resolve(request_id, "withdrawn", "backend")
                if draft.state is State.WAITING_INPUT and not waiting_for(draft.row):
                    draft.move(Move.ANSWER, "withdrawn")
                    self._start_clock()
            case TurnEnded() if in_turn:
                self._end_turn(news, draft)
            case TurnEnded():
                log.warning("turn ended twice", extra={"session": draft.row.id})
            case Opened():
                if draft.state is State.INITIALIZING:
                    draft.move(Move.OPENED)
                draft.go_back()
                acts.append(self._deliver)
            case Broke(error=error):
                self._fail(draft, error)
                acts.append(self._release)

    def _end_turn(self, ended: TurnEnded, draft: Draft) -> None:
        draft.withdraw_all()
        if ended.error is not None:
            draft.fail(ended.error)
        if self._stopping == "timeout":
            draft.fail(RhetorError(f"the turn took longer than {self._turn_s:g} s", Code.TOTAL_TIMEOUT))
        reason = self._stopping if ended.reason == "interrupted" and self._stopping else ended.reason
        draft.move(Move.TURN_ENDED, reason)
        self._forget_turn()

    def _fail(self, draft: Draft, error: RhetorError) -> None:
        draft.withdraw_all()
        draft.fail(error)
        if draft.state in IN_TURN or draft.state is State.IDLE:
            draft.move(Move.FAIL, "failed")
        self._forget_turn()

    def _forget_turn(self) -> None:
        self._deadline_s = self._stopping = self._undelivered = None
        self._quiet_since_s = self._clock.monotonic_s()

    # --- what callers want

    async def _obey(self, command: Command) -> None:
        try:
            match command:
                case Send():
                    await self._send(command)
                case Answer():
                    await self._answer_with(command)
                case Interrupt():
                    await self._interrupt(command)
                case Suspend():
                    await self._suspend(command)
                case Resume():
                    await self._resume(command)
                case Terminate():
                    await self._terminate(command)
                case Note():
                    await self._note(command)
                case Rest():
                    if self.state not in IN_TURN:
                        await self._release()
                    command.resolve(None)
        except BadRequest as error:
            command.fail(error)
        except BaseException as error:
            command.fail(error if isinstance(error, RhetorError) else self._gone)
            raise

    async def _send(self, command: Send) -> None:
        said, draft = command.said, Draft(self.row)
        if (seq := taken_at(self.row, said.message_id, said.text)) is not None:
            command.resolve(Accepted(self.row, seq, again=True))
            return
        if command.resume and draft.state in (State.SUSPENDED, State.FAILED):
            draft.move(Move.RESUME)
        if draft.state is not State.INITIALIZING or self.row.turn:
            draft.move(Move.SEND)
        draft.begin_turn(said.text, said.message_id)
        seq = draft.remember(said.message_id, said.text)
        await self._commit(draft)
        self._keep(self.row.id, command.environment)
        command.resolve(Accepted(self.row, seq))
        self._left_s = self._turn_s
        self._start_clock()
        self._undelivered = said
        if self.partner.listens:
            await self._deliver()
        elif not self.partner.there:
            self.partner.open(lambda: self._make_setup(self.row), f"session {self.row.id}")

    async def _answer_with(self, command: Answer) -> None:
        id, verdict = command.request_id, command.verdict
        if not is_open(self.row, id):
            raise BadRequest(
                "no such approval request is open in this session", Code.CONFLICT, param="request_id"
            )
        draft = Draft(self.row)
        draft.resolve(id, verdict.decision, "caller", verdict.message)
        if draft.state is State.WAITING_INPUT and not waiting_for(draft.row):
            draft.move(Move.ANSWER)
        await self._commit(draft)
        if self.state is State.ACTIVE:
            self._start_clock()
        command.resolve(self.row)
        await self._answer(id, verdict)

    async def _interrupt(self, command: Interrupt) -> None:
        after(self.state, Move.INTERRUPT)
        command.resolve(self.row)
        await self._stop_turn("interrupted")

    async def _suspend(self, command: Suspend) -> None:
        if self.state is State.SUSPENDED:  # its reply may have been lost
            command.resolve(state_of(self.row, self._clock.utc()))
            return
        after(self.state, Move.SUSPEND)
        await self._release()
        draft = Draft(self.row)
        draft.withdraw_all()
        draft.move(Move.SUSPEND, command.reason)
        self._forget_turn()
        await self._commit(draft)
        command.resolve(state_of(self.row, self._clock.utc()))

    async def _resume(self, command: Resume) -> None:
        if command.state is not None:
            check(command.state, self.row)
        draft = Draft(self.row)
        draft.move(Move.RESUME)
        await self._commit(draft)
        self._keep(self.row.id, command.environment)
        command.resolve(self.row)

    async def _terminate(self, command: Terminate) -> None:
        after(self.state, Move.TERMINATE)
        if command.last_seq is not None and (self.state in IN_TURN or command.last_seq != self.row.last_seq):
            raise BadRequest("the session is in use again", Code.CONFLICT)
        await self._release()
        draft = Draft(self.row)
        draft.withdraw_all()
        draft.move(Move.TERMINATE, command.reason)
        self._forget_turn()
        await self._commit(draft)
        command.resolve(self.row)

    async def _note(self, command: Note) -> None:
        if self.state in IN_TURN or self.state is State.TERMINATED:
            after(self.state, Move.SEND)
        await self._release()  # it is told the log anew
        draft = Draft(self.row)
        for event in command.events:
            draft.say(event)
        await self._commit(draft)
        command.resolve(self.row)

    # --- what is done with the backend

    async def _deliver(self) -> None:
        said, self._undelivered = self._undelivered, None
        if said is not None:
            await self._tell(lambda conversation: conversation.send(said))

    async def _answer(self, request_id: str, verdict: Verdict) -> None:
        await self._tell(lambda conversation: conversation.answer(request_id, verdict))

    async def _stop_turn(self, reason: str) -> None:
        """Ask for the end of the turn; it has some seconds."""
        if self._stopping is None:
            self._stopping = reason
            self._deadline_s = self._clock.monotonic_s() + STOP_S
        if self.partner.listens and self._undelivered is None:
            await self._tell(lambda conversation: conversation.interrupt())
        else:  # it was not even told the message
            await self._release()
            draft = Draft(self.row)
            self._end_turn(TurnEnded("interrupted"), draft)
            await self._commit(draft)

    async def _tell(self, what: Callable[[Conversation], Awaitable[None]]) -> None:
        self._telling = True
        self._room.set()
        try:
            await self.partner.tell(what)
        except RhetorError as error:
            await self._break(error)
        finally:
            self._telling = False

    async def _break(self, error: RhetorError) -> None:
        await self._release()
        draft = Draft(self.row)
        self._fail(draft, error)
        await self._commit(draft)

    async def _release(self) -> None:
        if await self.partner.release():
            self._on_released(self)

    def _start_clock(self) -> None:
        if self._stopping is None:
            self._deadline_s = self._clock.monotonic_s() + self._left_s

    def _stop_clock(self) -> None:
        if self._deadline_s is not None and self._stopping is None:
            now_s = self._clock.monotonic_s()
            self._left_s = max(self._deadline_s - now_s, 1.0)
            self._deadline_s = now_s + WAIT_S

    async def _look(self) -> None:
        """Book what was used, end what took too long, rest after a while."""
        now_s = self._clock.monotonic_s()
        if self._booked:
            await self._commit(Draft(self.row))
        if self._deadline_s is not None and now_s >= self._deadline_s:
            if self._stopping is None:
                await self._stop_turn("timeout")
            else:
                await self._break(unavailable(self.partner.backend, "did not end its turn"))
        elif self.quiet_since_s is not None and now_s >= self.quiet_since_s + self.partner.backend.warm_s:
            await self._release()

    # --- the log

    async def _commit(self, draft: Draft) -> None:
        """Store a step, then tell it. What was used meanwhile is a part of it."""
        if draft.state is not State.TERMINATED or self.state is not State.TERMINATED:
            booked, self._booked = self._booked, []
            for record in booked:
                draft.count(record)
        else:
            self._booked = []
        if draft.is_empty and draft.row is self.row:
            return
        row, events = draft.result(self._clock.utc())
        await self._store.append(row, events)
        self.feed.publish(row, events)

    def _refuse_rest(self) -> None:
        """Tell whoever still asks that nobody is there."""
        items = [self._held] if self._held is not None else []
        self._held = None
        with suppress(asyncio.QueueEmpty):
            while True:
                items.append(self._inbox.get_nowait())
        for item in items:
            if isinstance(item, Command):
                item.fail(self._gone)
