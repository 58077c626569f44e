"""What a guest is started with."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from rhetor.plugins.guest.launch import unreadable
from tests.plugins.guest.guests import PARROTS, Guests


async def test_a_user_of_its_own_needs_files_that_others_may_read(guests: Guests, tmp_path: Path) -> None:
    """Else it runs as the gateway's user, in its namespaces all the same."""
    folder = tmp_path / "plugin"
    folder.mkdir()
    (folder / "provider.py").write_text((PARROTS["python"].folder / "provider.py").read_text())
    (folder / "secret").write_text("x")
    (folder / "secret").chmod(0o600)
    guest = guests.make(replace(PARROTS["python"], folder=folder))
    assert not {fact.what: fact.enforced for fact in await guest.transport.enforced()}["own user"]
    assert (await guest.ask("counts", "1")).text == "0 "


async def test_nothing_is_left_behind(
    guests: Guests, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    guest = guests.make(replace(PARROTS["python"], hosts=("api.example.com",)))
    assert (await guest.ask("counts", "1")).text == "0 "
    assert os.listdir(tmp_path)
    await guest.transport.close()
    assert not os.listdir(tmp_path)


async def test_extra_paths_are_readable_where_the_operator_says_so(guests: Guests, tmp_path: Path) -> None:
    model = tmp_path / "models" / "small.gguf"
    model.parent.mkdir()
    model.write_text("weights")
    code = "import rhetor_provider\n\nclass R(rhetor_provider.Provider):\n"
    code += "    def generate(self, request):\n        return open(request.text).read()\n"
    folder = tmp_path / "plugin"
    folder.mkdir()
    (folder / "provider.py").write_text(code)
    spec = replace(PARROTS["python"], folder=folder)
    assert (await guests.make(spec).ask("m", str(model))).error is not None
    assert (await guests.make(replace(spec, reads=(model,))).ask("m", str(model))).text == "weights"


def test_what_it_cannot_read_although_it_may_is_known_before_it_runs(tmp_path: Path) -> None:
    """A user of its own is nobody's friend: what only the owner may read, it may not."""
    models, small = tmp_path / "models", tmp_path / "models" / "small.gguf"
    models.mkdir(mode=0o755)
    small.write_text("weights")
    small.chmod(0o644)
    assert unreadable([models, small], by_others=True) == []
    small.chmod(0o600)
    assert unreadable([models], by_others=True) == [
        f"only its owner may read {models}: {small}; the program runs as a user of its own: "
        f"chmod -R o+rX {models}"
    ]
    models.chmod(0o700)
    (why,) = unreadable([models], by_others=True)
    assert why.startswith(f"only its owner may read {models};")
    assert unreadable([models], by_others=False) == []
    (why,) = unreadable([tmp_path / "gone"], by_others=False)
    assert why == f"{tmp_path}/gone is not there, or nobody may look"
