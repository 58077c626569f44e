"""Signatures of AWS, version 4, by `botocore` (extra `bedrock`).

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html (read 2026-11-21).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from typing import Any

from rhetor.core.call import Call
from rhetor.core.errors import Code, UpstreamError
from rhetor.transport.signing import EARLY_S, Kept

LOOK_AGAIN_S = EARLY_S + 60.0
"""After a minute, while the old ones still do: botocore renews what ends within a quarter of an hour."""
FOR_GOOD_S = 1e9  # what stands in the environment does not end while we live
_SIGNING = ("botocore.auth", "botocore.awsrequest")
LARGE_BYTES = 256 << 10  # hashing more than that takes the loop a noticeable time


class AwsSigner:
    """Signs for one service in one region.

    Args:
        environ: where credentials are looked for first, by AWS' own names; then botocore looks where the
            command line of AWS would: profiles, roles of containers and machines.
    """

    def __init__(self, service: str, region: str, environ: Mapping[str, str]) -> None:
        self._service = service
        self._region = region
        self._environ = environ
        self._found: Any = None
        self._credentials = Kept(self._look)

    async def sign(self, call: Call) -> Call:
        credentials = await self._credentials.get()
        if len(call.body or b"") > LARGE_BYTES:
            return await asyncio.to_thread(self._signed, call, credentials)
        return self._signed(call, credentials)

    def _signed(self, call: Call, credentials: Any) -> Call:
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest

        request = AWSRequest(call.method, call.url, dict(call.headers), call.body or b"")
        SigV4Auth(credentials, self._service, self._region).add_auth(request)
        return replace(call, headers=dict(request.headers.items()))

    def _look(self) -> tuple[Any, float]:
        """Blocks. What signs is imported here as well: it takes the loop a noticeable time."""
        for module in _SIGNING:
            import_module(module)
        from botocore.credentials import ReadOnlyCredentials
        from botocore.exceptions import BotoCoreError

        id = self._environ.get("AWS_ACCESS_KEY_ID", "").strip()
        secret = self._environ.get("AWS_SECRET_ACCESS_KEY", "").strip()
        if id and secret:
            token = self._environ.get("AWS_SESSION_TOKEN", "").strip() or None
            return ReadOnlyCredentials(id, secret, token, None), FOR_GOOD_S
        try:
            frozen = self._frozen()
        except BotoCoreError as error:
            message = f"AWS' credentials cannot be had: {error}"
            raise UpstreamError(message, Code.NO_KEY) from error
        except (
            Exception
        ) as error:  # a role that may not be assumed is refused with a class of its service's own
            message = f"AWS' credentials cannot be had: {type(error).__name__}"
            raise UpstreamError(message, Code.NO_KEY) from error
        if frozen is None:
            message = (
                "no credentials for AWS: set AWS_BEARER_TOKEN_BEDROCK, or AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give the machine a role"
            )
            raise UpstreamError(message, Code.NO_KEY)
        return frozen, LOOK_AGAIN_S

    def _frozen(self) -> Any:
        from botocore.session import Session

        if self._found is None:
            self._found = Session(profile=self._environ.get("AWS_PROFILE") or None).get_credentials()
        return None if self._found is None else self._found.get_frozen_credentials()
