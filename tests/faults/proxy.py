"""A proxy between caller and gateway that cuts connections on which nobody has said anything for a while."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

READ_BYTES = 64 * 1024


@asynccontextmanager
async def idle_proxy(url: str, idle_s: float) -> AsyncIterator[str]:
    """The address of such a proxy in front of this one."""
    address = urlsplit(url)

    serving: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving[task] = writer
        task.add_done_callback(serving.pop)
        there, back = await asyncio.open_connection(address.hostname, address.port)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(idle_s) as idle, asyncio.TaskGroup() as group:
                    group.create_task(_pass(reader, back, idle, idle_s))
                    group.create_task(_pass(there, writer, idle, idle_s))
        finally:
            for end in (back, writer):
                end.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield "http://{}:{}".format(*server.sockets[0].getsockname())
    finally:
        server.close()
        for writer in serving.values():
            writer.transport.abort()
        await asyncio.gather(*serving)


async def _pass(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, idle: asyncio.Timeout, idle_s: float
) -> None:
    with suppress(ConnectionError):  # either side may leave as it likes
        while data := await reader.read(READ_BYTES):
            idle.reschedule(asyncio.get_running_loop().time() + idle_s)
            writer.write(data)
            await writer.drain()
        writer.write_eof()
