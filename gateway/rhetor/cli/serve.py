"""`rhetor serve` runs the gateway; `rhetor up` also says what is on and shows a first generation."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress

from rhetor.app import App
from rhetor.cli.chat import say
from rhetor.cli.doctor import lines_of, providers_found
from rhetor.cli.engines import HELLO, WISHES, show
from rhetor.cli.remote import Remote
from rhetor.cli.setting import add_config_option, furnish
from rhetor.cli.terminal import printable, printed
from rhetor.config import ConfigError
from rhetor.core.errors import RhetorError
from rhetor.tasks import Tasks

log = logging.getLogger(__name__)

STOPPED_AT_ONCE = 130  # as of a program that Ctrl-C has ended
GC_YOUNG = 20_000  # objects; a request makes hundreds and leaves no cycles, so 700 looks for them in vain
LOOK_AROUND_S = 2.0  # for the greeting only: a local Ollama answers at once, a vendor may take its time


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    for name, help, run in (
        ("serve", "run the gateway", _serve),
        ("up", "run the gateway, say what is on, and show a first generation", _up),
    ):
        parser = commands.add_parser(name, help=help)
        add_config_option(parser)
        parser.set_defaults(run=run)
        if run is _up:
            parser.add_argument(
                "--with",
                dest="wishes",
                action="append",
                choices=list(WISHES),
                default=[],
                help="also raise engines that come along and need no key, and show what they do",
            )


def _serve(arguments: argparse.Namespace) -> int:
    return _run(furnish(arguments), None)


def _up(arguments: argparse.Namespace) -> int:
    return _run(furnish(arguments), arguments.wishes)


def _run(app: App, wishes: list[str] | None) -> int:
    app.own_logs()
    if sys.platform == "win32":
        asyncio.run(_live(app, wishes))
    else:
        import uvloop  # absent on Windows

        uvloop.run(_live(app, wishes))
    return 0


async def _live(app: App, wishes: list[str] | None) -> None:
    """Start, serve until told to stop, stop.

    Args:
        wishes: what a newcomer wants to see; None: not even a greeting.
    """
    stopping = asyncio.Event()
    chores = Tasks()
    _on_signal("SIGINT", stopping.set)
    _on_signal("SIGTERM", stopping.set)
    _on_signal("SIGHUP", lambda: chores.spawn(_reload(app), "reload"))
    await app.start()
    # What start-up made stays for good: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_YOUNG)
    if wishes is not None:
        chores.spawn(_greet(app, wishes), "greeting")
    await stopping.wait()
    # Whoever asks twice does not want to wait.
    _on_signal("SIGINT", lambda: os._exit(STOPPED_AT_ONCE))
    _on_signal("SIGTERM", lambda: os._exit(STOPPED_AT_ONCE))
    if app.house.pipeline.in_flight:
        grace_s = app.config.server.shutdown_grace_s
        print(f"stopping within {grace_s:g} s; once more stops at once", file=sys.stderr)
    await chores.close()
    await app.stop()


def _on_signal(name: str, act: Callable[[], object]) -> None:
    number = getattr(signal, name, None)
    if number is None:
        return
    loop = asyncio.get_running_loop()
    try:
        loop.add_signal_handler(number, act)
    except NotImplementedError:  # Windows
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(act))


async def _reload(app: App) -> None:
    try:
        await app.reload()
    except ConfigError as error:
        problems = [str(problem) for problem in error.problems]
        log.error("not reloaded: the old configuration stays", extra={"problems": problems})


async def _greet(app: App, wishes: list[str]) -> None:
    """What a newcomer wants to see; only warnings may interrupt it."""
    logging.disable(logging.INFO)
    try:
        await _say_hello(app)
        await show(app, wishes)
    finally:
        logging.disable(logging.NOTSET)


async def _say_hello(app: App) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(LOOK_AROUND_S):
            await app.discovered.wait()
    print(f"\nRhetor listens on {app.url}\n")
    print(printed(lines_of(list(providers_found(app)))))
    if not any(member.secrets for member in app.members.values()):
        print("\nA vendor's key switches it on: OPENAI_API_KEY, ANTHROPIC_API_KEY, …; see `rhetor doctor`.")
    print(f"\nA first generation, through {app.url}/v1/chat/completions:\n\n  > {HELLO}\n  ", end="")
    remote = Remote(app.url, app.some_token())
    try:
        answered = await say(remote, "auto", HELLO)
        print(f"\n\n  answered by {printable(answered)}")
    except RhetorError as error:
        print(f"✗ {printable(app.redactor.text(error.message))}")
    finally:
        await remote.close()
    print(f"\nPage           {app.url}/")
    print(f"OpenAI SDK     base_url={app.url}/v1")
    print(f"Anthropic SDK  base_url={app.url}\n", flush=True)
