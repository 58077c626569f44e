"""Folders for nobody but ourselves."""

from __future__ import annotations

from pathlib import Path

OWN_FOLDER = 0o700


def make_own(folder: Path) -> None:
    """Make a folder, and those above it that are missing; what is there already stays as it is.

    `Path.mkdir` leaves those above it open to everybody.

    Raises:
        OSError: it cannot be made, or is no folder.
    """
    if not folder.is_dir():
        make_own(folder.parent)
        folder.mkdir(OWN_FOLDER, exist_ok=True)
