"""A session's events as plain lines: for pipes, for files, and for one turn that is waited for."""

from __future__ import annotations

from typing import TextIO

from rhetor.cli.sessions import words
from rhetor.cli.sessions.calls import Told
from rhetor.cli.terminal import printable

DIM, BOLD, RED, PLAIN = "\x1b[2m", "\x1b[1m", "\x1b[31m", "\x1b[0m"


class PlainView:
    """Writes what happens as it happens.

    Args:
        out: for what is said to the caller.
        aside: for everything else; may be the same.
        id: of the session, for what people must type.
        said_by_caller: whether to repeat what the caller says.
    """

    def __init__(self, out: TextIO, aside: TextIO, id: str, said_by_caller: bool = True) -> None:
        self._out = out
        self._aside = aside
        self._id = id
        self._said_by_caller = said_by_caller
        self._open: TextIO | None = None  # whose last line has no end yet

    def show(self, event: Told) -> None:
        match event.type:
            case "assistant":
                self._write(self._out, event.content)
            case "thinking":
                self._write(self._aside, event.content, DIM)
            case "user":
                if self._said_by_caller:
                    self._line(f"› {event.content}", BOLD)
            case "tool_use":
                self._line(f"⏺ {words.tool_line(event)}")
            case "tool_result":
                self._line(f"  ⎿ {words.result_line(event)}", RED if event.data.get("is_error") else DIM)
            case "file_change":
                self._line(f"± {words.file_line(event)}")
            case "directory_change":
                self._line(f"→ {event.content}")
            case "approval_request":
                self._line(f"? {words.question(event.data)}", BOLD)
                self._line(
                    f"  rhetor sessions approve {self._id} {event.data.get('request_id')}, or deny", DIM
                )
            case "approval_resolved":
                self._line(f"  {words.resolved_line(event)}")
            case "error":
                self._line(f"✗ {event.content}", RED)
            case "status_change" if (state := words.state_line(event)) is not None:
                self._line(f"● {state}", DIM)
            case _:
                pass  # of the system, and what was used: `show` has the sum

    def close(self) -> None:
        """End the last line."""
        if self._open is not None:
            print(file=self._open, flush=True)
            self._open = None

    def _write(self, to: TextIO, text: str, style: str = "") -> None:
        if self._open is not to:
            self.close()
        self._put(to, text, style)
        self._open = None if text.endswith("\n") else to

    def _line(self, text: str, style: str = "") -> None:
        self.close()
        self._put(self._aside, f"{text}\n", style)

    def _put(self, to: TextIO, text: str, style: str) -> None:
        if to.isatty():
            text = printable(text)
            text = f"{style}{text}{PLAIN}" if style else text
        to.write(text)
        to.flush()
