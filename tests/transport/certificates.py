"""Certificates of our own making, which nobody trusts who was not told to."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest


def make(folder: Path, names: str) -> tuple[Path, Path]:
    """A certificate that vouches for itself, and its key.

    Args:
        names: whom it is for, as OpenSSL writes it: `DNS:localhost,IP:127.0.0.1`.
    """
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl command to make a certificate with")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    command = [
        openssl, "req", "-x509", "-batch", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
        "-subj", "/CN=test", "-addext", f"subjectAltName={names}", "-days", "2",
        "-keyout", str(key), "-out", str(certificate),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context
