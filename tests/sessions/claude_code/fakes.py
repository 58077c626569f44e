"""Programs that stand in for Claude Code, and do what it never should."""

from __future__ import annotations

import sys
from pathlib import Path

_PRELUDE = """#!{python} -ISu
import json, os, signal, subprocess, sys, time

def say(**fields):
    sys.stdout.write(json.dumps(fields) + "\\n")
    sys.stdout.flush()

def hear():
    line = sys.stdin.readline()
    if not line:
        sys.exit(0)
    return json.loads(line)

def begin():
    say(type="control_response", response={{"subtype": "success", "request_id": hear()["request_id"]}})

def turn():
    hear()
    say(type="system", subtype="init", session_id="{id}", cwd=os.getcwd(), model="small")

def answer(text):
    say(type="result", subtype="success", is_error=False, result=text, uuid="u1")

def ask(id="r1"):
    request = {{"subtype": "can_use_tool", "tool_name": "Bash", "input": {{}}}}
    say(type="control_request", request_id=id, request=request)

def calm():
    begin()
    while True:
        turn()
        answer("hello")

"""
ID = "059169fa-41bb-49d1-88a3-4a4b0b9d2c94"

CALM = "calm()"
"""Answers every message with `hello`."""


def fake(folder: Path, body: str) -> str:
    """A program that does this; its path."""
    path = folder / "claude"
    path.write_text(_PRELUDE.format(python=sys.executable, id=ID) + body)
    path.chmod(0o700)
    return str(path)
