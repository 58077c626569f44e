"""What is inside stays there, whichever way an address is written, and wherever in a request it stands."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from rhetor.core.capability import Capability
from rhetor.core.content import Audio, File, Image, Inline, Opaque, Part, Text, ToolResult, Url
from rhetor.core.errors import BadRequest, Code, Retry
from rhetor.core.media import Bytes, Draw, Make, Rank, Speak, Transcribe
from rhetor.core.request import Chat, Embed, Input, Message, Original, Role
from rhetor.providers.fetching import ensure_outside, said_outside
from rhetor.testing import Upstream, says
from rhetor.wire.languages import WIRES
from tests.conftest import Gateway
from tests.http.doors import OPENAI_CHAT, knock, refused

INNER = "http://169.254.169.254/latest/meta-data"
REFUSED = (
    INNER,
    "http://127.0.0.1:8003/v1/assets",
    "HTTPS://LocalHost/x",
    "http://printer/",
    "http://nas.local./a.png",
    "http://2130706433/",
    "http://0x7f.1/",
    "http://[::1]:80/",
    "http://[::ffff:10.0.0.1]/",
    "http://a@example.com@127.0.0.1/",  # some read the one host, some the other
    "http://example.com\\@127.0.0.1/",
    "http://example.com@127.0.0.1/",
    "http://%31%32%37.0.0.1/",
    "http://\u2460\u2461\u2466.0.0.1/",  # 127, for those who look at compatible characters
    "http:127.0.0.1/",
    "http:/127.0.0.1/",
    "\thttp://127.0.0.1/",
    "\u00a0http://127.0.0.1/",
    "\ufeffhttp://127.0.0.1/",
    "ht\ntp://127.0.0.1/",
    "http:\t//127.0.0.1/",
    "http://127.0.0.1/?x= y",
    "http://example.com @127.0.0.1/",
    "http://168.63.129.16/machine?comp=goalstate",
    "//127.0.0.1/x",
    "file:///etc/passwd",
    "ftp://example.com/x",
    "gopher://127.0.0.1:6379/_",
)
TAKEN = (
    "https://example.com/a.png?x=http://127.0.0.1/",
    "http://files.example.com:8080",
    "https://8.8.8.8/a%20b#c",
    "http://[2606:4700::1111]/",
    "https://ann:secret@example.com/a",
    "data:image/svg+xml,<svg/>",
    "https://localhost.example.com/",
)


def seen(*parts: Part) -> Chat:
    return Chat(messages=(Message(Role.USER, (Text("look"), *parts)),))


PLACES: dict[str, Callable[[str], Input]] = {
    "an image": lambda url: seen(Image(Url(url))),
    "a recording": lambda url: seen(Audio(Url(url))),
    "a file": lambda url: seen(File(Url(url))),
    "what a tool has shown": lambda url: seen(ToolResult("call_1", (Text("ok"), Image(Url(url))))),
    "a part that one language knows": lambda url: seen(
        Opaque("openai", {"type": "video_url", "video_url": {"url": url, "fps": [1, None]}})
    ),
    "a picture to be changed": lambda url: Draw(prompt="x", images=(Bytes("image/png", b""), Url(url))),
    "a mask": lambda url: Draw(prompt="x", images=(Inline("image/png", ""),), mask=Url(url)),
    "a transcript": lambda url: Transcribe(audio=Url(url)),
    "a film": lambda url: Make(sources=(Url(url),)),
    "an option of a picture": lambda url: Draw(prompt="x", extra={"control": {"images": [url]}}),
    "an option of a film": lambda url: Make(extra={"first_frame": url}),
    "an option of a film that is called like a text": lambda url: Make(extra={"input": url}),
    "an option of speech": lambda url: Speak(text="x", extra={"speaker_wav": url}),
    "an option of a transcript": lambda url: Transcribe(audio=Bytes("a/b", b""), extra={"url": url}),
    "an option of a ranking": lambda url: Rank(query="x", documents=(), extra={"url": url}),
}


@pytest.mark.parametrize("place", PLACES)
def test_wherever_it_stands(place: str) -> None:
    with pytest.raises(BadRequest, match=r"169\.254\.169\.254") as caught:
        ensure_outside(PLACES[place](INNER), "lab", ())
    assert "meta-data" not in str(caught.value)
    assert (caught.value.code, caught.value.status) == (Code.UNSUPPORTED, 400)
    assert caught.value.retry is Retry.NEXT  # a vendor may be asked all the same
    ensure_outside(PLACES[place]("https://example.com/a"), "lab", ())
    ensure_outside(PLACES[place](INNER), "lab", {"169.254.169.254"})


@pytest.mark.parametrize("url", REFUSED)
def test_however_it_is_written(url: str) -> None:
    for input in (PLACES["an image"](url), PLACES["an option of a film"](url)):
        with pytest.raises(BadRequest):
            ensure_outside(input, "lab", {"internal.example"})


@pytest.mark.parametrize("url", TAKEN)
def test_what_everybody_reaches_is_fetched(url: str) -> None:
    for place in PLACES.values():
        ensure_outside(place(url), "lab", ())


def test_words_lead_nowhere() -> None:
    """What is only said is not fetched."""
    ensure_outside(Chat(messages=(Message(Role.USER, (Text(INNER),)),)), "lab", ())
    ensure_outside(Embed(inputs=(INNER,)), "lab", ())
    ensure_outside(Speak(text=INNER, extra={"note": f"see {INNER}", "n": 1}), "lab", ())
    ensure_outside(Rank(query=INNER, documents=(INNER,)), "lab", ())


def test_depth_hides_nothing() -> None:
    nested: object = INNER
    for _ in range(5_000):
        nested = [nested]
    with pytest.raises(BadRequest):
        ensure_outside(Make(extra={"x": nested}), "lab", ())  # type: ignore[dict-item]  # it is JSON


SEEN: dict[str, Any] = {"type": "image_url", "image_url": {"url": INNER}}
HI: list[Any] = [{"role": "user", "content": "hi"}]
FETCHED: dict[str, tuple[str, Capability, dict[str, Any]]] = {
    "a field that nobody knows": ("openai", Capability.CHAT, {"messages": HI, "image": INNER}),
    "the same of a message": ("openai", Capability.CHAT, {"messages": [{**HI[0], "images": [INNER]}]}),
    "beside a text": (
        "openai",
        Capability.CHAT,
        {"messages": [{"role": "user", "content": [{**SEEN, "type": "text", "text": "x"}]}]},
    ),
    "a server of tools": (
        "openai",
        Capability.CHAT,
        {"messages": HI, "tools": [{"type": "mcp", "server_url": INNER}]},
    ),
    "beside what is embedded": (
        "openai",
        Capability.EMBEDDINGS,
        {"input": "x", "messages": [{"role": "user", "content": [SEEN]}]},
    ),
    "a document that is a picture": (
        "rerank",
        Capability.RERANK,
        {"query": "q", "documents": [{"image": INNER}]},
    ),
    "a picture beside a document": (
        "rerank",
        Capability.RERANK,
        {"query": "q", "documents": [{"text": "x", "image": INNER}]},
    ),
    "a server of tools, in Responses": (
        "responses",
        Capability.CHAT,
        {"input": "hi", "tools": [{"type": "mcp", "server_label": "x", "server_url": INNER}]},
    ),
    "a screenshot": (
        "responses",
        Capability.CHAT,
        {
            "input": [
                *HI,
                {
                    "type": "computer_call_output",
                    "call_id": "c",
                    "output": {"type": "computer_screenshot", "image_url": INNER},
                },
            ]
        },
    ),
    "a server of tools, in Anthropic's": (
        "anthropic",
        Capability.CHAT,
        {"max_tokens": 5, "messages": HI, "mcp_servers": [{"type": "url", "url": INNER, "name": "x"}]},
    ),
    "a picture beside a prompt": ("openai", Capability.TEXT_TO_IMAGE, {"prompt": "x", "input": INNER}),
    "a tool's own field": (
        "anthropic",
        Capability.CHAT,
        {"max_tokens": 5, "messages": HI, "tools": [{"type": "custom_fetch", "name": "x", "url": INNER}]},
    ),
}


def said(wire: str, capability: Capability, body: bytes) -> tuple[Original, Input]:
    request = WIRES[wire].doors[capability].parse(body, {})
    assert request.original is not None
    return request.original, request.input


@pytest.mark.parametrize("place", FETCHED)
def test_whatever_a_caller_calls_it(place: str) -> None:
    """Who is sent the caller's own words finds in them what the gateway has no word for."""
    wire, capability, asked = FETCHED[place]
    body = json.dumps({"model": "m", **asked}).encode()
    for written in (body, body.replace(b"//", b"\\/\\/"), body.replace(b"http:", b"HtTp\\u003a")):
        with pytest.raises(BadRequest, match=r"169\.254\.169\.254"):
            said_outside(*said(wire, capability, written), "lab", ())
        said_outside(*said(wire, capability, written), "lab", {"169.254.169.254"})
    outside, input = said(wire, capability, body.replace(b"169.254.169.254", b"example.com"))
    assert json.loads(said_outside(outside, input, "lab", ()).body) == outside.fields


@pytest.mark.parametrize("url", REFUSED)
def test_however_it_is_written_in_the_callers_own_words(url: str) -> None:
    if url.startswith("//"):
        return  # without a scheme it leads nobody anywhere
    for ascii_only in (True, False):
        body = json.dumps({"model": "m", "messages": HI, "image": url}, ensure_ascii=ascii_only).encode()
        with pytest.raises(BadRequest):
            said_outside(*said("openai", Capability.CHAT, body), "lab", ())


@pytest.mark.parametrize(
    "first", ['"image":{"url":"%s"}', '"image" :{"url":"%s"}', '"a\\\\":1,"image":{"url":"%s"}']
)
def test_what_is_said_twice_is_read_alike(first: str) -> None:
    """Some readers take the first, or what both have together."""
    asked = '{"model":"m","messages":[{"role":"user","content":"hi"}],%s,"image":{"detail":"low"}}'
    twice, input = said("openai", Capability.CHAT, (asked % (first % INNER)).encode())
    assert b"169.254" in twice.body
    sent = said_outside(twice, input, "lab", ()).body
    assert json.loads(sent) == twice.fields
    assert b"169.254" not in sent


URL = "http://localhost:5173/"
CALL = {"id": "c", "type": "function", "function": {"name": "get", "arguments": URL}}
WORDS: tuple[dict[str, Any], ...] = (
    {
        "messages": [{"role": "user", "content": URL}],
        "stop": [URL],
        "prompt": URL,
        "instructions": f"{URL} is ours",
    },
    {"messages": [{"role": "user", "content": [{"type": "text", "text": URL}]}], "system": URL},
    {"messages": [{"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "content": URL}]},
    {"messages": [{"role": "assistant", "tool_calls": [{"function": {"arguments": {"url": URL}}}]}]},
    {"content": [{"type": "tool_use", "id": "t", "name": "get", "input": {"url": URL, "also": [URL]}}]},
    {"content": [{"type": "tool_result", "content": URL}]},
    {"content": {"type": "bash_code_execution_result", "stdout": f"{URL}\n", "stderr": URL}},
    {
        "content": [
            {"type": "document", "source": {"type": "text", "data": URL}, "title": URL, "context": URL}
        ]
    },
    {"content": [{"type": "search_result", "source": "https://wiki.local/a", "content": [{"text": URL}]}]},
    {"input": [{"type": "custom_tool_call", "input": URL}, {"type": "function_call_output", "output": URL}]},
    {"input": [{"type": "local_shell_call", "action": {"command": ["curl", URL], "env": {"AT": URL}}}]},
    {"input": [{"type": "apply_patch_call", "operation": {"diff": "// hello"}}]},
    {"input": [{"text": "x", "annotations": [{"type": "url_citation", "url": URL}]}]},
    {"tools": [{"parameters": {"$schema": URL, "properties": {"at": {"default": URL, "enum": [URL]}}}}]},
    {"metadata": {"ticket": URL}, "user": URL},
    {"query": URL, "documents": [URL, {"text": URL}], "instruction": "// code"},
    {
        "model": "m",
        "note": "// a comment",
        "other": "//console.log(1)",
        "time": "12:30",
        "last": "http: what?",
    },
    {
        "model": "m",
        "note": "https://example.com is nice",
        "path": "C:\\file",
        "image": "data:image/png;base64,AA//",
    },
)


@pytest.mark.parametrize("words", WORDS)
def test_words_lead_nowhere_in_the_callers_own_words(words: dict[str, Any]) -> None:
    asked = seen(Opaque("openai", words))
    ensure_outside(asked, "lab", ())
    said_outside(Original("openai", json.dumps(words).encode() + b"://", words), asked, "lab", ())


def test_ordinary_bytes_are_sent_as_they_came() -> None:
    body = (
        b'{ "model":"m","messages":[{"role":"user","content":"At 12:30: \\u00e4 {\\"a\\": 1} https://a.b"}]}'
    )
    original, input = said("openai", Capability.CHAT, body)
    assert said_outside(original, input, "lab", ()) is original


async def test_nothing_inside_is_named_to_a_server(gateway: Gateway, upstream: Upstream) -> None:
    upstream.always(says("ok"))
    beside = {**OPENAI_CHAT.body(), "video": {"url": INNER}}
    refused(await knock(gateway, OPENAI_CHAT, json.dumps(beside).encode()), OPENAI_CHAT, 400)
    assert not upstream.requests
