"""What Codex says: lines of its standard output, in our words.

JSON-RPC without its version: answers to our requests, requests of its own, and notifications. Seen running,
version 0.169.0, 2026-11-21. What is not known here comes with later versions, and nothing depends on it.
"""

from __future__ import annotations

import os.path
from collections.abc import Callable, Mapping
from typing import TypeAlias

from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import Code, UpstreamError
from rhetor.core.ids import new_id
from rhetor.core.value import value
from rhetor.sessions.backend import Asked, Bound, Happening, TurnEnded, Verdict, Withdrawn
from rhetor.sessions.codex import items, writing
from rhetor.sessions.codex.endings import NAME, ending, failed
from rhetor.sessions.event import Event, EventType
from rhetor.sessions.program import Clean
from rhetor.wire.lenient import parse, thing, word

STRAYS = 20  # lines in a row that are no JSON: a library may print a few, a broken agent prints on
STRAY_CHARS = 500


@value
class Reply:
    """To be written back at once."""

    data: bytes


@value
class Answered:
    """The answer to a request of ours."""

    request_id: str
    result: Json
    error: str
    """Empty: it is done."""


@value
class Question:
    """An open approval request."""

    id: JsonValue
    """The agent's own."""
    lasting: JsonValue
    """The decision that makes an allowance last; None: it cannot."""


Heard: TypeAlias = Happening | Reply | Answered


class Reader:
    """Makes happenings of lines.

    Args:
        directory: where the agent works.
        clean: takes secrets out of a line; whatever is told was cleaned.
        accepts_edits: files below the directory may be changed without asking.
        max_calls: how often it may call its model in a turn.
    """

    def __init__(
        self,
        directory: str,
        clean: Clean = bytes,
        accepts_edits: bool = False,
        max_calls: int | None = None,
    ) -> None:
        self.thread = ""
        self.turn = ""
        """That is under way, once it has started."""
        self.in_turn = False
        self.open: dict[str, Question] = {}
        """Approval requests that nobody has answered."""
        self._directory = directory
        self._at = directory
        self._clean = clean
        self._accepts_edits = accepts_edits
        self._max_calls = max_calls
        self._stopping = False
        self._bound = False
        self._calls = 0
        self._uses_tools = False
        self._items: dict[str, Json] = {}
        self._told: dict[str, str] = {}
        self._warned: set[str] = set()
        self._strays = 0
        self._readers: Mapping[str, Callable[[Json], list[Heard]]] = {
            "turn/started": self._started,
            "turn/completed": self._completed,
            "item/started": self._item_started,
            "item/completed": self._item_completed,
            "item/agentMessage/delta": self._answers,
            "item/reasoning/summaryTextDelta": self._thinks,
            "item/reasoning/textDelta": self._thinks,
            "thread/tokenUsage/updated": self._called,
            "serverRequest/resolved": self._resolved,
            "warning": self._warns,
            "error": self._fails,
        }

    def begin_turn(self) -> None:
        """A message was sent."""
        self.in_turn = True
        self.turn = ""
        self._stopping = False
        self._calls = 0
        self._uses_tools = False
        self._items.clear()
        self._told.clear()

    def stop(self) -> bytes | None:
        """What ends the turn, as soon as there is something to be ended."""
        self._stopping = True
        return writing.interrupt(new_id("req"), self.thread, self.turn) if self.turn else None

    def feed(self, line: bytes) -> list[Heard]:
        """What a line means; between turns nothing is told.

        Raises:
            RhetorError: protocol_error, this is not Codex's language.
        """
        if not line.strip():
            return []
        told = self._clean(line)
        said = parse(told)
        if said is None:
            return self._stray(told)
        self._strays = 0
        method, params = word(said, "method"), thing(said, "params")
        if not method:
            return self._answered(said)
        if "id" in said:
            return self._asks(said["id"], method, params)
        if word(params, "threadId") not in ("", self.thread) or not self.in_turn:
            return []
        return self._readers.get(method, _nothing)(params)

    def decide(self, request_id: str, verdict: Verdict) -> list[bytes]:
        """What is written for the caller's answer; nothing, when the request is not open any more.

        A decision has no words, and changes no input: what the caller says beside it is told as a remark.
        """
        question = self.open.pop(request_id, None)
        if question is None:
            return []
        allowed = verdict.decision == "allow" and verdict.input is None
        remark = verdict.message if verdict.decision == "deny" else None
        if verdict.input is not None:
            remark = f"Not that. Use this instead: {dict(verdict.input)}"
        decided: JsonValue = "accept" if allowed else "decline"
        if allowed and verdict.always and question.lasting is not None:
            decided = question.lasting
        lines = [writing.remark(new_id("req"), self.thread, self.turn, remark)] if remark else []
        return [*lines, writing.decision(question.id, decided)]

    def _stray(self, line: bytes) -> list[Heard]:
        self._strays += 1
        text = line[:STRAY_CHARS].decode(errors="replace")
        if self._strays > STRAYS:
            message = f"the agent says what nobody understands, such as {text[:80]!r}"
            raise UpstreamError(message, Code.PROTOCOL, origin=NAME)
        return [Event(EventType.SYSTEM, text, {"subtype": "output"})] if self.in_turn else []

    def _answered(self, said: Json) -> list[Heard]:
        error = word(thing(said, "error"), "message") or "refused" if said.get("error") else ""
        return [Answered(word(said, "id"), thing(said, "result"), error)]

    # --- turns

    def _started(self, params: Json) -> list[Heard]:
        self.turn = word(thing(params, "turn"), "id")
        if not self._stopping or not self.turn:
            return []
        return [Reply(writing.interrupt(new_id("req"), self.thread, self.turn))]

    def _completed(self, params: Json) -> list[Heard]:
        turn = thing(params, "turn")
        if self.turn and word(turn, "id") != self.turn:
            return []
        return self._end(ending(turn, self._is_exhausted and not self._stopping))

    def refuse_turn(self, why: str) -> list[Heard]:
        """It does not begin."""
        return self._end(TurnEnded("error", failed({"message": why}))) if self.in_turn else []

    def _end(self, ended: TurnEnded) -> list[Heard]:
        withdrawn: list[Heard] = [Withdrawn(id) for id in self.open]
        self.open.clear()
        self.in_turn = False
        self.turn = ""
        return [*self._bind(), *withdrawn, ended]

    def _bind(self) -> list[Heard]:
        """Once its first message is on disk it can be opened again."""
        if self._bound:
            return []
        self._bound = True
        return [Bound(self.thread)]

    @property
    def _is_exhausted(self) -> bool:
        return self._max_calls is not None and self._calls >= self._max_calls

    def _called(self, params: Json) -> list[Heard]:
        """It tells how many tokens a model call has used, after the tools that the call has asked for.

        When there were some the next call would follow.
        """
        self._calls += 1
        goes_on, self._uses_tools = self._uses_tools, False
        if not (goes_on and self._is_exhausted and self.turn):
            return []
        return [Reply(writing.interrupt(new_id("req"), self.thread, self.turn))]

    # --- items

    def _item_started(self, params: Json) -> list[Heard]:
        item = thing(params, "item")
        if not items.name_of(item) or word(item, "id") in self._items:
            return []
        self._items[word(item, "id")] = item
        self._uses_tools = True
        return [*self._is_in(word(item, "cwd")), items.use(item)]

    def _item_completed(self, params: Json) -> list[Heard]:
        item = thing(params, "item")
        id = word(item, "id")
        match word(item, "type"):
            case "userMessage":
                return self._bind()
            case "agentMessage":
                return self._rest(EventType.ASSISTANT, id, word(item, "text"))
            case "reasoning":
                return self._rest(EventType.THINKING, id, _joined(item.get("summary") or item.get("content")))
            case "contextCompaction":
                return [Event(EventType.SYSTEM, "compacted", {"subtype": "compacted"})]
        if not items.name_of(item):
            return []
        used = [] if id in self._items else [items.use(item)]
        self._items.pop(id, None)
        return [*used, items.result(item), *items.changes(item)]

    def _is_in(self, directory: str) -> list[Heard]:
        """Each command has a directory of its own."""
        before = self._at
        if not directory or os.path.realpath(directory) == os.path.realpath(before):
            return []
        self._at = directory
        return [Event(EventType.DIRECTORY_CHANGE, directory, {"directory": directory, "before": before})]

    def _answers(self, params: Json) -> list[Heard]:
        return self._piece(EventType.ASSISTANT, word(params, "itemId"), word(params, "delta"))

    def _thinks(self, params: Json) -> list[Heard]:
        return self._piece(EventType.THINKING, word(params, "itemId"), word(params, "delta"))

    def _rest(self, type: EventType, id: str, text: str) -> list[Heard]:
        """What a complete message has beyond its pieces."""
        told = self._told.get(id, "")
        return self._piece(type, id, text[len(told) :]) if text.startswith(told) else []

    def _piece(self, type: EventType, id: str, text: str) -> list[Heard]:
        if not text:
            return []
        self._told[id] = self._told.get(id, "") + text
        return [Event(type, text, {"message_id": id or "unknown"})]

    # --- what it asks, and what it complains of

    def _asks(self, id: JsonValue, method: str, params: Json) -> list[Heard]:
        if method not in _APPROVALS:
            return [Reply(writing.refusal(id, method))]
        item = self._items.get(word(params, "itemId"), {})
        if not self.in_turn or self._stopping:
            return [Reply(writing.decision(id, "decline"))]
        if self._accepts_edits and self._is_edit_here(item):
            return [Reply(writing.decision(id, "accept"))]
        lasting = _lasting(params)
        request_id = new_id("ask")
        self.open[request_id] = Question(id, lasting)
        given = items.input_of(item) or {"command": word(params, "command")}
        tool = items.name_of(item) or _APPROVALS[method]
        return [Asked(request_id, tool, given, items.question(item, params), lasting is not None)]

    def _is_edit_here(self, item: Json) -> bool:
        """It changes files below the directory, and nothing else. Links are followed: they may lead out."""
        paths = items.paths(item)
        root = os.path.realpath(self._directory)
        return bool(paths) and all(
            os.path.realpath(os.path.join(root, path)).startswith(f"{root}{os.sep}") for path in paths
        )

    def _resolved(self, params: Json) -> list[Heard]:
        for request_id, question in self.open.items():
            if question.id == params.get("requestId"):
                del self.open[request_id]
                return [Withdrawn(request_id)]
        return []

    def _warns(self, params: Json) -> list[Heard]:
        text = word(params, "message")
        if not text or text in self._warned:
            return []
        self._warned.add(text)
        return [Event(EventType.SYSTEM, text, {"subtype": "warning"})]

    def _fails(self, params: Json) -> list[Heard]:
        """The end of the turn repeats it, unless it tries again."""
        if params.get("willRetry") is not True:
            return []
        return [Event(EventType.SYSTEM, word(thing(params, "error"), "message"), {"subtype": "retry"})]


_APPROVALS: Mapping[str, str] = {
    "item/commandExecution/requestApproval": "exec_command",
    "item/fileChange/requestApproval": "apply_patch",
}


def _lasting(params: Json) -> JsonValue:
    """The decision that allows commands with the same beginning: a rule in the session's own home."""
    decisions = params.get("availableDecisions")
    for each in decisions if isinstance(decisions, list) else ():
        if isinstance(each, Mapping) and "acceptWithExecpolicyAmendment" in each:
            return each
    return None


def _joined(texts: JsonValue) -> str:
    return "\n".join(each for each in texts if isinstance(each, str)) if isinstance(texts, list) else ""


def _nothing(params: Json) -> list[Heard]:
    return []
