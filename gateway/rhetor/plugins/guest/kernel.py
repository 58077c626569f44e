"""What the kernel is told to keep a guest inside: namespaces, mounts, Landlock, system calls, capabilities.

Only for Linux, and only for `jail`, which runs in a process of its own and needs nothing but Python's own
library. Numbers and structures are the kernel's: include/uapi/linux/{landlock,seccomp,mount,capability}.h and
https://docs.kernel.org/userspace-api/landlock.html (read 2026-11-21).
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterable, Sequence

CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC = 0x20000, 0x2000000, 0x4000000, 0x8000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWTIME = 0x10000000, 0x20000000, 0x40000000, 0x80
NAMESPACES = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_BIND, MS_REC, MS_SLAVE = 4096, 16384, 1 << 19
MNT_DETACH = 2

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_CAPBSET_DROP = 1, 4, 22, 24
PR_SET_SECUREBITS, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 28, 36, 38, 47
LAST_CAPABILITY = 63

CALLS = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "unshare": (272, 97),
    "setns": (308, 268),
    "move_mount": (429, 429),
    "open_tree": (428, 428),
    "fsopen": (430, 430),
    "fsmount": (432, 432),
    "fsconfig": (431, 431),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "reboot": (169, 142),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264),
    "quotactl": (179, 60),
    "acct": (163, 89),
    "syslog": (103, 116),
    "memfd_create": (319, 279),  # memory that no limit of a process counts
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
    "personality": (135, 92),
    "fanotify_init": (300, 262),
    "vhangup": (153, 58),
    "lookup_dcookie": (212, 18),
}
"""What no provider needs, by its number on x86-64 and on arm64."""
OF_OTHERS = {
    "prlimit64": (302, 261, 0),
    "sched_setparam": (142, 118, 0),
    "sched_setscheduler": (144, 119, 0),
    "sched_setaffinity": (203, 122, 0),
    "sched_setattr": (314, 274, 0),
    "setpriority": (141, 140, 1),
    "ioprio_set": (251, 30, 1),
}
"""What may be done to oneself and not to others, and which argument says to whom; 0 is oneself. Landlock
knows none of them, and other processes of the same user are within reach where there are no namespaces."""
CLONE, CLONE3, SOCKET = (56, 220), (435, 435), (41, 198)
MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""Which of the two numbers, and what the kernel calls the machine."""

AF_UNIX, AF_INET, AF_INET6, AF_NETLINK = 1, 2, 10, 16
SOCK_STREAM, IPPROTO_TCP = 1, 6


def _syscall(number: int, *arguments: object) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    result = libc.syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return int(result)


def _numbered(name: str) -> int:
    return CALLS[name][MACHINES[platform.machine()][0]]


def prctl(option: int, *arguments: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    padded = [ctypes.c_ulong(it) for it in (*arguments, 0, 0, 0, 0)[:4]]
    if libc.prctl(ctypes.c_int(option), *padded) < 0:
        raise OSError(ctypes.get_errno(), f"prctl {option}: {os.strerror(ctypes.get_errno())}")


# Namespaces and mounts.


def unshare(flags: int) -> None:
    _syscall(_numbered("unshare"), ctypes.c_ulong(flags))


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    try:
        _syscall(
            _numbered("mount"),
            *(ctypes.c_char_p(os.fsencode(it)) for it in (source, target, kind)),
            ctypes.c_ulong(flags),
            ctypes.c_char_p(os.fsencode(data)),
        )
    except OSError as error:
        raise OSError(error.errno, f"cannot mount {kind or source} on {target}: {error.strerror}") from error


def bind(source: str, target: str, *, writable: bool = False, device: bool = False) -> None:
    """Show a file or a folder at another place, and all that is mounted below it, without a way to more."""
    mount(source, target, flags=MS_BIND | MS_REC)
    lock_mount(target, MS_NOSUID | (MS_NOEXEC if device else MS_NODEV) | (0 if writable else MS_RDONLY))


def lock_mount(target: str, flags: int, recursive: bool = True) -> None:
    """Add these flags to a mount; they are the same bits as MOUNT_ATTR_*. Linux 5.12."""
    at_fdcwd, at_recursive = -100, 0x8000
    attributes = struct.pack("QQQQ", flags, 0, 0, 0)
    _syscall(
        _numbered("mount_setattr"),
        ctypes.c_int(at_fdcwd),
        ctypes.c_char_p(os.fsencode(target)),
        ctypes.c_uint(at_recursive if recursive else 0),
        ctypes.c_char_p(attributes),
        ctypes.c_size_t(len(attributes)),
    )


def enter_root(folder: str) -> None:
    """Make this folder the root, and let go of the former one."""
    os.chdir(folder)
    _syscall(_numbered("pivot_root"), ctypes.c_char_p(b"."), ctypes.c_char_p(b"."))
    _syscall(_numbered("umount2"), ctypes.c_char_p(b"."), ctypes.c_int(MNT_DETACH))
    os.chdir("/")


# Landlock: rights to files, TCP and signals, which a process takes from itself for good.

LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 444, 445, 446
READ = 1 | 1 << 2 | 1 << 3  # execute, read files, read folders
READ_FILE = 1 | 1 << 2
FILES_OF_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
"""All rights to files that a version knows: refer came with 2, truncate with 3, ioctl_dev with 5."""
OF_ONE_FILE = 1 | 1 << 1 | 1 << 2 | 1 << 14
NET_ABI, SCOPE_ABI = 4, 6
BIND_TCP, CONNECT_TCP = 1, 2
SCOPE_ABSTRACT_SOCKETS, SCOPE_SIGNALS = 1, 2


def landlock_abi() -> int:
    """The kernel's version of Landlock; 0 where there is none, or it is switched off."""
    try:
        return _syscall(LANDLOCK_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(1))
    except OSError:
        return 0


def landlock(readable: Iterable[str], writable: Iterable[str], ports: Iterable[int] = ()) -> None:
    """From now on nothing else can be opened, no TCP spoken but to these ports, nobody outside signalled."""
    abi = landlock_abi()
    files = FILES_OF_ABI[min(abi, max(FILES_OF_ABI))]
    net = BIND_TCP | CONNECT_TCP if abi >= NET_ABI else 0
    rules = _ruleset(files, net, abi)
    try:
        for path in readable:
            _allow_below(rules, path, READ)
        for path in writable:
            _allow_below(rules, path, files)
        for port in ports if net else ():
            _add_rule(rules, 2, struct.pack("=QQ", CONNECT_TCP, port))
        _syscall(LANDLOCK_RESTRICT, ctypes.c_int(rules), ctypes.c_uint32(0))
    finally:
        os.close(rules)


def _ruleset(files: int, net: int, abi: int) -> int:
    # RHEL 9 tells version 6 and does not know signals: https://docs.kernel.org, "errata"
    scopes = (SCOPE_SIGNALS | SCOPE_ABSTRACT_SOCKETS, SCOPE_ABSTRACT_SOCKETS) if abi >= SCOPE_ABI else ()
    for scoped in (*scopes, 0):
        attributes = struct.pack("QQQ", files, net, scoped)
        size = 24 if scoped else 16 if net else 8
        try:
            return _syscall(
                LANDLOCK_CREATE, ctypes.c_char_p(attributes), ctypes.c_size_t(size), ctypes.c_uint32(0)
            )
        except OSError as error:
            if error.errno != errno.EINVAL or not scoped:
                raise
    raise AssertionError


def _allow_below(rules: int, path: str, rights: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not os.path.isdir(path):
            rights &= OF_ONE_FILE
        rights &= FILES_OF_ABI[min(landlock_abi(), max(FILES_OF_ABI))]
        _add_rule(rules, 1, struct.pack("=Qi", rights, fd))
    finally:
        os.close(fd)


def _add_rule(rules: int, kind: int, rule: bytes) -> None:
    _syscall(LANDLOCK_ADD, ctypes.c_int(rules), ctypes.c_int(kind), ctypes.c_char_p(rule), ctypes.c_uint32(0))


# Capabilities and system calls.


def bound_capabilities() -> None:
    """No rights can be gained by starting another program, whoever this one runs as."""
    for number in range(LAST_CAPABILITY + 1):
        try:
            prctl(PR_CAPBSET_DROP, number)
        except OSError:  # this kernel has fewer
            break
    prctl(PR_CAP_AMBIENT, 4)
    prctl(PR_SET_SECUREBITS, 0x2F)  # uid 0 means nothing, and changing it neither; both are final


def drop_capabilities() -> None:
    """No rights beyond those of an ordinary user."""
    capset = (126, 91)[MACHINES[platform.machine()][0]]
    header, none = struct.pack("=Ii", 0x20080522, 0), bytes(24)
    _syscall(capset, ctypes.c_char_p(header), ctypes.c_char_p(none))


def filter_calls(sockets: str) -> None:
    """From now on the calls of `CALLS` are refused, and new namespaces.

    Args:
        sockets: `own`, where the network is this process's own: Unix, IP and netlink sockets;
            `tcp`: only TCP; `none`: only pairs.
    """
    program = _program(sockets)
    code = b"".join(struct.pack("=HBBI", *each) for each in program)
    held = ctypes.create_string_buffer(code, len(code))
    of = struct.pack("HxxxxxxP", len(program), ctypes.addressof(held))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(ctypes.c_int(PR_SET_SECCOMP), ctypes.c_ulong(2), ctypes.c_char_p(of), 0, 0) < 0:
        raise OSError(ctypes.get_errno(), f"no filter of system calls: {os.strerror(ctypes.get_errno())}")


def can_filter() -> bool:
    """Whether the numbers of this machine's system calls are known here."""
    return platform.machine() in MACHINES


Step = tuple[int, int, int, int]
_LOAD, _EQUAL, _AT_LEAST, _HAS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _REFUSE, _UNKNOWN = 0x7FFF0000, 0x80000000, 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
_NUMBER, _MACHINE, _FIRST, _SECOND, _THIRD = 0, 4, 16, 24, 32  # where in struct seccomp_data


def _program(sockets: str) -> Sequence[Step]:
    """The filter: a list of steps; a comparison skips so many of them when it holds, so many when not."""
    column, machine = MACHINES[platform.machine()]
    steps: list[Step] = [(_LOAD, 0, 0, _MACHINE), (_EQUAL, 1, 0, machine), (_RETURN, 0, 0, _KILL)]
    steps += [(_LOAD, 0, 0, _NUMBER), (_AT_LEAST, 0, 1, 0x40000000), (_RETURN, 0, 0, _KILL)]  # x32
    for numbers in CALLS.values():
        steps += [(_EQUAL, 0, 1, numbers[column]), (_RETURN, 0, 0, _REFUSE)]
    for *places, whom in OF_OTHERS.values() if sockets != "own" else ():
        steps += _only_oneself(places[column], whom)
    steps += [(_EQUAL, 0, 1, CLONE3[column]), (_RETURN, 0, 0, _UNKNOWN)]  # libraries use clone instead
    new = NAMESPACES | CLONE_NEWCGROUP
    steps += [
        (_EQUAL, 0, 4, CLONE[column]),
        (_LOAD, 0, 0, _FIRST),
        (_HAS, 0, 1, new),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    ]
    rules = _sockets(sockets)
    steps += [(_EQUAL, 0, len(rules), SOCKET[column]), *rules, (_RETURN, 0, 0, _ALLOW)]
    return steps


def _only_oneself(number: int, whom: int) -> Sequence[Step]:
    """Where the second argument says whom, the first says what that is: 0 is a process, others are many."""
    allow, refuse = (_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _REFUSE)
    steps = [
        step
        for at in (_FIRST, _SECOND)[: whom + 1]
        for step in ((_LOAD, 0, 0, at), (_EQUAL, 1, 0, 0), refuse)
    ]
    return [(_EQUAL, 0, len(steps) + 1, number), *steps, allow]


def _sockets(which: str) -> Sequence[Step]:
    allow, refuse = (_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _REFUSE)
    steps: list[Step] = [(_LOAD, 0, 0, _FIRST)]
    if which == "own":
        for family in (AF_UNIX, AF_INET, AF_INET6, AF_NETLINK):
            steps += [(_EQUAL, 0, 1, family), allow]
    elif which == "tcp":
        steps += [(_EQUAL, 2, 0, AF_INET), (_EQUAL, 1, 0, AF_INET6), refuse]
        # The low bits are the kind, others are flags; multipath TCP is not what Landlock counts as TCP.
        steps += [(_LOAD, 0, 0, _SECOND), (0x54, 0, 0, 0xF), (_EQUAL, 1, 0, SOCK_STREAM), refuse]
        steps += [(_LOAD, 0, 0, _THIRD), (_EQUAL, 0, 1, 0), allow, (_EQUAL, 0, 1, IPPROTO_TCP), allow]
    return [*steps, refuse]
