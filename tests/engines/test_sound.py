"""The recordings that the engine `pocketsphinx` reads: any WAV, brought to another rate."""

from __future__ import annotations

import struct
import sys
from array import array
from importlib import util
from itertools import pairwise
from math import pi, sin, sqrt
from pathlib import Path
from types import ModuleType

import pytest

from tests.test_docs import ROOT


def module(path: Path) -> ModuleType:
    spec = util.spec_from_file_location(f"engine_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    made = util.module_from_spec(spec)
    sys.modules[made.__name__] = made
    spec.loader.exec_module(made)
    return made


sound = module(ROOT / "examples" / "plugins" / "pocketsphinx" / "sound.py")


def wav(samples: bytes, rate_hz: int, bits: int, channels: int = 1, said: int | None = None) -> bytes:
    block = channels * bits // 8
    form = struct.pack("<HHIIHH", 1, channels, rate_hz, rate_hz * block, block, bits)
    size = len(samples) if said is None else said
    rest = (
        b"fmt "
        + struct.pack("<I", len(form))
        + form
        + b"LIST\x03\0\0\0abc\0"
        + b"data"
        + struct.pack("<I", size)
    )
    return b"RIFF" + struct.pack("<I", len(rest) + 4) + b"WAVE" + rest + samples


def tone(hz: float, rate_hz: int, seconds: float = 0.2) -> object:
    samples = array("d", (0.5 * sin(2 * pi * hz * n / rate_hz) for n in range(int(rate_hz * seconds))))
    return sound.Sound(rate_hz, samples)


def loudness(samples: array[int]) -> float:
    """Of its middle, 1.0 is full."""
    middle = samples[len(samples) // 4 : -len(samples) // 4]
    return sqrt(sum(each * each for each in middle) / len(middle)) / 32_767


@pytest.mark.parametrize(
    ("samples", "bits", "channels", "expected"),
    [
        (b"\x80\xc0\x40", 8, 1, [0.0, 0.5, -0.5]),
        (struct.pack("<3h", 0, 16_384, -16_384), 16, 1, [0.0, 0.5, -0.5]),
        (b"\0\0\0\0\0\x40\0\0\xc0", 24, 1, [0.0, 0.5, -0.5]),
        (struct.pack("<2i", 1 << 30, -(1 << 30)), 32, 1, [0.5, -0.5]),
        (struct.pack("<4h", 16_384, 0, -16_384, -16_384), 16, 2, [0.25, -0.5]),
    ],
)
def test_reads_what_wav_files_hold(samples: bytes, bits: int, channels: int, expected: list[float]) -> None:
    assert list(sound.read_wav(wav(samples, 8_000, bits, channels)).samples) == pytest.approx(expected)


def test_a_stream_does_not_know_its_length() -> None:
    read = sound.read_wav(wav(b"\0\0" * 800 + b"\0", 8_000, 16, said=0xFFFFFFD3))
    assert read.duration_s == pytest.approx(0.1)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"ID3",
        wav(b"\0" * 8, 8_000, 16)[:30],
        wav(b"\0" * 8, 8_000, 12),
        wav(b"", 1, 16),
        wav(b"\0", 8_000, 16, 9),
    ],
)
def test_what_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(sound.NotSound):
        sound.read_wav(data)


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 44_100, 48_000])
def test_a_tone_stays_what_it_is(rate_hz: int) -> None:
    out = sound.resampled(tone(1_000, rate_hz), 16_000)
    assert len(out) == pytest.approx(3_200, abs=1)
    assert loudness(out) == pytest.approx(0.5 / sqrt(2), rel=0.02)
    crossings = sum(before < 0 <= after for before, after in pairwise(out))
    assert crossings == pytest.approx(200, abs=2)


def test_what_the_new_rate_cannot_hold_is_left_out() -> None:
    """It would come back as another tone."""
    assert loudness(sound.resampled(tone(10_000, 22_050), 16_000)) < 0.005
