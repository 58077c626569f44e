"""What a service is: how it comes to run, how one knows that it is ready, and what it needs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path

from rhetor.core.value import value
from rhetor.services.supervisor import Restart

SERVICE_NAME = r"^[a-z][a-z0-9_-]*$"
HOST_PORT = "_HOST_PORT"


@value(kw_only=True)
class Health:
    """How one knows that it is ready. Neither of the two: it takes connections."""

    path: str | None = None
    """It answers here with a status below 400."""
    says: str | None = None
    """It writes these words."""
    timeout_s: float = 2.0
    silent_s: float = 60.0
    """A call was given up, and then it did not answer at its path for so long: it hangs, and is restarted."""


@value(kw_only=True)
class Compose:
    """One of the services of a compose file."""

    file: Path
    service: str
    port: int
    """Where it listens inside of its container."""
    project: str | None = None
    """None: as compose calls it, after the folder of the file."""


@value(kw_only=True)
class Requires:
    """What the machine must have before it is started."""

    memory_mb: int | None = None
    gpu: bool = False
    disk_mb: int | None = None
    commands: tuple[str, ...] = ()
    only_warn: bool = False
    """Start it nevertheless, and say what is missing."""


USUAL_RESTART = Restart(steady_s=10.0, most=5)


@value(kw_only=True)
class ServiceSpec:
    """A local server that is started when somebody needs it. One that is changed is another one."""

    command: tuple[str, ...] = ()
    """Program and arguments, with `{port}` where its port belongs."""
    compose: Compose | None = None
    reuse: str | None = None
    """The origin where one may run already, which is then used: `http://127.0.0.1:9000`."""
    port: int | None = None
    """Its port in any case; None: one that is free."""
    health: Health = Health()
    base_path: str = ""
    """What the paths of its provider begin with: `/v1`."""
    start_s: float = 60.0
    idle_stop_s: float | None = None
    grace_s: float = 10.0
    """Between asking it to end and ending it."""
    restart: Restart = USUAL_RESTART
    always: bool = False
    """Started with the gateway, and whenever it has died; else when somebody needs it."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Variables; `env:NAME` and `file:PATH` are references to secrets, `{port}` is its port."""
    folder: Path | None = None
    """Where it runs; None: in a folder of its own."""
    requires: Requires = Requires()
    logs_kb: int = 256


def variable(name: str) -> str:
    """What the variable with the port of a service is called: `my-whisper` has `MY_WHISPER_HOST_PORT`."""
    return re.sub(r"[^A-Z0-9_]", "_", name.upper()) + HOST_PORT


def service_url(name: str, base_path: str) -> str:
    """The address of a service before its port is known; only a `ServedTransport` finds the way from it."""
    return f"http://{name.replace('_', '-')}.service.internal{base_path}"
