"""The OpenAPI document and the discovery answer, made from the table of what is served."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping

from rhetor import __version__
from rhetor.core.content import JsonValue
from rhetor.http.served import Served

_FIELD = re.compile(r"{(\w+)(?::[^}]*)?}")


def openapi(table: Iterable[Served]) -> dict[str, JsonValue]:
    """OpenAPI 3.1 of everything served over HTTP."""
    paths: dict[str, dict[str, JsonValue]] = {}
    for served in table:
        path = _FIELD.sub(r"{\1}", served.path)
        paths.setdefault(path, {})[served.method.lower()] = _operation(served)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Rhetor",
            "version": __version__,
            "description": "One gateway in front of every model provider.",
        },
        "paths": dict(paths),
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            }
        },
    }


def discovery(table: Iterable[Served]) -> dict[str, JsonValue]:
    """What Tekton's components ask a neighbour: what are you, and what can be called."""
    return {
        "component": "rhetor",
        "version": __version__,
        "description": "LLM gateway: one place to reach every model provider.",
        "endpoints": [{"path": s.path, "method": s.method, "description": summary(s)} for s in table],
        "capabilities": ["chat", "stream", "embeddings", "count_tokens", "fallback", "websocket"],
        "dependencies": {},
        "metadata": {"openapi": "/openapi.json", "metrics": "/metrics"},
    }


def summary(served: Served) -> str:
    """The first paragraph of the handler's docstring, on one line."""
    return " ".join((inspect.getdoc(served.handler) or "").split("\n\n")[0].split())


def _operation(served: Served) -> dict[str, JsonValue]:
    operation: dict[str, JsonValue] = {
        "operationId": f"{served.door}_{served.handler.__name__}_{_slug(served.path)}",
        "summary": summary(served),
        "tags": [served.door],
        "responses": {
            **(_answered(served) if served.plain or not served.upgrades else {}),
            **(_UPGRADED if served.upgrades else {}),
            "default": {"description": f"An error in the {served.wire.name} language."},
        },
    }
    if parameters := [*map(_in_path, _FIELD.findall(served.path)), *map(_in_query, served.query)]:
        operation["parameters"] = parameters
    if served.method in ("POST", "PUT") and served.takes_body:
        operation["requestBody"] = {
            "content": {kind: {"schema": {"type": "object"}} for kind in served.takes}
        }
    if not served.public or served.asks:
        operation["security"] = [{"bearer": []}, {"key": []}]
    return operation


_ANSWERS: Mapping[int, str] = {
    200: "The reply.",
    201: "What was made.",
    202: "It is taken; what comes of it is told later.",
    204: "There is nothing, and nothing will come.",
    206: "The part that was asked for.",
    304: "What the caller has is what there is.",
}
_UPGRADED: Mapping[str, JsonValue] = {"101": {"description": "The connection is a WebSocket from here on."}}


def _answered(served: Served) -> dict[str, JsonValue]:
    return {str(status): {"description": _ANSWERS[status]} for status in served.answers}


def _in_path(name: str) -> JsonValue:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _in_query(name: str) -> JsonValue:
    return {"name": name, "in": "query", "schema": {"type": "string"}}


def _slug(path: str) -> str:
    return re.sub(r"\W+", "_", path).strip("_") or "root"
