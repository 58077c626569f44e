"""Subtitles, both directions: SubRip and WebVTT.

https://www.w3.org/TR/webvtt1/ (read 2026-11-21); SubRip is its older brother, with numbers and commas.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from rhetor.core.events import Timed

LONGEST_CUE_S = 6.0  # nobody reads one line for longer
LONGEST_CUE = 84  # characters: two lines of 42, as subtitles are set
PAUSE_S = 1.0  # after a longer one something new begins
ENDS = (".", "?", "!", "…", "。", "？", "！")
_TIME = r"(?:(\d{1,3}):)?(\d{1,2}):(\d{2})[.,](\d{3})"
_TIMES = re.compile(rf"{_TIME}[ \t]+-->[ \t]+{_TIME}", re.ASCII)


def srt(cues: Iterable[Timed]) -> str:
    """SubRip."""
    return "".join(
        f"{number}\n{_clock(cue.start_s, ',')} --> {_clock(cue.end_s, ',')}\n{_lines(cue)}\n\n"
        for number, cue in enumerate(cues, 1)
    )


def vtt(cues: Iterable[Timed]) -> str:
    """WebVTT."""
    told = (f"{_clock(it.start_s, '.')} --> {_clock(it.end_s, '.')}\n{_lines(it)}\n\n" for it in cues)
    return "WEBVTT\n\n" + "".join(told)


def read_cues(text: str) -> list[Timed]:
    """The cues of subtitles in either form; what is none is left out."""
    found: list[Timed] = []
    for block in text.replace("\r\n", "\n").split("\n\n"):
        times = _TIMES.search(block)
        if times is None:
            continue
        said = " ".join(block[times.end() :].partition("\n")[2].split())
        groups = times.groups()
        found.append(Timed("segment", said, _seconds(groups[:4]), _seconds(groups[4:])))
    return found


def segments_of(timed: Sequence[Timed]) -> list[Timed]:
    """What was said from when to when; where only the words' times are known, they are put together."""
    segments = [it for it in timed if it.kind == "segment"]
    return segments or _of_words([it for it in timed if it.kind == "word"])


def _of_words(words: Sequence[Timed]) -> list[Timed]:
    runs: list[list[Timed]] = []
    length = 0
    for word in words:
        last = runs[-1] if runs else None
        if last is None or _ends(last, word, length):
            runs.append([word])
            length = len(word.text)
        else:
            last.append(word)
            length += len(word.text) + 1
    return [Timed("segment", _joined(run), run[0].start_s, run[-1].end_s, run[0].speaker) for run in runs]


def _ends(run: Sequence[Timed], word: Timed, length: int) -> bool:
    """Whether the word begins something new."""
    first, last = run[0], run[-1]
    return (
        last.speaker != word.speaker
        or last.text.rstrip().endswith(ENDS)
        or word.start_s - last.end_s > PAUSE_S
        or word.end_s - first.start_s > LONGEST_CUE_S
        or length + 1 + len(word.text) > LONGEST_CUE
    )


def _joined(run: Sequence[Timed]) -> str:
    """Some providers write the space before a word with it."""
    if any(it.text[:1].isspace() for it in run):
        return "".join(it.text for it in run).strip()
    return " ".join(it.text for it in run)


def _lines(cue: Timed) -> str:
    """The text of a cue; an arrow or an empty line in it would be read as the next one."""
    text = "\n".join(line.strip() for line in cue.text.splitlines() if line.strip())
    return text.replace("-->", "->")


def _clock(at_s: float, point: str) -> str:
    ms = round(max(at_s, 0.0) * 1000)
    hours, ms = divmod(ms, 3_600_000)
    minutes, ms = divmod(ms, 60_000)
    seconds, ms = divmod(ms, 1000)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{ms:03}"


def _seconds(groups: Sequence[str | None]) -> float:
    hours, minutes, seconds, ms = (int(it or 0) for it in groups)
    return hours * 3600 + minutes * 60 + seconds + ms / 1000
