"""Pictures, from words and of other pictures.

Gemini's own models make them as part of a content, one at a time
(https://ai.google.dev/gemini-api/docs/image-generation, read 2026-11-21): for more the same is asked again.
Imagen, on Vertex alone since August 2026, makes several in one prediction
(https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/imagen-api; the names of its
parameters are those of google-genai 3.4.0, `_GenerateImagesConfig_to_vertex`; both read 2026-11-21).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import log

from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import Code
from rhetor.core.events import (
    Event,
    Failed,
    Finished,
    FinishReason,
    MediumDelta,
    MediumStarted,
    RefusalDelta,
    UsageReport,
)
from rhetor.core.media import Draw
from rhetor.core.request import Request
from rhetor.core.usage import Usage
from rhetor.core.value import value
from rhetor.wire import fields
from rhetor.wire.base import (
    Decoder,
    Follow,
    Narrator,
    Outgoing,
    Quirks,
    WholeDecoder,
)
from rhetor.wire.gemini.outgoing import SEEDS, sent
from rhetor.wire.gemini.parts import Dropped, Written, write_material
from rhetor.wire.gemini.vocabulary import blocked, ending_of, path_of, read_usage
from rhetor.wire.lenient import parse, thing, things, word
from rhetor.wire.media.repeated import RepeatedDecoder
from rhetor.wire.media.vendor import VendorUpstream
from rhetor.wire.refusals import page_text
from rhetor.wire.rpc_status import error_inside

RATIOS = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
MOST = 10  # pictures of one request; each of Gemini's is a call of its own
SIZES = ((1536, "1K"), (3072, "2K"))
LARGEST = "4K"


@value(kw_only=True)
class _Drawing(Outgoing):
    """A request for pictures, and how often it is asked."""

    times: int = 1


class Pictures(VendorUpstream):
    """Both kinds of models, told apart by their names."""

    def build(self, request: Request, model: str, quirks: Quirks) -> Outgoing:
        draw = request.input
        assert isinstance(draw, Draw)
        dropped = Dropped(_wordless(draw))
        if "imagen" in model:
            return Outgoing(path_of(model, "predict"), _prediction(draw, dropped), dropped=tuple(dropped))
        parts: list[JsonValue] = [{"text": draw.prompt}]
        parts += [write_material(it, f"images[{n}]", "image/png") for n, it in enumerate(draw.images)]
        config: Written = {"responseModalities": ["IMAGE"]}
        if look := _look(draw, model):
            config["imageConfig"] = look
        if draw.seed is not None and draw.seed in SEEDS:
            config["seed"] = draw.seed
        dropped += [
            name for name in ("negative_prompt", "guidance", "format") if getattr(draw, name) is not None
        ]
        body: Written = {"contents": [{"role": "user", "parts": parts}], "generationConfig": config}
        plain = sent(model, body, False, dropped, quirks)
        times = min(max(draw.count, 1), MOST)
        return _Drawing(path=plain.path, body=plain.body, dropped=plain.dropped, times=times)

    def decoder(self, stream: bool, outgoing: Outgoing) -> Decoder:
        if isinstance(outgoing, _Drawing):
            again = Follow(url=outgoing.path, method="POST", body=outgoing.body)
            return PicturesDecoder([again] * (outgoing.times - 1))
        return PredictionDecoder()


def _wordless(draw: Draw) -> Iterator[str]:
    """Wishes that neither kind of models has a word for."""
    for name in ("mask", "quality", "style", "background", "steps", "end_user"):
        if getattr(draw, name) is not None:
            yield name
    yield from (f"extra.{name}" for name in draw.extra)
    if draw.count > MOST:
        yield f"count: no more than {MOST}"
    if draw.seed is not None and draw.seed not in SEEDS:
        yield "seed: not a number of 32 bits"


def _look(draw: Draw, model: str) -> Written:
    """The nearest ratio, and the size that models since Gemini 3 can choose."""
    written: Written = {}
    ratio = draw.aspect_ratio or (_ratio_of(draw.size) if draw.size else None)
    if ratio is not None:
        written["aspectRatio"] = ratio
    if draw.size is not None and "2.5" not in model and "2.0" not in model:
        written["imageSize"] = _size_of(draw.size)
    return written


def _ratio_of(size: tuple[int, int]) -> str:
    wanted = log(max(size[0], 1) / max(size[1], 1))
    return min(RATIOS, key=lambda ratio: abs(log(_quotient(ratio)) - wanted))


def _quotient(ratio: str) -> float:
    width, _, height = ratio.partition(":")
    return int(width) / int(height)


def _size_of(size: tuple[int, int]) -> str:
    return next((word for pixels, word in SIZES if max(size) <= pixels), LARGEST)


def _prediction(draw: Draw, dropped: Dropped) -> bytes:
    if draw.images:
        dropped.append("images: the model draws from words alone")
    parameters: Written = {"sampleCount": min(max(draw.count, 1), MOST)}
    said: dict[str, JsonValue] = {
        "aspectRatio": draw.aspect_ratio or (_ratio_of(draw.size) if draw.size else None),
        "negativePrompt": draw.negative_prompt,
        "guidanceScale": draw.guidance,
        "seed": draw.seed if draw.seed is not None and draw.seed in SEEDS else None,
        "outputOptions": {"mimeType": draw.format} if draw.format is not None else None,
    }
    parameters |= {name: value for name, value in said.items() if value is not None}
    if draw.seed is not None:
        parameters["addWatermark"] = False  # with one, a seed is refused
    return fields.dump({"instances": [{"prompt": draw.prompt}], "parameters": parameters})


class PicturesDecoder(RepeatedDecoder):
    """Contents with pictures in them, as many as are wanted."""

    def __init__(self, rest: Iterable[Follow] = ()) -> None:
        super().__init__(rest)
        self._drawn = 0
        self._usage = Usage()

    def read(self, said: Json, headers: Mapping[str, str]) -> None:
        if error := error_inside(said) or blocked(said):
            self.narrator.end(Failed(error))
            return
        self.narrator.start(word(said, "responseId"), word(said, "modelVersion"))
        candidate = next(iter(things(said, "candidates")), {})
        before = self._drawn
        parts = things(thing(candidate, "content"), "parts")
        for part in parts:
            if part.get("thought") is not True:  # what it tried on the way
                self._show(thing(part, "inlineData"))
        self._count(said)
        if self._drawn == before:
            self._explain(candidate, " ".join(filter(None, (word(it, "text") for it in parts))))

    def _show(self, data: Json) -> None:
        if base64 := word(data, "data"):
            self.narrator.emit(MediumStarted(self._drawn, word(data, "mimeType") or "image/png"))
            self.narrator.emit(MediumDelta(self._drawn, base64.encode(), base64=True))
            self._drawn += 1

    def _explain(self, candidate: Json, text: str) -> None:
        """Why there is no picture: the filter stood against it, or the model said something instead."""
        ending = ending_of(candidate, calls=False)
        if isinstance(ending, Finished) and ending.reason is FinishReason.REFUSAL:
            said = text or word(candidate, "finishMessage")
            message = f"the provider would not draw it ({word(candidate, 'finishReason')})"
            self.narrator.emit(RefusalDelta(said or message))
            self.narrator.end(ending)
        elif isinstance(ending, Failed):
            self.narrator.end(ending)
        else:
            said = f": {text[:200]}" if text else ""
            self.narrator.fail(f"the provider's reply has no picture in it{said}", Code.PROTOCOL)

    def _count(self, said: Json) -> None:
        usage = read_usage(thing(said, "usageMetadata"))
        if usage is not None:
            total = self._usage
            self._usage = Usage(
                input_tokens=total.input_tokens + usage.input_tokens,
                output_tokens=total.output_tokens + usage.output_tokens,
                cache_read_tokens=total.cache_read_tokens + usage.cache_read_tokens,
                reasoning_tokens=total.reasoning_tokens + usage.reasoning_tokens,
                images=self._drawn,
            )
            self.narrator.emit(UsageReport(self._usage))


class PredictionDecoder(WholeDecoder):
    """The JSON reply of `predict`: pictures, and why others were filtered out."""

    has_frames = False

    def read(self, body: bytes) -> list[Event]:
        narrator = Narrator()
        said = parse(body)
        if said is None:
            narrator.fail(f"the provider's reply is not JSON: {page_text(body)}", Code.PROTOCOL)
        elif error := error_inside(said):
            narrator.end(Failed(error))
        else:
            _show_all(narrator, things(said, "predictions"))
        return narrator.take()


def _show_all(narrator: Narrator, predictions: list[Json]) -> None:
    drawn = 0
    for prediction in predictions:
        if base64 := word(prediction, "bytesBase64Encoded"):
            kind, prompt = word(prediction, "mimeType") or "image/png", word(prediction, "prompt") or None
            narrator.emit(MediumStarted(drawn, kind, prompt))
            narrator.emit(MediumDelta(drawn, base64.encode(), base64=True))
            drawn += 1
    if not drawn:
        reasons = filter(None, (word(it, "raiFilteredReason") for it in predictions))
        why = "; ".join(reasons) or "it does not say why"
        narrator.fail(f"the provider's reply has no picture in it: {why}", Code.CONTENT_POLICY)
        return
    narrator.emit(UsageReport(Usage(images=drawn)))
    narrator.end(Finished(FinishReason.STOP))
