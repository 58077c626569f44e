"""What Claude Code says: lines of its standard output, in our words.

One JSON object a line, as its SDK reads them. Seen running, version 2.1.197, 2026-11-21. Kinds of lines that
are not known here come with later versions: they are told as `system`, and nothing depends on them.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import Code, UpstreamError
from rhetor.core.value import value
from rhetor.sessions.backend import Asked, Bound, Happening, TurnEnded, Withdrawn
from rhetor.sessions.claude_code.endings import NAME, complaints, ending, is_ours
from rhetor.sessions.claude_code.pieces import Pieces
from rhetor.sessions.claude_code.tools import Tools, question
from rhetor.sessions.claude_code.writing import refusal, reply, rules
from rhetor.sessions.event import Event, EventType
from rhetor.wire.lenient import parse, thing, things, word

log = logging.getLogger(__name__)

STRAYS = 20  # lines in a row that are no JSON: a hook or a library may print a few, a broken agent prints on
STRAY_CHARS = 500
LINES_KNOWN = 512  # after it has summed up, it says again what it said before
SYNTHETIC = "<synthetic>"
NOTHING_SAID = "(no content)"


@value
class Reply:
    """To be written back at once: the agent waits for it."""

    data: bytes


@value
class Confirmed:
    """The answer to a request of ours."""

    request_id: str
    error: str
    """Empty: it is done."""


@value
class Refused:
    """It cannot do at all what it was started for."""

    why: str


@value
class Question:
    """An open approval request."""

    input: Json
    lasting: Sequence[Json]


Heard: TypeAlias = Happening | Reply | Confirmed | Refused


class Reader:
    """Makes happenings of lines.

    Args:
        directory: where the agent works.
        clean: takes secrets out of a line; whatever is told was cleaned.
        only_plans: it may not act, whoever would allow it.
    """

    def __init__(
        self, directory: str, clean: Callable[[bytes], bytes] = bytes, only_plans: bool = False
    ) -> None:
        self.in_turn = False
        self.stopping = False
        """It was asked to end its turn."""
        self.open: dict[str, Question] = {}
        """Approval requests that nobody has answered."""
        self._directory = self._base = directory
        self._clean = clean
        self._only_plans = only_plans
        self._native_id = ""
        self._pieces = Pieces()
        self._tools = Tools()
        self._error_word = ""
        self._introduced: Json | None = None
        self._known: deque[str] = deque(maxlen=LINES_KNOWN)
        self._strays = 0
        self._readers: Mapping[str, Callable[[Json], list[Heard]]] = {
            "system": self._system,
            "stream_event": self._stream,
            "assistant": self._assistant,
            "user": self._user,
            "result": self._result,
            "control_response": self._confirmed,
            "control_cancel_request": self._cancelled,
        }

    def begin_turn(self) -> None:
        """A message was sent."""
        self.in_turn = True
        self.stopping = False
        self._error_word = ""
        self._pieces.begin_turn()
        self._tools.begin_turn()

    def feed(self, line: bytes) -> list[Heard]:
        """What a line means; between turns nothing is told.

        Raises:
            RhetorError: protocol_error, this is not Claude Code's language.
        """
        if not line.strip():
            return []
        told = self._clean(line)
        said = parse(told)
        if said is None:
            return self._stray(told)
        self._strays = 0
        if said.get("type") == "control_request":
            return self._asks(said, said if told == line else parse(line) or said)
        was_in_turn = self.in_turn
        heard = self._readers.get(word(said, "type"), self._unknown)(said)
        return heard if was_in_turn else [each for each in heard if not isinstance(each, Event)]

    def _stray(self, line: bytes) -> list[Heard]:
        self._strays += 1
        text = line[:STRAY_CHARS].decode(errors="replace")
        if self._strays > STRAYS:
            message = f"the agent says what nobody understands, such as {text[:80]!r}"
            raise UpstreamError(message, Code.PROTOCOL, origin=NAME)
        return [Event(EventType.SYSTEM, text, {"subtype": "output"})] if self.in_turn else []

    # --- what it says of itself

    def _system(self, said: Json) -> list[Heard]:
        subtype = word(said, "subtype")
        if subtype == "init":
            return self._init(said)
        if subtype in QUIET or (subtype == "status" and word(said, "status") == "requesting"):
            return []
        return self._unknown(said)

    def _init(self, said: Json) -> list[Heard]:
        """At the beginning of each turn."""
        heard: list[Heard] = []
        native_id = word(said, "session_id")
        if native_id and native_id != self._native_id:
            self._native_id = native_id
            heard.append(Bound(native_id))
        if directory := word(said, "cwd"):
            if self._introduced is None:
                self._directory = self._base = directory  # the same one, without symbolic links
            heard += self._is_in(directory)
        about = {name: said[name] for name in _INTRODUCING if name in said}
        if about != self._introduced:
            self._introduced = about
            heard.append(Event(EventType.SYSTEM, "init", {"subtype": "init", **about}))
        return heard

    def _is_in(self, directory: str) -> list[Heard]:
        before, self._directory = self._directory, directory
        if directory == before:
            return []
        return [Event(EventType.DIRECTORY_CHANGE, directory, {"directory": directory, "before": before})]

    def _unknown(self, said: Json) -> list[Heard]:
        kind = word(said, "subtype") or word(said, "type")
        if kind in QUIET:
            return []
        data: dict[str, JsonValue] = {name: said[name] for name in said if name not in _ENVELOPE}
        return [Event(EventType.SYSTEM, word(said, "content") or kind, {**data, "subtype": kind})]

    # --- what it answers

    def _stream(self, said: Json) -> list[Heard]:
        if word(said, "parent_tool_use_id"):
            return []  # a subagent's words are the result of a tool
        return _some(self._pieces.stream(thing(said, "event")))

    def _assistant(self, said: Json) -> list[Heard]:
        if self._is_known(said):
            return []
        message, parent = thing(said, "message"), word(said, "parent_tool_use_id")
        if word(message, "model") == SYNTHETIC and (error := word(said, "error")):
            self._error_word = error
            return []  # the result repeats what it says
        heard: list[Heard] = []
        for block in things(message, "content"):
            if block.get("type") == "tool_use":
                heard.append(self._tools.use(block, parent))
            elif not parent and word(block, "text") != NOTHING_SAID:
                heard += _some(self._pieces.complete(word(message, "id") or word(said, "uuid"), block))
        return heard

    def _user(self, said: Json) -> list[Heard]:
        """What tools answered; its other messages are the caller's own, or notes to itself."""
        if self._is_known(said):
            return []
        parent, done = word(said, "parent_tool_use_id"), said.get("tool_use_result")
        heard: list[Heard] = []
        for block in things(thing(said, "message"), "content"):
            if block.get("type") == "tool_result":
                heard += self._tools.result(block, done, parent)
        return heard

    def _is_known(self, said: Json) -> bool:
        if not (id := word(said, "uuid")):
            return False
        known = id in self._known
        self._known.append(id)
        return known

    def _result(self, said: Json) -> list[Heard]:
        if not self.in_turn:
            return [Refused(complaints(said))] if said.get("is_error") is True else []
        if not is_ours(said):
            return []
        heard: list[Heard] = []
        ended = ending(said, self._error_word, self.stopping)
        if ended.reason == "end" and not self._pieces.told and (text := word(said, "result")):
            heard.append(Event(EventType.ASSISTANT, text, {"message_id": word(said, "uuid") or "result"}))
        return [*heard, *self._end(ended)]

    def _end(self, ended: TurnEnded) -> list[Heard]:
        withdrawn: list[Heard] = [Withdrawn(id) for id in self.open]
        self.open.clear()
        self.in_turn = False
        return [*withdrawn, ended]

    # --- what it asks

    def _asks(self, said: Json, exactly: Json) -> list[Heard]:
        """
        Args:
            exactly: the same with its secrets: what it asks leave for, it must get back as it was.
        """
        id, request = word(said, "request_id"), thing(said, "request")
        match word(request, "subtype"):
            case "can_use_tool":
                return self._ask(id, request, thing(exactly, "request"))
            case "hook_callback":
                return [*self._used(thing(request, "input")), Reply(reply(id, {}))]
            case "elicitation":
                return [Reply(reply(id, {"action": "decline"}))]
            case "request_user_dialog":
                return [Reply(reply(id, {"behavior": "cancelled"}))]
            case other:
                return [Reply(refusal(id, f"not supported: {other}"))]

    def _ask(self, id: str, request: Json, exactly: Json) -> list[Heard]:
        tool, given = word(request, "tool_name") or "unknown", thing(exactly, "input")
        if not self.in_turn or self.stopping:
            return [_denial(id, NOBODY_THERE)]
        if self._only_plans and tool not in LOOKS:
            return [_denial(id, ONLY_PLANS)]
        lasting = rules(tool, given, things(exactly, "permission_suggestions"), self._base)
        self.open[id] = Question(given, lasting)
        return [Asked(id, tool, thing(request, "input"), question(request), bool(lasting))]

    def _used(self, hook: Json) -> list[Heard]:
        """The hook after a tool: where the agent is now. A subagent's directory is its own."""
        self._tools.on_done(word(hook, "tool_use_id"), thing(hook, "tool_response"))
        directory = word(hook, "cwd")
        return self._is_in(directory) if directory and self.in_turn and not word(hook, "agent_id") else []

    def _cancelled(self, said: Json) -> list[Heard]:
        id = word(said, "request_id")
        return [Withdrawn(id)] if self.open.pop(id, None) is not None else []

    def _confirmed(self, said: Json) -> list[Heard]:
        answer = thing(said, "response")
        error = word(answer, "error") or "refused" if answer.get("subtype") == "error" else ""
        return [Confirmed(word(answer, "request_id"), error)]


QUIET = frozenset(
    {
        *("keep_alive", "tool_progress", "tool_use_summary", "prompt_suggestion", "transcript_mirror"),
        *("thinking_tokens", "task_progress", "task_updated", "hook_started", "hook_progress"),
        *("hook_response", "session_state_changed", "files_persisted", "commands_changed"),
        *("post_turn_summary", "task_summary", "background_tasks_changed"),
    }
)
"""Lines that say nothing which is not said otherwise, and come in crowds."""

_INTRODUCING = ("model", "cwd", "permissionMode", "tools", "agents", "claude_code_version")
_ENVELOPE = frozenset({"type", "uuid", "session_id"})


LOOKS = frozenset({"Read", "Glob", "Grep", "LS", "NotebookRead", "WebFetch", "WebSearch", "AskUserQuestion"})
"""Tools that change nothing."""
NOBODY_THERE = "Nobody is there to allow this."
ONLY_PLANS = "This session is for planning only: tell the plan as your answer, and end your turn."


def _denial(id: str, why: str) -> Reply:
    return Reply(reply(id, {"behavior": "deny", "message": why}))


def _some(event: Event | None) -> list[Heard]:
    return [] if event is None else [event]
