"""Models in GGUF files, run by llama.cpp: a model is called as its file is, without `.gguf`.

`LLAMACPP_MODELS` is a file or a folder of them, which the program may read once the gateway's configuration
says so: `plugins: {reads: {llamacpp: [~/models]}}`.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import xllamacpp
from rhetor_provider import Event, Failure, Finished, Message, Model, Provider, Request, Text, Thinking, Usage

SUFFIX = ".gguf"
CONTEXT_TOKENS = 8_192
REPLIES = 4  # at the same time, as the manifest's limit of calls
SAME_NAME = (
    "temperature", "top_p", "top_k", "presence_penalty", "frequency_penalty", "seed", "stop", "max_tokens",
)  # fmt: skip
REASONS = {"stop": "stop", "length": "length"}


class LlamaCpp(Provider):
    def __init__(self) -> None:
        self._loaded: tuple[str, xllamacpp.Server] | None = None
        self._loading = asyncio.Lock()
        self._running = 0
        self._free = asyncio.Event()
        self._free.set()

    async def stream(self, request: Request) -> AsyncIterator[Event]:
        body = asked(request)
        server = await self._taken(request.model)
        told: asyncio.Queue[Any] = asyncio.Queue()
        loop, left = asyncio.get_running_loop(), False

        def tell(chunk: Any) -> bool:
            """What llama.cpp calls with each piece; True ends the generation."""
            loop.call_soon_threadsafe(told.put_nowait, chunk)
            return left

        def run() -> None:
            try:
                server.handle_chat_completions(body, tell)
            except Exception as error:
                loop.call_soon_threadsafe(told.put_nowait, error)
            finally:
                loop.call_soon_threadsafe(told.put_nowait, None)
                loop.call_soon_threadsafe(self._given_back)

        loop.run_in_executor(None, run)
        try:
            while (chunk := await told.get()) is not None:
                for event in events_of(chunk):
                    yield event
        finally:
            left = True

    async def models(self) -> list[Model]:
        return [Model(name, capabilities=["text-to-text"]) for name in sorted(files())]

    async def test_connection(self) -> str:
        found = files()
        if not found:
            raise Failure(f"no {SUFFIX} files in {place()}{HINT}", "unavailable")
        return f"{len(found)} models in {place()}"

    async def _taken(self, name: str) -> xllamacpp.Server:
        """The server of a model; another one is put down first, when nobody uses it any more."""
        async with self._loading:
            if self._loaded is None or self._loaded[0] != name:
                found = files()
                if name not in found:
                    known = ", ".join(sorted(found)) or "none"
                    raise Failure(
                        f"no model {name!r}; there are {known}{'' if found else HINT}", "model_not_found"
                    )
                await self._free.wait()
                self._loaded = None
                self._loaded = (name, await asyncio.to_thread(load, found[name], name))
            self._running += 1
            self._free.clear()
            return self._loaded[1]

    def _given_back(self) -> None:
        self._running -= 1
        if not self._running:
            self._free.set()


HINT = "; may it be read? see plugins.reads in the gateway's configuration"


def place() -> Path:
    return Path(os.environ["LLAMACPP_MODELS"])


def files() -> dict[str, Path]:
    """Models by their names."""
    root = place()
    try:
        found = [root] if root.is_file() else sorted(root.glob(f"*{SUFFIX}"))
    except OSError:
        found = []
    return {path.name.removesuffix(SUFFIX): path for path in found}


def load(path: Path, name: str) -> xllamacpp.Server:
    given = xllamacpp.CommonParams()
    given.model.path = str(path)
    given.model_alias = {name}
    given.hostnames = [str(Path(tempfile.mkdtemp(), "llama.sock"))]  # its own server; ports are kept from us
    given.n_ctx = int(os.environ.get("LLAMACPP_CONTEXT_TOKENS") or CONTEXT_TOKENS)
    given.n_parallel = REPLIES
    given.kv_unified = True  # each reply may use the whole context
    threads = int(os.environ.get("LLAMACPP_THREADS") or min(8, os.cpu_count() or 1))
    given.cpuparams.n_threads = given.cpuparams_batch.n_threads = threads
    given.cache_ram_mib = 0
    given.offline = True
    given.ui = given.warmup = given.fit_params = False
    given.verbosity = 0
    try:
        return xllamacpp.Server(given)
    except Exception as error:
        raise Failure(f"llama.cpp cannot load {path.name}: {error}", "unavailable") from error


def asked(request: Request) -> dict[str, Any]:
    """The request as llama.cpp takes it, which is OpenAI's way."""
    if request.media or request.option("tools"):
        what = "pictures and sounds" if request.media else "tools"
        raise Failure(f"{what} are not passed to the model by this program", "unsupported")
    body = {name: it for name in SAME_NAME if (it := request.option(name)) is not None}
    body["messages"] = [{"role": each.role, "content": content(each)} for each in request.messages]
    return {**body, "stream": True, "stream_options": {"include_usage": True}}


def content(message: Message) -> str:
    if any(part["type"] not in ("text", "thinking", "refusal") for part in message.parts):
        raise Failure("only texts are passed to the model by this program", "unsupported")
    return message.text


def events_of(chunk: Any) -> list[Event]:
    if isinstance(chunk, Exception):
        raise Failure(f"llama.cpp: {chunk}", "upstream_error")
    if "error" in chunk:
        too_long = "context" in str(chunk["error"].get("type", ""))
        code = "context_length_exceeded" if too_long else "upstream_error"
        raise Failure(f"llama.cpp: {chunk['error'].get('message', 'it does not say why')}", code)
    events: list[Event] = []
    for choice in chunk.get("choices", ()):
        said = choice.get("delta") or {}
        if said.get("reasoning_content"):
            events.append(Thinking(said["reasoning_content"]))
        if said.get("content"):
            events.append(Text(said["content"]))
        if choice.get("finish_reason"):
            events.append(Finished(REASONS.get(choice["finish_reason"], "other")))
    if used := chunk.get("usage"):
        cached = (used.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
        events.append(Usage(used["prompt_tokens"], used["completion_tokens"], cache_read_tokens=cached))
    return events
