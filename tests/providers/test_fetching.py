"""What is inside stays there, whichever way an address is written, and wherever in a request it stands."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rhetor.core.content import Audio, File, Image, Inline, Opaque, Part, Text, ToolResult, Url
from rhetor.core.errors import BadRequest, Code, Retry
from rhetor.core.media import Bytes, Draw, Make, Rank, Speak, Transcribe
from rhetor.core.request import Chat, Embed, Input, Message, Role
from rhetor.providers.fetching import ensure_outside

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
