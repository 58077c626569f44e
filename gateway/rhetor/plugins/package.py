"""Plugins that came with a Python package, which names them as entry points; nothing of it is imported."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from rhetor.core.errors import BadRequest, Code
from rhetor.core.value import value
from rhetor.plugins.manifest import FILE
from rhetor.plugins.sources import Source
from rhetor.plugins.tree import PIECE_BYTES, Tree

GROUP = "rhetor.plugins"


@value(kw_only=True)
class Installed:
    """Which package it was."""

    version: str


def copy_package(source: Source, tree: Tree) -> Installed:
    """The files of the folder that the package's entry point names.

    Raises:
        BadRequest: it is not installed, or names no plugin.
    """
    try:
        found = distribution(source.place)
    except PackageNotFoundError:
        message = f"no package {source.place!r} is installed beside rhetor; install it there with pip"
        raise BadRequest(message, Code.NOT_FOUND, param="source") from None
    names = [point.value.partition(":")[0] for point in found.entry_points if point.group == GROUP]
    if len(names) != 1:
        what = "several plugins" if names else "no plugin"
        message = f"{source.place} names {what}; it needs one entry point of the group {GROUP!r}"
        raise BadRequest(message, Code.INVALID_REQUEST, param="source")
    _copy(found, names[0].replace(".", "/"), tree)
    return Installed(version=found.version)


def _copy(found: Distribution, folder: str, tree: Tree) -> None:
    files = {str(path): path for path in found.files or ()}
    if f"{folder}/{FILE}" not in files:
        message = (
            f"{found.name} has no {folder}/{FILE}; if it is installed as editable, add the folder itself"
        )
        raise BadRequest(message, Code.NOT_FOUND, param="source")
    for name, path in sorted(files.items()):
        if name.startswith(f"{folder}/") and "__pycache__" not in path.parts:
            place = Path(str(path.locate()))
            tree.add(name.removeprefix(f"{folder}/"), _pieces(place), bool(place.stat().st_mode & 0o100))
    tree.finish()


def _pieces(place: Path) -> Iterator[bytes]:
    with place.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield piece
