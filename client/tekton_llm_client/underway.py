"""Requests under way on a WebSocket: who waits for an answer, and who hears of it chunk by chunk."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Mapping
from typing import Any

from tekton_llm_client import frames
from tekton_llm_client.callbacks import Callback, tell
from tekton_llm_client.exceptions import TektonLLMError, TimeoutError
from tekton_llm_client.models import StreamingChunk
from tekton_llm_client.replies import Calls


class Question:
    """Waits for its one answer."""

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        self.answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    @property
    def ended(self) -> bool:
        return self.answer.done()

    def on_frame(self, frame: dict[str, Any]) -> None:
        if frame.get("type") == "ERROR":
            self.fail(frames.read_error(frame))
        elif frame.get("type") == "RESPONSE" and not self.ended:
            self.answer.set_result(frame)

    def fail(self, error: TektonLLMError) -> None:
        if not self.ended:
            self.answer.set_exception(error)
            self.answer.exception()  # it was told, whether or not somebody still waits


class Stream:
    """Tells a callback each chunk, across as many connections as it takes.

    Args:
        frame: what asks for it.
        silence_s: how long it may say nothing; None: as long as the gateway lets it.
    """

    def __init__(
        self, request_id: str, callback: Callback, frame: str, silence_s: float | None = None
    ) -> None:
        self.request_id = request_id
        self.ended = False
        self.sent = False
        self.lost_s: float | None = None
        """Since when its connection is gone, by the loop's clock."""
        self._callback = callback
        self._silence_s = silence_s
        self.frame = frame
        self._asked_again = False
        self._generation_id: str | None = None
        self._last_event_id: str | None = None
        self._last = StreamingChunk()
        self._calls = Calls()
        # Without a bound of its own: a reader that waited here would keep all other requests waiting. What
        # it can hold is one reply, and of that the gateway records no more than it is configured to.
        self._untold: asyncio.Queue[StreamingChunk | None] = asyncio.Queue()

    def on_frame(self, frame: Mapping[str, Any]) -> None:
        if self.ended or frame.get("type") not in ("CHUNK", "ERROR"):
            return
        self._generation_id = frame.get("generation_id") or self._generation_id
        self._last_event_id = frame.get("event_id") or self._last_event_id
        self._last = frames.read_chunk(frame)
        self.ended = self._last.done
        if (chunk := self._calls.join(self._last)) is not None:
            self._untold.put_nowait(chunk)

    def fail(self, error: TektonLLMError) -> None:
        """The last chunk says why nothing more comes."""
        if not self.ended:
            self.ended = True
            said = {"chunk": "", "thinking": None, "done": True, "error": error.message, "code": error.code}
            self._untold.put_nowait(self._last.model_copy(update=said))

    def drop(self) -> None:
        """The callback hears nothing more."""
        self.ended = True
        while not self._untold.empty():
            self._untold.get_nowait()
        self._untold.put_nowait(None)

    @property
    def named(self) -> bool:
        """The gateway has begun with it."""
        return self._generation_id is not None

    def again(self) -> str | None:
        """What brings the rest over a new connection; None: it cannot be had."""
        if self._generation_id is not None:
            return frames.resume(self.request_id, self._generation_id, self._last_event_id)
        if self._asked_again:
            return None
        self._asked_again = True  # nothing was said, so another reply is as good
        return self.frame

    async def tell(self) -> None:
        """Call the callback with each chunk, to the last."""
        while (chunk := await self._next()) is not None:
            await tell(self._callback, chunk)
            if chunk.done:
                return

    async def _next(self) -> StreamingChunk | None:
        try:
            async with asyncio.timeout(self._silence_s):
                return await self._untold.get()
        except builtins.TimeoutError:
            self.fail(TimeoutError(f"nothing was said for {self._silence_s:g} s", code="idle_timeout"))
        return self._untold.get_nowait()
