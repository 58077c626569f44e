"""Errors in replies with status 200, for callers who see no others.

The published Python client answers any other status with text of its own
invention, unless it was told not to. An `error` in a reply that is a reply in
every other way it hands to its caller.
"""

from __future__ import annotations

from collections.abc import Iterable

import orjson

from rhetor.core.content import Json
from rhetor.core.errors import RhetorError
from rhetor.core.events import Failed
from rhetor.wire.base import JSON_TYPE, STREAM_TYPE, ReplyInfo
from rhetor.wire.tekton import Tekton
from rhetor.wire.tekton.ask import DEFAULT_CONTEXT, NAME_LIMIT
from rhetor.wire.tekton.chunks import StreamReply
from rhetor.wire.tekton.reply import stamp, whole_error


class SoftTekton(Tekton):
    """Tekton's language towards one such caller.

    Args:
        said: the fields of the request, which nobody may have understood.
        stream: how the caller wants the reply, and so the error.
        created_s: Unix time, in seconds.
    """

    def __init__(self, said: Json, stream: bool, created_s: int) -> None:
        self._stream = stream
        self._created_s = created_s
        self._model = _first(said, ("model_id", "model"))
        self._provider = _first(said, ("provider_id", "provider"))
        self._context_id = _first(said, ("context_id", "component", "component_id")) or DEFAULT_CONTEXT

    @property
    def error_type(self) -> str:
        return STREAM_TYPE if self._stream else JSON_TYPE

    def error_status(self, error: RhetorError) -> int:
        return 200

    def render_error(self, error: RhetorError, request_id: str) -> bytes:
        provider = error.origin or self._provider
        info = ReplyInfo(request_id, self._created_s, self._model, provider, self._model)
        if self._stream:
            return StreamReply(info, self._context_id).render([Failed(error)])
        said = {**whole_error(error, request_id), "content": "", **stamp(info, self._context_id)}
        return orjson.dumps(said)


def names_of(said: Json) -> set[str]:
    """How a caller names its component; the stock client does it in `context_id` and nowhere else."""
    named = (said.get(key) for key in ("component", "component_id", "context_id"))
    return {name for name in named if isinstance(name, str)}


def _first(said: Json, keys: Iterable[str]) -> str:
    """The first of these that is a name, no longer than names are; in options too, as everywhere."""
    options = said.get("options")
    places = [said, options] if isinstance(options, dict) else [said]
    named = (place.get(key) for key in keys for place in places)
    return next((name for name in named if isinstance(name, str) and 0 < len(name) <= NAME_LIMIT), "")
