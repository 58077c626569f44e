"""What the machine does meanwhile: cores, processor time, memory, and waiting for a quiet moment."""

import os
import platform
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
QUIET_SHARE = 0.12  # of one core: an idle desktop or a virtual machine's housekeeping stays below
LOOK_S = 0.25  # how long one look at the cores takes; processor time is counted in ticks of 10 ms


@dataclass(frozen=True, slots=True)
class Cores:
    """Where the gateway runs alone, and where everything of the harness runs."""

    gateway: int
    harness: int

    @property
    def are_one(self) -> bool:
        return self.gateway == self.harness


def choose_cores() -> Cores:
    """The first two cores that we may use, or the same one twice if there is no second."""
    allowed = sorted(os.sched_getaffinity(0))
    return Cores(gateway=allowed[0], harness=allowed[:2][-1])


def describe(cores: Cores) -> dict[str, object]:
    """What a reader of old figures wants to know about the machine."""
    model = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.machine(),
    )
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "gateway_core": cores.gateway,
        "harness_core": cores.harness,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "measured_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def process_tree(pid: int) -> list[int]:
    """The process and all its descendants."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (fields := _stat_fields(int(name))):
            children.setdefault(int(fields[1]), []).append(int(name))
    found = [pid]
    for parent in found:
        found += children.get(parent, [])
    return found


def process_cpu_s(pids: Iterable[int]) -> float:
    """Processor time used so far, in user and kernel. Processes that ended count nothing."""
    fields = (_stat_fields(pid) for pid in pids)
    return sum(int(field[11]) + int(field[12]) for field in fields if field) * TICK_S


def cores_busy_s(cores: Cores) -> float:
    """Processor time that both cores have spent on anything, interrupts and stolen time included."""
    names = {f"cpu{cores.gateway}", f"cpu{cores.harness}"}
    ticks = 0
    for line in _lines("/proc/stat"):
        name, *counts = line.split()
        if name in names:
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, counts[:8])
            ticks += user + nice + system + irq + softirq + steal
    return ticks * TICK_S


def rss_bytes(pids: Iterable[int]) -> int:
    """Resident memory now. Pages that processes share count for each of them."""
    return sum(int(line.split()[1]) * PAGE_BYTES for pid in pids for line in _lines(f"/proc/{pid}/statm"))


def forget_peak_rss(pids: Iterable[int]) -> None:
    """Begins a new peak from here, where the kernel lets us; otherwise the peak since the start stays."""
    for pid in pids:
        try:
            Path(f"/proc/{pid}/clear_refs").write_text("5")
        except OSError:
            continue


def peak_rss_bytes(pids: Iterable[int]) -> int:
    lines = (line for pid in pids for line in _lines(f"/proc/{pid}/status"))
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


@dataclass(slots=True)
class Patience:
    """How long we wait for a quiet machine: `left_s` in all, so that a run on a busy one ends too."""

    cores: Cores
    left_s: float

    def wait_for_quiet(self) -> None:
        """Returns when both cores are almost idle, or when patience has run out."""
        while True:
            before_s = cores_busy_s(self.cores)
            time.sleep(LOOK_S)
            if cores_busy_s(self.cores) - before_s < QUIET_SHARE * LOOK_S or self.left_s <= 0:
                return
            self.left_s -= LOOK_S


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []  # the process has ended


def _stat_fields(pid: int) -> list[str]:
    """The fields of /proc/PID/stat behind the command's name, which may hold spaces; empty if it ended."""
    return next((line.rpartition(")")[2].split() for line in _lines(f"/proc/{pid}/stat")), [])
