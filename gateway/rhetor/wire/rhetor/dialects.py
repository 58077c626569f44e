"""Which dialect a WebSocket's client speaks, as its first frame tells."""

from __future__ import annotations

from rhetor.core.content import Json
from rhetor.wire.rhetor import envelopes, plain
from rhetor.wire.rhetor.envelopes import ENVELOPES
from rhetor.wire.rhetor.plain import ATHENA, BARE
from rhetor.wire.socket import Dialect
from rhetor.wire.tekton import frames
from rhetor.wire.tekton.dialect import TEKTON_SOCKET

USUAL = TEKTON_SOCKET
"""In which a client is answered whose frames say nothing."""


def dialect_of(said: Json) -> Dialect | None:
    """The dialect of a frame with these fields; None when nobody speaks so."""
    kind = said.get("type")
    if kind is None:
        return BARE if "messages" in said or "action" in said else None
    if not isinstance(kind, str):
        return None
    if kind in envelopes.KINDS or "payload" in said or (kind == "REGISTER" and "source" in said):
        return ENVELOPES
    if kind in frames.KINDS:
        return TEKTON_SOCKET
    return ATHENA if kind in plain.ATHENAS and "data" in said else None
