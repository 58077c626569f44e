"""A local server as services are, small: it answers at /health and speaks enough of OpenAI's language.

`server.py PORT [--folder F] [--slow S] [--say WORDS] [--unwell N] [--well N]
[--leave]`, started as a script.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PIECES = ("hel", "lo ", "from ", "a service")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    looks = 0
    options: argparse.Namespace

    def do_GET(self) -> None:
        if self.path == "/health":
            Handler.looks += 1
            well = 0 < Handler.looks - self.options.unwell <= self.options.well
            self.answer(200 if well else 503, {"ok": well})
        elif self.path == "/v1/models":
            self.answer(200, {"object": "list", "data": [{"id": "tiny", "object": "model"}]})
        elif self.path == "/environment":
            self.answer(200, dict(os.environ))
        else:
            self.answer(404, {"error": {"message": "no such path"}})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        text = asked["messages"][-1]["content"]
        if "die" in text and not os.path.exists(os.path.join(self.options.folder, "died")):
            with open(os.path.join(self.options.folder, "died"), "w"):
                os.kill(os.getpid(), 9)
        if not asked.get("stream"):
            message = {"role": "assistant", "content": "".join(PIECES)}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            self.answer(200, {"id": "c", "object": "chat.completion", "model": "tiny", "choices": [choice]})
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for piece in PIECES:
            self.frame({"content": piece})
            if "slowly" in text:
                time.sleep(0.2)
        self.frame({}, "stop")
        self.chunk(b"data: [DONE]\n\n")
        self.chunk(b"")

    def frame(self, delta: dict[str, Any], end: str | None = None) -> None:
        choice = {"index": 0, "delta": delta, "finish_reason": end}
        chunk = {"id": "c", "object": "chat.completion.chunk", "model": "tiny", "choices": [choice]}
        self.chunk(b"data: " + json.dumps(chunk).encode() + b"\n\n")

    def chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

    def answer(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        say(f"{self.command} {self.path}")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--folder", default=".")
    parser.add_argument("--slow", type=float, default=0.0)
    parser.add_argument("--say", default="")
    parser.add_argument("--unwell", type=int, default=0)
    parser.add_argument("--well", type=int, default=1_000_000)
    parser.add_argument("--leave", action="store_true")
    options = parser.parse_args()
    with open(os.path.join(options.folder, "starts"), "a") as file:
        file.write(f"{os.getpid()}\n")
    if options.say:
        say(options.say)
    if options.leave:
        sys.exit("cannot load the model")
    time.sleep(options.slow)
    Handler.options = options
    server = ThreadingHTTPServer(("127.0.0.1", options.port), Handler)
    say(f"listening on {options.port}")
    server.serve_forever()


if __name__ == "__main__":
    main()
