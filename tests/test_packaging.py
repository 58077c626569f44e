"""What is published is exactly what it says it is, and nothing in the repository names a download host."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import rhetor
import tekton_llm_client

ROOT = Path(__file__).parent.parent
JS_CLIENT = ROOT / "js-client"
INSTALLERS = ("npm_", "pip_", "uv_")  # how the names of their environment variables begin
CLIENT_MAY_NEED = {"aiohttp", "orjson", "pydantic", "websockets"}


@pytest.fixture(scope="module")
def gateway_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    parts = ["pyproject.toml", "README.md", "LICENSE", "gateway", "examples"]
    return build(ROOT, parts, tmp_path_factory.mktemp("gateway"))


@pytest.fixture(scope="module")
def client_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    parts = ["pyproject.toml", "README.md", "LICENSE", "tekton_llm_client"]
    return build(ROOT / "client", parts, tmp_path_factory.mktemp("client"))


def build(project: Path, parts: list[str], into: Path) -> Path:
    """The wheel of a copy of these parts: nothing else in the checkout gets into it, or is needed."""
    source = into / "source"
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for part in parts:
        if (project / part).is_dir():
            shutil.copytree(project / part, source / part, symlinks=True, ignore=ignored)
        else:
            source.mkdir(exist_ok=True)
            shutil.copy(project / part, source)
    command = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir"]
    subprocess.run([sys.executable, *command, into, source], check=True, timeout=300)
    (wheel,) = into.glob("*.whl")
    return wheel


def packed(wheel: Path) -> set[str]:
    """Paths in the wheel, without its metadata."""
    names = zipfile.ZipFile(wheel).namelist()
    return {name for name in names if not name.split("/")[0].endswith(".dist-info")}


def kept(package: Path) -> set[str]:
    """Paths of everything in a package's folder, as a wheel names them; links lead to what is in it, too."""
    folders = (Path(root) for root, _, _ in os.walk(package, followlinks=True))
    files = (path for folder in folders for path in folder.iterdir() if path.is_file())
    return {
        path.relative_to(package.parent).as_posix() for path in files if path.parent.name != "__pycache__"
    }


def metadata(wheel: Path, name: str) -> str:
    with zipfile.ZipFile(wheel) as archive:
        (path,) = [path for path in archive.namelist() if path.endswith(f".dist-info/{name}")]
        return archive.read(path).decode()


def test_gateway_wheel_is_exactly_its_package(gateway_wheel: Path) -> None:
    assert packed(gateway_wheel) == kept(ROOT / "gateway" / "rhetor")
    assert {"rhetor/py.typed", "rhetor/http/console/tekton-llm-client.js"} <= packed(gateway_wheel)


def test_gateway_wheel_brings_the_command(gateway_wheel: Path) -> None:
    assert "rhetor = rhetor.cli:main" in metadata(gateway_wheel, "entry_points.txt")


def test_client_wheel_is_exactly_its_package(client_wheel: Path) -> None:
    assert packed(client_wheel) == kept(ROOT / "client" / "tekton_llm_client")
    assert "tekton_llm_client/py.typed" in packed(client_wheel)


def test_client_needs_little(client_wheel: Path) -> None:
    named = Parser().parsestr(metadata(client_wheel, "METADATA")).get_all("Requires-Dist", [])
    needs = [need for need in named if "extra ==" not in need]
    assert {re.split(r"[^a-z-]", need)[0] for need in needs} <= CLIENT_MAY_NEED


def test_client_imports_nothing_of_the_gateway() -> None:
    code = "import sys, tekton_llm_client; sys.exit('rhetor' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0


def test_the_clients_and_their_metadata_agree_on_the_version() -> None:
    def version(project: Path) -> str:
        return str(tomllib.loads((project / "pyproject.toml").read_text())["project"]["version"])

    assert rhetor.__version__ == version(ROOT)
    assert tekton_llm_client.__version__ == version(ROOT / "client")
    assert json.loads((JS_CLIENT / "package.json").read_text())["version"] == version(ROOT / "client")


@pytest.mark.skipif(not (JS_CLIENT / "node_modules").is_dir(), reason="js-client/node_modules is missing")
def test_npm_package_is_exactly_its_files() -> None:
    command = ["npm", "pack", "--dry-run", "--json", "--loglevel=error"]
    run = subprocess.run(command, cwd=JS_CLIENT, check=True, capture_output=True, timeout=120)
    (package,) = json.loads(run.stdout[run.stdout.index(b"[\n") :])  # the build scripts print before it
    modules = {path.stem for path in (JS_CLIENT / "src").glob("*.js")}
    assert {file["path"] for file in package["files"]} == {
        "LICENSE",
        "README.md",
        "package.json",
        *(
            f"dist/{script}{kind}"
            for script in ("tekton-llm-client", "tekton-llm-sessions", "tekton-llm-media", "rhetor-chat")
            for kind in (".js", ".min.js")
        ),
        *(
            f"dist/cjs/{name}"
            for name in ("package.json", "index.js", "athena.js", "sessions.js", "media.js")
        ),
        *(f"dist/{kind}/{module}.d.ts" for kind in ("cjs", "types") for module in modules),
        *(f"src/{module}.js" for module in modules),
    }


@pytest.mark.parametrize("copy", ["client/LICENSE", "js-client/LICENSE"])
def test_every_package_carries_the_license(copy: str) -> None:
    assert (ROOT / copy).read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_lock_files_record_no_download_hosts() -> None:
    locks = [path for path in tracked() if path.name == "package-lock.json"]
    assert locks
    for lock in locks:
        packages = json.loads(lock.read_text())["packages"]
        assert [name for name, package in packages.items() if "resolved" in package] == [], lock


def test_no_file_names_a_host_that_this_machine_downloads_from() -> None:
    hosts = [host.encode() for host in download_hosts()]
    assert [(path, host) for path in tracked() for host in hosts if host in path.read_bytes()] == []


def tracked() -> list[Path]:
    """Every file that is, or is about to be, in the repository."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    run = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, timeout=60)
    if run.returncode != 0:
        pytest.skip("not a git checkout")
    paths = (ROOT / os.fsdecode(name) for name in run.stdout.split(b"\0") if name)
    return [path for path in paths if path.is_file()]


def download_hosts() -> set[str]:
    """Hosts of package indexes that pip, npm and uv are configured with here, beyond their own defaults."""
    settings = [run_quietly(sys.executable, "-m", "pip", "config", "list")]
    settings += [value for name, value in os.environ.items() if name.lower().startswith(INSTALLERS)]
    if shutil.which("npm"):
        settings.append(run_quietly("npm", "config", "list"))  # only what differs from the defaults
    return {host for text in settings for host in hosts_in(text)}


def hosts_in(text: str) -> Iterator[str]:
    for url in re.findall(r"https?://[^\s'\"]+", text):
        host = urlsplit(url).hostname
        if host and host not in ("localhost", "127.0.0.1"):
            yield host


def run_quietly(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60, cwd=ROOT).stdout
