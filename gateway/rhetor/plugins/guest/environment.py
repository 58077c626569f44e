"""What a guest's code needs, installed once for each digest of it: a virtual environment, or node_modules.

Nothing of what is installed runs while it is installed: Python packages come as wheels, and npm runs no
scripts. So a package that can only be built on the spot cannot be had; the error says so.
"""

from __future__ import annotations

import asyncio
import filecmp
import hashlib
import importlib.util
import logging
import os
import re
import shutil
import sys
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from rhetor.core.errors import Code, RhetorError
from rhetor.core.value import value
from rhetor.plugins import sdk
from rhetor.plugins.guest.holds import Hold, hold
from rhetor.plugins.guest.sandbox import base_python, interpreter_paths
from rhetor.plugins.guest.spec import CodeSpec, checked_requirements
from rhetor.services.house import House
from rhetor.services.process import Spec

log = logging.getLogger(__name__)

INSTALL_S = 600.0  # of large packages over slow lines
VENV_S = 60.0
VERSION_S = 10.0
SHOWN_CHARS = 500
LEAST_NODE = 18
NPM_OPTIONS = ("--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund", "--no-update-notifier")
READY = ".ready"
COPY = "plugin"
NAME = re.compile(r"(python|node)-[0-9a-f]{32}")
LOOK_S = 0.05
MOST_FILES = 20_000
PASSED_ON = ("PIP_", "NPM_CONFIG_", "npm_config_", "SSL_CERT", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")
SDK_FOLDER = Path(sdk.__file__).parent
SDK_PYTHON = SDK_FOLDER / "rhetor_provider.py"
SDK_SCRIPT = SDK_FOLDER / "rhetor-provider.mjs"


@value(kw_only=True)
class Program:
    """How a guest is started, and what it has to see for that."""

    argv: tuple[str, ...]
    cwd: str
    env: Mapping[str, str]
    readable: tuple[str, ...]
    folder: Path
    """Its environment."""


class Environments:
    """Makes environments below a folder, one at a time for each digest.

    Args:
        environ: the gateway's own variables, of which installers get where the index is.
    """

    def __init__(self, folder: Path, house: House, environ: Mapping[str, str] | None = None) -> None:
        self._folder = folder
        self._house = house
        self._environ = dict(os.environ) if environ is None else environ

    async def ensure(self, spec: CodeSpec) -> Program:
        """
        Raises:
            RhetorError: invalid_request or unavailable, it cannot be made, and why.
        """
        main = spec.main_file
        if spec.language == "python":
            folder = await self._ensured(spec, _python_digest(spec), self._make_python)
            python = folder / "bin" / "python"
            return Program(
                argv=(str(python), str(SDK_PYTHON), str(main)),
                cwd=str(spec.folder),
                env={"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"},
                readable=(str(folder), str(SDK_FOLDER), str(spec.folder), *interpreter_paths()),
                folder=folder,
            )
        node = await self._node()
        digest = await asyncio.to_thread(_script_digest, spec)
        folder = await self._ensured(spec, digest, self._make_script)
        copy = folder / COPY
        return Program(
            argv=(node, str(folder / SDK_SCRIPT.name), str(copy / main.relative_to(spec.folder.resolve()))),
            cwd=str(copy),
            env={"NODE_USE_ENV_PROXY": "1"},
            readable=(str(folder), node),
            folder=folder,
        )

    async def taken(self, spec: CodeSpec) -> tuple[Program, Hold]:
        """The same, and nobody removes it until it is let go.

        Raises:
            RhetorError: as above.
        """
        while True:
            program = await self.ensure(spec)
            held = hold(_lock_of(program.folder))
            if held is not None:
                if (program.folder / READY).exists():
                    return program, held
                held.close()  # it was removed a moment ago
            await asyncio.sleep(LOOK_S)

    async def _ensured(self, spec: CodeSpec, digest: str, make: _Make) -> Path:
        folder = self._folder / digest
        await asyncio.to_thread(self._folder.mkdir, parents=True, exist_ok=True)
        try:
            async with asyncio.timeout(INSTALL_S):
                while not await asyncio.to_thread(_is_whole, spec, folder):
                    held = hold(_lock_of(folder), alone=True)
                    if held is None:  # somebody makes it, here or in another process, or runs in it
                        await asyncio.sleep(LOOK_S)
                        continue
                    try:
                        await self._made(spec, folder, make)
                    finally:
                        held.close()
        except TimeoutError:
            message = f"the environment of {spec.id} is not there after {INSTALL_S:g} s; {folder} is in use"
            raise RhetorError(message, Code.UNAVAILABLE) from None
        return folder

    async def _made(self, spec: CodeSpec, folder: Path, make: _Make) -> None:
        if await asyncio.to_thread(_is_whole, spec, folder):
            return
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        log.info("environment is made", extra={"guest": spec.id, "digest": folder.name})
        try:
            await make(spec, folder)
        except BaseException:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            raise
        (folder / READY).touch()

    async def _make_python(self, spec: CodeSpec, folder: Path) -> None:
        requirements = checked_requirements(spec.requirements)
        own_pip = importlib.util.find_spec("pip") is not None
        plain = ("--without-pip",) if own_pip or not requirements else ()
        await self._run(spec, (base_python(), "-I", "-m", "venv", *plain, str(folder)), VENV_S)
        if not requirements:
            return
        python = str(folder / "bin" / "python")
        pip: tuple[str, ...] = ("-I", "-m", "pip")
        pip = (sys.executable, *pip, "--python", python) if own_pip else (python, *pip)
        options = ("--no-input", "--disable-pip-version-check", "--only-binary=:all:", "--no-compile")
        await self._run(spec, (*pip, "install", *options, "--", *requirements), INSTALL_S)

    async def _make_script(self, spec: CodeSpec, folder: Path) -> None:
        requirements = checked_requirements(spec.requirements, "javascript")
        copy = folder / COPY
        await asyncio.to_thread(_copy_script, spec.folder, folder, copy)
        package = copy / "package.json"
        steps: list[tuple[str, ...]] = []
        if package.is_file():
            locked = (copy / "package-lock.json").is_file()
            steps.append(("ci",) if locked else ("install", "--no-package-lock"))
        elif requirements:
            package.write_text('{"private": true}\n')  # else npm looks for one further up
        if requirements:
            steps.append(("install", "--no-save", "--no-package-lock", *requirements))
        npm = shutil.which("npm")
        if steps and npm is None:
            raise RhetorError(
                f"{spec.id} needs npm to install its packages: install Node.js", Code.UNAVAILABLE
            )
        for words in steps:
            await self._run(spec, (npm or "npm", *words, *NPM_OPTIONS), INSTALL_S, cwd=copy)

    async def _node(self) -> str:
        node = shutil.which("node")
        if node is None:
            raise RhetorError("no program 'node': install Node.js 18 or newer", Code.UNAVAILABLE)
        said = await self._output((node, "--version"), VERSION_S)
        major = said.strip().removeprefix("v").partition(".")[0]
        if not major.isdigit() or int(major) < LEAST_NODE:
            raise RhetorError(
                f"Node.js {LEAST_NODE} or newer is needed, this is {said.strip()}", Code.UNAVAILABLE
            )
        return await asyncio.to_thread(os.path.realpath, node)

    async def _run(
        self, spec: CodeSpec, argv: Sequence[str], within_s: float, cwd: Path | None = None
    ) -> None:
        try:
            await self._output(argv, within_s, cwd)
        except RhetorError as error:
            raise RhetorError(f"{spec.id}: {error.message}", error.code) from error

    async def _output(self, argv: Sequence[str], within_s: float, cwd: Path | None = None) -> str:
        home = self._folder / "home"
        await asyncio.to_thread(home.mkdir, parents=True, exist_ok=True)
        env = {"PATH": self._environ.get("PATH", os.defpath), "HOME": str(home), "LANG": "C.UTF-8"}
        env |= {name: it for name, it in self._environ.items() if _is_passed_on(name)}
        label = f"{Path(argv[0]).name} {argv[-1]}"[:80]
        spec = Spec(argv=tuple(argv), cwd=cwd or self._folder, env=env, label=label, stdout="told")
        said: list[bytes] = []
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def on_out(data: bytes) -> None:
            said.append(data)
            if not data and not ended.done():
                ended.set_result(None)

        child = await self._house.start(spec, mark="environment", on_out=on_out)
        try:
            async with asyncio.timeout(within_s):
                code = await child.wait()
                await ended  # what it wrote last is read
        except TimeoutError:
            raise RhetorError(f"{label} took longer than {within_s:g} s", Code.UNAVAILABLE) from None
        finally:
            await child.stop()
        if code:
            why = child.said().strip()[-SHOWN_CHARS:]
            raise RhetorError(f"{label} ended with {code}: {why}", Code.UNAVAILABLE)
        return b"".join(said).decode(errors="replace")


def tidy(folder: Path, wanted: Collection[CodeSpec]) -> bool:
    """Remove the environments of a folder that none of these needs and nobody uses; whether it has none now.

    Blocks.
    """
    needed = {environment_of(spec) for spec in wanted}
    left = False
    for place in [place for place in folder.iterdir() if NAME.fullmatch(place.name)]:
        held = None if place.name in needed else hold(_lock_of(place), alone=True)
        left = left or held is None
        if held is not None:
            shutil.rmtree(place, ignore_errors=True)
            held.close()
            log.info("environment is removed", extra={"digest": place.name})
    return not left


def environment_of(spec: CodeSpec) -> str:
    """What its environment is called. Blocks."""
    return _python_digest(spec) if spec.language == "python" else _script_digest(spec)


def _is_whole(spec: CodeSpec, folder: Path) -> bool:
    """Whether it was made, and what runs in it is what the plugin's files are: scripts are copied there."""
    if not (folder / READY).exists():
        return False
    if spec.language == "python":
        return True
    copies = [(path, folder / COPY / path.relative_to(spec.folder)) for path in _files(spec.folder)]
    copies.append((SDK_SCRIPT, folder / SDK_SCRIPT.name))
    return all(copy.is_file() and filecmp.cmp(path, copy, shallow=False) for path, copy in copies)


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


_Make: TypeAlias = Callable[[CodeSpec, Path], Awaitable[None]]


def _is_passed_on(name: str) -> bool:
    return name.startswith(PASSED_ON) or name.upper() in PROXIES


def _python_digest(spec: CodeSpec) -> str:
    said = (base_python(), sys.version, *sorted(checked_requirements(spec.requirements)))
    return "python-" + hashlib.sha256("\0".join(said).encode()).hexdigest()[:32]


def _script_digest(spec: CodeSpec) -> str:
    digest = hashlib.sha256(SDK_SCRIPT.read_bytes())
    digest.update("\0".join(sorted(checked_requirements(spec.requirements, "javascript"))).encode())
    for path in _files(spec.folder):
        digest.update(f"\0{path.relative_to(spec.folder)}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return "node-" + digest.hexdigest()[:32]


def _files(folder: Path) -> list[Path]:
    """The plugin's own files.

    Raises:
        RhetorError: there are too many.
    """
    found: list[Path] = []
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(set(folders) - {"node_modules", ".git"})
        found += [Path(root, name) for name in sorted(names) if not Path(root, name).is_symlink()]
        if len(found) > MOST_FILES:
            raise RhetorError(f"{folder} has more than {MOST_FILES} files", Code.UNAVAILABLE)
    return found


def _copy_script(source: Path, folder: Path, copy: Path) -> None:
    """Packages are looked for beside and above a script, so it is copied to where they are installed."""
    for path in _files(source):
        target = copy / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    package = folder / "node_modules" / "rhetor-provider"
    package.mkdir(parents=True)
    shutil.copyfile(SDK_SCRIPT, folder / SDK_SCRIPT.name)
    (package / "package.json").write_text(
        '{"name": "rhetor-provider", "type": "module", "exports": "./index.mjs"}\n'
    )
    (package / "index.mjs").write_text(f'export * from "../../{SDK_SCRIPT.name}";\n')
