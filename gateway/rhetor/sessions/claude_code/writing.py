"""What is said to Claude Code: one JSON object a line, on its standard input.

The protocol is that of its SDK. Seen running, version 2.1.197, 2026-11-21. A line that it cannot read ends
the process, so none is made outside this module.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

import orjson

from rhetor.core.content import Json, JsonValue
from rhetor.sessions.backend import Verdict

WATCHED = "Bash|EnterWorktree|ExitWorktree|Write|Edit|MultiEdit|NotebookEdit"
"""Tools after which we are called, and told the directory that the agent is in now; nothing else tells it."""
WATCH = "used"
HOOKS: Json = {
    event: [{"matcher": WATCHED, "hookCallbackIds": [WATCH]}]
    for event in ("PostToolUse", "PostToolUseFailure")
}

DENIED = "The user does not allow this."

CHANGES_FILES = frozenset({"Write", "Edit", "MultiEdit", "NotebookEdit"})
PATHS = ("file_path", "notebook_path", "path")
PATTERN = frozenset("*?[]!\\()")
"""A path with one of these means something else in a rule."""


def initialize(id: str, system: str | None) -> bytes:
    """The first thing; its answer tells that the process works. Instructions come with it, not in argv, where
    everybody on the machine could read them.
    """
    more: dict[str, JsonValue] = {} if system is None else {"appendSystemPrompt": system}
    return _control(id, {"subtype": "initialize", "hooks": HOOKS, **more})


def message(text: str) -> bytes:
    return _line({"type": "user", "message": {"role": "user", "content": text}})


def interrupt(id: str) -> bytes:
    return _control(id, {"subtype": "interrupt"})


def verdict(id: str, given: Verdict, input: Json, lasting: Sequence[Json]) -> bytes:
    """The answer to `can_use_tool`.

    Args:
        input: what the tool is to be used with, where the verdict does not say otherwise.
        lasting: the rules that make it last, see `rules`.
    """
    if given.decision == "deny":
        return reply(id, {"behavior": "deny", "message": given.message or DENIED})
    answer: dict[str, JsonValue] = {
        "behavior": "allow",
        "updatedInput": dict(input if given.input is None else given.input),
    }
    if given.always and lasting:
        answer["updatedPermissions"] = list(lasting)
    return reply(id, answer)


def reply(id: str, answer: Json) -> bytes:
    return _line(
        {
            "type": "control_response",
            "response": {"subtype": "success", "request_id": id, "response": dict(answer)},
        }
    )


def refusal(id: str, why: str) -> bytes:
    return _line(
        {"type": "control_response", "response": {"subtype": "error", "request_id": id, "error": why}}
    )


def rules(tool: str, input: Json, suggested: Sequence[Json], directory: str) -> list[Json]:
    """What makes an allowance last for the rest of the session; empty: it cannot.

    They go into the user's settings, which are below the session's own home, so that the next process of the
    session knows them too. Of what Claude Code suggests only rules are taken: a `mode` would allow more than
    was asked. For files it suggests nothing else, so the rule for them is ours.
    """
    if not suggested:
        return []
    if tool in CHANGES_FILES:
        return _for_files(input, directory)
    return [
        {**each, "destination": "userSettings"}
        for each in suggested
        if each.get("type") == "addRules" and each.get("behavior") == "allow"
    ]


def _for_files(input: Json, directory: str) -> list[Json]:
    """Files below the session's directory, or below that of this file, may be changed.

    In rules, paths from the root begin with two slashes, and `Edit` means every tool that changes files.
    Seen so, and described at https://code.claude.com/docs/en/permissions.
    """
    path = next((PurePath(each) for name in PATHS if isinstance(each := input.get(name), str)), None)
    if path is None or not path.is_absolute():
        return []
    below = PurePath(directory) if path.is_relative_to(directory) else path.parent
    if PATTERN & set(str(below)) or below == PurePath("/"):
        return []
    rule: Json = {"toolName": "Edit", "ruleContent": f"/{below}/**"}
    return [{"type": "addRules", "rules": [rule], "behavior": "allow", "destination": "userSettings"}]


def _control(id: str, request: Json) -> bytes:
    return _line({"type": "control_request", "request_id": id, "request": dict(request)})


def _line(fields: Json) -> bytes:
    return orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)
