"""What a guest is kept from on this machine, and the order that a jail is given to keep it so."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import rhetor
from rhetor.core.errors import Code, RhetorError
from rhetor.core.value import value
from rhetor.plugins.guest import kernel
from rhetor.plugins.guest.spec import CodeSpec, Limits, Policy
from rhetor.services.house import House
from rhetor.services.process import Spec

SYSTEM = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store"),
    *("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/localtime"),
    *("/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/ca-certificates", "/etc/pki/tls/certs"),
    *("/etc/pki/ca-trust/extracted", "/etc/fonts", "/etc/mime.types"),
)
"""Programs and libraries, and what they look for; of /etc nothing else."""
FILES = {
    "/etc/passwd": "root:x:0:0::/:/bin/false\nguest:x:1000:1000::/scratch:/bin/false\n",
    "/etc/group": "root:x:0:\nguest:x:1000:\n",
    "/etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    "/etc/resolv.conf": "",
}
SCRATCH = "/scratch"
PROXY_PORT = 3128  # in a network of its own, where every port is free
GUEST_IDS = 1_377_000_000  # users that nobody else is, where the gateway may choose one
PROBE_S = 20.0
NICE = 5  # guests give way to the gateway
LANDLOCK_ALONE = 1  # the first version keeps files and other processes' memory
LANDLOCK_PORTS = 4
LANDLOCK_SIGNALS = 6

LEAK = "the kernel knows the proxy's port only, which it may also reach on other machines"

Way: TypeAlias = Literal["namespaces", "landlock", "none"]


@value
class Fact:
    """One thing that guests are kept from here, or not."""

    what: str
    enforced: bool
    how: str


@value(kw_only=True)
class Means:
    """What this machine has to confine guests with."""

    namespaces: bool
    why_not: str = ""
    """Why there are no namespaces."""
    landlock: int = 0
    """Its version; 0: there is none."""
    filter: bool = False
    """Whether system calls can be refused."""
    own_user: bool = False
    """Whether guests can run as a user of their own."""

    @property
    def way(self) -> Way:
        if self.namespaces:
            return "namespaces"
        return "landlock" if self.landlock >= LANDLOCK_ALONE and self.filter else "none"


NO_MEANS = Means(namespaces=False, why_not=f"{platform.system()} has none")


class Sandbox:
    """Knows this machine's means; guests may share one.

    Args:
        means: instead of finding out, for tests and for operators who know better.
    """

    def __init__(self, house: House, policy: Policy = "required", means: Means | None = None) -> None:
        self._house = house
        self.policy = policy
        self._means = means
        self._turn = asyncio.Lock()

    async def means(self) -> Means:
        """Found out once, by trying."""
        async with self._turn:
            if self._means is None:
                self._means = await self._probe() if sys.platform == "linux" else NO_MEANS
            return self._means

    async def ensure_allowed(self, spec: CodeSpec) -> Means:
        """
        Raises:
            RhetorError: unavailable, it must be confined and cannot be.
        """
        means = await self.means()
        if self.policy == "required" and not is_confined(means, spec):
            why = means.why_not or "there are neither namespaces nor Landlock"
            message = (
                f"{spec.id} cannot be confined on this machine ({why}); "
                "to run it nevertheless, trust its author and set plugins.sandbox to 'best'"
            )
            raise RhetorError(message, Code.UNAVAILABLE)
        return means

    async def _probe(self) -> Means:
        landlock, can_filter, own = kernel.landlock_abi(), kernel.can_filter(), os.geteuid() == 0
        trying = Means(namespaces=True, landlock=landlock, filter=can_filter, own_user=own)
        if not can_filter:  # an unknown processor: numbers of system calls are needed for all of it
            return Means(namespaces=False, why_not=f"nothing is known of {platform.machine()} here")
        said = await self._try(trying)
        if said is not None and own:
            trying = Means(namespaces=True, landlock=landlock, filter=can_filter)
            said = await self._try(trying)
        if said is None:
            return trying
        return Means(namespaces=False, why_not=said, landlock=landlock, filter=can_filter)

    async def _try(self, means: Means) -> str | None:
        """Confine a program that does nothing; why that is impossible."""
        with tempfile.TemporaryDirectory(prefix="rhetor-") as root:
            program = (base_python(), "-I", "-S", "-c", "")
            order = make_order(means, Path(root), program, "/", {}, interpreter_paths(), Limits())
            spec = Spec(argv=JAIL, cwd=Path("/"), env={}, label="sandbox probe", stdin=True)
            child = await self._house.start(spec, mark="sandbox")
            try:
                async with asyncio.timeout(PROBE_S):
                    await child.write(order, PROBE_S)
                    code = await child.wait()
                    if code == 0:
                        return None
                    return child.said().strip()[-200:] or f"the attempt ended with {code}"
            except (TimeoutError, RhetorError) as error:
                return str(error) or "the attempt took too long"
            finally:
                await child.stop(0.0)


def is_confined(means: Means, spec: CodeSpec) -> bool:
    """Whether files, other processes and the network are kept from it, at least all but one port of it."""
    kept = all(fact.enforced for fact in facts(means, spec) if fact.what in ("files", "other processes"))
    return kept and _keeps_network(means, spec)


def _keeps_network(means: Means, spec: CodeSpec) -> bool:
    if means.way != "landlock":
        return means.namespaces
    return not spec.hosts or means.landlock >= LANDLOCK_PORTS


def what_is_enforced(means: Means, spec: CodeSpec) -> Sequence[Fact]:
    """For status, command line and documentation: what this guest is kept from here, one fact a line."""
    return facts(means, spec)


def facts(means: Means, spec: CodeSpec) -> Sequence[Fact]:
    limits = spec.limits
    spaces, landlock, filters = means.namespaces, means.landlock, means.filter
    alone = means.way == "landlock"
    hosts = f"only {', '.join(spec.hosts)}, by the gateway's proxy" if spec.hosts else "none"
    kept = _keeps_network(means, spec)
    if kept and alone and spec.hosts:
        hosts += f"; {LEAK}"
    linux = sys.platform == "linux"
    some = "not enforced on this system"
    signals = f"their memory and files{', and signals' if landlock >= LANDLOCK_SIGNALS else ', not signals'}"
    kinds = [it for it, has in (("namespaces", spaces), ("Landlock", landlock > 0)) if has]
    return (
        Fact("files", spaces or alone, f"own and system files by {' and '.join(kinds)}" if kinds else some),
        Fact(
            "other processes",
            spaces or alone,
            "it sees only its own" if spaces else signals if alone else some,
        ),
        Fact("network", kept and not (alone and spec.hosts), hosts if kept else some),
        Fact("environment", True, "only what it has declared"),
        Fact(
            "system calls", filters, "those of administrators and debuggers are refused" if filters else some
        ),
        Fact("own user", means.own_user, "a user of its own" if means.own_user else "the gateway's user"),
        Fact(
            "memory",
            linux,
            f"{limits.memory_mb} MB for all its processes"
            if spaces
            else f"{limits.memory_mb} MB for each process"
            if linux
            else some,
        ),
        Fact(
            "processes",
            spaces and _counts(means),
            f"{limits.processes}" if spaces and _counts(means) else some,
        ),
        Fact(
            "disk",
            spaces,
            f"{limits.scratch_mb} MB" if spaces else f"{limits.scratch_mb} MB a file, any number of files",
        ),
        Fact("orphans", spaces, "all end with it" if spaces else "as far as they can be found"),
    )


def _counts(means: Means) -> bool:
    """Whether processes are counted: the kernel does not count those of root."""
    return means.own_user or (sys.platform != "win32" and os.geteuid() != 0)


# The order.

JAIL = (
    sys.executable,
    *("-I", "-S", "-c"),
    f"import sys; sys.path.append({str(Path(rhetor.__file__).parent.parent)!r}); "
    "from rhetor.plugins.guest import jail; sys.exit(jail.main())",
)
"""How a jail is started; it reads an order."""


def make_order(
    means: Means,
    root: Path,
    argv: Sequence[str],
    cwd: str,
    env: Mapping[str, str],
    readable: Iterable[str],
    limits: Limits,
    *,
    scratch: Path | None = None,
    has_hosts: bool = False,
    proxy_socket: str = "",
    proxy_port: int = 0,
    number: int = 0,
) -> bytes:
    """What a jail reads first.

    Args:
        root: an empty folder, where its world is put together.
        scratch: where it may write, if it has no world of its own.
        number: chooses a user, where guests have their own.
    """
    spaces = means.namespaces
    place = SCRATCH if spaces or scratch is None else str(scratch)
    order = {
        "namespaces": spaces,
        "landlock": means.landlock > 0,
        "filter": _filter(means, has_hosts),
        "guest_id": GUEST_IDS + number % 1_000_000 if spaces and means.own_user else None,
        "root": str(root),
        "argv": list(argv),
        "cwd": cwd,
        "env": {"HOME": place, "TMPDIR": place, **env},
        "readable": sorted({*SYSTEM, *readable}),
        "files": FILES if spaces else {},
        "scratch": place,
        "proxy_socket": proxy_socket,
        "proxy_port": proxy_port,
        "nice": NICE,
        "limits": {
            "memory_mb": limits.memory_mb,
            "files": limits.files,
            "scratch_mb": limits.scratch_mb,
            "cpu_s": limits.cpu_s,
            "processes": limits.processes if spaces and _counts(means) else None,
        },
    }
    data = json.dumps(order).encode()
    return str(len(data)).encode() + b"\n" + data


def _filter(means: Means, has_hosts: bool) -> str:
    if not means.filter:
        return ""
    if means.namespaces:
        return "own"
    if means.way == "none":
        return ""
    return "tcp" if has_hosts else "none"


def base_python() -> str:
    """The interpreter itself, not that of the gateway's own environment."""
    return str(Path(getattr(sys, "_base_executable", sys.executable)).resolve())


def interpreter_paths() -> tuple[str, ...]:
    """What Python needs to run, where it is not a part of the system."""
    return (sys.base_prefix, base_python())
