"""The pipes to a child, read and written by the loop; no more is held of them than is wanted."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable

from rhetor.core.errors import Code, RhetorError

READ_BYTES = 64 * 1024  # what a pipe holds, see pipe(7)
WAITING_BYTES = 256 * 1024  # of lines that nobody fetched; then the pipe is not read


class Reader:
    """Reads a pipe until its end."""

    def __init__(self, fd: int, on_data: Callable[[bytes], None], on_end: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._fd = fd
        self._on_data = on_data
        self._on_end = on_end
        self._reading = False
        self.ended = False
        os.set_blocking(fd, False)
        self.resume()

    @property
    def paused(self) -> bool:
        return not self._reading and not self.ended

    def pause(self) -> None:
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._fd)

    def resume(self) -> None:
        if not self._reading and not self.ended:
            self._reading = True
            self._loop.add_reader(self._fd, self._read)

    def close(self) -> None:
        """The end, whether it has come or not."""
        if self.ended:
            return
        self.pause()
        self.ended = True
        os.close(self._fd)
        self._on_end()

    def _read(self) -> None:
        try:
            data = os.read(self._fd, READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if data:
            self._on_data(data)
        else:
            self.close()


class Ring:
    """The last of what was said."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._held = bytearray()

    def put(self, data: bytes) -> None:
        self._held += data
        if (
            len(self._held) > 2 * self._most_bytes
        ):  # now and then: moving the rest costs as much as it is long
            del self._held[: -self._most_bytes]

    def text(self) -> str:
        return self._held[-self._most_bytes :].decode(errors="replace")


class Lines:
    """Whole lines out of a pipe, without their ends. While nobody fetches them the pipe is not read."""

    def __init__(self, fd: int, most_bytes: int, label: str) -> None:
        self._most_bytes = most_bytes
        self._label = label
        self._whole: deque[bytes] = deque()
        self._whole_bytes = 0
        self._begun: list[bytes] = []
        self._begun_bytes = 0
        self._too_long = False
        self._news: asyncio.Future[None] | None = None
        self.reader = Reader(fd, self._on_data, self._on_end)

    def __aiter__(self) -> Lines:
        return self

    async def __anext__(self) -> bytes:
        """
        Raises:
            RhetorError: protocol_error, a line is longer than the limit.
        """
        while not self._whole:
            if self._too_long:
                raise RhetorError(
                    f"{self._label} wrote a line of more than {self._most_bytes} bytes", Code.PROTOCOL
                )
            if self.reader.ended:
                raise StopAsyncIteration
            self._news = asyncio.get_running_loop().create_future()
            await self._news
        line = self._whole.popleft()
        self._whole_bytes -= len(line)
        if self._whole_bytes <= WAITING_BYTES and not self._too_long:
            self.reader.resume()
        return line.removesuffix(b"\r")

    def _on_data(self, data: bytes) -> None:
        *ends, rest = data.split(b"\n")
        for end in ends:
            self._begun.append(end)
            self._add(b"".join(self._begun))
            self._begun = []
            self._begun_bytes = 0
        if rest:
            self._begun.append(rest)
            self._begun_bytes += len(rest)
            self._too_long = self._too_long or self._begun_bytes > self._most_bytes
        if self._whole_bytes > WAITING_BYTES or self._too_long:
            self.reader.pause()
        self._tell()

    def _add(self, line: bytes) -> None:
        if len(line) > self._most_bytes:
            self._too_long = True
        if not self._too_long:
            self._whole.append(line)
            self._whole_bytes += len(line)

    def _on_end(self) -> None:
        if self._begun:
            self._add(b"".join(self._begun))
            self._begun = []
        self._tell()

    def _tell(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)


class Writer:
    """Writes to a pipe. What was written in part cannot be taken back: after a failure nothing more is."""

    def __init__(self, fd: int, label: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._fd = fd
        self._label = label
        self._turn = asyncio.Lock()
        self._writable: asyncio.Future[None] | None = None
        self._closed = False
        os.set_blocking(fd, False)

    async def write(self, data: bytes, within_s: float) -> None:
        """
        Raises:
            RhetorError: unavailable, nobody reads there any more, or not within that time.
        """
        rest = memoryview(data)
        try:
            async with asyncio.timeout(within_s), self._turn:
                while rest:
                    rest = rest[await self._some(rest) :]
        except TimeoutError as error:
            message = f"{self._label} does not read its input: gave up after {within_s:g} s"
            raise RhetorError(message, Code.UNAVAILABLE) from error
        finally:
            if 0 < len(rest) < len(data):
                self.close()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._loop.remove_writer(self._fd)
        os.close(self._fd)
        self._on_writable()

    async def _some(self, rest: memoryview) -> int:
        """Write as much as the pipe takes now, or wait until it takes more."""
        if self._closed:
            raise RhetorError(f"{self._label} takes no more input", Code.UNAVAILABLE)
        try:
            return os.write(self._fd, rest)
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as error:
            raise RhetorError(f"{self._label} has ended", Code.UNAVAILABLE) from error
        self._writable = self._loop.create_future()
        self._loop.add_writer(self._fd, self._on_writable)
        try:
            await self._writable
        finally:
            if not self._closed:
                self._loop.remove_writer(self._fd)
        return 0

    def _on_writable(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
