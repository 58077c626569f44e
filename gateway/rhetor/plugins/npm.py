"""Plugins out of npm's registry: the archive of one version, as it is; no script of it runs.

`npm pack` of a package that is named by its version only downloads: https://docs.npmjs.com/cli/commands/npm-pack
(read 2026-11-21). Where it would build something, it is told `--ignore-scripts`.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import orjson

from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.core.value import value
from rhetor.plugins.program import Fetching
from rhetor.plugins.sources import Source
from rhetor.plugins.tree import Tree

PIECE_BYTES = 1 << 20
HEADERS_BYTES = 32 << 20  # of ten thousand files, with long names
ENV: Mapping[str, str] = {
    "NO_UPDATE_NOTIFIER": "1",
    "npm_config_update_notifier": "false",
    "npm_config_fund": "false",
    "npm_config_audit": "false",
    "npm_config_ignore_scripts": "true",
    "npm_config_fetch_retries": "1",
    "npm_config_engine_strict": "false",
}


@value(kw_only=True)
class Packed:
    """What came of a package."""

    version: str
    integrity: str
    """As the registry tells it, and npm has checked it: `sha512-…`."""


def fetch(source: Source, registry: str, fetching: Fetching, tree: Tree) -> Packed:
    """The files of one version of a package, and which version that was.

    Raises:
        BadRequest: there is none, or it is no plugin.
        RhetorError: npm cannot ask for it.
    """
    wanted = f"{source.place}@{source.ref or 'latest'}"
    what = f"fetching {wanted}"
    options = ("--ignore-scripts", "--json", "--loglevel=error", f"--registry={registry}")
    ours = [f"--{name}={fetching.folder / name}" for name in ("cache", "userconfig", "globalconfig")]
    # Else it would look for a project, and its settings, in the folders above.
    (fetching.folder / "package.json").write_text("{}")
    code, said, complaint = fetching.run(["npm", "pack", *options, *ours, "--", wanted], ENV, what)
    if code != 0:
        raise _in_words(wanted, complaint or said.read_text("utf-8", "replace"))
    try:
        about: Any = orjson.loads(said.read_bytes())
        first = about[0] if isinstance(about, list) else next(iter(about.values()))
        archive = fetching.folder / Path(str(first["filename"]).replace("/", "-").lstrip("@")).name
        packed = Packed(version=str(first["version"]), integrity=str(first["integrity"]))
    except (ValueError, LookupError, TypeError, StopIteration) as error:
        raise RhetorError(f"npm said what is not understood of {wanted}", Code.PROTOCOL) from error
    _unpack(archive, tree)
    tree.finish()
    return packed


def _unpack(archive: Path, tree: Tree) -> None:
    """What is below the one folder that npm puts everything into, `package` by custom."""
    try:
        with (
            gzip.open(archive) as packed,
            tarfile.open(None, "r|", _Counted(packed, tree)) as tar,
        ):
            for member in tar:
                _, _, path = member.name.partition("/")
                if member.isdir() or not path:
                    continue
                data = tar.extractfile(member) if member.isreg() else None
                if data is None:
                    message = f"the plugin is refused: {path!r} is no file"
                    raise BadRequest(message, Code.INVALID_REQUEST, param="source")
                tree.add(path, _pieces(data), bool(member.mode & 0o100))
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        message = f"the archive of the package cannot be read: {error}"
        raise BadRequest(message, Code.INVALID_REQUEST, param="source") from None


class _Counted(io.RawIOBase):
    """What is in the archive, as long as it is not more than a plugin may be: tarfile holds the whole of a
    long name in memory, and a megabyte can be one of a gigabyte."""

    def __init__(self, packed: gzip.GzipFile, tree: Tree) -> None:
        self._packed = packed
        self._tree = tree
        self._size_bytes = 0

    def read(self, size: int = -1) -> bytes:
        data = self._packed.read(size)
        self._size_bytes += len(data)
        self._tree.expect(0, max(self._size_bytes - HEADERS_BYTES, 0))
        return data


def _pieces(data: IO[bytes]) -> Iterator[bytes]:
    while piece := data.read(PIECE_BYTES):
        yield piece


def _in_words(wanted: str, complaint: str) -> RhetorError:
    if "E404" in complaint or "ETARGET" in complaint or "404 Not Found" in complaint:
        return BadRequest(f"npm knows no {wanted}", Code.NOT_FOUND, param="source")
    return RhetorError(
        f"npm cannot fetch {wanted}: {' '.join(complaint.split())[:300]}", Code.UNAVAILABLE, status=502
    )
