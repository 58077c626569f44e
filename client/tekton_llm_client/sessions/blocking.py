"""Sessions for code without an event loop: its own loop in a thread of its own."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar

from tekton_llm_client.loops import Loop, Loops
from tekton_llm_client.sessions.client import SessionsClient
from tekton_llm_client.sessions.models import Answer, SessionEvent
from tekton_llm_client.sessions.turn import Turn

P = ParamSpec("P")
R = TypeVar("R")


def _waits(
    method: Callable[Concatenate[SessionsClient, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[BlockingSessionsClient, P], R]:
    """The method of the same name, which is waited for."""

    def wait(self: BlockingSessionsClient, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.wait(method(self.client, *args, **kwargs))

    wait.__name__, wait.__doc__ = method.__name__, method.__doc__
    return wait


class BlockingSessionsClient:
    """Waits where `SessionsClient` is awaited; made by `SessionsClient.sync`.

        with SessionsClient.sync("my-component") as sessions:
            session = sessions.create_session(backend="claude_code")
            for event in sessions.converse(session.id, "What is in this folder?"):
                print(event.type, event.content)

    Its methods are those of `SessionsClient`, with the same arguments. May be used by several threads: one
    hears the events while another one approves or interrupts. `on_approval` is called in the client's own
    thread.
    """

    def __init__(self, client: SessionsClient) -> None:
        self.client = client
        self._loops = Loops(f"{client.component_id} sessions", client.shutdown)
        # Not at the end of the program, which takes the threads and the sockets with it.
        weakref.finalize(self, self._loops.forget).atexit = False

    create_session = _waits(SessionsClient.create_session)
    create_session_with_auto_selection = _waits(SessionsClient.create_session_with_auto_selection)
    get_session = _waits(SessionsClient.get_session)
    list_sessions = _waits(SessionsClient.list_sessions)
    send = _waits(SessionsClient.send)
    ask = _waits(SessionsClient.ask)
    events = _waits(SessionsClient.events)
    approve = _waits(SessionsClient.approve)
    deny = _waits(SessionsClient.deny)
    answer = _waits(SessionsClient.answer)
    interrupt = _waits(SessionsClient.interrupt)
    suspend = _waits(SessionsClient.suspend)
    resume = _waits(SessionsClient.resume)
    terminate = _waits(SessionsClient.terminate)
    forget = _waits(SessionsClient.forget)
    cleanup = _waits(SessionsClient.cleanup)
    backends = _waits(SessionsClient.backends)
    choose = _waits(SessionsClient.choose)
    export = _waits(SessionsClient.export)
    stats = _waits(SessionsClient.stats)
    summarize = _waits(SessionsClient.summarize)
    clear_context = _waits(SessionsClient.clear_context)

    def stream(self, session_id: str, after: int = 0) -> BlockingEvents[Events]:
        """See `SessionsClient.stream`."""
        return BlockingEvents(self, self._loops.running(), self.client.stream(session_id, after))

    def converse(
        self, session_id: str, text: str, message_id: str | None = None, **more: Any
    ) -> BlockingTurn:
        """See `SessionsClient.converse`; `answer()` waits for the whole turn."""
        turn = self.client.converse(session_id, text, message_id, **more)
        return BlockingTurn(self, self._loops.running(), turn)

    send_and_stream = converse

    def wait(self, work: Coroutine[Any, Any, R]) -> R:
        """What the loop of this client makes of it."""
        return self._loops.wait(work)

    def shutdown(self) -> None:
        """Close the connections and end the thread; the client may be used again afterwards."""
        self._loops.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()


class Events(Protocol):
    async def __anext__(self) -> SessionEvent: ...

    async def aclose(self) -> None: ...


E = TypeVar("E", bound=Events)


class BlockingEvents(Generic[E]):
    """Events as they happen. Who stops early closes it, or leaves its `with`; the session goes on."""

    def __init__(self, client: BlockingSessionsClient, loop: Loop, events: E) -> None:
        self._client = client  # which would end the loop if it were collected
        self._loop = loop
        self._events = events

    def __iter__(self) -> Iterator[SessionEvent]:
        return self

    def __next__(self) -> SessionEvent:
        event = self._loop.wait(_next(self._events))
        if event is None:
            raise StopIteration
        return event

    def close(self) -> None:
        self._loop.wait(self._events.aclose())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class BlockingTurn(BlockingEvents[Turn]):
    """A message, and what comes of it."""

    def answer(self) -> Answer:
        """The whole turn, when it has ended.

        Raises:
            ProviderError: it failed.
        """
        return self._loop.wait(self._events.answer())


async def _next(events: Events) -> SessionEvent | None:
    try:
        return await anext(events)
    except StopAsyncIteration:  # which cannot pass through a future
        return None
