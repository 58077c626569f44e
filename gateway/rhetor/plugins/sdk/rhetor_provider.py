"""Write a provider for the gateway in Python: this one file is all that it needs.

    from rhetor_provider import Provider, Text

    class Cow(Provider):
        async def stream(self, request):
            for word in request.text.split():
                yield Text(f"moo {word} ")

It runs in a process of its own and talks to the gateway over its standard input and output, as
`provider-protocol.md` describes. What it prints goes to its log. Functions may be `async` or not; those
that are not run in threads. Python 3.9 or newer, no dependencies.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import runpy
import signal
import sys
import threading
import traceback
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Union

PROTOCOL = 1
SDK = "rhetor-provider-python/1.0"
METHODS = ["generate", "stream", "test_connection", "models"]
PIECE_BYTES = 256 * 1024
PIECE_CHARS = 100_000  # of a text in one line, however they are written
READ_BYTES = 1 << 20
LEAVING_S = 1.0

# What a provider says. Texts may also be yielded as plain strings.


@dataclass
class Text:
    text: str


@dataclass
class Thinking:
    text: str
    signature: str | None = None


@dataclass
class Refusal:
    """Said instead of an answer."""

    text: str


@dataclass
class ToolUse:
    """The caller shall run one of its tools."""

    name: str
    arguments: str | Mapping[str, Any] = "{}"
    id: str = ""


@dataclass
class Medium:
    """A picture, a recording, a film begins; more of it may follow as `Data`."""

    media_type: str
    data: bytes = b""
    prompt: str | None = None


@dataclass
class Data:
    """More of the medium that was begun last."""

    data: bytes


@dataclass
class Link:
    """A medium that lies where everybody may fetch it."""

    url: str
    media_type: str | None = None
    prompt: str | None = None


@dataclass
class Timed:
    """When something of a transcript was said; the transcript itself is told as `Text`."""

    text: str
    start_s: float
    end_s: float
    kind: str = "segment"
    """`segment` or `word`."""
    speaker: str | None = None
    confidence: float | None = None


@dataclass
class Spoken:
    """What a transcript's recording is."""

    language: str | None = None
    duration_s: float | None = None


@dataclass
class Ranked:
    """How well document number `index` answers; the best are told first."""

    index: int
    score: float


@dataclass
class Vector:
    """The embedding of the next input."""

    values: list[float]


@dataclass
class Progress:
    """It works, and has nothing to show yet."""

    fraction: float | None = None
    note: str = ""


@dataclass
class Usage:
    """What was consumed; a later one replaces an earlier one."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    characters: int = 0
    audio_ms: int = 0
    images: int = 0
    video_ms: int = 0
    estimated: bool = False


@dataclass
class Finished:
    """The end, where it is another than the usual one: `stop`, `length`, `tool_use`, `refusal`, …"""

    reason: str = "stop"


Event = Union[  # noqa: UP007
    Text, Thinking, Refusal, ToolUse, Medium, Data, Link, Timed, Spoken, Ranked, Vector, Progress, Usage,
    Finished, str,
]  # fmt: skip


class Failure(Exception):
    """Raised by a provider that cannot answer.

    Args:
        message: for people, without secrets.
        code: `invalid_request`, `model_not_found`, `unsupported`, `request_too_large`,
            `context_length_exceeded`, `content_policy_violation`, `upstream_authentication`,
            `upstream_billing`, `rate_limited`, `overloaded`, `unavailable` or `upstream_error`.
        retry_after_s: how long to leave it alone, in seconds.
    """

    def __init__(
        self, message: str, code: str = "upstream_error", retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after_s = retry_after_s


# What a provider is asked.


@dataclass
class Media:
    """Content of a request: its bytes, or where it lies."""

    media_type: str = ""
    data: bytes = b""
    name: str | None = None
    url: str | None = None


@dataclass
class Message:
    role: str
    """`system`, `user`, `assistant` or `tool`."""
    parts: list[dict[str, Any]]
    """Each has a `type`: text, image, audio, file, tool_use, tool_result, thinking or refusal."""
    name: str | None = None

    @property
    def text(self) -> str:
        return "".join(part["text"] for part in self.parts if part["type"] == "text")


@dataclass
class Request:
    """One generation that is asked for."""

    id: str
    capability: str
    """`text-to-text`, `text-to-image`, …"""
    model: str
    input: dict[str, Any]
    """All that was said, by the names of provider-protocol.md; `Media` where there is content."""
    stream: bool = False
    media: list[Media] = field(default_factory=list)
    """All content that came with it."""

    @property
    def text(self) -> str:
        """What it is about: what the user said last, the prompt, the text to speak, or the query."""
        if "messages" in self.input:
            said = [message.text for message in self.messages if message.role == "user"]
            return said[-1] if said else ""
        for name in ("prompt", "text", "query"):
            if isinstance(self.input.get(name), str):
                return str(self.input[name])
        return "\n".join(it for it in self.input.get("inputs", []) if isinstance(it, str))

    @property
    def messages(self) -> list[Message]:
        return [Message(it["role"], it["parts"], it.get("name")) for it in self.input.get("messages", [])]

    def option(self, name: str, default: Any = None) -> Any:
        """What was said under this name, also among what only some models understand."""
        if name in self.input:
            return self.input[name]
        return self.input.get("extra", {}).get(name, default)


@dataclass
class Model:
    id: str
    name: str = ""
    capabilities: list[str] | None = None
    context_tokens: int | None = None
    max_output_tokens: int | None = None


class Provider:
    """Subclass it, and write `stream`, `generate`, or both: each stands in for the other."""

    async def start(self) -> None:
        """Once, before the first question: load what takes long here."""

    def stream(self, request: Request) -> AsyncIterator[Event] | Iterator[Event]:
        """Answer piece by piece: a generator, async or not."""
        raise NotImplementedError

    def generate(self, request: Request) -> Any:
        """Answer at once: an event, a text, or a list of them. May be async."""
        raise NotImplementedError

    def test_connection(self) -> Any:
        """Say what works; raise a `Failure` if nothing does. May be async."""
        return "loaded"

    def models(self) -> Any:
        """The models, as `Model`s or ids; none where the manifest names them. May be async."""
        return []


def run(provider: Provider) -> None:
    """Serve the gateway until it hangs up; for a main file that is started by itself."""
    asyncio.run(_Guest(provider, _take_stdout()).serve())


# From here on: the protocol.


class _Call:
    def __init__(self, id: int, credit: int) -> None:
        self.id = id
        self.credit = credit
        self.cancelled = False
        self.room = asyncio.Event()
        self.changed = threading.Condition()
        self.task: asyncio.Task[None] | None = None
        self.tools = 0
        self.media = -1
        self.vectors = 0


class _Gone(Exception):
    """Nobody waits for this call any more."""


class _Guest:
    def __init__(self, provider: Provider, out: int) -> None:
        self._provider = provider
        self._out = out
        self._writing = threading.Lock()
        self._calls: dict[int, _Call] = {}
        self._held = bytearray()
        self._window = 0
        self._loop: asyncio.AbstractEventLoop
        self._ended: asyncio.Event

    async def serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        try:
            await self._provider.start()
        except Exception as error:
            traceback.print_exc()
            self._write({"event": "broken", "message": f"it does not start: {_words(error)}"})
            return
        os.set_blocking(0, False)
        self._loop.add_reader(0, self._on_input)
        self._loop.add_signal_handler(signal.SIGTERM, self._ended.set)
        await self._ended.wait()
        tasks = [call.task for call in self._calls.values() if call.task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=LEAVING_S)
        os._exit(0)  # threads of a provider that never return must not keep it

    # What comes.

    def _on_input(self) -> None:
        try:
            data = os.read(0, READ_BYTES)
        except BlockingIOError:
            return
        if not data:
            self._loop.remove_reader(0)
            self._ended.set()
            return
        self._held += data
        while (end := self._held.find(b"\n")) >= 0:
            said = json.loads(self._held[:end])
            whole = end + 1 + said.get("bytes", 0)
            if len(self._held) < whole:
                return
            attached = bytes(self._held[end + 1 : whole])
            del self._held[:whole]
            self._hear(said, attached)

    def _hear(self, said: dict[str, Any], attached: bytes) -> None:
        what = said.get("do")
        if what == "call":
            call = _Call(said["call"], self._window)
            self._calls[call.id] = call
            call.task = asyncio.Task(self._answer(call, said, attached), loop=self._loop)
        elif what == "hello":
            self._window = said["window"]
            name = type(self._provider).__name__
            self._write(
                {"event": "hello", "protocol": PROTOCOL, "sdk": SDK, "name": name, "methods": METHODS}
            )
        elif said.get("call") in self._calls:
            call = self._calls[said["call"]]
            if what == "more":
                with call.changed:
                    call.credit += said["credit"]
                    call.changed.notify_all()
                call.room.set()
            elif what == "cancel":
                with call.changed:
                    call.cancelled = True
                    call.changed.notify_all()
                if call.task is not None:
                    call.task.cancel()

    # What goes.

    def _write(self, said: Mapping[str, Any], data: bytes | None = None) -> int:
        if data is not None:
            said = {**said, "bytes": len(data)}
        line = json.dumps(said, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        whole = line.encode("utf-8", "replace") + b"\n" + (data or b"")
        with self._writing:
            rest = memoryview(whole)
            while rest:
                rest = rest[os.write(self._out, rest) :]
        return len(whole)

    async def _send(self, call: _Call, said: dict[str, Any], data: bytes | None = None) -> None:
        while call.credit <= 0:
            call.room.clear()
            await call.room.wait()
        call.credit -= self._write({"call": call.id, **said}, data)

    def _send_from_thread(self, call: _Call, said: dict[str, Any], data: bytes | None = None) -> None:
        with call.changed:
            while call.credit <= 0 and not call.cancelled:
                call.changed.wait()
            if call.cancelled:
                raise _Gone
            call.credit -= self._write({"call": call.id, **said}, data)

    # Answering.

    async def _answer(self, call: _Call, said: dict[str, Any], attached: bytes) -> None:
        try:
            ending = await self._do(call, said, attached)
        except (asyncio.CancelledError, _Gone):
            ending = {"event": "cancelled"}
        except Failure as error:
            ending = {"event": "failed", "message": str(error), "code": error.code}
            if error.retry_after_s is not None:
                ending["retry_after_s"] = error.retry_after_s
        except NotImplementedError:
            ending = {"event": "failed", "code": "unsupported", "message": "the provider does not do this"}
        except (Exception, SystemExit) as error:
            traceback.print_exc()
            ending = {"event": "failed", "code": "upstream_error", "message": _words(error)}
        finally:
            self._calls.pop(call.id, None)
        self._write({"call": call.id, **ending})

    async def _do(self, call: _Call, said: dict[str, Any], attached: bytes) -> dict[str, Any]:
        method = said["method"]
        if method in ("generate", "stream"):
            return await self._generation(call, _request(said, attached))
        if method == "test_connection":
            return {
                "event": "result",
                "value": {"message": str(await self._ask(self._provider.test_connection))},
            }
        if method == "models":
            listed = await self._ask(self._provider.models)
            return {"event": "result", "value": {"models": [_model(each) for each in listed]}}
        raise Failure(f"there is no method {method!r}", "unsupported")

    async def _generation(self, call: _Call, request: Request) -> dict[str, Any]:
        kind = type(self._provider)
        streams, generates = kind.stream is not Provider.stream, kind.generate is not Provider.generate
        if streams and (request.stream or not generates):
            told: Any = self._provider.stream
        else:
            told = self._provider.generate
        if inspect.isasyncgenfunction(told):
            return await self._tell_async(call, told(request))
        if inspect.iscoroutinefunction(told):
            result = await told(request)
            if hasattr(result, "__aiter__"):
                return await self._tell_async(call, result)
            return await self._tell_async(call, _later(_each(result)))
        ending: dict[str, Any] = await self._in_thread(call, lambda: self._tell(call, told(request)))
        return ending

    async def _tell_async(self, call: _Call, events: AsyncIterator[Event]) -> dict[str, Any]:
        ending: dict[str, Any] = {"event": "finished"}
        try:
            async for event in events:
                for said, data in _frames(call, event):
                    if said["event"] == "finished":
                        ending = said
                    else:
                        await self._send(call, said, data)
        finally:
            if hasattr(events, "aclose"):
                await events.aclose()
        return ending

    def _tell(self, call: _Call, result: Any) -> dict[str, Any]:
        if inspect.isawaitable(result) or hasattr(result, "__aiter__"):
            raise TypeError("write `async def` where something is awaited")
        ending: dict[str, Any] = {"event": "finished"}
        for event in _each(result):
            if call.cancelled:
                raise _Gone
            for said, data in _frames(call, event):
                if said["event"] == "finished":
                    ending = said
                else:
                    self._send_from_thread(call, said, data)
        return ending

    async def _ask(self, method: Any) -> Any:
        if inspect.iscoroutinefunction(method):
            return await method()
        return await self._in_thread(None, method)

    async def _in_thread(self, call: _Call | None, work: Any) -> Any:
        """What `work` returns, in a thread of its own; a call waits for it also when it is cancelled."""
        done: asyncio.Future[Any] = self._loop.create_future()

        def settle(result: Any, error: BaseException | None) -> None:
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(result)

        def body() -> None:
            result: Any = None
            error: BaseException | None = None
            try:
                result = work()
            except StopIteration:
                error = RuntimeError("StopIteration")  # a future cannot hold it
            except BaseException as raised:
                error = raised
            self._loop.call_soon_threadsafe(settle, result, error)

        threading.Thread(target=body, daemon=True).start()
        while True:
            try:
                return await asyncio.shield(done)
            except asyncio.CancelledError:
                if done.done() or call is None:
                    raise


def _frames(call: _Call, event: Any) -> Iterator[tuple[dict[str, Any], bytes | None]]:
    """An event as frames: what it says, and its bytes."""
    if isinstance(event, (str, Text)):
        text = event if isinstance(event, str) else event.text
        for at in range(0, len(text) or 1, PIECE_CHARS):
            yield {"event": "text", "text": text[at : at + PIECE_CHARS]}, None
    elif isinstance(event, ToolUse):
        arguments = event.arguments if isinstance(event.arguments, str) else json.dumps(event.arguments)
        id = event.id or f"call_{call.id}_{call.tools}"
        said = {"index": call.tools, "id": id, "name": event.name, "arguments": arguments}
        yield {"event": "tool_use", **said}, None
        call.tools += 1
    elif isinstance(event, Vector):
        yield {"event": "vector", "index": call.vectors, "values": list(map(float, event.values))}, None
        call.vectors += 1
    elif isinstance(event, Data):
        for at in range(0, len(event.data), PIECE_BYTES):
            yield {"event": "medium_delta", "index": call.media}, bytes(event.data[at : at + PIECE_BYTES])
    elif isinstance(event, (Medium, Link)):
        call.media += 1
        said = {name: it for name, it in vars(event).items() if it is not None and name != "data"}
        yield {"event": type(event).__name__.lower(), "index": call.media, **said}, None
        if isinstance(event, Medium):
            yield from _frames(call, Data(event.data))
    elif type(event) in _PLAIN:
        said = {name: it for name, it in vars(event).items() if it is not None and it is not False}
        yield {"event": type(event).__name__.lower(), **said}, None
    else:
        raise TypeError(f"a provider tells events, not {type(event).__name__}")


_PLAIN = frozenset({Thinking, Refusal, Timed, Spoken, Ranked, Progress, Usage, Finished})


def _each(result: Any) -> Iterable[Any]:
    if result is None:
        return ()
    if isinstance(result, Iterable) and not isinstance(result, (str, bytes, Mapping)):
        return result
    return (result,)


async def _later(events: Iterable[Any]) -> AsyncIterator[Any]:
    for event in events:
        yield event


def _request(said: Mapping[str, Any], attached: bytes) -> Request:
    asked = said["request"]
    media, at = [], 0
    for entry in asked.get("attachments", ()):
        data = attached[at : at + entry["bytes"]]
        media.append(Media(entry["media_type"], data, entry.get("name")))
        at += entry["bytes"]

    def opened(value: Any) -> Any:
        if isinstance(value, list):
            return [opened(each) for each in value]
        if not isinstance(value, dict):
            return value
        if set(value) == {"attachment"}:
            return media[value["attachment"]]
        if set(value) == {"url"}:
            return Media(url=value["url"])
        return {name: it if name in ("schema", "extra") else opened(it) for name, it in value.items()}

    streams = said["method"] == "stream"
    return Request(asked["id"], asked["capability"], asked["model"], opened(asked["input"]), streams, media)


def _model(model: Any) -> dict[str, Any]:
    if isinstance(model, str):
        return {"id": model}
    return {name: it for name, it in vars(model).items() if it not in (None, "")}


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:500]


def _take_stdout() -> int:
    """The protocol's way out; whatever else writes to stdout writes to the log."""
    out = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return out


def _provider_in(names: Mapping[str, Any]) -> Provider:
    made = [it for it in names.values() if isinstance(it, Provider)]
    if made:
        return made[0]
    kinds = [
        it
        for it in names.values()
        if isinstance(it, type) and issubclass(it, Provider) and it.__module__ == names.get("__name__")
    ]
    if len(kinds) != 1:
        raise Failure(f"its main file has {len(kinds)} subclasses of Provider, and needs one")
    return kinds[0]()


def main(path: str) -> None:
    """Load a provider's main file, and serve it."""
    out = _take_stdout()
    sys.modules["rhetor_provider"] = sys.modules[__name__]
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    sys.argv = [path]
    try:
        provider = _provider_in(runpy.run_path(path, run_name="provider"))
    except BaseException as error:
        traceback.print_exc()
        said = {"event": "broken", "message": f"its main file does not load: {_words(error)}"}
        os.write(out, json.dumps(said).encode() + b"\n")
        sys.exit(1)
    asyncio.run(_Guest(provider, out).serve())


if __name__ == "__main__":
    main(sys.argv[1])
