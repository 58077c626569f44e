"""The built-in table of providers: read from `builtin.toml` and `rows/`, validated into rows."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from urllib.parse import urlsplit

from rhetor.providers.spec import ProviderRow

PARTS = ("rows/speech.toml", "rows/pictures.toml", "rows/clouds.toml", "rows/rerank.toml")
"""Besides, by what their providers are known for."""


@cache
def load_builtin() -> Mapping[str, ProviderRow]:
    """The rows by id, in the order of the files, which are read once in the life of a process.

    Raises:
        pydantic.ValidationError: a row says what rows cannot say.
    """
    table: dict[str, dict[str, object]] = {}
    for part in ("builtin.toml", *PARTS):
        table |= tomllib.loads(files(__package__).joinpath(part).read_text("utf-8"))
    return MappingProxyType({id: ProviderRow.model_validate({"id": id, **row}) for id, row in table.items()})


def base_url_of(row: ProviderRow, environ: Mapping[str, str]) -> str:
    """Where a provider is: what the first of its variables says, else what the row says.

    Raises:
        ValueError: names the variable that holds no address.
    """
    for name in row.base_url_env:
        if address := environ.get(name, "").strip():
            try:
                return _url_of(address, urlsplit(row.base_url).port)
            except ValueError as error:
                raise ValueError(f"{name} is no address: {error}; write http://HOST:PORT") from error
    return row.base_url


LISTENING = ("", "0.0.0.0", "::")


def _url_of(address: str, port: int | None) -> str:
    """A URL for an address that may lack scheme, host or port, as OLLAMA_HOST may.

    OLLAMA_HOST is also what Ollama's server listens on, so it may say "everywhere":
    https://docs.ollama.com/faq (read 2026-11-20).
    """
    bare = "://" not in address
    parts = urlsplit(f"http://{address}" if bare else address)
    host = parts.hostname or ""
    host = "127.0.0.1" if host in LISTENING else f"[{host}]" if ":" in host else host
    port = parts.port or (port if bare else None)
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}{parts.path.rstrip('/')}"
