"""What does a gateway on aiohttp cost before it does anything? A reverse proxy, and nothing more.

python -m tests.bench.proxy PORT UPSTREAM_URL
"""

import sys

import uvloop
from aiohttp import ClientSession, TCPConnector, web

HOP_BY_HOP = {"host", "connection", "keep-alive", "transfer-encoding", "content-length"}


async def relaying(upstream_url: str) -> web.Application:
    session = ClientSession(upstream_url, connector=TCPConnector(limit=0), auto_decompress=False)

    async def relay(request: web.Request) -> web.StreamResponse:
        asked = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
        body = await request.read()
        async with session.request(request.method, request.path_qs, data=body, headers=asked) as answer:
            told = {name: value for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP}
            if answer.content_type != "text/event-stream":
                return web.Response(status=answer.status, headers=told, body=await answer.read())
            reply = web.StreamResponse(status=answer.status, headers=told)
            await reply.prepare(request)
            async for data in answer.content.iter_any():
                await reply.write(data)
            return reply

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", relay)
    app.on_cleanup.append(lambda _: session.close())
    return app


if __name__ == "__main__":
    _, port, upstream_url = sys.argv
    web.run_app(
        relaying(upstream_url),
        host="127.0.0.1",
        port=int(port),
        access_log=None,
        print=None,
        loop=uvloop.new_event_loop(),
    )
