"""The clients of the servers before this one: what they send, and how they read what comes back.

None of their code is here: it was read in ckoons/Tekton on GitHub (2026-11-21), and what it does noted down.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from tests.http.doors import HELLO, Reply
from tests.http.old_clients import OldSocket, ask


def message_body(**changes: Any) -> dict[str, Any]:
    """What RhetorClient posts to `/message`, in Python and in pages."""
    said = {
        "message": "hello",
        "context_id": "terma:default",
        "task_type": "chat",
        "component": "terma",
        "streaming": False,
        "options": {},
    }
    return said | changes


def stream_body(**changes: Any) -> dict[str, Any]:
    """What it posts to `/stream`: no word of streaming."""
    said = message_body(**changes)
    del said["streaming"]
    return said


def adapter_body(**changes: Any) -> dict[str, Any]:
    """What LLMAdapterClient posts."""
    return {"model": "oai/m", "messages": HELLO, "temperature": 0.7, **changes}


def athena_body(**changes: Any) -> dict[str, Any]:
    """What Athena's pages post, without what they say."""
    said = {
        "provider": "oai",
        "model": "m",
        "temperature": 0.7,
        "max_tokens": 1000,
        "system_prompt": "",
        "component_id": "athena",
    }
    return said | changes


EVERY: dict[str, dict[str, Any]] = {
    "/message": message_body(),
    "/stream": stream_body(),
    "/chat": {"messages": HELLO},
    "/api/v1/generate": adapter_body(),
    "/api/v1/generate_stream": adapter_body(),
    "/api/chat": {"message": "hello", "provider": None, "model": None},
    "/api/generate": athena_body(prompt="hello"),
}
"""Every path that generates, and a body that it takes."""
SOFT = ["/message", "/stream", "/chat"]
"""Those whose callers hear of errors in replies with status 200."""


class Repeated(Exception):
    """The client would ask again, whatever the reason, and tell its caller the status only."""


class Told(Exception):
    """The client tells its caller what went wrong."""


def completed(reply: Reply) -> str:
    """A reply as RhetorClient's `complete` and `ask` read it."""
    if reply.status != 200:
        raise Repeated(reply.status)
    said = reply.json
    if said.get("error"):
        raise Told(said["error"])
    text = said.get("message", "")
    assert isinstance(text, str)
    return text


def page_streamed(body: bytes) -> str:
    """A stream as the page's `streamMessage` reads it, which looks at no status and waits for `done`."""
    text = ""
    for line in body.decode().split("\n"):
        if not line.startswith("data: "):
            continue
        said = orjson.loads(line.removeprefix("data: "))
        if said.get("error"):
            raise Told(said["error"])
        text += said.get("chunk") or ""
        if said.get("done"):
            return text
    raise AssertionError("the page waits for ever")


def adapter_streamed(reply: Reply) -> list[Any]:
    """The chunks that LLMAdapterClient hands on: raw objects, until `[DONE]`."""
    assert reply.status == 200, reply.body
    handed_on = []
    for line in reply.body.decode().split("\n"):
        if line.startswith("data: "):
            data = line.removeprefix("data: ")
            if data == "[DONE]":
                return handed_on
            handed_on.append(orjson.loads(data))
    raise AssertionError("it never completes")


# WebSocket.

REGISTER = {
    "type": "REGISTER",
    "source": "terma",
    "timestamp": "2026-11-21T14:00:00.000Z",
    "payload": {"component_id": "terma"},
}
PAGE_REGISTER = {
    "type": "REGISTER",
    "source": "HEPHAESTUS",
    "target": "LLM_ADAPTER",
    "timestamp": "2026-11-21T14:00:00.000Z",
    "payload": {
        "clientId": "hephaestus-ui",
        "clientType": "terminal",
        "supportedContexts": ["ergon", "awt-team", "agora"],
    },
}


def llm_request(req_id: str | None = "terma:1", **changes: Any) -> dict[str, Any]:
    """What RhetorClient says; without an id, what Hephaestus' pages say."""
    payload = {
        "message": "hello",
        "context": "ergon",
        "task_type": "default",
        "component": "terma",
        "streaming": True,
        "options": {"temperature": 0.7, "max_tokens": 4000},
    }
    said = {
        "type": "LLM_REQUEST",
        "source": "terma",
        "timestamp": "2026-11-21T14:00:00.000Z",
        "payload": payload | changes,
    }
    return said if req_id is None else said | {"req_id": req_id}


@dataclass
class Page:
    """Hephaestus' terminal chat: what it shows of the frames it gets, by context."""

    text: dict[str, str] = field(default_factory=dict)
    complete: list[str] = field(default_factory=list)
    messages: list[tuple[str, str]] = field(default_factory=list)
    errors: list[tuple[str, str]] = field(default_factory=list)
    typing: set[str] = field(default_factory=set)

    def on(self, frame: dict[str, Any]) -> None:
        kind, payload = frame["type"], frame["payload"]
        if kind == "UPDATE" and payload.get("chunk"):
            context = payload["context"]
            self.text[context] = self.text.get(context, "") + payload["chunk"]
        elif kind == "UPDATE" and payload.get("done"):
            self.complete.append(payload["context"])
        elif kind == "RESPONSE" and payload.get("message"):
            self.messages.append((payload.get("context") or frame["source"], payload["message"]))
        elif kind == "UPDATE" and payload.get("status") == "typing":
            (self.typing.add if payload["isTyping"] else self.typing.discard)(payload["context"])
        elif kind == "ERROR":
            self.errors.append((payload.get("context") or "unknown", payload["error"]))


def bare(request_id: str | None = "r1", **changes: Any) -> dict[str, Any]:
    """What LLMAdapterClient says; without an id, what the second Rhetor takes."""
    said = {"model": "oai/m", "messages": HELLO, "temperature": 0.7, **changes}
    return said if request_id is None else {"request_id": request_id, **said}


def athena(kind: str = "generate", **changes: Any) -> dict[str, Any]:
    said = {"prompt": "hello"} if kind == "generate" else {"messages": HELLO}
    data = {
        **said,
        "provider": "oai",
        "model": "m",
        "temperature": 0.7,
        "system_prompt": "",
        "stream": True,
        "component_id": "athena",
    }
    return {"type": kind, "data": data | changes}


async def until(socket: OldSocket, last: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    frames = [await socket.hear()]
    while not last(frames[-1]):
        frames.append(await socket.hear())
    return frames


def idle(frame: dict[str, Any]) -> bool:
    """The first Rhetor's last frame: nobody types any more."""
    return frame["type"] == "UPDATE" and frame["payload"].get("isTyping") is False


def ended(frame: dict[str, Any]) -> bool:
    return frame.get("type") in ("stream_complete", "error", "done")


FIRST: dict[str, dict[str, Any]] = {
    "tekton": ask("STREAM", "r1"),
    "envelope": llm_request("r1"),
    "bare": bare("r1"),
    "athena": athena(),
}
"""What a client of each dialect begins with."""


def is_error(frame: dict[str, Any]) -> bool:
    """Whether it is one in any of the dialects: with a text, where that dialect has it."""
    said = frame.get("payload", frame)
    return (
        str(frame.get("type")).lower() == "error" and isinstance(said["error"], str) and bool(said["error"])
    )


def is_last(frame: dict[str, Any]) -> bool:
    return frame.get("done") is True or is_error(frame) or ended(frame) or (
        "payload" in frame and idle(frame)
    )  # fmt: skip


async def heard_out(socket: OldSocket) -> None:
    """Hear to the end of the answer."""
    frames = await until(socket, is_last)
    assert not any(map(is_error, frames)), frames
    if frames[0].get("type") is None:
        assert (await socket.hear())["type"] == "stream_complete"
