"""One connection over WebSocket that is kept: registered, read, opened again when it drops."""

from __future__ import annotations

import asyncio
import builtins
import inspect
import logging
import random
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from copy import copy
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, InvalidURI, WebSocketException
from websockets.frames import CloseCode

from tekton_llm_client import frames
from tekton_llm_client.addresses import shown
from tekton_llm_client.asking import RESUME_S
from tekton_llm_client.callbacks import tell
from tekton_llm_client.exceptions import (
    AdapterError,
    AuthenticationError,
    ConnectionError,
    InvalidRequestError,
    TektonLLMError,
)
from tekton_llm_client.refusals import GATEWAY, JITTER, refusal
from tekton_llm_client.tasks import Tasks
from tekton_llm_client.underway import Question, Stream

log = logging.getLogger(__name__)

CONNECT_S = 5.0  # the gateway is near
ACK_S = 5.0  # it answers a REGISTER at once
PING_EVERY_S = 30.0
PONG_WITHIN_S = 10.0
GOODBYE_S = 2.0  # for what is under way to be ended, and the callbacks to hear of it
FIRST_PAUSE_S = 0.1
UNTOLD_LIMIT = 1000  # frames; the reader waits for an `on_message` that is behind so much
PROXY: dict[str, Any] = {"proxy": None} if "proxy" in inspect.signature(connect).parameters else {}
"""No proxy of the environment stands between a component and its gateway; older versions know none."""


class WsConnection:
    """Owns the socket, and the requests on it. One task, the keeper, opens and reads it."""

    def __init__(
        self,
        url: str,
        component_id: str,
        auth_token: str | None,
        on_message: Callable[[dict[str, Any]], Any] | None,
        on_error: Callable[[Exception], Any] | None,
        on_close: Callable[[], Any] | None,
        longest_pause_s: float,
    ) -> None:
        self._url = url
        self._shown = shown(url)
        self._component_id = component_id
        self._headers = {"Authorization": f"Bearer {auth_token}"} if auth_token else {}
        self._on_message = on_message
        self._on_error = on_error
        self._on_close = on_close
        self._longest_pause_s = longest_pause_s
        self._tasks = Tasks()
        self._herald = _Herald(self._tasks)
        self._keeper: asyncio.Task[None] | None = None
        self._attempt: asyncio.Future[None] | None = None
        """The end of the try to connect that is made now, or is made next."""
        self._reason: TektonLLMError | None = None
        """Why there is no connection; None: there is one, or nobody wanted one."""
        self._pause_s = FIRST_PAUSE_S
        self._was_let_in = False
        self._was_connected = False
        self._socket: ClientConnection | None = None
        self._underway: dict[str, Question | Stream] = {}

    @property
    def connected(self) -> bool:
        return self._socket is not None

    async def connect(self) -> bool:
        """Whether this, or the try that is being made, succeeded."""
        if self._keeper is None or self._keeper.done():
            self._attempt = asyncio.get_running_loop().create_future()
            self._reason, self._was_let_in = None, False
            self._keeper = self._tasks.spawn(self._keep(), f"{self._component_id} websocket")
        await self._attempted()
        return self.connected

    async def disconnect(self) -> None:
        """End everything. Idempotent, and takes some seconds at most."""
        keeper, self._keeper = self._keeper, None
        with suppress(builtins.TimeoutError):
            async with asyncio.timeout(GOODBYE_S):
                for request_id in list(self._underway):
                    await self._goodbye(request_id)
        self._end_all(ConnectionError("the client has disconnected", retry=False))
        self._reason = None
        if keeper is not None:
            keeper.cancel()
        await self._tasks.settle(GOODBYE_S)

    async def ask(self, question: Question, frame: str) -> dict[str, Any]:
        """Send it and wait; who stops waiting ends it at the gateway."""
        await self._start(question, frame)
        try:
            return await question.answer
        finally:
            if self._underway.pop(question.request_id, None) is not None:
                self._tasks.spawn(self._goodbye(question.request_id), f"cancel {question.request_id}")

    async def begin(self, stream: Stream) -> None:
        """Send it; its callback hears of it from now on."""
        await self._start(stream, stream.frame)
        stream.sent = True
        self._tasks.spawn(self._tell(stream), f"tell {stream.request_id}")

    async def cancel(self, request_id: str) -> bool:
        found = self._underway.pop(request_id, None)
        if found is None:
            return False
        if isinstance(found, Stream):
            found.drop()
        else:
            found.fail(TektonLLMError("the request was cancelled", code="cancelled"))
        await self._goodbye(request_id)
        return True

    async def _start(self, request: Question | Stream, frame: str) -> None:
        """
        Raises:
            ConnectionError: there is no connection, or not for long enough to send this.
        """
        self._underway[request.request_id] = request
        try:
            if not isinstance(self._reason, AuthenticationError):
                await self._attempted()
            if self._socket is None:
                raise self._refused()
            await self._socket.send(frame)
        except BaseException as error:
            self._underway.pop(request.request_id, None)
            if isinstance(error, WebSocketException):
                raise ConnectionError(f"the connection to {self._shown} was lost") from error
            raise

    async def _attempted(self) -> None:
        """Wait for the end of the try that is made now, or is made next, if there is one."""
        if self._socket is None and self._keeper is not None and not self._keeper.done():
            assert self._attempt is not None
            await asyncio.wait((self._attempt, self._keeper), return_when=asyncio.FIRST_COMPLETED)

    def _refused(self) -> TektonLLMError:
        """Why nothing can be sent. A copy: who raises an exception writes into it."""
        if self._reason is not None:
            return copy(self._reason)
        return ConnectionError(f"not connected to {self._shown}: await connect() first", retry=False)

    async def _keep(self) -> None:
        """Connect, and connect again; who was never let in gives up."""
        try:
            while True:
                error = await self._once()
                if error is not None:
                    self._herald.say(self._on_error, error)
                if isinstance(error, AuthenticationError):
                    self._end_all(error)
                    if not self._was_let_in:
                        return
                    self._pause_s = self._longest_pause_s  # until somebody corrects the gateway's tokens
                self._give_up_late()
                pause_s = min(self._pause_s, self._longest_pause_s)
                await asyncio.sleep(pause_s * random.uniform(1, 1 + JITTER))
                self._pause_s *= 2
        finally:
            self._end_all(ConnectionError(f"the connection to {self._shown} has ended"))

    async def _once(self) -> TektonLLMError | None:
        """Connect, register, and read to the end of the connection; why it could not be, or ended."""
        error = await self._read_to_the_end()
        if error is not None and not self._was_connected:
            self._reason = error
            self._end_attempt()
        self._was_connected = False
        return error

    async def _read_to_the_end(self) -> TektonLLMError | None:
        try:
            async with connect(
                self._url,
                additional_headers=self._headers,
                compression=None,  # the gateway is near
                open_timeout=CONNECT_S,
                ping_interval=PING_EVERY_S,
                ping_timeout=PONG_WITHIN_S,
                close_timeout=GOODBYE_S,
                **PROXY,
            ) as socket:
                try:
                    await self._register(socket)
                    async for data in socket:
                        await self._on_data(socket, data)
                finally:
                    self._on_lost(socket)
        except InvalidStatus as error:
            named = {name.lower(): value for name, value in error.response.headers.raw_items()}
            return refusal(error.response.status_code, named, bytes(error.response.body or b""))
        except builtins.TimeoutError:
            return ConnectionError(f"no gateway at {self._shown} within {CONNECT_S:g} s")
        except InvalidURI:  # its words have the address, with the password in it
            return InvalidRequestError(f"no address of a gateway: {self._shown!r}")
        except (OSError, WebSocketException) as error:
            return ConnectionError(f"no gateway at {self._shown}: {error or type(error).__name__}")
        except Exception as error:  # without a keeper nobody would ever connect again
            log.exception("connection failed", extra={"url": self._shown})
            return AdapterError(GATEWAY, f"the connection to {self._shown} failed: {type(error).__name__}")
        return None

    async def _register(self, socket: ClientConnection) -> None:
        await socket.send(frames.register(self._component_id))
        async with asyncio.timeout(ACK_S):
            while True:
                frame = await self._on_data(socket, await socket.recv())
                if frame is not None and frame.get("type") == "REGISTER_ACK":
                    break
        self._socket, self._reason, self._pause_s = socket, None, FIRST_PAUSE_S
        self._was_connected = self._was_let_in = True
        self._end_attempt()
        for request in list(self._underway.values()):
            if isinstance(request, Stream) and request.sent:
                await self._go_on(socket, request)

    async def _go_on(self, socket: ClientConnection, stream: Stream) -> None:
        stream.lost_s = None
        if (frame := stream.again()) is not None:
            await socket.send(frame)
        else:
            self._underway.pop(stream.request_id, None)
            stream.fail(ConnectionError("the connection to the gateway is lost again and again"))

    async def _on_data(self, socket: ClientConnection, data: str | bytes) -> dict[str, Any] | None:
        try:
            frame = frames.read_frame(data)
        except AdapterError as error:
            self._herald.say(self._on_error, error)
            return None
        self._herald.say(self._on_message, frame)
        if frame.get("type") == "PING":
            await socket.send(frames.pong())
        elif frame.get("type") == "ERROR":
            self._herald.say(self._on_error, frames.read_error(frame))
        request = self._underway.get(str(frame.get("request_id")))
        if request is not None:
            request.on_frame(frame)
            if request.ended:
                self._underway.pop(request.request_id, None)
        await self._herald.catch_up()
        return frame

    def _on_lost(self, socket: ClientConnection) -> None:
        if self._socket is None:
            return
        self._socket = None
        lost: TektonLLMError = ConnectionError(f"the connection to {self._shown} was lost before the answer")
        too_large = socket.close_code == CloseCode.MESSAGE_TOO_BIG
        self._reason = lost
        if too_large:  # nobody knows whose it was, so nothing that may be it is sent again
            lost = frames.too_large("this request, or another one on the connection, is too large")
        self._herald.say(self._on_close)
        now_s = asyncio.get_running_loop().time()
        for request in list(self._underway.values()):
            if isinstance(request, Stream) and (request.named or not too_large):
                request.lost_s = now_s
            else:
                del self._underway[request.request_id]
                request.fail(copy(lost))

    def _give_up_late(self) -> None:
        """Streams that the gateway does not keep any longer."""
        now_s = asyncio.get_running_loop().time()
        for request in list(self._underway.values()):
            if isinstance(request, Stream) and request.lost_s and now_s - request.lost_s > RESUME_S:
                del self._underway[request.request_id]
                request.fail(ConnectionError(f"the connection to {self._shown} was lost for too long"))

    def _end_all(self, error: TektonLLMError) -> None:
        for request in list(self._underway.values()):
            request.fail(copy(error))
        self._underway.clear()

    def _end_attempt(self) -> None:
        """Wake those who wait for this try; the next ones wait for the next."""
        if self._attempt is not None and not self._attempt.done():
            self._attempt.set_result(None)
        self._attempt = asyncio.get_running_loop().create_future()

    async def _goodbye(self, request_id: str) -> None:
        """Tell the gateway that nobody waits any more; never fails."""
        with suppress(WebSocketException, builtins.TimeoutError):
            async with asyncio.timeout(GOODBYE_S):
                if self._socket is not None:
                    await self._socket.send(frames.cancel(request_id))

    async def _tell(self, stream: Stream) -> None:
        try:
            await stream.tell()
            await self.cancel(stream.request_id)  # one that was silent for too long is still under way
        except Exception as error:
            log.exception("a callback failed", extra={"request": stream.request_id})
            self._herald.say(self._on_error, error)
            await self.cancel(stream.request_id)


class _Herald:
    """Calls callbacks one after the other, without the reader waiting for each."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._untold: deque[tuple[Callable[..., Any], tuple[Any, ...]]] = deque()
        self._told = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def say(self, callback: Callable[..., Any] | None, *said: Any) -> None:
        if callback is None:
            return
        self._untold.append((callback, said))
        if self._task is None or self._task.done():
            self._task = self._tasks.spawn(self._tell(), "callbacks")

    async def catch_up(self) -> None:
        """Wait while too much is untold."""
        while len(self._untold) >= UNTOLD_LIMIT:
            self._told.clear()
            await self._told.wait()

    async def _tell(self) -> None:
        while self._untold:
            callback, said = self._untold.popleft()
            self._told.set()
            try:
                await tell(callback, *said)
            except Exception:
                log.exception("a callback failed")
