"""What goes into clouds of models: usual names, what is lost, and what nobody there can do."""

from __future__ import annotations

import re
from typing import Any

import pytest

from rhetor.core.capability import Capability
from rhetor.core.content import Image, Inline, Text, Uploaded, Url
from rhetor.core.errors import BadRequest, Code
from rhetor.core.media import Draw, Make, Rank, Speak, Transcribe
from rhetor.core.request import Chat, Input, Message, Request, Role, Tool
from rhetor.wire.media.asked import Names, inputs

NAMES = Names(
    image="image",
    several="pictures",
    mask="mask",
    audio="sound",
    video="film",
    count="n",
    images=((re.compile("one"), "picture"), (re.compile("list"), "all[]")),
    formats={"png": "PNG"},
)
A, B = Url("https://x.example/a"), Inline("image/png", "AA==")
B_URL = "data:image/png;base64,AA=="


def asked(input: Input, capability: str, model: str = "m") -> tuple[dict[str, Any], tuple[str, ...]]:
    return inputs(Request(id="", capability=Capability(capability), model=model, input=input), model, NAMES)


@pytest.mark.parametrize(
    ("model", "images", "fields"),
    [
        ("m", (A,), {"image": A.url}),
        ("m", (A, B), {"pictures": [A.url, B_URL]}),
        ("one", (B,), {"picture": B_URL}),
        ("list", (A,), {"all": [A.url]}),
        ("list", (A, B), {"all": [A.url, B_URL]}),
    ],
)
def test_pictures_go_where_the_model_has_them(model: str, images: Any, fields: dict[str, Any]) -> None:
    said, _ = asked(Draw(prompt="x", images=images), "image-to-image", model)
    assert said == {"prompt": "x", **fields}


def test_who_takes_one_picture_gets_no_two() -> None:
    with pytest.raises(BadRequest) as refused:
        asked(Draw(prompt="x", images=(A, B)), "image-to-image", "one")
    assert refused.value.code is Code.UNSUPPORTED


def test_what_is_not_said_is_not_sent_and_what_is_lost_is_named() -> None:
    assert asked(Draw(prompt="x", format="image/tiff"), "text-to-image") == ({"prompt": "x"}, ())
    said, dropped = asked(
        Speak(text="x", instructions="softly", sample_rate=8000, speed=1.5), "text-to-audio"
    )
    assert (said, dropped) == ({"text": "x", "speed": 1.5}, ("instructions", "sample_rate"))
    said, dropped = asked(Transcribe(audio=A, translate=True, words=True), "audio-to-text")
    assert (said, dropped) == ({"sound": A.url, "task": "translate"}, ("words",))


def test_films_are_made_of_pictures_sounds_and_films() -> None:
    sources = (Inline("image/png", "AA=="), Inline("audio/wav", "AA=="), A)
    said, dropped = asked(
        Make(prompt="x", sources=sources, seconds=2.5, format="video/webm"), "video-to-video"
    )
    assert said == {
        "prompt": "x",
        "duration": 2.5,
        "image": B_URL,
        "sound": "data:audio/wav;base64,AA==",
        "film": A.url,
    }
    assert dropped == ("format",)


def test_a_conversation_is_one_prompt() -> None:
    messages = (
        Message(Role.SYSTEM, (Text("Be brief."),)),
        Message(Role.USER, (Text("Hi."), Image(B), Image(Uploaded("f1")))),
        Message(Role.ASSISTANT, (Text("Hello."),)),
        Message(Role.USER, (Text("Who?"),)),
    )
    said, dropped = asked(Chat(messages=messages, stop=("a", "b"), end_user="u"), "text-to-text")
    assert said == {
        "prompt": "User: Hi.\n\nAssistant: Hello.\n\nUser: Who?\n\nAssistant:",
        "system_prompt": "Be brief.",
        "stop_sequences": "a,b",
        "image": B_URL,
    }
    assert dropped == ("user",)


@pytest.mark.parametrize(
    ("input", "capability"),
    [(Chat(messages=(), tools=(Tool("f"),)), "text-to-text"), (Rank(query="x", documents=()), "rerank")],
)
def test_what_nobody_there_can_do(input: Input, capability: str) -> None:
    with pytest.raises(BadRequest) as refused:
        asked(input, capability)
    assert refused.value.code is Code.UNSUPPORTED
