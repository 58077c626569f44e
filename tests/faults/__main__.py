"""How are the faults played? `python -m tests.faults --help`."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from datetime import UTC, datetime

from tests.faults.judging import Verdict
from tests.faults.pace import REAL, run
from tests.faults.rounds import play_all
from tests.faults.scorecard import as_expected, problems, scorecard, write
from tests.faults.table import CELLS, Cell


def main() -> int:
    options = _options()
    cells = [cell for cell in CELLS if options.only in str(cell.fault) and options.door in str(cell.column)]
    if not cells:
        print("no fault is called so, or no door", file=sys.stderr)
        return 2
    began_s = time.monotonic()
    played = run(play_all(cells, _tell), options.pace)
    verdicts = {cell: played[cell] for cell in cells}
    took_s = time.monotonic() - began_s
    table = scorecard(verdicts)
    print(table)
    for line in problems(verdicts):
        print(line)
    if options.write:
        write(f"{_caption(options.pace, took_s)}\n\n{table}")
    return int(any(not as_expected(cell, verdict) for cell, verdict in verdicts.items()))


def _tell(cell: Cell, verdict: Verdict) -> None:
    mark = "" if as_expected(cell, verdict) else "  (not as expected)"
    print(f"{verdict.score!s:8}{cell}{mark}", file=sys.stderr, flush=True)


def _caption(pace: float, took_s: float) -> str:
    clocks = "with real clocks" if pace == REAL else f"with clocks that run {pace:g} times as fast"
    where = f"Python {platform.python_version()}, {platform.system()}, {os.cpu_count()} cores"
    return f"Played on {datetime.now(UTC):%Y-%m-%d} {clocks}, in {took_s:.0f} s ({where})."


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="Every fault at every door.")
    parser.add_argument("--pace", type=float, default=REAL, help="how much faster time passes (default: 1)")
    parser.add_argument("--only", default="", help="faults whose name contains this")
    parser.add_argument("--door", default="", help="columns whose name contains this, e.g. 'openai stream'")
    parser.add_argument("--write", action="store_true", help="also put the table into docs/reliability.md")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
