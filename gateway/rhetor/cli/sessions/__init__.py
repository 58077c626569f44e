"""`rhetor sessions …`: conversations with agents and chats, held by a running gateway."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable

from rhetor.cli.remote import Remote, add_gateway_options
from rhetor.cli.sessions import about, lead
from rhetor.cli.sessions.calls import Calls
from rhetor.core.errors import RhetorError

Command = Callable[[argparse.Namespace, Calls], Awaitable[int]]
Parser = argparse.ArgumentParser

CONNECTIONS = 4  # to hear what happens, and meanwhile to say something
PERMISSIONS = ("ask", "accept_edits", "plan", "deny")
WHICH = "its id, or the beginning of it"


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("sessions", help="hold conversations with agents and chats")
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    def add(name: str, run: Command, help: str, which: str | None = WHICH) -> Parser:
        """A subcommand; `which` describes the session that it is about, where it is about one."""
        added = actions.add_parser(name, help=help, description=f"{help[0].upper()}{help[1:]}.")
        if which is not None:
            added.add_argument("id", nargs="?" if which == LAST else None, help=which)
        add_gateway_options(added)
        added.set_defaults(run=lambda arguments: asyncio.run(_run(arguments, run)))
        return added

    _add_leading(add)
    _add_short(add)


Add = Callable[..., Parser]
LAST = f"{WHICH}; left out: the one that was changed last"


def _add_leading(add: Add) -> None:
    """Those that hear what happens."""
    new = add("new", lead.new, "begin a session, and say something in it", None)
    new.add_argument("message", nargs="?", help="the first message; `-` reads it from standard input")
    new.add_argument("--attach", action="store_true", help="stay with it, see `attach`")
    new.add_argument("--backend", metavar="NAME", help="chat, claude_code, opencode, …; see `backends`")
    new.add_argument("--model", metavar="NAME", help="a route, provider/model, or auto")
    new.add_argument("--directory", metavar="PATH", help="where an agent works, on the gateway's machine")
    new.add_argument("--permissions", choices=PERMISSIONS, help="whether an agent asks before it acts")
    new.add_argument("--system", metavar="TEXT", help="a system prompt")
    new.add_argument("--title", metavar="TEXT")
    new.add_argument(
        "--max-turns", type=int, metavar="N", help="calls of an agent to its model for a message"
    )

    attach = add("attach", lead.attach, "watch a session, and take part in it", LAST)
    attach.add_argument("--history", type=int, metavar="N", default=20, help="earlier turns; default: 20")

    send = add("send", lead.send, "say something, and hear the turn to its end")
    send.add_argument("message", help="`-` reads it from standard input")
    send.add_argument("--resume", action="store_true", help="first, if it is suspended or has failed")
    send.add_argument("--yes", action="store_true", help="allow whatever the agent asks in this turn")
    send.add_argument("--quiet", action="store_true", help="nothing but what is answered")


def _add_short(add: Add) -> None:
    """Those that ask once."""
    list_ = add("list", about.list_, "list sessions, those changed last first", None)
    list_.add_argument("--state", metavar="A,B", help="only such: idle,suspended")
    list_.add_argument("--backend", metavar="NAME", help="only its")
    list_.add_argument("--limit", type=int, default=50, metavar="N", help="default: %(default)s")
    list_.add_argument("--json", action="store_true", help="as the gateway tells it")
    show = add("show", about.show, "tell what is known of a session", LAST)
    show.add_argument("--json", action="store_true", help="as the gateway tells it")

    for name, run, help in (
        ("approve", about.approve, "let an agent do what it asks"),
        ("deny", about.deny, "do not let it"),
    ):
        answer = add(name, run, help)
        answer.add_argument("request", nargs="?", help="which question; left out: the only one")
        if name == "approve":
            answer.add_argument("--always", action="store_true", help="and the like of it from now on")
        else:
            answer.add_argument("-m", "--message", metavar="TEXT", help="what the agent is told")

    add("interrupt", about.interrupt, "end the turn that is under way")
    suspend = add("suspend", about.suspend, "give back what it holds, and print the state to resume it by")
    suspend.add_argument("-o", "--output", metavar="FILE", help="write the state there")
    resume = add("resume", about.resume, "make a suspended or failed session take messages again")
    resume.add_argument("--state", metavar="FILE", help="what `suspend` printed; `-`: standard input")
    remove = add("rm", about.remove, "end sessions and forget them", None)
    remove.add_argument("ids", nargs="+", metavar="id", help=WHICH)
    remove.add_argument("--keep", action="store_true", help="end them, and keep what was said")
    export = add("export", about.export, "print a conversation")
    export.add_argument("--format", choices=("json", "txt", "md"), default="md", help="default: %(default)s")
    export.add_argument("-o", "--output", metavar="FILE", help="write it there")
    backends = add("backends", about.backends, "tell with whom sessions can be held", None)
    backends.add_argument("--json", action="store_true", help="as the gateway tells it")


async def _run(arguments: argparse.Namespace, command: Command) -> int:
    remote = Remote(arguments.url, arguments.token, CONNECTIONS)
    try:
        return await command(arguments, Calls(remote))
    except RhetorError as error:
        remote.complain(error)
        return 1
    except OSError as error:  # a file that was named
        print(f"✗ {error}", file=sys.stderr)
        return 1
    finally:
        await remote.close()
