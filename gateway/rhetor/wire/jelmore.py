"""Jelmore's language towards its callers: its names for backends and events, and its errors.

As delorenj/jelmore on GitHub has it, `src/jelmore/api.py` and `src/jelmore/providers` at a25b6ae (read
2026-11-21). Its errors are FastAPI's: `detail` is a sentence, and of a body that is not as it should be an
array of {loc, msg, type} with status 422.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import orjson

from rhetor.core.content import JsonValue
from rhetor.core.errors import Code, RhetorError
from rhetor.wire.tekton import Tekton

UNPROCESSABLE = 422
BACKENDS: Mapping[str, str] = {"claude": "claude_code"}
"""Its names for providers that have another one here."""
PROVIDERS: Mapping[str, str] = {backend: provider for provider, backend in BACKENDS.items()}

EVENT_TYPES = frozenset(
    {"system", "assistant", "user", "tool_use", "tool_result", "error", "status_change", "directory_change"}
)
"""All that its callers know of; some of them stop at a word that is none of these."""
OTHER_EVENTS = "system"
"""What the others are told as, with their own type in `metadata`."""

MISSING = " is missing"
_STEP = re.compile(r"[^.\[\]]+")


class Jelmore(Tekton):
    """The language, as its constant below is handed around."""

    name = "jelmore"

    def render_error(self, error: RhetorError, request_id: str) -> bytes:
        return orjson.dumps(error_fields(error, request_id))

    def error_status(self, error: RhetorError) -> int:
        """A model that is not offered is no session that is not found: 404 has one meaning."""
        return 400 if error.code is Code.MODEL_NOT_FOUND else error.status


JELMORE = Jelmore()


def error_fields(error: RhetorError, request_id: str) -> dict[str, JsonValue]:
    """An error for FastAPI's clients and for those who want to know more."""
    told: dict[str, JsonValue] = {"code": error.code.value, "message": error.message}
    beside: Mapping[str, JsonValue] = {
        "provider": provider_of(error.origin) if error.origin is not None else None,
        "param": error.param,
        "retry_after_s": error.retry_after_s,
        "request_id": request_id or None,
    }
    told |= {name: known for name, known in beside.items() if known is not None}
    return {"detail": _details(error) if error.status == UNPROCESSABLE else error.message, "error": told}


def backend_of(provider: str) -> str:
    return BACKENDS.get(provider, provider)


def provider_of(backend: str) -> str:
    return PROVIDERS.get(backend, backend)


def _details(error: RhetorError) -> list[JsonValue]:
    kind = "missing" if MISSING in error.message else "value_error"
    steps: list[JsonValue] = [
        int(step) if step.isdecimal() and step.isascii() else step
        for step in _STEP.findall(error.param or "")
    ]
    return [{"loc": ["body", *steps], "msg": error.message, "type": kind}]
