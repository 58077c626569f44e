"""One gateway for all tests of engines, raised as a newcomer raises it; what they need is installed once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
import yaml

from tests.conftest import free_port, settings

PATIENCE_S = 240.0  # packages are downloaded, on a busy machine
INSTALLERS = ("PIP_", "SSL_CERT")
ROUTES = {
    "voice": {"targets": ["mute/tts", "espeak/en-us"]},
    "ears": {"targets": ["pocketsphinx/en-us"]},
    "summary": {"targets": ["offline/echo"]},
}
MUTE = {"wire": "openai", "base_url": "http://127.0.0.1:9/v1", "capabilities": ["text-to-audio"]}
"""A speaker that nobody reaches."""
LATER = {"providers": {"mute": MUTE}, "routes": ROUTES, "discovery": {"enabled": True, "local": False}}
"""What the configuration says once the engines are there."""


@dataclass
class Engines:
    """A gateway in a process of its own, and the command that changes it."""

    url: str
    folder: Path
    environ: Mapping[str, str]
    greeting: str = ""

    def rhetor(self, *words: str) -> tuple[int, str]:
        """Exit code, and all that it says."""
        command = [sys.executable, "-m", "rhetor", *words, "--config", str(self.folder / "rhetor.yaml")]
        here: dict[str, Any] = {"env": self.environ, "cwd": self.folder, "timeout": PATIENCE_S}
        run = subprocess.run(command, **here, capture_output=True, text=True, check=False)
        return run.returncode, run.stdout + run.stderr


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one model in it."""
    gguf = pytest.importorskip("gguf", reason="needs gguf, which writes models")
    assert gguf
    from tests.llamacpp.model import write_model

    folder = tmp_path_factory.mktemp("models")
    folder.chmod(0o755)  # guests may be users of their own
    write_model(folder / "gibberish.gguf")
    return folder


@pytest.fixture(scope="session")
def engines(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Engines]:
    """`rhetor up --with speech`, once it has spoken; further engines are added by the command."""
    if sys.platform != "linux" or shutil.which("espeak-ng") is None:
        pytest.skip("needs espeak-ng: apt install espeak-ng")
    folder, port = tmp_path_factory.mktemp("engines"), free_port()
    plugins: dict[str, Any] = {"allow_add": True, "sandbox": "best", "reads": {"llamacpp": [str(models)]}}
    given = settings(
        server={"port": port},
        store={"folder": str(folder / "store")},
        discovery={"enabled": True},
        plugins=plugins,
    )
    (folder / "rhetor.yaml").write_text(yaml.safe_dump(given))
    passed_on = {name: it for name, it in os.environ.items() if name.startswith(INSTALLERS)}
    environ = {
        "PATH": os.environ["PATH"],
        "LLAMACPP_MODELS": str(models),
        "LLAMACPP_THREADS": "1",
        **passed_on,
    }
    made = Engines(f"http://127.0.0.1:{port}", folder, environ)
    command = [
        sys.executable,
        "-m",
        "rhetor",
        "up",
        "--with",
        "speech",
        "--config",
        str(folder / "rhetor.yaml"),
    ]
    with (folder / "gateway.log").open("wb") as log:
        process = subprocess.Popen(
            command, env=environ, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log
        )
    with process:
        alarm = threading.Timer(PATIENCE_S, process.kill)
        alarm.start()
        try:
            made.greeting = _greeting(process, folder / "gateway.log")
            for name in ("diagram", "llamacpp"):
                code, said = made.rhetor("providers", "add", name)
                assert code == 0, said
            (folder / "rhetor.yaml").write_text(yaml.safe_dump({**given, **LATER}))
            urlopen(Request(f"{made.url}/api/v1/reload", method="POST"), timeout=PATIENCE_S).close()
            yield made
        finally:
            alarm.cancel()
            process.terminate()
            process.communicate(timeout=PATIENCE_S)


def _greeting(process: subprocess.Popen[bytes], log: Path) -> str:
    """Until it has shown all, or said what is wrong."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line.decode()
        if "/lineage" in said or "✗" in said:
            return said
    raise AssertionError(f"the gateway ended:\n{said}{log.read_text()}")
