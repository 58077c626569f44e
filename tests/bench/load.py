"""One measurement: load on one subject in one scenario, and everybody's clocks around its window."""

import json
import os
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.build import Programs
from tests.bench.machine import (
    Cores,
    Patience,
    cores_busy_s,
    forget_peak_rss,
    peak_rss_bytes,
    process_cpu_s,
    process_tree,
    rss_bytes,
)
from tests.bench.processes import get
from tests.bench.scenarios import PATH, Scenario, body

NOISY_PERCENT = 10.0
"""Of one core, used by others during a window. Above it we measure once more, and the table says so."""
FAULTS = ("connect", "cut", "status", "content", "unfinished")


@dataclass(slots=True)
class Reading:
    """What came out for one subject, scenario and round."""

    subject: str
    scenario: str
    figures: dict[str, float] = field(default_factory=dict)
    errors: int = 0
    complaint: str = ""
    foreign_percent: float = 0.0
    round: int = 0

    @property
    def is_noisy(self) -> bool:
        """Others used the processor so much that the figures may be theirs."""
        return self.foreign_percent > NOISY_PERCENT


@dataclass(frozen=True, slots=True)
class Harness:
    """What all measurements share."""

    programs: Programs
    cores: Cores
    patience: Patience
    folder: Path
    upstream_pid: int
    upstream_port: int
    window_s: float


@dataclass(slots=True)
class Running:
    """A subject that is up. `pid` is None where nothing stands between load and upstream."""

    name: str
    model: str
    port: int
    pid: int | None
    rss_before_streams: int | None = None


@dataclass(frozen=True, slots=True)
class _Moment:
    """All clocks at once."""

    at_s: float
    gateway_s: float
    harness_s: float
    busy_s: float


@dataclass(slots=True)
class _Outcome:
    """What the load generator printed (nothing if it died), and the clocks around its window."""

    counts: dict[str, float] = field(default_factory=dict)
    first_error: str = "the load generator ended early"
    moments: list[_Moment] = field(default_factory=list)


def measure(scenario: Scenario, running: Running, harness: Harness) -> Reading:
    """A reading from a quiet machine, if patience allows: a noisy one is taken again, the quieter kept.

    Errors are never measured away: a reading that has some stays.
    """
    harness.patience.wait_for_quiet()
    reading = _measure_once(scenario, running, harness)
    if reading.errors or not reading.is_noisy or harness.patience.left_s <= 0:
        return reading
    begin_s = time.monotonic()
    harness.patience.wait_for_quiet()
    again = _measure_once(scenario, running, harness)
    harness.patience.left_s -= time.monotonic() - begin_s
    return again if again.errors or again.foreign_percent < reading.foreign_percent else reading


def _measure_once(scenario: Scenario, running: Running, harness: Harness) -> Reading:
    family = process_tree(running.pid) if running.pid else []
    if scenario.is_paced and running.rss_before_streams is None:
        running.rss_before_streams = rss_bytes(family)
    forget_peak_rss(family)
    arrived_before = _arrived(scenario, harness)
    outcome = _run_loadgen(scenario, running, harness, family)
    arrived = _arrived(scenario, harness) - arrived_before

    errors, complaint = _judge(outcome, arrived)
    reading = Reading(running.name, scenario.name, errors=errors, complaint=complaint)
    if len(outcome.moments) == 2:
        reading.foreign_percent = _foreign_percent(*outcome.moments)
    if outcome.counts.get("served"):  # without one good reply there is nothing to measure
        reading.figures = _seen_by_callers(scenario, outcome)
        if family:
            reading.figures |= _spent_by_gateway(scenario, outcome)
        if family and scenario.is_paced:
            grown_bytes = peak_rss_bytes(family) - (running.rss_before_streams or 0)
            reading.figures["rss_kb_per_stream"] = max(0.0, grown_bytes / 1024 / scenario.connections)
    return reading


def _run_loadgen(scenario: Scenario, running: Running, harness: Harness, family: list[int]) -> _Outcome:
    outcome = _Outcome()
    command = _command(scenario, running, harness)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, bufsize=0) as loadgen:
        assert loadgen.stdout is not None
        try:
            for line in iter(loadgen.stdout.readline, b""):
                if not line.startswith(b"{"):
                    outcome.moments.append(_moment(family, loadgen.pid, harness))
                    continue
                printed = json.loads(line)
                outcome.first_error = printed.pop("first_error")
                outcome.counts = {key: value for key, value in printed.items() if value is not None}
        finally:
            loadgen.kill()
    return outcome


def _command(scenario: Scenario, running: Running, harness: Harness) -> list[str]:
    request = harness.folder / f"{running.name}-{scenario.name}.json"
    request.write_text(json.dumps(body(scenario, running.model), separators=(",", ":")))
    options = {
        "-p": running.port,
        "-P": PATH,
        "-b": request,
        "-c": scenario.connections,
        "-w": round(scenario.warm_s * 1000),
        "-d": round(harness.window_s * 1000),
        "-r": round(scenario.ramp_s * 1000),
        "-n": scenario.chunks,
    }
    command = [str(harness.programs.loadgen)]
    for option, value in options.items():
        command += [option, str(value)]
    return command + ["-t"] * scenario.is_paced


def _moment(family: list[int], loadgen_pid: int, harness: Harness) -> _Moment:
    own = os.times()
    harness_s = process_cpu_s([loadgen_pid, harness.upstream_pid]) + own.user + own.system
    return _Moment(time.monotonic(), process_cpu_s(family), harness_s, cores_busy_s(harness.cores))


def _arrived(scenario: Scenario, harness: Harness) -> int:
    """How many requests of the scenario's kind the upstream has seen."""
    counts = json.loads(get(harness.upstream_port, "/served")[1])
    return int(counts["anthropic" if scenario.translated else "openai"])


def _judge(outcome: _Outcome, arrived: int) -> tuple[int, str]:
    """The number of errors and the first of them. A reply that the upstream never gave is one, too."""
    if not outcome.counts:
        return 1, outcome.first_error
    errors = sum(int(outcome.counts[fault]) for fault in FAULTS)
    asked = int(outcome.counts["asked"])
    if errors or asked == arrived:
        return errors, outcome.first_error
    return abs(asked - arrived), f"{asked} requests were sent, and {arrived} came to the upstream"


def _foreign_percent(opened: _Moment, closed: _Moment) -> float:
    known_s = (closed.gateway_s - opened.gateway_s) + (closed.harness_s - opened.harness_s)
    others_s = (closed.busy_s - opened.busy_s) - known_s
    return max(0.0, 100 * others_s / (closed.at_s - opened.at_s))


def _seen_by_callers(scenario: Scenario, outcome: _Outcome) -> dict[str, float]:
    wanted = {measure.key for measure in scenario.measures}
    return {key: value for key, value in outcome.counts.items() if key in wanted}


def _spent_by_gateway(scenario: Scenario, outcome: _Outcome) -> dict[str, float]:
    """Its processor time within the window, as a share of the core and for each reply or chunk."""
    if len(outcome.moments) != 2:
        return {}
    opened, closed = outcome.moments
    spent_s = closed.gateway_s - opened.gateway_s
    figures = {"cpu_percent": 100 * spent_s / (closed.at_s - opened.at_s)}
    if scenario.chunks and outcome.counts["chunks"]:
        figures["cpu_us_per_chunk"] = 1e6 * spent_s / outcome.counts["chunks"]
    elif outcome.counts["replies"]:
        figures["cpu_us_per_reply"] = 1e6 * spent_s / outcome.counts["replies"]
    return figures
