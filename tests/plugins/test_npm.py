"""A plugin out of an npm registry: one version's archive, and no script of it runs."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import os
import shutil
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from rhetor.core.errors import BadRequest, Code
from rhetor.plugins import npm
from rhetor.plugins.npm import Packed, fetch
from rhetor.plugins.program import Fetching
from rhetor.plugins.sources import parse_source
from rhetor.plugins.tree import Bounds, Tree

pytestmark = pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
MB = 1 << 20


class Registry:
    """What npm asks, on loopback: https://github.com/npm/registry/blob/main/docs/responses/package-metadata.md
    (read 2026-11-21)."""

    def __init__(self, trap: Path) -> None:
        self.archives: dict[str, bytes] = {}
        self.documents: dict[str, bytes] = {}
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.replace("%2f", "/").replace("%2F", "/").lstrip("/")
                body = registry.archives.get(path) or registry.documents.get(path)
                self.send_response(200 if body else 404)
                self.end_headers()
                self.wfile.write(body or b"{}")

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,)).start()
        self.trap = trap

    def publish(self, name: str, version: str, **files: str) -> None:
        names = ("preinstall", "prepare", "prepack", "postpack", "install")
        scripts = dict.fromkeys(names, f"touch {self.trap}")
        package = {"name": name, "version": version, "scripts": scripts}
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w:gz") as tar:
            for path, text in {"package.json": json.dumps(package), **files}.items():
                about = tarfile.TarInfo(f"package/{path}")
                about.size = len(text)
                tar.addfile(about, io.BytesIO(text.encode()))
        archive = f"{name}/-/{name.rpartition('/')[2]}-{version}.tgz"
        self.archives[archive] = data.getvalue()
        integrity = "sha512-" + base64.b64encode(hashlib.sha512(data.getvalue()).digest()).decode()
        dist = {"tarball": f"{self.url}/{archive}", "integrity": integrity}
        document = {
            "name": name,
            "dist-tags": {"latest": version},
            "versions": {version: {**package, "dist": dist}},
        }
        self.documents[name] = json.dumps(document).encode()


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    registry = Registry(tmp_path / "sprung")
    yield registry
    registry.server.shutdown()
    registry.server.server_close()


def fetched(said: str, registry: Registry, folder: Path) -> tuple[Packed, Tree]:
    folder.mkdir()
    (root := folder / "tree").mkdir()
    (place := folder / "fetching").mkdir()
    programs = Fetching(place, {"PATH": os.environ["PATH"]}, 50 * MB, threading.Event())
    tree = Tree(root, Bounds(MB))
    return fetch(parse_source(said), registry.url, programs, tree), tree


@pytest.mark.promise("M02")
def test_a_package_is_pinned_to_its_version_and_none_of_its_scripts_runs(
    registry: Registry, tmp_path: Path
) -> None:
    registry.publish("@herd/cow", "1.2.3", **{"rhetor-plugin.yaml": "plugin: 1\n", "src/cow.js": "moo"})
    packed, tree = fetched("npm:@herd/cow", registry, tmp_path / "x")
    assert packed.version == "1.2.3"
    assert packed.integrity.startswith("sha512-")
    found = sorted(str(path.relative_to(tree.root)) for path in tree.root.rglob("*") if path.is_file())
    assert found == ["package.json", "rhetor-plugin.yaml", "src/cow.js"]
    assert not registry.trap.exists()


def test_what_is_not_there_is_said(registry: Registry, tmp_path: Path) -> None:
    registry.publish("cow", "1.0.0")
    with pytest.raises(BadRequest, match=r"npm knows no cow@9\.9\.9") as caught:
        fetched("npm:cow@9.9.9", registry, tmp_path / "x")
    assert caught.value.code is Code.NOT_FOUND


def test_a_long_name_is_not_a_way_into_memory(tmp_path: Path) -> None:
    """A header may announce a gigabyte of name, which is a megabyte in the archive."""
    about = tarfile.TarInfo("././@LongLink")
    about.type, about.size = tarfile.GNUTYPE_LONGNAME, 200 * MB
    with gzip.open(tmp_path / "a.tgz", "wb", 1) as archive:
        archive.write(about.tobuf(tarfile.GNU_FORMAT))
        for _ in range(200):
            archive.write(bytes(MB))
    (tmp_path / "tree").mkdir()
    with pytest.raises(BadRequest, match=r"the plugin has \d+ MiB, and may have 1 \(plugins\.max_mb\)"):
        npm._unpack(tmp_path / "a.tgz", Tree(tmp_path / "tree", Bounds(MB)))
