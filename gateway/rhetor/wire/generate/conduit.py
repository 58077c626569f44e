"""MediaConduit's language towards its callers over HTTP: an envelope around everything, errors too.

As MediaConduit/MediaConduit on GitHub has it in its routes below `src/app/api/v1` (read 2026-11-21).
"""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from rhetor.core.capability import Capability
from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import RhetorError
from rhetor.wire import fields
from rhetor.wire.generate import Generate
from rhetor.wire.generate.options import PATH

NAMES: Mapping[str, str] = {"text": "Text", "image": "Image", "audio": "Audio", "video": "Video", "3d": "3D"}
"""How it calls what comes out."""
OURS = frozenset({Capability.EMBEDDINGS, Capability.COUNT_TOKENS, Capability.RERANK})
"""Capabilities that it has no word for."""


class Conduit(Generate):
    """The language, as its constant below is handed around."""

    name = "conduit"

    def render_error(self, error: RhetorError, request_id: str) -> bytes:
        said: dict[str, JsonValue] = {"success": False, "error": error.message, "code": error.code.value}
        if error.param is not None:
            said["param"] = error.param
        return orjson.dumps({**said, "requestId": request_id})


CONDUIT = Conduit()


def enclosed(data: JsonValue) -> dict[str, JsonValue]:
    """The envelope of whatever is no error."""
    return {"success": True, "data": data}


def asked_for(said: Json, provider: str, model: str) -> dict[str, JsonValue]:
    """The body of a call to transform, as our own door takes it.

    Raises:
        BadRequest: there is no input, or no capability.
    """
    if said.get("input") is None:
        raise fields.missing("input", "what is to be transformed")
    fields.text(said, "capability")
    return {
        "capability": said["capability"],
        "input": _plain(said["input"]),
        "model": f"{provider}/{model}",
        PATH: said.get(PATH),
    }


def capabilities() -> list[dict[str, JsonValue]]:
    """All that it knows, in its order of names."""
    known = [each.value for each in Capability if each not in OURS]
    return [{"id": id, "name": id.replace("-", " ").title(), "description": _about(id)} for id in known]


def _plain(given: JsonValue) -> JsonValue:
    """Its texts are objects: `{"content": "…"}`; several of them come as an array."""
    if isinstance(given, list) and len(given) == 1:
        given = given[0]
    if isinstance(given, Mapping) and isinstance(given.get("content"), str):
        return given["content"]
    return given


def _about(id: str) -> str:
    source, _, result = id.partition("-to-")
    return f"Make {NAMES.get(result, result).lower()} of {NAMES.get(source, source).lower()}"
