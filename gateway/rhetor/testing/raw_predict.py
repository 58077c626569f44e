"""How Claude sounds behind a prediction service: its own language, in calls and refusals of Google's.

https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai (read 2026-11-21).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote

import orjson

from rhetor.core.capability import Capability
from rhetor.core.errors import BadRequest, RhetorError
from rhetor.testing import google
from rhetor.testing.voices import Asked, DoorVoice
from rhetor.wire.anthropic import ANTHROPIC
from rhetor.wire.lenient import parse, word

_ADDRESS = re.compile(r"/models/([^/:]+):(rawPredict|streamRawPredict)$")


class RawPredictVoice(DoorVoice):
    """One capability of the language; the path says the model, unless tokens are counted."""

    def __init__(self, capability: Capability) -> None:
        super().__init__(ANTHROPIC, capability)

    def hear(self, body: bytes, headers: Mapping[str, str]) -> Asked:
        found, said = _ADDRESS.search(headers.get(google.PATH, "")), parse(body)
        if found is None or said is None:
            raise BadRequest("no JSON, or nothing that a model can do")
        if not word(said, "anthropic_version"):
            raise BadRequest("anthropic_version: Field required")
        if self.capability is Capability.COUNT_TOKENS:
            return super().hear(body, headers)
        if "model" in said:
            raise BadRequest("model: Extra inputs are not permitted")
        if bool(said.get("stream")) != (found[2] == "streamRawPredict"):
            raise BadRequest("the path and the body do not want the same")
        return super().hear(orjson.dumps({"model": unquote(found[1]), **said}), headers)

    def refuse(self, error: RhetorError, id: str) -> bytes:
        return google.refuse(error, id)
