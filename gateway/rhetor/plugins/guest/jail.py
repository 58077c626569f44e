"""Starts a guest where it can touch nothing but its own, and ends with it.

A program of its own: the gateway starts it with the order on its standard input (a number of bytes on a line,
then JSON), which is the guest's standard input from then on. Nothing of the gateway's environment is in it.

With namespaces it is three processes: this one, waiting in the gateway's group; the first process of the
guest's world, whose death ends everything in it; and the guest. Without, it is two.
"""

from __future__ import annotations

import fcntl
import json
import os
import resource
import signal
import socket
import struct
import sys
from collections.abc import Mapping
from typing import Any

from rhetor.plugins.guest import kernel

REFUSED = 97
"""The exit code that says: this cannot be confined as ordered, and was not started."""
LOOK_S = 0.5  # how often the memory of a guest is added up
INSIDE_ID = 1000
PAGE = resource.getpagesize()
DEVICES = ("null", "zero", "full", "random", "urandom")


def main() -> int:
    order = _read_order()
    try:
        return _run(order)
    except OSError as error:
        _say(error)
        return REFUSED


def _read_order() -> dict[str, Any]:
    """Exactly the order: whatever follows it is for the guest."""
    size = b""
    while not size.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            sys.exit(REFUSED)
        size += byte
    data = b""
    while len(data) < int(size):
        data += os.read(0, int(size) - len(data))
    order: dict[str, Any] = json.loads(data)
    return order


def _run(order: Mapping[str, Any]) -> int:
    os.umask(0o022)
    os.closerange(3, 1024)
    signal.signal(signal.SIGTERM, _stay)  # it is the guest that ends on it
    if sys.platform != "linux":
        _confine(order)
        _become(order)
    if not order["namespaces"]:
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
        return _attend(_fork_guest(order), order)
    _enter_namespaces(order)
    first = os.fork()
    if not first:
        os._exit(_guarded(_be_first, order))
    _let_go_of_pipes()
    return _wait_for(first)


def _stay(number: int, frame: object) -> None:
    return None


def _guarded(work: Any, order: Mapping[str, Any]) -> int:
    """Whatever happens in a forked child happens only there."""
    try:
        return int(work(order))
    except BaseException as error:
        _say(error)
        return REFUSED


def _say(error: BaseException) -> None:
    why = error.strerror if isinstance(error, OSError) else None
    os.write(2, f"sandbox: {why or error}\n".encode())


# The world of a guest.


def _enter_namespaces(order: Mapping[str, Any]) -> None:
    outside = os.getuid(), os.getgid()
    guest = order.get("guest_id")
    mapper, told = (0, None) if guest is None else _fork_mapper(outside, guest)
    kernel.unshare(kernel.NAMESPACES)
    if told is None:
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{INSIDE_ID} {outside[0]} 1")
        _write("/proc/self/gid_map", f"{INSIDE_ID} {outside[1]} 1")
    else:
        os.write(told, b"x")
        os.close(told)
        if _wait_for(mapper):
            raise OSError("cannot give the guest a user of its own")
    _own_network(order)


def _fork_mapper(outside: tuple[int, int], guest: int) -> tuple[int, int]:
    """Another user than ours can only be named by a process that stayed outside."""
    ours, (read, write) = os.getpid(), os.pipe()
    child = os.fork()
    if child:
        os.close(read)
        return child, write
    os.close(write)
    try:
        os.read(read, 1)
        for name, own in (("uid_map", outside[0]), ("gid_map", outside[1])):
            _write(f"/proc/{ours}/{name}", f"0 {own} 1\n{INSIDE_ID} {guest} 1")
        os._exit(0)
    except OSError:
        os._exit(1)


def _own_network(order: Mapping[str, Any]) -> None:
    """The loopback of its own network; where it may speak to hosts, a door there that the gateway keeps."""
    fcntl_siocsifflags, up_running = 0x8914, 0x41
    with socket.socket() as probe:
        fcntl.ioctl(probe, fcntl_siocsifflags, struct.pack("16sH14x", b"lo", up_running))
    if order.get("proxy_socket"):
        with socket.socket() as door, socket.socket(socket.AF_UNIX) as gateway:
            door.bind(("127.0.0.1", order["proxy_port"]))
            door.listen(64)
            gateway.connect(order["proxy_socket"])
            socket.send_fds(gateway, [b"x"], [door.fileno()])
            gateway.recv(1)  # the gateway has it


def _be_first(order: Mapping[str, Any]) -> int:
    """The first process of the guest's world."""
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    socket.sethostname("guest")
    _write("/proc/sys/user/max_user_namespaces", "0", needed=False)
    _make_root(order)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    return _attend(_fork_guest(order), order)


def _make_root(order: Mapping[str, Any]) -> None:
    root = order["root"]
    kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_SLAVE)
    kernel.mount("tmpfs", root, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=755,size=4m")
    for path in order["readable"]:
        _show(root, path)
    for name in DEVICES:
        _touch(f"{root}/dev/{name}")
        kernel.bind(f"/dev/{name}", f"{root}/dev/{name}", device=True)
    for name, target in (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        os.symlink(target, f"{root}/dev/{name}")
    for path, text in order["files"].items():
        _touch(root + path, text)
    flags = kernel.MS_NOSUID | kernel.MS_NODEV
    for path, size_mb in (("/dev/shm", 16), (order["scratch"], order["limits"]["scratch_mb"])):
        os.makedirs(root + path, exist_ok=True)
        size = f"size={size_mb}m,nr_inodes={max(1024, size_mb * 64)},mode=755"
        kernel.mount("tmpfs", root + path, "tmpfs", flags, size)
        os.chown(root + path, INSIDE_ID, INSIDE_ID)
    os.makedirs(f"{root}/proc", exist_ok=True)
    _show_processes(f"{root}/proc")
    if not os.path.lexists(f"{root}/tmp"):  # something of the guest's may lie below it
        os.symlink(order["scratch"], f"{root}/tmp")
    kernel.enter_root(root)
    kernel.lock_mount("/", kernel.MS_RDONLY, recursive=False)


def _show(root: str, path: str) -> None:
    """One path of the real world, as it is called there."""
    if os.path.lexists(root + path) or not os.path.lexists(path):
        return
    os.makedirs(os.path.dirname(root + path), exist_ok=True)
    if os.path.islink(path):
        os.symlink(os.readlink(path), root + path)
        return
    if os.path.isdir(path):
        os.mkdir(root + path)
    else:
        _touch(root + path)
    kernel.bind(path, root + path)


def _show_processes(path: str) -> None:
    """Only those of this world; where the real ones are partly hidden from us, none at all."""
    flags = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC | kernel.MS_RDONLY
    for options in ("", "subset=pid"):
        try:
            kernel.mount("proc", path, "proc", flags, options)
            return
        except OSError:
            continue


def _touch(path: str, text: str = "") -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)


def _write(path: str, text: str, needed: bool = True) -> None:
    try:
        with open(path, "w") as file:
            file.write(text)
    except OSError as error:
        if needed:
            raise OSError(error.errno, f"cannot write {path}: {error.strerror}") from error


# The guest.


def _fork_guest(order: Mapping[str, Any]) -> int:
    child = os.fork()
    if child:
        _let_go_of_pipes()
        return child
    try:
        if not order["namespaces"]:
            kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        _confine(order)
        _become(order)
    except BaseException as error:
        _say(error)
    os._exit(REFUSED)


def _confine(order: Mapping[str, Any]) -> None:
    os.nice(order["nice"])
    _limit(order)
    if sys.platform != "linux":
        return
    if order["namespaces"] or os.geteuid() == 0:
        kernel.bound_capabilities()
        if order.get("guest_id") is not None:
            os.setgroups([])
            os.setresgid(INSIDE_ID, INSIDE_ID, INSIDE_ID)
            os.setresuid(INSIDE_ID, INSIDE_ID, INSIDE_ID)
        kernel.drop_capabilities()
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    if order["landlock"]:
        inside = [*order["readable"], *order["files"], "/proc"] if order["namespaces"] else order["readable"]
        devices = [f"/dev/{name}" for name in DEVICES]
        writable = [order["scratch"], *devices, *(("/dev/shm",) if order["namespaces"] else ())]
        ports = [order["proxy_port"]] if order.get("proxy_port") else []
        kernel.landlock(inside, writable, ports)
    if order["filter"]:
        kernel.filter_calls(order["filter"])


def _limit(order: Mapping[str, Any]) -> None:
    limits = order["limits"]
    most = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_DATA: limits["memory_mb"] << 20,
        resource.RLIMIT_NOFILE: limits["files"],
        resource.RLIMIT_FSIZE: limits["scratch_mb"] << 20,
        resource.RLIMIT_MEMLOCK: 8 << 20,
    }
    if limits.get("cpu_s"):
        most[resource.RLIMIT_CPU] = limits["cpu_s"]
    if limits.get("processes"):
        most[resource.RLIMIT_NPROC] = limits["processes"]
    if sys.platform == "linux":
        most[resource.RLIMIT_MSGQUEUE] = 0
    for which, wanted in most.items():
        _, hard = resource.getrlimit(which)
        if hard != resource.RLIM_INFINITY:
            wanted = min(wanted, hard)
        resource.setrlimit(which, (wanted, wanted))


def _become(order: Mapping[str, Any]) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.chdir(order["cwd"])
    argv = order["argv"]
    os.execve(argv[0], argv, order["env"])


# Whoever waits.


def _let_go_of_pipes() -> None:
    """The guest alone holds them now: when it ends, they end."""
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.close(nothing)


def _wait_for(child: int) -> int:
    while True:
        pid, status = os.waitpid(child, 0)
        if pid == child:
            return _code(status)


def _attend(guest: int, order: Mapping[str, Any]) -> int:
    """Wait for the guest, reap what it leaves, and see that all of it together is not too large."""
    most = order["limits"]["memory_mb"] << 20
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    while True:
        signal.sigtimedwait({signal.SIGCHLD}, LOOK_S)
        code = _reap(guest)
        if code is not None:
            break
        if order["namespaces"] and (size := _memory(most)) > most:
            said = f"sandbox: ended, it uses {size >> 20} MB of memory and may use {most >> 20}\n"
            os.write(2, said.encode())
            code = 128 + signal.SIGKILL
            break
    if not order["namespaces"]:
        _end_descendants()
    return code


def _reap(guest: int) -> int | None:
    """The guest's exit code, if it has ended."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return REFUSED
        if pid == guest:
            return _code(status)
        if not pid:
            return None


def _memory(most: int) -> int:
    """What all processes of this world hold together, in bytes."""
    pids = [name for name in os.listdir("/proc") if name.isdigit() and name != "1"]
    rough = sum(_field(f"/proc/{pid}/statm", 1) for pid in pids) * PAGE
    if rough <= most:
        return rough
    return sum(map(_share, pids))  # what several share was counted several times


def _share(pid: str) -> int:
    try:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            return sum(int(line.split()[1]) for line in file if line.startswith("Pss:")) << 10
    except OSError:
        return _field(f"/proc/{pid}/statm", 1) * PAGE


def _field(path: str, number: int) -> int:
    try:
        with open(path) as file:
            return int(file.read().split()[number])
    except OSError:
        return 0


def _end_descendants() -> None:
    """Orphans of the guest became children of this process."""
    ours = os.getpid()
    for _ in range(100):
        left = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _parent(pid) == ours]
        if not left:
            return
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                continue
            os.waitpid(pid, 0)


def _parent(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except OSError:
        return 0


def _code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
