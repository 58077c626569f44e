"""What somebody sees who is attached: what was said goes up the screen, below it stands what happens now."""

from __future__ import annotations

import asyncio
import os
import time

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.markdown import Markdown
from rich.padding import Padding
from rich.rule import Rule
from rich.segment import Segment
from rich.text import Text

from rhetor.cli.sessions import words
from rhetor.cli.sessions.calls import IN_TURN, Told
from rhetor.cli.sessions.editor import Editor
from rhetor.cli.sessions.scene import Blocks, Scene
from rhetor.cli.terminal import printable

REDRAW_S = 0.04  # so often at most: terminals over a network are slow
KEPT_LINES = 8  # for what is below a message that is being said
INPUT_LINES = 6
LAST_CHARS = 20_000  # more than any screen has
DOTS = {
    "active": "green",
    "initializing": "green",
    "waiting_input": "yellow",
    "suspended": "cyan",
    "failed": "red",
    "terminated": "red",
}
SAID, THOUGHT = "assistant", "thinking"
UNSEEN = ("usage", "system")
"""They put nothing on the screen, and may come in the middle of a sentence."""


class Screen:
    def __init__(self, scene: Scene, editor: Editor, console: Console | None = None) -> None:
        self._scene = scene
        self._editor = editor
        self._console = console or Console(highlight=False)
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )
        self._blocks = Blocks()
        self._saying = ""  # the type of what is in the blocks
        self._message = ""  # and its message
        self._notice = Text()
        self._asked: dict[str, str] = {}
        self._spaced = False
        self._since_s: float | None = None  # when the turn under way was first seen
        self._drawing: asyncio.TimerHandle | None = None

    def open(self) -> None:
        self._live.start()

    def close(self) -> None:
        """Leave what was said on the screen, and nothing else."""
        self._say_rest()
        if self._drawing is not None:
            self._drawing.cancel()
            self._drawing = None
        self._live.stop()

    def show(self, event: Told) -> None:
        """An event, which the scene has heard of."""
        if event.type in (SAID, THOUGHT):
            self._say(event)
        elif event.type not in UNSEEN:
            self._say_rest()
            self._show(event)
        self.redraw()

    def note(self, text: str = "", style: str = "dim") -> None:
        """A line about what goes on here, until the next one."""
        self._notice = Text(printable(text), style)
        self.redraw()

    def print(self, text: str, style: str = "") -> None:
        """A line that stays."""
        self._put(Text(printable(text), style))

    def ring(self) -> None:
        """Somebody may look elsewhere."""
        self._console.bell()

    def rule(self, text: str) -> None:
        self._put(Rule(Text(printable(text), "dim"), style="dim"))

    def redraw(self) -> None:
        """Soon."""
        if self._drawing is None and self._live.is_started:
            self._drawing = asyncio.get_running_loop().call_later(REDRAW_S, self._draw)

    def _draw(self) -> None:
        self._drawing = None
        self._live.update(self._below(), refresh=True)
        if self._scene.in_turn:  # its seconds are shown
            self._drawing = asyncio.get_running_loop().call_later(1.0, self._draw)

    # What goes up the screen.

    def _say(self, event: Told) -> None:
        message = str(event.data.get("message_id") or "")
        if (event.type, message) != (self._saying, self._message):
            self._say_rest()
            self._saying, self._message = event.type, message
        for block in self._blocks.feed(printable(event.content)):
            self._put(_block(block, event.type))

    def _say_rest(self) -> None:
        if rest := self._blocks.flush():
            self._put(_block(rest, self._saying))
        self._saying = self._message = ""

    def _show(self, event: Told) -> None:
        match event.type:
            case "user":
                if not self._spaced:
                    self._console.print()
                self._put(_marked("› ", printable(event.content), "bold cyan"))
                self._console.print()
                self._spaced = True
            case "tool_use":
                self._scene.tools[str(event.data.get("id"))] = event
            case "tool_result":
                self._used(self._scene.tools.pop(str(event.data.get("id")), None), event)
            case "file_change":
                self._put(_marked("± ", words.file_line(event), "magenta"))
            case "directory_change":
                self._put(_marked("→ ", printable(event.content), "blue"))
            case "approval_request":
                self._ask(event)
            case "approval_resolved":
                asked = self._asked.pop(str(event.data.get("request_id")), "")
                self._put(_marked("? ", f"{asked}{words.resolved_line(event)}", "yellow"))
            case "error":
                self._put(_marked("✗ ", printable(event.content), "red"))
            case "status_change":
                self._change(event)

    def _used(self, use: Told | None, result: Told) -> None:
        """A tool and what came of it, in one line."""
        failed = bool(result.data.get("is_error"))
        name = words.tool_line(use) if use is not None else str(result.data.get("name") or "a tool")
        line = _marked("✗ " if failed else "✓ ", name, "red" if failed else "green")
        line.append(f"  {words.result_line(result)}", "red" if failed else "dim")
        line.no_wrap, line.overflow = True, "ellipsis"
        self._put(line)

    def _ask(self, event: Told) -> None:
        """What is asked stays below until it is answered; what does not fit there is told in full before."""
        tool, input = str(event.data.get("tool") or "a tool"), event.data.get("input")
        self._asked[str(event.data.get("request_id"))] = f"{words.called(tool, input)}: "
        if (whole := words.whole(input)) != words.about(input) or len(whole) > self._console.width // 2:
            self._put(_marked("? ", f"{tool} with", "bold yellow"))
            self._put(Padding(Text(whole), (0, 0, 0, 2)))

    def _change(self, event: Told) -> None:
        if event.data.get("to") in IN_TURN:
            self._since_s = self._since_s or time.monotonic()
            return
        self._since_s = None
        for use in self._scene.tools.values():  # of which nothing came
            self._put(_marked("· ", words.tool_line(use), "dim"))
        self._scene.tools.clear()
        if (told := words.state_line(event)) is not None:
            self._put(_marked("● ", told, "dim"))

    def _put(self, renderable: RenderableType) -> None:
        self._console.print(renderable)
        self._spaced = isinstance(renderable, Paragraph)

    # What stands below it.

    def _below(self) -> Group:
        parts: list[RenderableType] = []
        if self._blocks.rest:
            room = max(self._console.height - KEPT_LINES - INPUT_LINES, 3)
            parts += self._tail(_block(self._blocks.rest[-LAST_CHARS:], self._saying, plain=True), room)
        for use in self._scene.tools.values():
            parts.append(_cropped(_marked("… ", words.tool_line(use), "green")))
        for request in list(self._scene.asks.values())[:1]:
            parts += self._question(dict(request))
        parts += [self._status(), self._line()]
        if self._notice:
            parts.append(_cropped(self._notice.copy()))
        return Group(*parts)

    def _tail(self, text: RenderableType, most: int) -> list[RenderableType]:
        """The last lines of it."""
        lines = self._console.render_lines(text, pad=False)[-most:]
        return [Text.assemble(*((segment.text, segment.style or "") for segment in line)) for line in lines]

    def _question(self, request: dict[str, object]) -> list[RenderableType]:
        asked = printable(str(request.get("question") or "")).strip()
        lines = [Text.assemble(("? ", "bold yellow"), (words.question(request), "bold"))]
        if asked:
            lines.append(Text(f"  {words.one_line(asked)}", "dim"))
        more = len(self._scene.asks) - 1
        always = ", a(lways)" if request.get("always") else ""
        hint = f"  y(es){always}, n(o), or what it should do instead{f'  ({more} more)' if more else ''}"
        return [*map(_cropped, lines), Text(hint, "yellow")]

    def _status(self) -> Text:
        scene = self._scene
        style = DOTS.get(scene.state, "white")
        line = Text.assemble(("● ", style), (scene.state.replace("_", " "), style))
        if scene.in_turn and self._since_s is not None:
            line.append(f" {time.monotonic() - self._since_s:.0f} s", "dim")
        told = [part for part in (scene.backend, scene.model) if part]
        told += [words.used(scene.usage.told()), words.shortened(scene.directory, os.environ.get("HOME"))]
        line.append("".join(f" · {part}" for part in told if part), "dim")
        if scene.lost:
            line = Text.assemble(("◌ the gateway is away, looking for it … ", "red"), line)
        return _cropped(line)

    def _line(self) -> RenderableType:
        """What is typed, with its cursor."""
        text, cursor = self._editor.text, self._editor.cursor
        under = text[cursor : cursor + 1]
        line = Text.assemble(
            ("› ", "bold cyan"),
            printable(text[:cursor]),
            (" " if under in ("", "\n") else printable(under), "reverse"),
            under if under == "\n" else "",
            printable(text[cursor + 1 :]),
        )
        return Group(*self._tail(line, INPUT_LINES))


def _block(text: str, type: str, plain: bool = False) -> RenderableType:
    if type == THOUGHT:
        return Padding(Text(text, "dim italic"), (0, 0, 0 if plain else 1, 2))
    return Text(text) if plain else Paragraph(text)


class Paragraph:
    """Markdown with one empty line after it, whatever it consists of."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = console.render_lines(Markdown(self._text, hyperlinks=False), options, pad=False)
        while lines and _is_empty(lines[0]):
            lines.pop(0)
        while lines and _is_empty(lines[-1]):
            lines.pop()
        for line in [*lines, []]:
            yield from line
            yield Segment.line()


def _is_empty(line: list[Segment]) -> bool:
    return not "".join(segment.text for segment in line).strip()


def _marked(mark: str, text: str, style: str) -> Text:
    return Text.assemble((mark, style), text)


def _cropped(line: Text) -> Text:
    line.no_wrap, line.overflow = True, "ellipsis"
    return line
