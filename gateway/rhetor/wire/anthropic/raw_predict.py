"""The language inside calls of a prediction service, whose paths name the model and what is done with it.

The model is named in the path, `:rawPredict` or `:streamRawPredict` tells whether a stream is wanted, and the
version stands in the body: https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai. Tokens
are counted by what looks like a model, with the true one in the body:
https://docs.cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude/count-tokens. Headers for
betas stay headers, as `lib/vertex/_client.py` of anthropic 2.12.0 has it (all read 2026-11-21).
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from rhetor.core.content import Json, JsonValue

COUNT_MODEL = "count-tokens"

_VERSIONS: Mapping[str, str] = {"2023-06-01": "vertex-2023-10-16"}
"""What a version is called there. Newer ones have one name everywhere, as anthropic 2.12.0 sends them."""


def enclosed(
    body: Json, headers: Mapping[str, str], counting: bool
) -> tuple[str, dict[str, JsonValue], dict[str, str]]:
    """Path, body and headers of the call for those of a call of the language's own.

    A version that the body says already comes from a caller who knows, and stays.
    """
    headers = dict(headers)
    version = headers.pop("anthropic-version")
    body = {"anthropic_version": _VERSIONS.get(version, version), **body}
    if counting:
        return f"/models/{COUNT_MODEL}:rawPredict", body, headers
    model = quote(str(body.pop("model")), safe="@")
    method = "streamRawPredict" if body.get("stream") else "rawPredict"
    return f"/models/{model}:{method}", body, headers
