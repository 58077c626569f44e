"""Who signs the calls of a provider that has no key."""

from __future__ import annotations

from collections.abc import Mapping

from rhetor.providers.places import unplaced
from rhetor.providers.spec import ProviderRow
from rhetor.transport.aws import AwsSigner
from rhetor.transport.base import Transport
from rhetor.transport.google import GoogleSigner
from rhetor.transport.signing import Signed, Signer, lacking


def out_of_reach(row: ProviderRow, environ: Mapping[str, str], keyed: bool) -> str | None:
    """What is missing, beside a key, before a provider can be asked; None when nothing is."""
    missing = unplaced(row, environ, signed=not keyed)
    if missing is None and row.signing is not None:
        missing = lacking(row.signing.scheme)
    return missing


def signed(transport: Transport, row: ProviderRow, environ: Mapping[str, str], keyed: bool) -> Transport:
    """The transport, with a signature on what goes out where the row asks for one and there is no key."""
    if row.signing is None or keyed:
        return transport
    signer: Signer
    if row.signing.scheme == "google":
        signer = GoogleSigner(row.signing.scopes, environ)
    else:
        signer = AwsSigner(row.signing.service, row.signing.region, environ)
    return Signed(transport, signer, row.base_url)
