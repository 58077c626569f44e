"""Sessions with agents and chats: begun, continued, watched and ended."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from tekton_llm_client.caller import caller
from tekton_llm_client.connection import Connection
from tekton_llm_client.exceptions import TektonLLMError
from tekton_llm_client.sessions import asking, reading
from tekton_llm_client.sessions.calls import Calls
from tekton_llm_client.sessions.errors import refused, told
from tekton_llm_client.sessions.models import (
    IN_TURN,
    Answer,
    ApprovalRequest,
    Backend,
    Cleaned,
    Selection,
    Sent,
    Session,
    SessionEvent,
    SessionList,
    SessionStatus,
    Verdict,
)
from tekton_llm_client.sessions.stream import EventStream
from tekton_llm_client.sessions.turn import OnApproval, Turn

if TYPE_CHECKING:
    from tekton_llm_client.sessions.blocking import BlockingSessionsClient

UNNAMED = "tekton-llm-client"
AWAY_S = 60.0  # a gateway that is replaced by another one is back by then
QUIET_S = 60.0  # the gateway says every few seconds that it is there
EVENTS_AT_ONCE = 500
OLD_S = 3600.0
RESUMED = IN_TURN | {SessionStatus.IDLE}
Permissions = Literal["ask", "accept_edits", "plan", "deny"]


class SessionsClient:
    """Holds conversations with coding agents and chats, which the gateway keeps.

        async with SessionsClient("my-component") as sessions:
            session = await sessions.create_session(backend="claude_code")
            async for event in sessions.converse(session.id, "What is in this folder?"):
                print(event.type, event.content)

    Args:
        component_id: who asks; a name for the gateway's books.
        rhetor_url: where the gateway is; else RHETOR_URL, else http://localhost:8003.
        timeout: seconds of silence after which the gateway counts as stuck; else RHETOR_TIMEOUT, else 120.
        max_retries: further tries when the gateway is away, busy or limiting; else RHETOR_MAX_RETRIES, else
            3. Nothing is done twice by that.
        auth_token: for a gateway that wants one; else RHETOR_AUTH_TOKEN. Whose it is decides whose sessions
            there are.
        away_s: how long a stream of events waits for a gateway that went away.
        settings: the same as an object. Arguments win.
        ends_with_loop: close the connections when the event loop ends, for programs that never call
            `shutdown`.
    """

    def __init__(
        self,
        component_id: str | None = None,
        rhetor_url: str | None = None,
        *,
        timeout: float | None = None,
        max_retries: int | None = None,
        auth_token: str | None = None,
        away_s: float = AWAY_S,
        settings: object = None,
        ends_with_loop: bool = False,
    ) -> None:
        self._caller = caller(
            component_id or UNNAMED,
            rhetor_url,
            timeout_s=timeout,
            max_retries=max_retries,
            auth_token=auth_token,
            settings=settings,
        )
        self._away_s = away_s
        self._connection = Connection(
            self._caller.rhetor_url, self._caller.auth_token, refused, ends_with_loop=ends_with_loop
        )
        self._calls = Calls(self._connection, self._caller)

    @classmethod
    def sync(cls, component_id: str | None = None, *args: Any, **kwargs: Any) -> BlockingSessionsClient:
        """The same for code without an event loop; takes the same arguments."""
        from tekton_llm_client.sessions.blocking import BlockingSessionsClient

        return BlockingSessionsClient(cls(component_id, *args, **kwargs))

    @property
    def component_id(self) -> str:
        return self._caller.component_id

    @property
    def rhetor_url(self) -> str:
        return self._caller.rhetor_url

    async def shutdown(self) -> None:
        """Close the connections; sessions go on, and the client may be used again afterwards."""
        await self._connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.shutdown()

    # Beginning and finding.

    async def create_session(
        self,
        query: str | None = None,
        *,
        backend: str | None = None,
        provider: str | None = None,
        model: str | None = None,
        config: object = None,
        requirements: Mapping[str, Any] | None = None,
        title: str | None = None,
        system: str | None = None,
        directory: str | None = None,
        permissions: Permissions | None = None,
        max_turns: int | None = None,
        timeout_s: float | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        environment: Mapping[str, str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> Session:
        """Begin a session, with a first message or without.

        Args:
            query: the first message, whose turn begins at once.
            backend, provider: who converses, by either name; else as the requirements say, else a chat.
            model: a route or `provider/model`; `auto`: the gateway chooses.
            config: a `SessionConfig`, or anything with such fields; what is said by name wins.
            requirements: who may be chosen: `model`, `capabilities`, `load_balancing`, `cost_optimization`,
                `max_tokens`.
            directory: where an agent works: a folder of the gateway's machine that its configuration allows.
            permissions: whether an agent must ask before it acts.
            timeout_s: how long one turn may take.
            environment: further variables for an agent, as far as the gateway allows.
            key: who comes again with the same one gets the same session.

        Raises:
            ModelNotSupportedError: the backend does not know the model.
            ProviderUnavailableError: the backend cannot be used now, or too many of its sessions are live.
            TektonLLMError: see `exceptions` for the other kinds.
        """
        fields = {
            "backend": backend or provider,
            "model": model,
            "requirements": requirements,
            "title": title,
            "system": system,
            "directory": directory,
            "permissions": permissions,
            "max_turns": max_turns,
            "timeout_s": timeout_s,
            "temperature": temperature,
            "max_tokens": max_tokens,
            "environment": environment,
            "metadata": metadata,
        }
        said = asking.new_session(query, _new_id("msg"), config, fields)
        headers = {"idempotency-key": key or _new_id("key")}
        try:
            return reading.read(
                Session, await self._calls.ask("POST", asking.SESSIONS_PATH, said, headers=headers)
            )
        except TektonLLMError as error:
            raise told(error, provider=said.get("backend")) from error.__cause__

    async def create_session_with_auto_selection(
        self,
        query: str | None = None,
        requirements: Mapping[str, Any] | None = None,
        *,
        config: object = None,
        directory: str | None = None,
        permissions: Permissions | None = None,
    ) -> Session:
        """Begin a session with whom the gateway chooses; its `selection` says why. See `create_session`."""
        return await self.create_session(
            query,
            requirements=requirements or {},
            config=config,
            directory=directory,
            permissions=permissions,
        )

    async def get_session(self, session_id: str) -> Session:
        """As it is now.

        Raises:
            SessionError: there is no such session.
        """
        path = asking.session_path(session_id)
        return reading.read(Session, await self._calls.ask("GET", path, session_id=session_id))

    async def list_sessions(
        self,
        state: str | Iterable[str] | None = None,
        backend: str | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> SessionList:
        """What was changed last comes first; see `total` and `has_more` of the list."""
        return reading.read_list(
            await self._calls.ask("GET", asking.list_path(state, backend, limit, offset))
        )

    # Conversing.

    async def send(
        self,
        session_id: str,
        text: str,
        message_id: str | None = None,
        *,
        resume: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> Sent:
        """Begin a turn; its events follow `seq`.

        Args:
            message_id: a message with the same one is taken once, whoever sends it again; else a new one.
            resume: first, where the session is suspended or failed.

        Raises:
            SessionError: there is no such session, or its state does not allow that; see `state`.
        """
        said = {
            "message": text,
            "message_id": message_id or _new_id("msg"),
            "resume": resume or None,
            "environment": environment,
        }
        path = asking.session_path(session_id, "messages")
        return reading.read_sent(await self._calls.ask("POST", path, said, session_id=session_id))

    def stream(self, session_id: str, after: int = 0) -> EventStream:
        """Its events with greater numbers than `after`, then what happens, until it is terminated."""
        silence_s = min(self._caller.silence_s, QUIET_S)
        return EventStream(self._connection, session_id, after, silence_s, self._away_s)

    def converse(
        self,
        session_id: str,
        text: str,
        message_id: str | None = None,
        *,
        resume: bool = False,
        on_approval: OnApproval | None = None,
    ) -> Turn:
        """Send a message, and hear of its turn to the end: iterate its events, or await its `Answer`.

        Args:
            on_approval: called with what an agent asks; without it somebody else must answer.

        Raises:
            SessionError: there is no such session, or its state does not allow that.
            ProviderError: when it is awaited: the turn failed. Iterated, its last events say so.
        """
        said_as = message_id or _new_id("msg")

        async def answer(request: ApprovalRequest, verdict: Verdict) -> Session:
            return await self.answer(session_id, request.request_id, verdict)

        return Turn(
            lambda: self.send(session_id, text, said_as, resume=resume),
            lambda after: self.stream(session_id, after),
            answer,
            on_approval,
        )

    send_and_stream = converse

    async def ask(
        self,
        session_id: str,
        text: str,
        message_id: str | None = None,
        *,
        resume: bool = False,
        on_approval: OnApproval | None = None,
    ) -> Answer:
        """Send a message, and wait for the end of its turn. See `converse`."""
        turn = self.converse(session_id, text, message_id, resume=resume, on_approval=on_approval)
        return await turn.answer()

    async def events(self, session_id: str, after: int = 0) -> list[SessionEvent]:
        """What is in its log so far."""
        found: list[SessionEvent] = []
        while True:
            path = asking.events_path(session_id, after, EVENTS_AT_ONCE, follow=False)
            said = await self._calls.ask("GET", path, session_id=session_id)
            found += (page := reading.read_many(SessionEvent, said))
            if not page or page[-1].seq >= said.get("last_seq", 0):
                return found
            after = page[-1].seq

    async def approve(
        self,
        session_id: str,
        request_id: str,
        *,
        always: bool = False,
        input: Mapping[str, Any] | None = None,
    ) -> Session:
        """Let an agent do what it asks for.

        Args:
            always: and the like of it for the rest of the session.
            input: use the tool with this instead.

        Raises:
            SessionError: nobody asks that, or no longer.
        """
        verdict = Verdict("allow", input=None if input is None else dict(input), always=always)
        return await self.answer(session_id, request_id, verdict)

    async def deny(self, session_id: str, request_id: str, message: str | None = None) -> Session:
        """Do not let it; the message is for the agent."""
        return await self.answer(session_id, request_id, Verdict("deny", message=message))

    async def answer(self, session_id: str, request_id: str, verdict: Verdict) -> Session:
        """Answer what an agent asks; see `approve` and `deny`."""
        said = {
            "decision": verdict.decision,
            "message": verdict.message,
            "input": verdict.input,
            "always": verdict.always or None,
        }

        def done(session: Session) -> bool:
            return all(request.request_id != request_id for request in session.waiting_for)

        path = asking.approval_path(session_id, request_id)
        return await self._calls.act(session_id, "POST", path, said, done)

    async def interrupt(self, session_id: str) -> Session:
        """Ask for the end of the turn, which comes soon: see its events.

        Raises:
            SessionError: no turn is under way.
        """
        path = asking.session_path(session_id, "interrupt")
        return await self._calls.act(session_id, "POST", path, {}, lambda session: not session.in_turn)

    # Resting and ending.

    async def suspend(self, session_id: str) -> dict[str, Any]:
        """Give back whatever it holds; the state by which it can be resumed, as JSON."""
        path = asking.session_path(session_id, "suspend")
        return await self._calls.ask("POST", path, {}, session_id=session_id)

    async def resume(
        self,
        session_id: str,
        state: Mapping[str, Any] | None = None,
        *,
        environment: Mapping[str, str] | None = None,
    ) -> Session:
        """Make a suspended or failed session idle again.

        Args:
            state: what `suspend` gave, where it was kept; without it, as the gateway remembers it.
            environment: as in `create_session`; it was not stored.
        """
        said = {"state": None if state is None else dict(state), "environment": environment}
        path = asking.session_path(session_id, "resume")
        return await self._calls.act(session_id, "POST", path, said, lambda session: session.state in RESUMED)

    async def terminate(self, session_id: str, reason: str | None = None) -> Session:
        """End it; its log can still be read."""
        path = asking.session_path(session_id, reason=reason)
        return await self._calls.act(
            session_id, "DELETE", path, None, lambda session: session.state == SessionStatus.TERMINATED
        )

    async def forget(self, session_id: str) -> None:
        """End it, and remove it with its log and its folder."""
        await self._calls.remove(session_id, asking.session_path(session_id, forget="true"))

    async def cleanup(self, max_age_s: float = OLD_S) -> Cleaned:
        """Forget what nobody touched for so long and is in no turn."""
        return reading.read(Cleaned, await self._calls.ask("POST", asking.cleanup_path(max_age_s), {}))

    # About them.

    async def backends(self) -> list[Backend]:
        """Who can converse, and how they are."""
        return reading.read_many(Backend, await self._calls.ask("GET", asking.BACKENDS_PATH))

    async def choose(self, requirements: Mapping[str, Any]) -> Selection:
        """Who would be chosen, and why; nothing is begun."""
        return reading.read(Selection, await self._calls.ask("POST", asking.CHOOSE_PATH, requirements))

    async def export(self, session_id: str, format: Literal["json", "txt", "md"] = "json") -> str:
        """The conversation as one text."""
        path = asking.session_path(session_id, "export", format=format)
        return (await self._calls.text("GET", path, session_id=session_id)).decode()

    async def stats(self, session_id: str) -> dict[str, Any]:
        """How many messages, turns and events there are, what they consumed, and how long it took."""
        path = asking.session_path(session_id, "stats")
        return await self._calls.ask("GET", path, session_id=session_id)

    async def summarize(self, session_id: str) -> Session:
        """Of chats: sum up what is older, as would happen by itself when there is too much of it."""
        path = asking.session_path(session_id, "summarize")
        return reading.read(Session, await self._calls.ask("POST", path, {}, session_id=session_id))

    async def clear_context(self, session_id: str) -> Session:
        """Of chats: let the model forget what was said; the log stays."""
        path = asking.session_path(session_id, "context")
        return reading.read(Session, await self._calls.ask("DELETE", path, session_id=session_id))


def _new_id(kind: str) -> str:
    return f"{kind}_{uuid.uuid4().hex}"
