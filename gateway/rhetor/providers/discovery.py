"""Asking a provider which models it has."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from rhetor.core.errors import Code, UpstreamError
from rhetor.providers.provider import Provider
from rhetor.transport.base import Progress
from rhetor.wire.base import ModelEntry

PATIENCE_S = 10.0  # lists are short; whoever takes longer is asked again later
LIST_BYTES = 16 * 1024 * 1024  # the longest list known, some 400 models with descriptions, fills 1 MB


async def list_models(provider: Provider) -> Sequence[ModelEntry] | None:
    """The provider's own list; None when it has none.

    Raises:
        RhetorError: it could not be asked, or gave no list.
    """
    call = provider.models_call()
    if call is None:
        return None
    try:
        async with asyncio.timeout(PATIENCE_S):
            response = await provider.transport.open(call, Progress())
            try:
                body = await response.read(LIST_BYTES)
            finally:
                response.close()
    except TimeoutError:
        raise UpstreamError(f"no list of models in {PATIENCE_S:g} s", Code.TOTAL_TIMEOUT) from None
    if not 200 <= response.status < 300:
        headers = {name.lower(): value for name, value in response.headers.items()}
        raise provider.refusal(response.status, headers, body)
    return provider.wire.read_models(body)
