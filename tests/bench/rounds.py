"""In which order things are measured: each round visits all, so that a drift of the machine hits all."""

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tests.bench.build import ensure_programs
from tests.bench.load import Harness, Reading, Running, measure
from tests.bench.machine import Cores, Patience, process_tree, rss_bytes
from tests.bench.processes import DidNotStart, free_port, running, wait_until_ready
from tests.bench.scenarios import START, WARM_UP, Scenario
from tests.bench.subjects import Site, Subject, environment

SETTLE_S = 0.5  # from ready to idle: start-up work of the background ends
WARM_UP_S = 1.0
PATIENCE_S = 60.0


@contextmanager
def harness(cores: Cores, folder: Path, window_s: float) -> Iterator[Harness]:
    """The fake upstream, up; it ends with the block."""
    programs = ensure_programs()
    with subprocess.Popen(
        [programs.upstream], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, start_new_session=True
    ) as upstream:
        try:
            assert upstream.stdout is not None
            port = int(upstream.stdout.readline())
            yield Harness(programs, cores, Patience(cores, PATIENCE_S), folder, upstream.pid, port, window_s)
        finally:
            upstream.kill()


def measure_all(
    subjects: Sequence[Subject], scenarios: Sequence[Scenario], rounds: int, harness: Harness
) -> Iterator[Reading]:
    """Readings as they come. A subject that did not start is not tried again."""
    failed: set[str] = set()
    for number in range(1, rounds + 1):
        # Another one begins each time, so that nobody always runs after the same neighbour.
        first = (number - 1) % len(subjects)
        for subject in (*subjects[first:], *subjects[:first]):
            if subject.missing or subject.name in failed:
                continue
            try:
                for reading in _visit(subject, scenarios, harness):
                    yield replace(reading, round=number)
            except DidNotStart as error:
                failed.add(subject.name)
                yield Reading(subject.name, START.name, errors=1, complaint=str(error), round=number)


def _visit(subject: Subject, scenarios: Sequence[Scenario], harness: Harness) -> Iterator[Reading]:
    """A fresh start, and every scenario."""
    if subject.command is None:
        direct = Running(subject.name, subject.model, harness.upstream_port, None)
        yield from _measure_each(subject, scenarios, direct, harness)
        return
    folder = harness.folder / f"{subject.name}-{time.monotonic_ns()}"
    folder.mkdir()
    site = Site(folder, free_port(), harness.upstream_port)
    command = subject.command(site)
    harness.patience.wait_for_quiet()
    with running(command, harness.cores.gateway, folder, environment()) as process:
        ready_s = wait_until_ready(process, site.port, folder)
        time.sleep(SETTLE_S)
        idle_mb = rss_bytes(process_tree(process.pid)) / 2**20
        yield Reading(subject.name, START.name, {"ready_s": ready_s, "idle_rss_mb": idle_mb})
        up = Running(subject.name, subject.model, site.port, process.pid)
        yield from _measure_each(subject, scenarios, up, harness)


def _measure_each(
    subject: Subject, scenarios: Sequence[Scenario], up: Running, harness: Harness
) -> Iterator[Reading]:
    measure(WARM_UP, up, replace(harness, window_s=WARM_UP_S))
    for scenario in scenarios:
        model = subject.translated_model if scenario.translated else subject.model
        if model is not None:
            up.model = model
            yield measure(scenario, up, harness)
