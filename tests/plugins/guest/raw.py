"""The beginning of guests that speak the protocol themselves, and not always well."""

SPEAKING = """
import json, os, sys, time

def is_pipe(fd):
    path = f"/proc/self/fd/{fd}"
    return os.path.exists(path) and "pipe:" in os.readlink(path)

OUT = max(filter(is_pipe, range(3, 20)))

def hear():
    line = b""
    while not line.endswith(b"\\n"):
        piece = os.read(0, 1)
        if not piece:
            sys.exit(0)
        line += piece
    said = json.loads(line)
    left = said.get("bytes", 0)
    while left:
        left -= len(os.read(0, left))
    return said

def write(data):
    while data:
        data = data[os.write(OUT, data):]

def say(**said):
    write(json.dumps(said).encode() + b"\\n")

def heard_call():
    while True:
        said = hear()
        if said["do"] == "call":
            return said

GREETING = dict(event="hello", protocol=1, sdk="none", name="raw")
"""
