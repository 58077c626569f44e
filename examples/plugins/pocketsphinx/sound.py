"""Recordings: WAV files read, and brought to another sample rate, with nothing but the standard library."""

from __future__ import annotations

import struct
import sys
from array import array
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, cos, gcd, pi, sin
from operator import mul

PCM, EXTENSIBLE = 1, 0xFFFE
ZEROS = 12  # of the filter, on each side of its middle: more is a finer filter, and slower
MOST_CHANNELS = 8
RATES_HZ = range(4_000, 384_001)


class NotSound(Exception):
    """This cannot be listened to, and why."""


@dataclass
class Sound:
    rate_hz: int
    samples: array[float]
    """Of one channel, between -1 and 1."""

    @property
    def duration_s(self) -> float:
        return len(self.samples) / self.rate_hz


def read_wav(data: bytes) -> Sound:
    """Several channels become their mean. A length that says more than is there is that of a stream.

    Raises:
        NotSound: it is none, or is packed.
    """
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise NotSound("this is no WAV file")
    at, form = 12, b""
    while at + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        content = data[at + 8 : at + 8 + size]
        if name == b"fmt ":
            form = content
        elif name == b"data":
            return _sound(form, content)
        at += 8 + size + size % 2
    raise NotSound("the WAV file has no sound in it")


def _sound(form: bytes, content: bytes) -> Sound:
    if len(form) < 16:
        raise NotSound("the WAV file does not say what it holds")
    kind, channels, rate_hz, _, block, bits = struct.unpack_from("<HHIIHH", form)
    if kind == EXTENSIBLE and len(form) >= 26:
        (kind,) = struct.unpack_from("<H", form, 24)
    width = bits // 8
    fits = bits in (8, 16, 24, 32) and 1 <= channels <= MOST_CHANNELS and block == width * channels
    if kind != PCM or not fits or rate_hz not in RATES_HZ:
        raise NotSound("the WAV file is packed, or of a kind that is not known here")
    numbers = _numbers(content[: len(content) // block * block], width)
    scale = 1.0 / (channels * (1 << (bits - 1)))
    sums = numbers if channels == 1 else map(sum, zip(*[iter(numbers)] * channels, strict=True))
    return Sound(rate_hz, array("d", (each * scale for each in sums)))


def _numbers(content: bytes, width: int) -> array[int] | list[int]:
    if width == 1:
        return [each - 128 for each in content]
    if width == 3:
        triples = zip(content[0::3], content[1::3], content[2::3], strict=True)
        return [
            low | middle << 8 | (high - 256 if high > 127 else high) << 16 for low, middle, high in triples
        ]
    numbers = array("h" if width == 2 else "i", content)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def resampled(sound: Sound, rate_hz: int) -> array[int]:
    """16 bits at this rate, by band-limited interpolation: what it cannot hold is left out, not folded.

    https://ccrma.stanford.edu/~jos/resample/ describes the method.
    """
    common = gcd(rate_hz, sound.rate_hz)
    up, down = rate_hz // common, sound.rate_hz // common
    if up == down:
        return array("h", map(_whole, sound.samples))
    reach = ceil(ZEROS * max(1.0, down / up))
    padded = array("d", bytes(8 * reach)) + sound.samples + array("d", bytes(8 * (reach + 1)))
    out = array("h")
    for n in range(len(sound.samples) * up // down):
        at, phase = divmod(n * down, up)
        taps = _taps(up, down, phase, reach)
        out.append(_whole(sum(map(mul, taps, padded[at : at + 2 * reach + 1]))))
    return out


@lru_cache(maxsize=4096)
def _taps(up: int, down: int, phase: int, reach: int) -> tuple[float, ...]:
    """The filter's weights for the samples around a place that is `phase / up` behind the middle one."""
    cut = min(1.0, up / down)
    taps = [_kernel(k - phase / up, cut, reach) for k in range(-reach, reach + 1)]
    total = sum(taps)
    return tuple(tap / total for tap in taps)


def _kernel(x: float, cut: float, reach: int) -> float:
    """A sinc under a window of von Hann."""
    if abs(x) >= reach:
        return 0.0
    wave = 1.0 if x == 0 else sin(pi * cut * x) / (pi * cut * x)
    return wave * (0.5 + 0.5 * cos(pi * x / reach))


def _whole(sample: float) -> int:
    return round(min(max(sample, -1.0), 1.0) * 32_767)
