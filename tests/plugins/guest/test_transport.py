"""Guests in both languages, as their callers find them."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rhetor.core.call import Call
from rhetor.core.capability import Capability
from rhetor.core.content import Image, Inline, Text
from rhetor.core.errors import Code, RhetorError, UpstreamError
from rhetor.core.events import FinishReason, Medium, MediumLink, TextDelta
from rhetor.core.media import Bytes, Draw, Make, Rank, Speak, Transcribe
from rhetor.core.request import Chat, Embed, Message, Role, Tool
from rhetor.plugins.guest import process as process_module
from rhetor.plugins.guest.spec import CodeSpec, Language, Limits
from rhetor.providers.discovery import list_models
from rhetor.services.supervisor import Restart
from rhetor.tasks import spawn
from rhetor.transport.base import Progress
from tests.plugins.guest.guests import PARROTS, Guest, Guests, below, until, written

SECRET = "parrot-secret-1234"
HAS_NODE = shutil.which("node") is not None
LANGUAGES = [
    "python",
    pytest.param("javascript", marks=pytest.mark.skipif(not HAS_NODE, reason="needs Node.js")),
]
C = Capability


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> Language:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def parrot(guests: Guests, language: Language) -> Guest:
    return guests.make(replace(PARROTS[language], environ={"PARROT_KEY": SECRET}))


@pytest.mark.promise("M05", "M09")
async def test_every_capability(parrot: Guest) -> None:
    """Asked by one process, one after the other."""
    tools = (Tool("look", None, {"type": "object"}),)
    chat = await parrot.ask("parrot", "moo", tools=tools)
    assert (chat.text, chat.thinking, chat.finish) == ("user: moo; ", "hm", FinishReason.TOOL_USE)
    assert [(it.name, it.arguments.replace(" ", "")) for it in chat.tool_uses] == [("look", '{"said":"moo"}')]
    assert chat.usage is not None
    assert (chat.usage.input_tokens, chat.usage.output_tokens) == (3, 1)

    picture = Image(Inline("image/png", "AAECAw=="))
    seen = Chat(messages=(Message(Role.USER, (Text("what?"), picture)),))
    assert (await parrot.ask("p", seen, capability=C.IMAGE_TO_TEXT)).text == "user: what?; [image/png 4]"

    vectors = await parrot.ask("p", Embed(inputs=("a", "bcd")), capability=C.EMBEDDINGS, stream=False)
    assert vectors.vectors == {0: [1.0, 0.5], 1: [3.0, 0.5]}
    ranked = await parrot.ask("p", Rank(query="q", documents=("a", "b")), capability=C.RERANK)
    assert [(it.index, it.score) for it in ranked.ranked] == [(1, 0.1), (0, 0.0)]

    drawn = await parrot.ask("p", Draw(prompt="a cow", count=2), capability=C.TEXT_TO_IMAGE)
    first, second, link = (drawn.media[n] for n in range(3))
    assert isinstance(first, Medium)
    assert isinstance(second, Medium)
    assert isinstance(link, MediumLink)
    assert (first.data, second.data, first.prompt) == (b"\x89PNG\n0", b"\x89PNG\n1", "a cow")

    sound = (await parrot.ask("p", Speak(text="moo"), capability=C.TEXT_TO_AUDIO)).media[0]
    assert isinstance(sound, Medium)
    assert sound.data == b"\0\n" * 600_000

    wav = Bytes("audio/wav", b"RIFF" + b"\n\0" * 1_500_000, "moo.wav")
    heard = await parrot.ask("p", Transcribe(audio=wav), capability=C.AUDIO_TO_TEXT)
    assert heard.text == "moo.wav audio/wav 3000004 b'RIFF'"
    assert heard.spoken is not None
    assert (heard.spoken.language, heard.timed[0].kind) == ("en", "word")
    assert (await parrot.ask("p", Make(prompt="moo"), capability=C.TEXT_TO_VIDEO)).media
    assert parrot.transport.starts == 1


@pytest.mark.promise("M04", "M18")
async def test_it_says_whether_it_works_and_which_models_it_has(parrot: Guest) -> None:
    await parrot.transport.prepare()
    assert parrot.transport.state == "stopped"
    assert await parrot.transport.test() == "awake, [redacted]"
    assert [it.id for it in await parrot.transport.models()] == ["parrot", "big"]
    listed = await list_models(parrot.provider)
    assert listed is not None
    assert (listed[1].context_tokens, listed[1].capabilities) == (1000, {C.CHAT})
    assert parrot.transport.state == "ready"
    assert "hello from the parrot" in parrot.transport.said()
    assert "so does this" in parrot.transport.said()


async def test_what_it_fails_of_is_said_without_its_key(parrot: Guest) -> None:
    error = (await parrot.ask("fails")).error
    assert error is not None
    assert (error.code, error.retry_after_s) == (Code.RATE_LIMITED, 7.0)
    assert error.message == "no more moo, my key is [redacted]"
    broken = await parrot.ask("breaks")
    assert broken.text == "now"
    assert broken.error is not None
    assert broken.error.code is Code.UPSTREAM_ERROR
    assert "broken" in broken.error.message
    assert (await parrot.ask("refuses")).refusal == "no"


@pytest.mark.promise("M36")
async def test_its_environment_is_what_it_declared(guests: Guests, monkeypatch: pytest.MonkeyPatch) -> None:
    parrot = guests.make(replace(PARROTS["python"], environ={"PARROT_KEY": SECRET}))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-0000000000")
    names = (await parrot.ask("environment")).text.split()
    assert "PARROT_KEY" in names
    assert not {"OPENAI_API_KEY", "RHETOR_HOUSE", "RHETOR_CHILD"} & set(names)


async def test_twenty_streams_at_once(parrot: Guest) -> None:
    """And what came for one is what was asked for it."""
    counts = [str(20 + 10 * n) for n in range(20)]
    replies = await asyncio.gather(*(parrot.ask("counts", count) for count in counts))
    assert [reply.text.split()[-1] for reply in replies] == [str(int(count) - 1) for count in counts]
    assert parrot.transport.starts == 1


async def test_a_slow_reader_holds_up_nobody_else(parrot: Guest) -> None:
    """Of the one that is not read, only a bounded part is held."""
    flood = await parrot.open("floods")
    await flood.until(TextDelta)
    for _ in range(3):
        assert (await parrot.ask("counts", "2000")).text.endswith("1999 ")
    assert sum(map(len, flood.reply._held)) < 3 << 20
    flood.reply.close()
    assert (await parrot.ask("counts", "2")).text == "0 1 "
    assert parrot.transport.starts == 1


async def test_cancelling_reaches_the_guest(parrot: Guest) -> None:
    waiting = await parrot.open("waits", "me")
    await waiting.until(TextDelta)
    waiting.reply.close()
    async with asyncio.timeout(10):
        while (await parrot.ask("who_left")).text != "me":
            await asyncio.sleep(0.01)
    assert parrot.transport.starts == 1
    with pytest.raises(UpstreamError, match="closed before its end"):
        await waiting.rest()


async def test_a_death_fails_what_runs_and_nothing_else(parrot: Guest) -> None:
    """It is started again for the next call."""
    waiting = await parrot.open("waits")
    await waiting.until(TextDelta)
    first = parrot.transport.pid
    opened = await parrot.open("dies")
    for each in (opened, waiting):
        error = await each.failure()
        assert isinstance(error, UpstreamError)
        assert error.code is Code.CONNECTION_LOST
        assert "ended with 3" in error.message
    assert (await parrot.ask("counts", "2")).text == "0 1 "
    assert parrot.transport.pid != first
    assert parrot.transport.starts == 2


async def test_kill_9_in_the_middle(guests: Guests) -> None:
    parrot = guests.make()
    waiting = await parrot.open("waits")
    await waiting.until(TextDelta)
    os.kill(below(parrot.transport.pid)[-1], signal.SIGKILL)
    error = await waiting.failure()
    assert isinstance(error, UpstreamError)
    assert (error.code, "by signal 9" in error.message) == (Code.CONNECTION_LOST, True)
    assert (await parrot.ask("counts", "1")).text == "0 "


async def test_a_guest_that_hangs_is_replaced(parrot: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that was cancelled and does not end costs the process, not those who ask meanwhile."""
    monkeypatch.setattr(process_module, "CANCEL_GRACE_S", 0.2)
    hanging = await parrot.open("hangs")
    await hanging.until(TextDelta)
    first = parrot.transport.pid
    hanging.reply.close()
    await until(lambda: parrot.transport.pid != first)
    assert (await parrot.ask("counts", "1")).text == "0 "
    await until(lambda: not os.path.exists(f"/proc/{first}"))


async def test_it_is_stopped_when_nobody_asks(guests: Guests) -> None:
    parrot = guests.make(replace(PARROTS["python"], limits=Limits(idle_stop_s=0.1)))
    waiting = await parrot.open("waits")
    await waiting.until(TextDelta)
    assert (await parrot.ask("counts", "1")).text == "0 "
    await asyncio.sleep(0.3)
    assert parrot.transport.state == "ready"  # somebody still waits
    waiting.reply.close()
    await until(lambda: parrot.transport.state == "stopped")
    assert (await parrot.ask("counts", "1")).text == "0 "
    await parrot.transport.stop()
    assert parrot.transport.state == "stopped"


async def test_so_many_calls_at_once(guests: Guests) -> None:
    parrot = guests.make(replace(PARROTS["python"], limits=Limits(calls=1)))
    waiting = await parrot.open("waits")
    await waiting.until(TextDelta)
    second = spawn(parrot.ask("counts", "1"), "second")
    await asyncio.sleep(0)
    assert not second.done()
    waiting.reply.close()
    assert (await second).text == "0 "


async def test_a_closed_transport_ends_everything(guests: Guests) -> None:
    parrot = guests.make()
    waiting = await parrot.open("waits")
    await waiting.until(TextDelta)
    pids = below(parrot.transport.pid)
    await parrot.transport.close()
    error = await waiting.failure()
    assert isinstance(error, UpstreamError)
    assert error.code is Code.UNAVAILABLE
    assert not [pid for pid in pids if os.path.exists(f"/proc/{pid}")]
    with pytest.raises(UpstreamError, match="closed"):
        await parrot.ask("counts", "1")


async def test_a_guest_that_keeps_dying_is_left_alone_for_a_while(guests: Guests, tmp_path: Any) -> None:
    (tmp_path / "provider.py").write_text("raise SystemExit('no cow')")
    spec = CodeSpec(id="cow", folder=tmp_path, language="python", main="provider.py")
    cow = guests.make(spec, restart=Restart(first_s=60.0, most_s=60.0))
    for words in ("no cow", "no cow", "started again in 60 s"):
        with pytest.raises(RhetorError, match=words) as caught:
            await cow.ask("m")
        assert caught.value.code is Code.UNAVAILABLE
    assert cow.transport.state == "failed"
    await cow.transport.stop()


async def test_guests_are_asked_nothing_else(guests: Guests) -> None:
    parrot = guests.make()
    call = Call("POST", "guest:/elsewhere")
    with pytest.raises(RhetorError, match="not asked for '/elsewhere'"):
        await parrot.transport.open(call, Progress())


LONG = {
    "python": """
import rhetor_provider

class Long(rhetor_provider.Provider):
    def stream(self, request):
        yield "x" * 2_500_000
        yield rhetor_provider.Text("\\ud83d")
""",
    "javascript": """
import { Provider, text } from "rhetor-provider";

export default class Long extends Provider {
  async *stream() {
    yield "x".repeat(2_500_000);
    yield text("\\ud83d");
  }
}
""",
}


@pytest.mark.parametrize("language", PARROTS)
async def test_a_long_text_is_told_in_pieces_and_half_a_character_harms_nobody(
    guests: Guests, tmp_path: Path, language: Language
) -> None:
    if language == "javascript" and shutil.which("node") is None:
        pytest.skip("needs node")
    guest = guests.make(written(tmp_path / "long", LONG[language], language))
    said = (await guest.ask("m")).text
    assert (len(said), said[-1] in "?\ufffd") == (2_500_001, True)
    assert guest.transport.error is None
