"""One exchange on a kept connection, with a clock and little else between it and the bytes."""

import socket
import time
from dataclasses import dataclass

import orjson

TIMEOUT_S = 120.0
READ_BYTES = 65_536
LAST_CHUNK = b"0\r\n\r\n"
CONTENT = b'"delta":{"content":"'
ASSISTANT = b"event: assistant"
EVENT = b"\nid: "


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds from the request's first byte."""

    first_s: float
    """Until what was looked for was there."""
    whole_s: float
    body: bytes


class Line:
    """A connection to the gateway that is kept."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        self._socket.close()

    def ask(self, method: str, path: str, said: object = None, until: bytes = b"\r\n\r\n") -> Took:
        """
        Raises:
            RuntimeError: it was refused, or `until` never came.
        """
        body = b"" if said is None else orjson.dumps(said)
        head = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        request = f"{head}content-length: {len(body)}\r\n\r\n".encode() + body
        held = bytearray()
        first_s: float | None = None
        began_s = time.perf_counter()
        self._socket.sendall(request)
        while True:
            data = self._socket.recv(READ_BYTES)
            held += data
            if first_s is None and until in held:
                first_s = time.perf_counter() - began_s
            if not data or _is_whole(held):
                break
        whole_s = time.perf_counter() - began_s
        if first_s is None or held[9:10] != b"2":
            raise RuntimeError(f"{method} {path}: {bytes(held[:2000])!r}")
        return Took(first_s, whole_s, bytes(held.partition(b"\r\n\r\n")[2]))

    def follow(self, path: str) -> None:
        """Begin to read a stream, and leave it open."""
        head = f"GET {path} HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\r\n"
        self._socket.sendall(head.encode())


def _is_whole(held: bytearray) -> bool:
    head, found, body = held.partition(b"\r\n\r\n")
    if not found:
        return False
    lowered = bytes(head).lower()
    if b"transfer-encoding: chunked" in lowered:
        return body.endswith(LAST_CHUNK)
    length = lowered.partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return len(body) >= int(length or 0)
