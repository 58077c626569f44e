"""Pictures of what is written: the same text is the same picture, to the byte.

Kettle -> Cup: hot water        bars, with their numbers      anything else
Cup -> Guest                    tea: 12                       is a card
Guest -> Kettle: again          coffee: 7.5
"""

from __future__ import annotations

import io
import re

from drawing import Bar, Link, draw_arrows, draw_bars, draw_card
from PIL import Image
from rhetor_provider import Failure, Medium, Provider, Request, Usage

USUAL_SIZE = (1024, 768)
LEAST, MOST = 64, 4096  # pixels
MOST_CHARACTERS = 20_000
MOST_THINGS = 60
ARROW = re.compile(r"^\s*(?P<start>[^:>]+?)\s*->\s*(?P<end>[^:>]+?)\s*(?::\s*(?P<label>.+?)\s*)?$")
BAR = re.compile(r"^\s*(?P<name>.+?)\s*[:=]\s*(?P<size>-?\d+(?:\.\d+)?)\s*(?P<unit>\S{0,8})\s*$")
MODELS = ("auto", "arrows", "bars", "card")


class Diagram(Provider):
    def generate(self, request: Request) -> list[Medium | Usage]:
        if request.model not in MODELS:
            raise Failure(
                f"no kind of picture {request.model!r}; there are {', '.join(MODELS)}", "model_not_found"
            )
        text = request.text.strip()
        if not text:
            raise Failure("there is nothing to be drawn: the prompt is empty", "invalid_request")
        if len(text) > MOST_CHARACTERS:
            raise Failure(f"a picture holds {MOST_CHARACTERS} characters", "request_too_large")
        if str(request.option("format") or "png").lower() != "png":
            raise Failure("it draws PNG, and nothing else", "invalid_request")
        picture = draw(request.model, text, size(request))
        out = io.BytesIO()
        picture.save(out, "PNG")
        count = min(max(int(request.option("count") or 1), 1), 10)  # they are all alike
        drawn = f"drawn as written, by no model: {text[:200]}"
        return [
            *(Medium("image/png", out.getvalue(), prompt=drawn) for _ in range(count)),
            Usage(images=count),
        ]

    def test_connection(self) -> str:
        return "it draws what is written"


def draw(model: str, text: str, size: tuple[int, int]) -> Image.Image:
    lines = [line for line in text.splitlines() if line.strip()]
    title = ""
    links, bars = arrows(lines), measures(lines)
    if (
        model != "card" and len(lines) > 1 and not (links or bars)
    ):  # a first line of another kind is its title
        links, bars = arrows(lines[1:]), measures(lines[1:])
        title = lines[0].strip() if links or bars else ""
    if model == "arrows" and not links:
        raise Failure("each line has to be an arrow: Kettle -> Cup: hot water", "invalid_request")
    if model == "bars" and not bars:
        raise Failure("each line has to be a bar: tea: 12", "invalid_request")
    if len(links) > MOST_THINGS or len(bars) > MOST_THINGS:
        raise Failure(f"a picture holds {MOST_THINGS} lines of these", "request_too_large")
    if links and model in ("auto", "arrows"):
        return draw_arrows(title, links, size)
    if bars and model in ("auto", "bars"):
        return draw_bars(title, bars, size)
    return draw_card(text, size)


def arrows(lines: list[str]) -> list[Link]:
    """None, unless every line is one."""
    found = [ARROW.match(line) for line in lines]
    return [Link(it["start"], it["end"], it["label"] or "") for it in found if it] if all(found) else []


def measures(lines: list[str]) -> list[Bar]:
    found = [BAR.match(line) for line in lines]
    return [Bar(it["name"], float(it["size"]), it["unit"]) for it in found if it] if all(found) else []


def size(request: Request) -> tuple[int, int]:
    said = request.option("size")
    if said is None:
        return USUAL_SIZE
    wide, high = said
    if not (LEAST <= wide <= MOST and LEAST <= high <= MOST):
        raise Failure(f"a picture is {LEAST} to {MOST} wide and high, not {wide}x{high}", "invalid_request")
    return wide, high
