"""Access tokens of Google Cloud, by `google-auth` (extra `vertex`).

Credentials are found as Google's own tools do it: the file that GOOGLE_APPLICATION_CREDENTIALS names, what
`gcloud auth application-default login` left, or the machine's own service account
(https://docs.cloud.google.com/docs/authentication/application-default-credentials, read 2026-11-21).
"""

from __future__ import annotations

import urllib.request
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.error import HTTPError

from rhetor.core.call import Call
from rhetor.core.errors import Code, UpstreamError
from rhetor.transport.signing import Kept

TOKEN_S = 10.0  # for each request to the token's endpoint
USUAL_S = 600.0  # of tokens that do not say how long they are good


class GoogleSigner:
    """Puts a token into calls.

    Args:
        scopes: what it is for.
    """

    def __init__(self, scopes: Sequence[str], environ: Mapping[str, str]) -> None:
        self._scopes = list(scopes)
        self._environ = environ
        self._found: Any = None
        self._token = Kept(self._fetch)

    async def sign(self, call: Call) -> Call:
        return replace(call, headers={**call.headers, **await self._token.get()})

    def _fetch(self) -> tuple[Mapping[str, str], float]:
        """The headers that prove who we are. Blocks."""
        from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError

        try:
            if self._found is None:
                self._found = self._look()
            self._found.refresh(_fetch_over_http)
        except DefaultCredentialsError as error:
            message = (
                "no credentials for Google Cloud: set GOOGLE_APPLICATION_CREDENTIALS to a service account's "
                "file, or run `gcloud auth application-default login`"
            )
            raise UpstreamError(message, Code.NO_KEY) from error
        except (GoogleAuthError, OSError) as error:
            # What the endpoint says may repeat what it was sent.
            message = f"Google Cloud gave no token: {type(error).__name__}"
            raise UpstreamError(message, Code.UPSTREAM_AUTH) from error
        headers = {"authorization": f"Bearer {self._found.token}"}
        if project := getattr(self._found, "quota_project_id", None):
            headers["x-goog-user-project"] = project
        return headers, _left_s(self._found.expiry)

    def _look(self) -> Any:
        import google.auth

        auth: Any = google.auth  # half of it has types
        path = self._environ.get("GOOGLE_APPLICATION_CREDENTIALS", "").strip()
        if not path:
            found, _ = auth.default(scopes=self._scopes, request=_fetch_over_http)
            return found
        with warnings.catch_warnings():
            # It warns of files from strangers; this one is named by whoever runs the gateway.
            warnings.simplefilter("ignore", DeprecationWarning)
            found, _ = auth.load_credentials_from_file(path, scopes=self._scopes, request=_fetch_over_http)
        return found


def _left_s(expiry: datetime | None) -> float:
    if expiry is None:
        return USUAL_S
    aware = expiry if expiry.tzinfo is not None else expiry.replace(tzinfo=UTC)
    return (aware - datetime.now(UTC)).total_seconds()


class _Reply:
    """What google-auth wants to know of a reply."""

    def __init__(self, status: int, headers: Mapping[str, str], data: bytes) -> None:
        self.status = status
        self.headers = headers
        self.data = data


def _fetch_over_http(
    url: str,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float | None = None,
    **_: object,
) -> _Reply:
    """`google.auth.transport.Request`: one request, with the standard library's client; it blocks.

    Raises:
        TransportError: there was no reply.
    """
    from google.auth.exceptions import TransportError

    request = urllib.request.Request(url, body, dict(headers or {}), method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout or TOKEN_S) as reply:
            return _Reply(reply.status, dict(reply.headers), reply.read())
    except HTTPError as error:
        with error:
            return _Reply(error.code, dict(error.headers), error.read())
    except OSError as error:
        raise TransportError(error) from error  # type: ignore[no-untyped-call]
