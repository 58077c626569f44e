"""What the gateway is asked about media: generations, jobs, and files."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote, urlencode

import aiohttp
import orjson

from tekton_llm_client.asking import FIRST_PAUSE_S
from tekton_llm_client.caller import caller
from tekton_llm_client.connection import Connection
from tekton_llm_client.exceptions import AdapterError, ConnectionError, InvalidRequestError, TimeoutError
from tekton_llm_client.media.results import MediaAsset, MediaResult, Text, read_asset, read_result
from tekton_llm_client.media.words import Given, MediaProgress, kind_of, sniffed
from tekton_llm_client.patience import patiently
from tekton_llm_client.refusals import GATEWAY, failure
from tekton_llm_client.sessions.reading import FrameSplitter, parsed

UNNAMED = "tekton-llm-client"
GENERATE_PATH = "/v1/generate"
JOBS_PATH = "/v1/jobs"
ASSETS_PATH = "/v1/assets"
SLOWEST = 100_000  # bytes in a second of an upload: nothing is said before all of it is there
LOOK_S = 2.0  # how often a job is looked at that takes long
FIRST_LOOK_S = 0.1
RETURNS = 12  # further tries, for about a minute: a gateway may be started again meanwhile
ENDED = frozenset({"completed", "failed", "cancelled"})

Item: TypeAlias = (
    "str | Text | MediaResult | MediaAsset | bytes | bytearray | memoryview | Path | Mapping[str, Any]"
)
MediaInput: TypeAlias = "Item | Sequence[Item]"
OnProgress: TypeAlias = Callable[[MediaProgress], object]


class MediaGateway:
    """Where everything goes. It closes itself when its event loop ends."""

    def __init__(
        self,
        rhetor_url: str | None = None,
        *,
        component_id: str | None = None,
        auth_token: str | None = None,
        timeout: float | None = None,
    ) -> None:
        self._caller = caller(component_id or UNNAMED, rhetor_url, auth_token=auth_token, timeout_s=timeout)
        self._component_id = component_id
        self.url = self._caller.rhetor_url
        self._connection = Connection(self.url, self._caller.auth_token, ends_with_loop=True)

    async def close(self) -> None:
        await self._connection.close()

    async def ask(
        self,
        method: str,
        path: str,
        fields: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] = {},
        retries: int | None = None,
    ) -> dict[str, Any]:
        """What the gateway answers, which is an object.

        Args:
            retries: further tries; 0 for what would happen twice.

        Raises:
            TektonLLMError: it refused, or could not be reached.
        """
        body = None if fields is None else _dumped(fields)

        async def once() -> bytes:
            return await self._once(method, path, body, self._caller.silence_s, headers)

        further = self._caller.retries if retries is None else retries
        return parsed(await patiently(once, further, FIRST_PAUSE_S))

    async def _once(
        self, method: str, path: str, body: bytes | None, silence_s: float, headers: Mapping[str, str] = {}
    ) -> bytes:
        async with await self._connection.send(method, path, body, silence_s, headers) as response:
            return await self._connection.read(response, silence_s)

    # Files.

    async def upload(
        self,
        data: bytes | bytearray | memoryview | Path,
        *,
        name: str | None = None,
        media_type: str | None = None,
    ) -> MediaAsset:
        """Have the gateway keep a file."""
        if isinstance(data, Path):
            name, data = name or data.name, await asyncio.to_thread(data.read_bytes)
        content = bytes(data)
        path = f"{ASSETS_PATH}?{urlencode({'name': name})}" if name else ASSETS_PATH
        headers = {"content-type": media_type or sniffed(content)}
        silence_s = self._caller.silence_s + len(content) / SLOWEST
        return read_asset(self, parsed(await self._once("POST", path, content, silence_s, headers)))

    async def read(self, asset: MediaAsset) -> bytes:
        """The content of an asset."""
        async with self._content(asset) as response:
            return await self._connection.read(response, self._caller.silence_s)

    async def save(self, asset: MediaAsset, path: Path) -> Path:
        """The content of an asset, into a file while it comes."""
        part = path.with_name(f"{path.name}.part")
        try:
            async with self._content(asset) as response:
                with await asyncio.to_thread(part.open, "wb") as file, _read_errors():
                    async for piece in response.content.iter_any():
                        await asyncio.to_thread(file.write, piece)
            return await asyncio.to_thread(part.replace, path)
        except BaseException:
            part.unlink(missing_ok=True)  # a part of it must not look whole
            raise

    @asynccontextmanager
    async def _content(self, asset: MediaAsset) -> AsyncIterator[aiohttp.ClientResponse]:
        if asset.id is None:
            raise AdapterError(GATEWAY, f"this lies elsewhere, fetch it there: {asset.url}")
        path = f"{ASSETS_PATH}/{quote(asset.id, safe='')}"
        async with await self._connection.send("GET", path, None, self._caller.silence_s) as response:
            yield response

    # Generations.

    async def generate(
        self, body: Mapping[str, Any], on_progress: OnProgress | None = None
    ) -> AsyncGenerator[str | MediaResult, None]:
        """A text as it comes, and at last the whole result. Leaving it ends it, at the provider too."""
        began_s, text = time.monotonic(), ""
        async with aclosing(self._events({**self._said(body), "stream": True})) as events:
            async for name, said in events:
                if name == "progress" and on_progress is not None:
                    on_progress(_progress(said))
                elif name == "text":
                    text += str(said.get("text"))
                    yield str(said.get("text"))
                elif name == "failed":
                    raise failure(str(said.get("error")), said.get("code"), request_id=said.get("request_id"))
                elif name == "finished":
                    yield read_result(self, said, text, time.monotonic() - began_s)
                    return
        raise ConnectionError("the gateway closed the connection in the middle of its reply")

    async def _events(self, body: Mapping[str, Any]) -> AsyncGenerator[tuple[str, dict[str, Any]], None]:
        silence_s, frames = self._caller.silence_s, FrameSplitter()
        data = _dumped(body)
        response = await patiently(
            lambda: self._connection.send("POST", GENERATE_PATH, data, silence_s),
            self._caller.retries,
            FIRST_PAUSE_S,
        )
        try:
            while True:
                with _read_errors():
                    piece = await response.content.readany()
                if not piece:
                    return
                for frame in frames.feed(piece):
                    yield frame.event, parsed(frame.data)
        finally:
            response.close()  # whoever leaves in the middle ends it

    # Jobs.

    async def begin(self, body: Mapping[str, Any]) -> MediaJob:
        """Begin a generation that goes on by itself; asked again, it is the same one."""
        headers = {"idempotency-key": uuid.uuid4().hex}
        said = await self.ask("POST", JOBS_PATH, self._said(body), headers=headers)
        return MediaJob(str(said.get("id")), self)

    def dismiss(self, job_id: str) -> asyncio.Task[None]:
        """End a job that nobody wants any more. Takes a moment at most, and never fails."""
        return self._connection.dismiss(job_id)

    def _said(self, body: Mapping[str, Any]) -> dict[str, Any]:
        said = {**body, "component": self._component_id}
        return {name: value for name, value in said.items() if value is not None}

    # Inputs.

    async def given(self, input: MediaInput) -> list[Given]:
        """Inputs as the gateway takes them, whatever they were; files are uploaded."""
        items = [input] if isinstance(input, str | bytes | bytearray | memoryview) else input
        if not isinstance(items, Sequence):
            items = [items]
        return [await self._given(each) for each in items]

    async def _given(self, item: object) -> Given:
        if isinstance(item, str):
            return Given("text", item, item)
        if isinstance(item, bytes | bytearray | memoryview | Path):
            item = await self.upload(item)
        if isinstance(item, MediaResult) and item.asset is not None:
            item = item.asset
        if isinstance(item, MediaAsset):
            return Given(kind_of(item.media_type), {"asset": item.id} if item.id else {"url": item.url})
        if isinstance(item, Text | MediaResult):
            noted = isinstance(item, MediaResult) and item.metadata.get("generation_prompt")
            # What was not noted cannot be anybody's parent.
            parents = [item.id] if isinstance(item, MediaResult) and noted else []
            return Given("text", item.content, item.content, parents)
        if isinstance(item, Mapping):
            return await self._fields(item)
        return Given("", item)

    async def _fields(self, item: Mapping[str, Any]) -> Given:
        """An input in the gateway's own fields, such as `{prompt, image}` or `{query, documents}`."""
        told = Given("", {})
        for name, value in item.items():
            several = isinstance(value, list | tuple)
            parts = [await self._given(each) for each in (value if several else [value])]
            told.said[name] = [part.said for part in parts] if several else parts[0].said
            told.parents += [parent for part in parts for parent in part.parents]
            kind = name.removesuffix("s")
            if not told.kind and kind in ("image", "audio", "video", "document"):
                told.kind = "ranking" if kind == "document" else kind
        if not told.kind and ("text" in item or "prompt" in item):
            told.kind = "text"
        return told


class MediaJob:
    """A generation that goes on by itself, and can be asked for from anywhere."""

    def __init__(self, id: str, gateway: MediaGateway) -> None:
        self.id = id
        self._gateway = gateway
        self._path = f"{JOBS_PATH}/{quote(id, safe='')}"

    async def status(self) -> dict[str, Any]:
        """How it is: `status` is pending, running, completed, failed or cancelled; `progress`, `assets`, …"""
        return await self._gateway.ask("GET", self._path)

    async def result(self, on_progress: OnProgress | None = None) -> MediaResult:
        """What came of it, when it has ended. A gateway that cannot be reached meanwhile is tried again.

        Raises:
            TektonLLMError: it failed, or was cancelled.
        """
        began_s, pause_s = time.monotonic(), FIRST_LOOK_S
        while True:
            said = await self._gateway.ask("GET", self._path, retries=RETURNS)
            if on_progress is not None:
                on_progress(_progress(said.get("progress")))
            if said.get("status") in ENDED:
                break
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LOOK_S)
        said = await self._gateway.ask("GET", f"{self._path}/result", retries=RETURNS)
        return read_result(self._gateway, said, str(said.get("text") or ""), time.monotonic() - began_s)

    async def cancel(self) -> None:
        """End it, at the provider too; one that has ended is forgotten."""
        await self._gateway.ask("DELETE", self._path)


@contextmanager
def _read_errors() -> Iterator[None]:
    try:
        yield
    except aiohttp.ServerTimeoutError as error:
        raise TimeoutError("the gateway fell silent in the middle of its reply") from error
    except aiohttp.ClientError as error:
        raise ConnectionError(f"the connection to the gateway was lost: {error}") from error


def _progress(said: object) -> MediaProgress:
    told = said if isinstance(said, Mapping) else {}
    return MediaProgress(fraction=told.get("fraction"), note=str(told.get("note") or ""))


def _dumped(fields: Mapping[str, Any]) -> bytes:
    """
    Raises:
        InvalidRequestError: something in it cannot be said in JSON.
    """
    try:
        return orjson.dumps(fields)
    except TypeError as error:
        raise InvalidRequestError(f"this cannot be sent as JSON: {error}") from error
