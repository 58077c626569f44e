"""Secrets are references, `env:NAME` or `file:PATH`, looked up when the house is put together."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def resolve_secret(reference: str, environ: Mapping[str, str]) -> str:
    """The secret behind a reference.

    Raises:
        LookupError: says what is missing; never holds the secret.
    """
    kind, _, rest = reference.partition(":")
    if kind == "env":
        secret = environ.get(rest, "").strip()
        if not secret:
            raise LookupError(f"the variable {rest} is not set")
        return secret
    try:
        secret = Path(rest).expanduser().read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise LookupError(f"cannot read {rest}: {getattr(error, 'strerror', None) or 'not text'}") from None
    if not secret:
        raise LookupError(f"{rest} is empty")
    return secret
