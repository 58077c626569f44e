"""Places in a recorded reply: exact, or refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.capability import Capability
from rhetor.core.content import JsonValue
from rhetor.core.errors import BadRequest
from rhetor.core.events import Event, Finished, FinishReason, Started, TextDelta, ToolUseStarted
from rhetor.core.request import Chat, Request
from rhetor.wire.anthropic import ANTHROPIC
from rhetor.wire.base import ReplyInfo, Wire
from rhetor.wire.openai import OPENAI
from rhetor.wire.places import BEGINNING, NumberedRenderer, Place, Places, parse_place
from rhetor.wire.tekton import TEKTON

META: dict[str, JsonValue] = {"generation_id": "gen_1"}
INFO = ReplyInfo(id="gen_1", created_s=1, model="m", meta=META)
REQUEST = Request(id="gen_1", capability=Capability.CHAT, model="m", input=Chat(messages=()), stream=True)
CHUNKS: list[list[Event]] = [
    [Started("c", "m")],
    [TextDelta("one"), TextDelta(" two")],
    [TextDelta("\n\nthree\r\n\r\n")],
    [ToolUseStarted(0, "c1", "look"), ToolUseStarted(1, "c2", "go"), Finished(FinishReason.TOOL_USE)],
]
WIRES = pytest.mark.parametrize("wire", [OPENAI, ANTHROPIC, TEKTON], ids=lambda wire: wire.name)


def told(wire: Wire, after: Place = BEGINNING) -> list[bytes]:
    renderer = NumberedRenderer(wire.doors[Capability.CHAT].renderer(REQUEST, INFO), wire.name, after)
    return b"".join(map(renderer.render, CHUNKS)).split(b"\n\n")[:-1]


@WIRES
def test_the_rest_after_any_frame_is_exactly_the_rest(wire: Wire) -> None:
    whole = told(wire)
    for n, frame in enumerate(whole, 1):
        id = frame.split(b"\n")[0].removeprefix(b"id: ").decode()
        assert told(wire, parse_place(id, wire.name, "after")) == whole[n:]


@WIRES
def test_but_for_its_ids_a_stream_is_what_it_was(wire: Wire) -> None:
    plain = wire.doors[Capability.CHAT].renderer(REQUEST, INFO)
    bare = [frame.partition(b"\n")[2] for frame in told(wire)]
    assert b"".join(map(plain.render, CHUNKS)) == b"".join(frame + b"\n\n" for frame in bare)


@given(st.lists(st.integers(0, 5)), st.integers(0, 8), st.integers(0, 8))
def test_no_frame_twice_and_none_lost(chunks: list[int], chunk: int, frame: int) -> None:
    after = Place(chunk, frame)
    places, rest = Places("x"), Places("x", after)
    whole = [named for n, size in enumerate(chunks) for named in places.of([(n, k) for k in range(size)])]
    later = [named for n, size in enumerate(chunks) for named in rest.of([(n, k) for k in range(size)])]
    assert later == [named for named in whole if parse_place(named[0], "x", "after") > after]
    assert len({id for id, _ in whole}) == len(whole)


def test_no_id_is_the_beginning() -> None:
    assert parse_place("", "openai", "after") == BEGINNING


@pytest.mark.parametrize(
    "id", ["1.1", "openai:1", "openai:1.", "openai:-1.1", "openai:1.1 ", "openai:٣.1", "x" * 99]
)
def test_what_is_no_id(id: str) -> None:
    with pytest.raises(BadRequest, match="id of a frame"):
        parse_place(id, "openai", "after")


def test_an_id_of_another_language() -> None:
    with pytest.raises(BadRequest, match="'tekton'"):
        parse_place("tekton:1.1", "openai", "after")
