"""Says what it is asked, in every capability; how, its model says."""

import asyncio
import os
import time

from rhetor_provider import (
    Data,
    Failure,
    Finished,
    Link,
    Medium,
    Model,
    Progress,
    Provider,
    Ranked,
    Refusal,
    Spoken,
    Text,
    Thinking,
    Timed,
    ToolUse,
    Usage,
    Vector,
)

print("hello from the parrot")  # noqa: T201
left = []


class Parrot(Provider):
    async def start(self):
        os.write(1, b"so does this\n")

    async def stream(self, request):
        yield Progress(0.5, "thinking")
        tell = getattr(self, request.model, None) or getattr(self, request.capability.replace("-", "_"))
        async for event in tell(request):
            yield event
        yield Usage(input_tokens=len(request.text), output_tokens=1)

    async def text_to_text(self, request):
        yield Thinking("hm")
        for message in request.messages:
            yield Text(f"{message.role}: {message.text}; ")
        for medium in request.media:
            yield f"[{medium.media_type} {len(medium.data)}]"
        if "tools" in request.input:
            yield ToolUse(request.input["tools"][0]["name"], {"said": request.text})
            yield Finished("tool_use")

    image_to_text = text_to_text

    async def embeddings(self, request):
        for text in request.input["inputs"]:
            yield Vector([len(text), 0.5])

    async def rerank(self, request):
        for index in reversed(range(len(request.input["documents"]))):
            yield Ranked(index, index / 10)

    async def text_to_image(self, request):
        for index in range(request.option("count", 1)):
            yield Medium("image/png", b"\x89PNG\n%d" % index, prompt=request.text)
        yield Link("https://example.com/x.png", "image/png")

    async def text_to_audio(self, request):
        yield Medium("audio/wav")
        for _ in range(3):
            yield Data(b"\0\n" * 200_000)

    async def audio_to_text(self, request):
        (audio,) = request.media
        assert request.input["audio"] is audio
        yield Spoken("en", 1.5)
        yield f"{audio.name} {audio.media_type} {len(audio.data)} {audio.data[:4]!r}"
        yield Timed("moo", 0, 1.5, kind="word")

    async def text_to_video(self, request):
        yield Medium("video/mp4", b"film")

    # How it may misbehave.

    async def waits(self, request):
        yield "now"
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            left.append(request.text)
            raise

    async def who_left(self, request):
        yield ", ".join(left)

    async def dies(self, request):
        yield "now"
        await asyncio.sleep(0.05)
        os._exit(3)

    async def hangs(self, request):
        yield "now"
        time.sleep(600)

    async def fails(self, request):
        if request.model != "fails":
            yield "fine"
        raise Failure(f"no more moo, my key is {os.environ.get('PARROT_KEY')}", "rate_limited", 7)

    async def breaks(self, request):
        yield "now"
        raise ValueError("broken")

    async def refuses(self, request):
        yield Refusal("no")

    async def floods(self, request):
        while True:
            yield "x" * 1000

    async def counts(self, request):
        for number in range(int(request.text)):
            yield f"{number} "
            await asyncio.sleep(0)

    async def environment(self, request):
        yield " ".join(sorted(os.environ))

    def models(self):
        return ["parrot", Model("big", "Big", ["text-to-text"], context_tokens=1000)]

    def test_connection(self):
        return f"awake, {os.environ.get('PARROT_KEY', 'no key')}"
