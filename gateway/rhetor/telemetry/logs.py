"""Logs: events with fields, on one line each, as JSON or for a console; secrets are removed here, once.

A log call names an event and gives its fields in `extra`; `each`, a list of
fields, makes a line of each, for events that come in crowds. Whatever looks like
a secret, in whatever field or traceback, leaves this room as `[redacted]`.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

import orjson

REDACTED = "[redacted]"

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_SECRET_NAMES = re.compile(r"(?i)(authorization|api[-_]?key|x-goog-api-key|token|secret|password|cookie)$")
_SECRET_SHAPES = re.compile(
    r"\b(?:[Bb](?:earer|asic)\s+[\w.~+/=-]{6,}|(?:sk|pk|rk|gsk|xai|key|r8|hf|fw|pplx|csk|nvapi)[-_][\w-]{8,}"
    r"|AIza[\w-]{20,})"
)
_TOKENS = re.compile(r"\beyJ[\w-]{8,}+(\.[\w-]{8,}+\.[\w-]*)?")
"""JWTs, and what only begins like one: that is passed over in one go, since somebody may write it a thousand
times in a row, and to look for an end from each beginning would hold up everybody."""
_HINTS = (
    *("earer", "asic", "AIza"),
    *(f"{prefix}{joint}" for prefix in ("k", "i", "y", "8", "f", "w", "x") for joint in "-_"),
)
"""One of these is in whatever has such a shape: the end of its prefix, with what joins it to the rest."""
_IN_ADDRESS = re.compile(r"(?<=://)[^\s/@\"'<>]+(?=@)")
_LAST_BREAK = re.compile(r"(?s).*[\s\"'<>,;(){}\[\]]")
"""The text up to the last end of a word: what nobody knows yet as a secret hardly goes on after it."""
USUAL_LENGTH = 1024  # of secrets that are known by their shape alone
MIN_SECRET_LENGTH = 6  # shorter ones would redact ordinary words
NAME_LENGTH = 200  # characters; longer ones are no names
NAMES_KEPT = 2_000  # of models, doors and outcomes there are a few hundred; half a megabyte at most
FIELD_NAMES_KEPT = 500  # log calls have some fifty; whoever makes names up must not fill the memory


class Redactor:
    """Removes what looks like a secret, and the secrets that this process holds, whatever they look like."""

    def __init__(self) -> None:
        self._pattern = _SECRET_SHAPES
        self._hint = re.compile("|".join(map(re.escape, _HINTS)))
        """Found in whatever may have to be redacted, and cheaper to look for."""
        self._secrets: set[str] = set()
        self._longest = USUAL_LENGTH
        self._clean: set[str] = set()
        """Short texts that were looked at before: names come again and again."""

    def learn(self, secrets: Iterable[str]) -> None:
        """From now on these are removed too, also where JSON or an error's words have escaped them."""
        for secret in secrets:
            if len(secret) >= MIN_SECRET_LENGTH:
                escaped = (json.dumps(secret, ensure_ascii=False), json.dumps(secret), repr(secret))
                self._secrets |= {secret, *(text[1:-1] for text in escaped)}
        self._longest = max([self._longest, *map(len, self._secrets)])
        self._clean.clear()
        longest_first = [*map(re.escape, sorted(self._secrets, key=len, reverse=True))]
        self._hint = re.compile("|".join([*longest_first, *map(re.escape, _HINTS)]))
        self._pattern = re.compile("|".join([*longest_first, _SECRET_SHAPES.pattern]))

    def name(self, text: str) -> str:
        """As `text`, for what comes again and again."""
        if text in self._clean:
            return text
        redacted = self.text(text)
        if redacted is text and len(text) <= NAME_LENGTH:
            if len(self._clean) >= NAMES_KEPT:
                self._clean.clear()
            self._clean.add(text)
        return redacted

    def text(self, text: str) -> str:
        if "@" in text:  # looked for first, since it is rare and the pattern slow
            text = _IN_ADDRESS.sub(REDACTED, text)
        if self._hint.search(text) is not None:
            text = self._pattern.sub(REDACTED, text)
        return _TOKENS.sub(_token_redacted, text) if "eyJ" in text else text

    def cut(self, text: str) -> int:
        """Where something that goes on can be cut, with no secret on both sides; 0: nowhere yet."""
        at = len(text) - self._longest  # what begins later may not have come whole
        if at <= 0:
            return 0
        if (words := _LAST_BREAK.match(text, 0, at)) is not None:
            at = words.end()
        patterns = [_TOKENS]
        if "@" in text:
            patterns.append(_IN_ADDRESS)
        if self._hint.search(text) is not None:
            patterns.append(self._pattern)  # last: no secret that is known may be cut by what the others say
        for pattern in patterns:
            at = next((it.start() for it in pattern.finditer(text) if it.start() < at < it.end()), at)
        return at


def _token_redacted(found: re.Match[str]) -> str:
    return found[0] if found[1] is None else REDACTED


class _Formatter(logging.Formatter):
    """A line is put together first and redacted once: no field can be forgotten, and it costs little.

    Of events that come in crowds the values are, before: most of them were looked at with earlier lines.
    """

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor
        self._secretive: dict[str, bool] = {}

    def format(self, record: logging.LogRecord) -> str:
        given = record.__dict__
        crowd = given.get("each")
        head = self.head(record)
        if crowd is not None:
            return "\n".join([self.line(head, record, self._redacted(fields)) for fields in crowd])
        own = {name: self._shown(name, given[name]) for name in given if name not in _STANDARD}
        return self._redactor.text(self.line(head, record, own))

    def head(self, record: logging.LogRecord) -> Any:
        """What all lines of a record have in common."""
        raise NotImplementedError

    def line(self, head: Any, record: logging.LogRecord, fields: Mapping[str, object]) -> str:
        raise NotImplementedError

    def _redacted(self, fields: Mapping[str, object]) -> dict[str, object]:
        """One of a crowd: texts, lists of texts, and numbers."""
        redact = self._redactor.name
        shown: dict[str, object] = {}
        for name, value in fields.items():
            if value is None or isinstance(value, bool | int | float):
                shown[name] = value
            elif self._is_secretive(name):
                shown[name] = REDACTED
            elif isinstance(value, list):
                shown[name] = [redact(str(each)) for each in value]
            else:
                shown[name] = redact(str(value))
        return shown

    def _shown(self, name: str, value: object) -> object:
        """A field; what is called like a secret comes without it."""
        if value is None or isinstance(value, bool | int | float):
            return value
        if self._is_secretive(name):
            return REDACTED
        if type(value) is str:
            return value
        if isinstance(value, Mapping):
            return {str(k): self._shown(str(k), v) for k, v in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._shown(name, v) for v in value]
        return value

    def _is_secretive(self, name: str) -> bool:
        known = self._secretive.get(name)
        if known is None:
            if len(self._secretive) > FIELD_NAMES_KEPT:
                self._secretive.clear()
            known = self._secretive[name] = _SECRET_NAMES.search(name) is not None
        return known


class JsonFormatter(_Formatter):
    def head(self, record: logging.LogRecord) -> dict[str, object]:
        return {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "room": record.name,
            "event": _event(record),
        }

    def line(self, head: dict[str, object], record: logging.LogRecord, fields: Mapping[str, object]) -> str:
        line: dict[str, object] = {**head, **fields}
        if record.exc_info and record.exc_info[0] is not None:
            line["traceback"] = self.formatException(record.exc_info)
        try:
            return orjson.dumps(line, default=str).decode()
        except TypeError:  # half a character, as broken headers hold them, or a number beyond 64 bits
            return json.dumps(line, default=str)


class ConsoleFormatter(_Formatter):
    def head(self, record: logging.LogRecord) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        return f"{clock} {record.levelname.lower():<7} {_on_one_line(_event(record)):<24}"

    def line(self, head: str, record: logging.LogRecord, fields: Mapping[str, object]) -> str:
        said = "  ".join([f"{name}={_on_one_line(value)}" for name, value in fields.items()])
        line = f"{head} {said}".rstrip()
        if record.exc_info and record.exc_info[0] is not None:
            line = f"{line}\n{self.formatException(record.exc_info)}"
        return line


def _event(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError):  # somebody's mistake; logging would print the arguments as they are
        return f"{record.msg} {record.args}"


def _on_one_line(value: object) -> str:
    """What a caller wrote must not look like a line of ours."""
    text = str(value)
    return text if text.isprintable() else ascii(text)


def set_up(
    level: str, form: Literal["json", "console"], redactor: Redactor, stream: TextIO | None = None
) -> None:
    """Send all logs of this process to `stream` (stderr), formatted and redacted. May be called again."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter(redactor) if form == "json" else ConsoleFormatter(redactor))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("aiohttp.access", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
