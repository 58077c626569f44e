"""What guests need is installed once, and nothing runs while it is."""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
import zipfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.plugins.guest import environment as environment_module
from rhetor.plugins.guest.environment import Environments, tidy
from rhetor.plugins.guest.spec import CodeSpec
from rhetor.services.house import House
from tests.plugins.guest.guests import Guests, written


@pytest.fixture
async def house(no_leaks: None) -> AsyncIterator[House]:
    made = House(secrets.token_hex(8))
    yield made
    await made.close()


def index(folder: Path) -> dict[str, str]:
    """The variables of an index that is a folder with one wheel in it."""
    folder.mkdir()
    with zipfile.ZipFile(folder / "moo-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("moo.py", "SAYS = 'moo 1.0'\n")
        wheel.writestr("moo-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: moo\nVersion: 1.0\n")
        wheel.writestr(
            "moo-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        wheel.writestr(
            "moo-1.0.dist-info/RECORD", "moo.py,,\nmoo-1.0.dist-info/METADATA,,\nmoo-1.0.dist-info/RECORD,,\n"
        )
    return {
        "PATH": "/usr/bin:/bin",
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(folder),
        "OPENAI_API_KEY": "x",
    }


MOO = """
import moo
from rhetor_provider import Provider

class M(Provider):
    def generate(self, request):
        return moo.SAYS
"""


async def test_python_packages(guests: Guests, tmp_path: Path) -> None:
    variables = index(tmp_path / "index")
    spec = written(tmp_path / "moo", MOO, requirements=("moo==1.0",))
    guest = guests.make(spec)
    made = Environments(guests.folder, guests.house, variables)
    programs = await asyncio.gather(*(made.ensure(spec) for _ in range(3)))
    assert len({program.argv[0] for program in programs}) == 1
    assert (await guest.ask("m")).text == "moo 1.0"

    other = await made.ensure(replace(spec, requirements=()))
    assert other.argv[0] != programs[0].argv[0]


async def test_a_package_that_must_be_built_is_refused(house: House, tmp_path: Path) -> None:
    """Building runs its code, outside of any sandbox."""
    variables = index(tmp_path / "index")
    source = tmp_path / "source" / "evil-1.0"
    source.mkdir(parents=True)
    proof = tmp_path / "proof"
    (source / "setup.py").write_text(
        f"open({str(proof)!r}, 'w')\nfrom setuptools import setup\nsetup(name='evil', version='1.0')"
    )
    (source / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
    shutil.make_archive(str(tmp_path / "index" / "evil-1.0"), "gztar", source.parent, "evil-1.0")
    spec = written(tmp_path / "x", "", requirements=("evil==1.0",))
    with pytest.raises(RhetorError, match="evil") as caught:
        await Environments(tmp_path / "state", house, variables).ensure(spec)
    assert caught.value.code is Code.UNAVAILABLE
    assert not proof.exists()


@pytest.mark.skipif(shutil.which("npm") is None, reason="needs npm")
async def test_javascript_packages(guests: Guests, tmp_path: Path) -> None:
    """They are installed without running their scripts, into a copy: the plugin's own folder stays."""
    code = 'import { Provider } from "rhetor-provider";\nimport { says } from "moo";\n'
    code += "export default class M extends Provider { generate() { return says; } }\n"
    spec = written(tmp_path / "moo", code, "javascript")
    proof = tmp_path / "proof"
    package = spec.folder / "vendored" / "moo"
    package.mkdir(parents=True)
    scripts = {"install": f"touch {proof}"}
    moo = {"name": "moo", "version": "1.0.0", "type": "module", "main": "moo.js", "scripts": scripts}
    (package / "package.json").write_text(json.dumps(moo))
    (package / "moo.js").write_text('export const says = "moo 1.0";')
    own = {"name": "own", "dependencies": {"moo": "file:vendored/moo"}}
    (spec.folder / "package.json").write_text(json.dumps(own))
    guest = guests.make(spec)
    assert (await guest.ask("m")).text == "moo 1.0"
    assert not proof.exists()
    assert not (spec.folder / "node_modules").exists()


async def test_what_cannot_be_made_says_why(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Environments(tmp_path / "state", house, {"PATH": "/nowhere"})
    spec = written(tmp_path / "x", "")
    for main in ("../x.py", "/etc/passwd", "not_there.py"):
        with pytest.raises(BadRequest, match="is not in its folder"):
            await made.ensure(replace(spec, main=main))
    monkeypatch.setattr(environment_module, "VENV_S", 0.0)
    with pytest.raises(RhetorError, match="took longer than 0 s"):
        await made.ensure(spec)
    assert not [it for it in (tmp_path / "state").iterdir() if it.name.startswith("python-") and it.is_dir()]
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(RhetorError, match="install Node"):
        await made.ensure(replace(spec, language="javascript"))


async def test_an_old_node_is_refused(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = tmp_path / "node"
    node.write_text("#!/bin/sh\necho v16.0.0\n")
    node.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name: str(node))
    spec: CodeSpec = written(tmp_path / "x", "", "javascript")
    with pytest.raises(RhetorError, match="18 or newer is needed, this is v16"):
        await Environments(tmp_path / "state", house).ensure(spec)


async def test_two_who_need_it_at_once_both_get_it(house: House, tmp_path: Path) -> None:
    """Also while the one who made it holds on to it, as a program does that runs in it."""
    spec = written(tmp_path / "two", "")
    made = Environments(tmp_path / "environments", house)
    async with asyncio.timeout(120):
        both = await asyncio.gather(made.taken(spec), made.taken(spec))
    assert both[0][0] == both[1][0]
    for _, held in both:
        held.close()


async def test_what_nobody_needs_is_removed_and_what_is_in_use_is_not(house: House, tmp_path: Path) -> None:
    state = tmp_path / "state"
    made = Environments(state, house)
    old, new = written(tmp_path / "x", ""), written(tmp_path / "y", "", "javascript")
    program, held = await made.taken(old)
    assert not tidy(state, [new])
    assert program.folder.exists()
    held.close()
    assert not tidy(state, [old])
    assert program.folder.exists()
    assert tidy(state, [new])
    assert not program.folder.exists()
    program, held = await made.taken(old)  # it is made again for whoever needs it
    assert program.folder.exists()
    held.close()


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
async def test_a_script_that_was_changed_where_it_was_copied_to_is_copied_again(
    house: House, tmp_path: Path
) -> None:
    """What runs is what was added."""
    spec = written(tmp_path / "x", "// as it was added\n", "javascript")
    program = await Environments(tmp_path / "state", house).ensure(spec)
    copy = Path(program.argv[-1])
    copy.write_text("// changed\n")
    program = await Environments(tmp_path / "state", house).ensure(spec)
    assert (Path(program.argv[-1]), copy.read_text()) == (copy, "// as it was added\n")
