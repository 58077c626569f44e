"""Where the C programs come from: compiled on demand, kept until a source changes."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
OUTPUT = HERE / "build"


class CannotBuild(Exception):
    """The C programs could not be compiled; says what to do."""


@dataclass(frozen=True, slots=True)
class Programs:
    upstream: Path
    loadgen: Path


def ensure_programs() -> Programs:
    """Both programs, compiled if they are missing or older than a source.

    Raises:
        CannotBuild: no C compiler, or it refuses a source.
    """
    return Programs(_ensure("upstream"), _ensure("loadgen"))


def _ensure(name: str) -> Path:
    program = OUTPUT / name
    newest_source = max(path.stat().st_mtime for path in (HERE / f"{name}.c", *HERE.glob("*.h")))
    if program.exists() and program.stat().st_mtime >= newest_source:
        return program
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise CannotBuild("no C compiler for the load generator: install gcc (apt-get install gcc libc6-dev)")
    OUTPUT.mkdir(exist_ok=True)
    command = [compiler, "-O2", "-Wall", "-Wextra", "-o", str(program), str(HERE / f"{name}.c")]
    outcome = subprocess.run(command, capture_output=True, text=True)
    if outcome.returncode:
        raise CannotBuild(f"{' '.join(command)} failed:\n{outcome.stderr.strip()}")
    return program
