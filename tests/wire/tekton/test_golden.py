"""The bytes that we promise: the gateway writes them, the Python and the JavaScript client read them.

A file that changes is a change of the interface.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from rhetor.core.capability import Capability
from rhetor.core.content import Text
from rhetor.core.errors import BadRequest
from rhetor.core.events import Event
from rhetor.core.request import Chat, Message, Request, Role
from rhetor.wire.base import ReplyInfo
from rhetor.wire.tekton import TEKTON
from rhetor.wire.tekton.ask import DEFAULT_CONTEXT
from rhetor.wire.tekton.frames import Cancel, ClientFrame, Generate, Pong, Register, parse_frame
from rhetor.wire.tekton.providers import providers_body
from rhetor.wire.tekton.socket import Responder, Streamer, error_frame, pong, register_ack
from tests.wire.tekton.samples import (
    CREATED_S,
    FAILED,
    FAILURE,
    HELLO,
    INFO,
    LISTING,
    TOOLS,
    WITHOUT_USAGE,
)

GOLDEN = Path(__file__).parents[2] / "golden" / "tekton"
DOOR = TEKTON.doors[Capability.CHAT]


def asked(stream: bool) -> Request:
    return DOOR.parse(
        b'{"messages":[{"role":"user","content":"q"}],"context_id":"comp","streaming":%s}'
        % (b"true" if stream else b"false"),
        {},
    )


def answer(events: list[Event], stream: bool = False) -> bytes:
    return DOOR.renderer(asked(stream), INFO).render(events)


def socket_frames() -> bytes:
    """What a connection says: registered, a whole answer, a streamed one, one that fails, a broken frame."""
    nothing = ReplyInfo(id="", created_s=CREATED_S, model="")
    frames = [
        register_ack("comp"),
        *Responder("comp_1_1", INFO, "comp").frames(HELLO),
        *Streamer("comp_1_2", INFO, "comp").frames(TOOLS),
        *Streamer("comp_1_3", INFO, "comp").frames(FAILED),
        error_frame(BadRequest("prompt is missing: expected a string"), "comp_1_4", nothing, DEFAULT_CONTEXT),
        pong(),
    ]
    return "".join(f"{frame}\n" for frame in frames).encode()


WRITTEN: dict[str, Callable[[], bytes]] = {
    "chat_reply.json": lambda: answer(HELLO),
    "chat_reply_without_usage.json": lambda: answer(WITHOUT_USAGE),
    "chat_reply_tools.json": lambda: answer(TOOLS),
    "stream.sse": lambda: answer(HELLO, stream=True),
    "stream_tools.sse": lambda: answer(TOOLS, stream=True),
    "stream_failed.sse": lambda: answer(FAILED, stream=True),
    "error_bad_request.json": lambda: TEKTON.render_error(
        BadRequest("messages: expected at least one message", param="messages"), "req_1"
    ),
    "error_upstream.json": lambda: TEKTON.render_error(FAILURE, "req_1"),
    "providers.json": lambda: orjson.dumps(providers_body(LISTING)),
    "socket_server.jsonl": socket_frames,
}


@pytest.mark.parametrize("name", WRITTEN)
def test_writes_the_golden_bytes(name: str) -> None:
    assert WRITTEN[name]() == (GOLDEN / name).read_bytes()


def test_every_golden_file_has_a_test() -> None:
    read = {"chat_request_python.json", "chat_request_js.json", "socket_client.jsonl"}
    assert {path.name for path in GOLDEN.iterdir()} == WRITTEN.keys() | read


def test_reads_what_the_python_client_sends() -> None:
    request = DOOR.parse((GOLDEN / "chat_request_python.json").read_bytes(), {})

    assert (request.model, request.stream, request.fallbacks) == ("anthropic/m-def", False, ())
    assert isinstance(request.input, Chat)
    assert request.input.messages == (
        Message(Role.SYSTEM, (Text("s"),)),
        Message(Role.USER, (Text("q"),)),
    )
    assert (request.input.temperature, request.input.top_p, request.input.top_k) == (0.7, 0.5, 40)
    assert (request.input.max_tokens, request.input.stop) == (9, ("x",))
    assert (request.input.presence_penalty, request.input.frequency_penalty) == (0.1, 0.1)
    assert request.unsaid == ()


def test_reads_what_the_javascript_client_sends() -> None:
    request = DOOR.parse((GOLDEN / "chat_request_js.json").read_bytes(), {})

    assert (request.model, request.stream) == ("anthropic/", True)
    assert isinstance(request.input, Chat)
    assert [message.role for message in request.input.messages] == ["system", "user"]
    assert (request.input.temperature, request.input.max_tokens, request.input.stop) == (0, None, ())
    assert request.unsaid == ()


def test_reads_what_socket_clients_send() -> None:
    frames = [parse_frame(line) for line in (GOLDEN / "socket_client.jsonl").read_bytes().splitlines()]

    assert [name_of(frame) for frame in frames] == [
        "Register comp",
        "Generate comp_1_1 whole",
        "Generate comp_1_2 streamed",
        "Generate comp_1_3 whole",
        "Generate comp_1_4 streamed",
        "Cancel comp_1_4",
        "Pong",
        "Generate  whole",
    ]


def name_of(frame: ClientFrame) -> str:
    match frame:
        case Register(component_id):
            return f"Register {component_id}"
        case Generate(request_id, request):
            return f"Generate {request_id} {'streamed' if request.stream else 'whole'}"
        case Cancel(request_id):
            return f"Cancel {request_id}"
        case Pong():
            return "Pong"
        case _:
            return "Ping"
