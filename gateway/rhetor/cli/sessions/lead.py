"""The subcommands that stay with a session: begin one, watch it, say something in it."""

from __future__ import annotations

import argparse
import sys

from rhetor.cli.sessions.calls import Calls, Told, ends_turn
from rhetor.cli.sessions.keyboard import interactive
from rhetor.cli.sessions.plain import PlainView
from rhetor.core.content import JsonValue
from rhetor.core.errors import BadRequest

AWAY_S = 60.0  # a gateway that is replaced by another one is back by then
WELL = "end"
SETTINGS = ("backend", "model", "directory", "permissions", "system", "title", "max_turns")


async def new(arguments: argparse.Namespace, calls: Calls) -> int:
    wanted: dict[str, JsonValue] = {
        name: value for name in SETTINGS if (value := getattr(arguments, name)) is not None
    }
    if wanted.get("model") == "auto" and "backend" not in wanted:
        wanted["requirements"] = {"model": wanted.pop("model")}
    if arguments.message is not None:
        wanted["message"] = _text(arguments.message)
    session = await calls.create(wanted)
    id = str(session["id"])
    if arguments.attach:
        return await _stay(calls, id, turns=1)
    print(id)
    if sys.stderr.isatty():
        print(f"to see it: rhetor sessions attach {id}", file=sys.stderr)
    return 0


async def attach(arguments: argparse.Namespace, calls: Calls) -> int:
    return await _stay(calls, await calls.resolve(arguments.id), arguments.history)


async def send(arguments: argparse.Namespace, calls: Calls) -> int:
    text = _text(arguments.message)
    id = await calls.resolve(arguments.id)
    sent = await calls.send(id, text, arguments.resume)
    seq = sent.get("seq")
    view = PlainView(sys.stdout, sys.stderr, id, said_by_caller=False)
    last: Told | None = None
    async for event in calls.follow(id, seq if isinstance(seq, int) else 0, away_s=AWAY_S):
        if not arguments.quiet or event.type in ("assistant", "error"):
            view.show(event)
        if event.type == "approval_request" and arguments.yes:
            await calls.answer(id, str(event.data.get("request_id")), {"decision": "allow"})
        if ends_turn(event):
            last = event
            break
    view.close()
    return 0 if last is not None and last.data.get("reason") == WELL else 1


async def _stay(calls: Calls, id: str, turns: int) -> int:
    if interactive():
        from rhetor.cli.sessions.attach import attach as attach_terminal  # brings rich

        return await attach_terminal(calls, id, turns)
    view = PlainView(sys.stdout, sys.stdout, id)
    try:
        async for event in calls.follow(id, 0, away_s=AWAY_S):
            view.show(event)
    finally:
        view.close()
    return 0


def _text(said: str) -> str:
    """The message, or standard input.

    Raises:
        BadRequest: there is none.
    """
    if said == "-":
        if sys.stdin.isatty():
            print("The message, please; Ctrl-D ends it.", file=sys.stderr)
        said = sys.stdin.read()
    if not said.strip():
        raise BadRequest("nothing to say: give a message, or pipe one in")
    return said
