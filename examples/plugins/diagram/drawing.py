"""Boxes with arrows, bars and cards, drawn by Pillow in a font that it brings itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import atan2, cos, hypot, pi, sin

from PIL import Image, ImageDraw, ImageFont

PAPER, INK, PALE, LINE = (250, 250, 247), (34, 40, 49), (221, 230, 237), (90, 110, 130)
COLOURS = ((57, 105, 138), (184, 92, 56), (92, 128, 76), (125, 90, 140), (176, 137, 48), (60, 130, 125))
SMALLEST = 8  # pixels of letters; smaller ones nobody can read


@dataclass(frozen=True)
class Link:
    start: str
    end: str
    label: str


@dataclass(frozen=True)
class Bar:
    name: str
    size: float
    unit: str


class Sheet:
    """A picture that is being drawn."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.image = Image.new("RGB", size, PAPER)
        self.draw = ImageDraw.Draw(self.image)
        self.width, self.height = size
        self.letters = max(SMALLEST, min(size) // 30)

    def words(
        self, place: tuple[float, float], text: str, room: tuple[float, float], letters: int, colour=INK
    ) -> None:
        """A text in the middle of its room, as large as it may be and as small as it must."""
        lines, font = fitted(self.draw, text, room, letters)
        step = font.size * 1.25
        top = place[1] - step * (len(lines) - 1) / 2
        for n, line in enumerate(lines):
            self.draw.text((place[0], top + n * step), line, fill=colour, font=font, anchor="mm")

    def title(self, text: str) -> float:
        """How much of the height it takes."""
        if not text:
            return 0.0
        room = self.height * 0.12
        self.words((self.width / 2, room / 2 + room * 0.15), text, (self.width * 0.9, room), self.letters * 2)
        return room * 1.2

    def arrow(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        width = max(1, self.letters // 8)
        head, turn = self.letters * 0.7, atan2(end[1] - start[1], end[0] - start[0])
        self.draw.line((start, end), fill=LINE, width=width)
        corners = [
            (end[0] - head * cos(turn + side), end[1] - head * sin(turn + side)) for side in (-pi / 7, pi / 7)
        ]
        self.draw.polygon([end, *corners], fill=LINE)


def fitted(
    draw: ImageDraw.ImageDraw, text: str, room: tuple[float, float], letters: int
) -> tuple[list[str], ImageFont.FreeTypeFont]:
    """Its lines and their font. What does not fit into the smallest letters is cut, with dots."""
    for size in range(max(letters, SMALLEST), SMALLEST - 1, -1):
        font = ImageFont.load_default(size)
        lines = list(wrapped(draw, text, room[0], font))
        high = len(lines) * size * 1.25
        if high <= room[1] and all(draw.textlength(line, font=font) <= room[0] for line in lines):
            return lines, font
    fit = max(1, int(room[1] / (SMALLEST * 1.25)))
    lines = [shortened(draw, line, room[0], font) for line in lines[:fit]] + ["…"] * (len(lines) > fit)
    return lines, font


def wrapped(
    draw: ImageDraw.ImageDraw, text: str, width: float, font: ImageFont.FreeTypeFont
) -> Iterable[str]:
    for paragraph in text.splitlines() or [""]:
        line = ""
        for word in paragraph.split():
            longer = f"{line} {word}".strip()
            if line and draw.textlength(longer, font=font) > width:
                yield line
                longer = word
            line = longer
        yield line


def shortened(draw: ImageDraw.ImageDraw, line: str, width: float, font: ImageFont.FreeTypeFont) -> str:
    if draw.textlength(line, font=font) <= width:
        return line
    while line and draw.textlength(f"{line}…", font=font) > width:
        line = line[:-1]
    return f"{line}…"


def draw_card(text: str, size: tuple[int, int]) -> Image.Image:
    sheet = Sheet(size)
    edge = min(size) // 24
    box = (edge, edge, size[0] - edge, size[1] - edge)
    sheet.draw.rounded_rectangle(box, radius=edge, fill=PALE, outline=LINE, width=max(1, edge // 8))
    room = (size[0] - 4 * edge, size[1] - 4 * edge)
    sheet.words((size[0] / 2, size[1] / 2), text, room, min(size) // 8)
    return sheet.image


def draw_bars(title: str, bars: list[Bar], size: tuple[int, int]) -> Image.Image:
    sheet = Sheet(size)
    top = sheet.title(title)
    step = (sheet.height - top) / (len(bars) + 0.5)
    names, numbers = sheet.width * 0.25, sheet.width * 0.14
    longest = max(max(abs(bar.size) for bar in bars), 1e-9)
    below = any(bar.size < 0 for bar in bars)
    room = sheet.width - names - numbers - sheet.letters
    zero = names + room / 2 if below else names
    scale = room / (2 if below else 1) / longest
    for n, bar in enumerate(bars):
        middle = top + step * (n + 0.75)
        high = step * 0.32
        end = zero + bar.size * scale
        left, right = min(zero, end), max(zero, end, min(zero, end) + 1)
        sheet.draw.rectangle((left, middle - high, right, middle + high), fill=COLOURS[n % len(COLOURS)])
        sheet.words((names / 2, middle), bar.name, (names * 0.9, step * 0.9), sheet.letters)
        number = f"{bar.size:g}{' ' if len(bar.unit) > 1 else ''}{bar.unit}"
        sheet.words((sheet.width - numbers / 2, middle), number, (numbers * 0.9, step * 0.9), sheet.letters)
    sheet.draw.line((zero, top, zero, sheet.height), fill=LINE, width=max(1, sheet.letters // 12))
    return sheet.image


def draw_arrows(title: str, links: list[Link], size: tuple[int, int]) -> Image.Image:
    """Boxes on a ring, in the order in which they are named: no arrow leads through a third one."""
    sheet = Sheet(size)
    top = sheet.title(title)
    names = list(dict.fromkeys(name for link in links for name in (link.start, link.end)))
    high = sheet.height - top
    half = (sheet.width * min(0.14, 0.7 / len(names)), high * min(0.08, 0.5 / len(names)))
    middle = (sheet.width / 2, top + high / 2)
    reach = (middle[0] - half[0] * 1.15, high / 2 - half[1] * 1.6)
    turns = [pi * (2 * n / len(names) - 1) for n in range(len(names))]  # from the left, clockwise
    places = {
        name: (middle[0] + reach[0] * cos(turn), middle[1] + reach[1] * sin(turn))
        for name, turn in zip(names, turns, strict=True)
    }
    for link in links:
        _link(sheet, places[link.start], places[link.end], half, link.label)
    for n, (name, (x, y)) in enumerate(places.items()):
        box = (x - half[0], y - half[1], x + half[0], y + half[1])
        colour, width = COLOURS[n % len(COLOURS)], max(1, sheet.letters // 8)
        sheet.draw.rounded_rectangle(box, radius=min(half) / 3, fill=PALE, outline=colour, width=width)
        sheet.words((x, y), name, (half[0] * 1.8, half[1] * 1.8), sheet.letters)
    return sheet.image


def _link(
    sheet: Sheet, start: tuple[float, float], end: tuple[float, float], half: tuple[float, float], label: str
) -> None:
    far = hypot(end[0] - start[0], end[1] - start[1])
    if not far:  # to itself: a loop above the box
        x, y = start[0], start[1] - half[1]
        sheet.draw.arc(
            (x - half[1] / 2, y - half[1] / 2, x + half[1] / 2, y + half[1] / 2), 180, 360, fill=LINE, width=2
        )
        sheet.arrow((x + half[1] / 2, y - 2), (x + half[1] / 2, y))
        sheet.words((x, y - half[1] * 0.7), label, (half[0] * 2, half[1] / 2), sheet.letters)
        return
    way = ((end[0] - start[0]) / far, (end[1] - start[1]) / far)
    # A pair of arrows, there and back, must not lie on one another.
    aside = (-way[1] * sheet.letters * 0.5, way[0] * sheet.letters * 0.5)
    begin, goal = (
        tuple(place[n] + side * way[n] * _out(half, way, aside, side) + aside[n] for n in (0, 1))
        for place, side in ((start, 1), (end, -1))
    )
    sheet.arrow(begin, goal)
    middle = ((begin[0] + goal[0]) / 2 + aside[0], (begin[1] + goal[1]) / 2 + aside[1])
    if label:
        wide = min(sheet.draw.textlength(label, font=ImageFont.load_default(sheet.letters)), far) / 2
        high = sheet.letters * 0.6
        box = (middle[0] - wide, middle[1] - high, middle[0] + wide, middle[1] + high)
        sheet.draw.rectangle(box, fill=PAPER)
    sheet.words(middle, label, (max(far / 2, sheet.letters * 4), half[1]), sheet.letters)


def _out(half: tuple[float, float], way: tuple[float, float], aside: tuple[float, float], side: int) -> float:
    """How far it is from the middle of a box to its edge, for a line that is a little aside."""
    to_edges = [
        (half[n] - side * aside[n] * (1 if way[n] > 0 else -1)) / abs(way[n])
        for n in (0, 1)
        if abs(way[n]) > 1e-6
    ]
    return min(to_edges)
