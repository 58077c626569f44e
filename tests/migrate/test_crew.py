"""Children that break, hang or raise cost one file, never the whole."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from rhetor.migrate.crew import Crew, Failure


def work(job: str) -> str:
    match job:
        case "crash":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            threading.Event().wait()
        case "deep":
            work_deeper()
        case "raise":
            raise ValueError("no such thing")
    return job.upper()


def work_deeper() -> None:
    work_deeper()


@pytest.mark.parametrize("hands", [1, 2])
def test_every_job_has_a_result(hands: int) -> None:
    with Crew(work, hands) as crew:
        jobs = ["a", "crash", "b", "deep", "raise", "c"]
        results = dict(crew.do(jobs))
    assert {job: results[job] for job in "abc"} == {"a": "A", "b": "B", "c": "C"}
    reasons = {job: result.reason for job, result in results.items() if isinstance(result, Failure)}
    assert reasons == {
        "crash": "it brings the parser down",
        "deep": "it is nested too deeply",
        "raise": "ValueError: no such thing",
    }


def test_patience_ends() -> None:
    with Crew(work, 1, patience_s=3.0) as crew:  # a child needs one to start on a busy machine
        results = dict(crew.do(["hang", "a"]))
    assert results["hang"] == Failure("it took longer than 3 s to read")


def test_nothing_to_do_starts_nobody() -> None:
    with Crew(work, 4) as crew:
        assert list(crew.do([])) == []
