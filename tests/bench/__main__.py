"""How is the benchmark run? `python -m tests.bench --help`."""

import argparse
import json
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import FrameType

from tests.bench.build import CannotBuild
from tests.bench.load import Reading
from tests.bench.machine import Cores, choose_cores, describe
from tests.bench.rounds import harness, measure_all
from tests.bench.scenarios import SCENARIOS, Scenario
from tests.bench.subjects import Subject, subjects
from tests.bench.table import medians, table

INTERRUPTED = 130  # what a shell expects of a program that Ctrl-C has ended


def main() -> int:
    options = _options()
    if not sys.platform.startswith("linux"):
        print("the benchmark needs Linux: it pins processes to cores and reads /proc", file=sys.stderr)
        return 2
    cores = choose_cores()
    if cores.are_one:
        print("only one core: gateway and harness share it, and figures tell little", file=sys.stderr)
    os.sched_setaffinity(0, {cores.harness})  # children inherit it, and gateways get their own
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    readings: list[Reading] = []
    try:
        _run(options, cores, readings)
    except CannotBuild as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; this is what was measured:", file=sys.stderr)
        return INTERRUPTED
    finally:
        _show(options, cores, readings)
    return 0


def _run(options: argparse.Namespace, cores: Cores, readings: list[Reading]) -> None:
    """Appends to `readings`, so that an interrupted run can show what it has."""
    with (
        tempfile.TemporaryDirectory(prefix="rhetor-bench-") as folder,
        harness(cores, Path(folder), options.seconds) as shared,
    ):
        os.chmod(folder, 0o755)  # nginx, started by root, works as somebody else
        for reading in measure_all(options.only, options.scenarios, options.rounds, shared):
            readings.append(reading)
            print(_progress(reading), file=sys.stderr, flush=True)


def _show(options: argparse.Namespace, cores: Cores, readings: Sequence[Reading]) -> None:
    if not readings:
        return
    print(table(readings, options.only, options.scenarios))
    if options.json is None:
        return
    report = {
        "machine": describe(cores),
        "rounds": options.rounds,
        "window_s": options.seconds,
        "missing": {subject.name: subject.missing for subject in options.only if subject.missing},
        "medians": medians(readings),
        "readings": [asdict(reading) for reading in readings],
    }
    options.json.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")


def _progress(reading: Reading) -> str:
    figures = "  ".join(f"{key}={value:.4g}" for key, value in reading.figures.items())
    errors = f"  {reading.errors} errors: {reading.complaint}" if reading.errors else ""
    foreign = f"  foreign CPU {reading.foreign_percent:.0f} %" if reading.is_noisy else ""
    return f"round {reading.round}  {reading.subject} {reading.scenario}  {figures}{foreign}{errors}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="The gateway beside proxies.")
    parser.add_argument("--rounds", type=int, default=3, help="visits of each subject (default: 3)")
    parser.add_argument(
        "--only", type=_some_subjects, default=subjects(), help="subjects, e.g. rhetor,aiohttp (default: all)"
    )
    parser.add_argument(
        "--scenarios",
        type=_some_scenarios,
        default=SCENARIOS,
        help="scenarios or beginnings of their names, e.g. unary,paced-200 (default: all)",
    )
    parser.add_argument("--seconds", type=float, default=1.5, help="length of a window (default: 1.5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every reading to FILE")
    return parser.parse_args()


def _some_subjects(text: str) -> list[Subject]:
    everybody = subjects()
    chosen = _chosen(text, [subject.name for subject in everybody])
    return [subject for subject in everybody if subject.name in chosen]


def _some_scenarios(text: str) -> list[Scenario]:
    chosen = _chosen(text, [scenario.name for scenario in SCENARIOS])
    return [scenario for scenario in SCENARIOS if scenario.name in chosen]


def _chosen(text: str, names: Sequence[str]) -> set[str]:
    """The names that begin with one of the comma-separated words, each of which must mean something."""
    found: set[str] = set()
    for word in text.split(","):
        matching = {name for name in names if word and name.startswith(word)}
        if not matching:
            raise argparse.ArgumentTypeError(f"nothing is called {word!r}; there are {', '.join(names)}")
        found |= matching
    return found


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
