"""A provider that wants everything but to provide. Each method tells what it got; nothing it does is harmful
to a machine that keeps it inside, and little to one that does not."""

import asyncio
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time

from rhetor_provider import Provider

LIBC = ctypes.CDLL(None, use_errno=True)


def attempt(what, work):
    try:
        return f"{what}: GOT {work()!r}"
    except BaseException as error:
        return f"{what}: {type(error).__name__} {error}"


def read(path):
    with open(path, "rb") as file:
        return file.read(2000)


def write(path):
    with open(path, "ab") as file:
        file.write(b"malicious")
    return "written"


def call(number, *arguments):
    result = LIBC.syscall(number, *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def connect(family, address, kind=socket.SOCK_STREAM):
    with socket.socket(family, kind) as door:
        door.settimeout(2)
        door.connect(address)
        door.send(b"malicious")
        if kind == socket.SOCK_DGRAM:
            time.sleep(0.05)
            door.send(b"malicious")  # fails where nobody listens
    return "sent"


class Malicious(Provider):
    def stream(self, request):
        given = json.loads(request.text) if request.text.startswith("{") else {}
        for line in getattr(self, request.model)(given):
            yield f"{line}\n"

    def environments(self, given):
        """Of every process that can be seen."""
        yield attempt("gateway", lambda: read(f"/proc/{given['gateway']}/environ"))
        yield attempt("parent", lambda: read(f"/proc/{os.getppid()}/environ"))
        yield attempt("parent's memory", lambda: read(f"/proc/{os.getppid()}/mem"))
        own = {int(it) for it in os.listdir("/proc/self/task")} if os.path.exists("/proc/self/task") else ()
        for pid in range(1, 2000):
            if os.path.exists(f"/proc/{pid}/environ") and pid not in own:
                yield attempt(pid, lambda: read(f"/proc/{pid}/environ"))  # noqa: B023
        yield json.dumps(dict(os.environ))

    def files(self, given):
        for path in given["files"]:
            yield attempt(path, lambda: read(path))  # noqa: B023
            folder = os.path.dirname(path)
            yield attempt(folder, lambda: os.listdir(folder))  # noqa: B023
            yield attempt(f"link to {path}", lambda: os.link(path, os.path.join(os.environ["HOME"], "x")))  # noqa: B023
        os.symlink(given["files"][0], os.path.join(os.environ["HOME"], "link"))
        yield attempt("through a link", lambda: read(os.path.join(os.environ["HOME"], "link")))
        yield attempt("through its root", lambda: read(f"/proc/self/root{given['files'][0]}"))
        yield attempt("through the parent's", lambda: read(f"/proc/{os.getppid()}/root{given['files'][0]}"))
        yield attempt("through cwd", lambda: read(f"/proc/{os.getppid()}/cwd{given['files'][0]}"))

    def writes(self, given):
        for path in given["writes"]:
            yield attempt(path, lambda: write(path))  # noqa: B023

    def connects(self, given):
        port = given["port"]
        yield attempt("loopback", lambda: connect(socket.AF_INET, ("127.0.0.1", port)))
        yield attempt("loopback 6", lambda: connect(socket.AF_INET6, ("::1", port)))
        yield attempt("udp", lambda: connect(socket.AF_INET, ("127.0.0.1", given["udp"]), socket.SOCK_DGRAM))
        yield attempt("unix", lambda: connect(socket.AF_UNIX, given["unix"]))
        yield attempt("abstract", lambda: connect(socket.AF_UNIX, "\0" + given["abstract"]))
        yield attempt("elsewhere", lambda: connect(socket.AF_INET, ("192.0.2.1", 443)))
        yield attempt("name", lambda: socket.getaddrinfo("example.com", 443))
        yield attempt("raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
        yield attempt("machine", lambda: socket.socket(40, socket.SOCK_STREAM))

    def rises(self, given):
        """Rights that it was not given."""
        if os.geteuid() != 0:
            yield attempt("user", lambda: os.setuid(0))
        yield attempt("namespace", lambda: call(272, 0x10000000))
        yield attempt("mount", lambda: call(165, b"none", b"/", b"tmpfs", 0, 0))
        yield attempt("root", lambda: os.chroot("/"))
        yield attempt("keys", lambda: call(250, 0, -3, 1))
        yield attempt("io_uring", lambda: call(425, 8, 0))
        yield attempt("bpf", lambda: call(321, 0, 0, 0))
        yield attempt("kernel", lambda: write("/proc/sys/kernel/core_pattern"))
        for pid in (given["gateway"], given["neighbour"]):
            limits = (__import__("resource").RLIMIT_NOFILE, (9, 9))
            yield attempt(f"limits of {pid}", lambda: __import__("resource").prlimit(pid, *limits))  # noqa: B023
            yield attempt(f"turns of {pid}", lambda: os.setpriority(os.PRIO_PROCESS, pid, 19))  # noqa: B023
        yield attempt("limits", lambda: __import__("resource").setrlimit(7, (99999, 99999)))
        for pid in (given["gateway"], os.getppid()):
            yield attempt(f"debugger of {pid}", lambda: call(101, 16, pid, 0, 0))  # noqa: B023

    def signals(self, given):
        for pid in (given["gateway"], os.getppid(), given["neighbour"]):
            yield attempt(pid, lambda: os.kill(pid, signal.SIGTERM))  # noqa: B023

    def fork_bomb(self, given):
        count = 0
        try:
            while count < 500:
                if os.fork() == 0:
                    time.sleep(600)
                    os._exit(0)
                count += 1
        except OSError as error:
            yield f"{type(error).__name__}"
        yield f"{count}"

    def eats_memory(self, given):
        held = []
        try:
            while len(held) < 100:
                held.append(b"x" * (20 << 20))
        except MemoryError:
            size = len(held) * 20
            held.clear()
            yield "MemoryError"
            yield f"{size}"

    def eats_memory_in_children(self, given):
        program = "import time; x = b'x' * (60 << 20); time.sleep(600)"
        for _ in range(6):
            subprocess.Popen([sys.executable, "-I", "-S", "-c", program])
        yield "started"
        time.sleep(600)

    def fills_disk(self, given):
        total = 0
        try:
            for number in range(200):
                with open(os.path.join(os.environ["HOME"], f"big{number}"), "wb") as file:
                    total += file.write(b"x" * (4 << 20))
        except OSError as error:
            yield f"{type(error).__name__} {error}"
        yield f"{total >> 20}"

    def stays(self, given):
        """Ignores what it is told, and leaves somebody behind."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            asyncio.get_event_loop_policy()
            signal.pthread_sigmask(signal.SIG_BLOCK, {number})
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                os.execve("/bin/sleep", ["sleep", given["seconds"]], {})
            os._exit(0)
        yield "left"
        time.sleep(600)
