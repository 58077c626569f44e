"""A connection is cut in the middle of a stream, and no word is lost.

The cut is made by a relay between this program and the gateway. The client
notices, connects again, and the gateway goes on with what it has not heard yet.
"""

import asyncio
import os
from asyncio import StreamReader, StreamWriter
from urllib.parse import urlsplit

from tekton_llm_client import TektonLLMClient

GATEWAY = urlsplit(os.environ.get("RHETOR_URL", "http://localhost:8003"))
CUT_AFTER = 3_000  # bytes of the first reply
PROMPT = " ".join(f"word{n}" for n in range(100))


class Relay:
    """Passes everything on, and cuts the first connection."""

    def __init__(self) -> None:
        self.connections = 0

    async def carry(self, caller: StreamReader, to_caller: StreamWriter) -> None:
        self.connections += 1
        limit = CUT_AFTER if self.connections == 1 else None
        gateway, to_gateway = await asyncio.open_connection(GATEWAY.hostname, GATEWAY.port)
        await asyncio.gather(pass_on(caller, to_gateway), pass_on(gateway, to_caller, limit))


async def pass_on(source: StreamReader, sink: StreamWriter, limit: int | None = None) -> None:
    """Until the source ends, or so many bytes were passed on."""
    passed = 0
    while limit is None or passed < limit:
        data = await source.read(1_000)
        if not data:
            break
        sink.write(data)
        passed += len(data)
    sink.close()


async def main() -> None:
    relay = Relay()
    text = ""
    async with asyncio.TaskGroup() as connections:

        def connected(caller: StreamReader, to_caller: StreamWriter) -> None:
            connections.create_task(relay.carry(caller, to_caller))

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, TektonLLMClient("examples", f"http://127.0.0.1:{port}") as client:
            async for chunk in client.generate_text(PROMPT, streaming=True):
                text += chunk.chunk
    print(f"{relay.connections} connections, error: {chunk.error}")
    print("every word is there, once:", text.endswith(PROMPT))


asyncio.run(main())
# 2 connections, error: None
# every word is there, once: True
