"""The section `services`: local servers that the gateway starts when they are needed, by name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from rhetor.config.section import Seconds, Section
from rhetor.services.ports import LOOPBACK
from rhetor.services.spec import SERVICE_NAME, Compose, Health, Requires, ServiceSpec
from rhetor.services.supervisor import Restart

STEADY_S = 10.0  # a server that dies sooner than that has not really been well

ServiceName = Annotated[str, Field(pattern=SERVICE_NAME)]
Port = Annotated[int, Field(ge=1, le=65_535)]
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


def _path(text: str) -> str:
    if not re.fullmatch(r"/[\x21-\x22\x24-\x7e]*", text):
        raise ValueError("must be a path on the service's own port, such as /health")
    return text


def _base_path(text: str) -> str:
    if text and (not text.startswith("/") or text.endswith("/") or "?" in text or "#" in text):
        raise ValueError("must be a path such as /v1, without a slash at its end")
    return text


def _origin(text: str) -> str:
    url = urlsplit(text.rstrip("/"))
    if url.scheme not in ("http", "https") or not url.hostname or url.path or url.query or url.username:
        raise ValueError("must be scheme, host and port alone, such as http://127.0.0.1:9000")
    return text.rstrip("/")


HealthPath = Annotated[str, AfterValidator(_path)]
BasePath = Annotated[str, AfterValidator(_base_path)]
OriginUrl = Annotated[str, AfterValidator(_origin)]


class ServiceHealthConfig(Section):
    """How one knows that a service is ready; without either it must take connections."""

    path: HealthPath | None = Field(None, description="It answers here with a status below 400.")
    says: str | None = Field(
        None, min_length=3, description="It writes these words, to stdout or stderr. Only for a command."
    )
    timeout_s: Seconds = Field(2.0, description="How long one look may take.")
    silent_s: Seconds = Field(
        60.0,
        description="When a call was given up, it is asked at its path again. If nothing comes from it for "
        "so long, while no call waits for it, it hangs, and is started anew.",
    )

    @model_validator(mode="after")
    def _one_way(self) -> ServiceHealthConfig:
        if self.path is not None and self.says is not None:
            raise ValueError("path or says, not both")
        if self.path is None and "silent_s" in self.model_fields_set:
            raise ValueError("silent_s has no effect without a path to ask at")
        return self


class ServiceComposeConfig(Section):
    """One of the services of a compose file, raised with `docker compose`."""

    file: str = Field(min_length=1, description="The file; a relative path starts from this one's folder.")
    service: str = Field(min_length=1, description="What it is called in there.")
    port: Port = Field(
        description="Where it listens inside of its container. Publish it as `${NAME_HOST_PORT:-0}:PORT`: "
        "the engine takes a free port, which is then found."
    )
    project: str | None = Field(
        None,
        pattern=r"^[a-z0-9][a-z0-9_-]*$",
        description="Compose's name for all of it; left out: the folder of the file.",
    )


class ServiceReuseConfig(Section):
    """Where one may run already: if it answers there, healthy, it is used, and never ended by the gateway."""

    port: Port | None = Field(None, description="Of this machine.")
    url: OriginUrl | None = Field(None, description="Or elsewhere, such as `http://gpu-box:9000`.")

    @model_validator(mode="after")
    def _one_place(self) -> ServiceReuseConfig:
        if (self.port is None) == (self.url is None):
            raise ValueError("either port or url")
        return self

    @property
    def origin(self) -> str:
        return self.url or f"http://{LOOPBACK}:{self.port}"


class ServiceRestartConfig(Section):
    """What happens when it has died, or did not start."""

    first_s: Seconds = Field(0.5, description="How long it is left alone then; longer after each failure.")
    most_s: Seconds = Field(30.0, description="The longest that it is left alone.")
    most: int | None = Field(
        5,
        ge=1,
        le=1_000_000,
        description="After so many failures in a row it is left alone until somebody starts it. null: never.",
    )


class ServiceRequiresConfig(Section):
    """What the machine must have, or it is not started."""

    memory_mb: int | None = Field(None, ge=1, description="Memory that can be had without swapping.")
    gpu: bool = Field(False, description="A GPU of NVIDIA, AMD or Apple that programs can compute on.")
    disk_mb: int | None = Field(None, ge=1, description="Free disk space where it runs.")
    commands: tuple[str, ...] = Field((), description="Programs on the PATH, such as `ffmpeg`.")
    only_warn: bool = Field(False, description="Start it nevertheless, and say in its log what is missing.")


def _health(said: object) -> object:
    return {"path": said} if isinstance(said, str) else said


class ServiceConfig(Section):
    """A local server. It is started by the first request that needs it, on a port that is free."""

    command: tuple[str, ...] = Field(
        (),
        description="Program and arguments; `{port}` becomes its port, which it also finds in "
        "`<NAME>_HOST_PORT`. It should listen on 127.0.0.1 only.",
    )
    compose: ServiceComposeConfig | None = Field(None, description="Instead: raise it with docker compose.")
    reuse: ServiceReuseConfig | None = Field(
        None, description="Look there first. Alone: use only one that somebody else starts."
    )
    port: Port | None = Field(None, description="Its port, for a program that can have no other.")
    health: Annotated[
        ServiceHealthConfig, BeforeValidator(_health, json_schema_input_type=str | ServiceHealthConfig)
    ] = Field(ServiceHealthConfig(), description="When it is ready: `/health`, or `{says: words}`.")
    base_path: BasePath = Field("", description="What its provider's paths begin with, such as `/v1`.")
    start_s: Seconds = Field(60.0, description="How long it may take until it is ready.")
    idle_stop_s: Seconds | None = Field(
        None, description="When nobody has needed it for so long it is stopped. Left out: never."
    )
    grace_s: float = Field(
        10.0, ge=0, le=600, description="How long it may take to end by itself, before it is killed."
    )
    restart: ServiceRestartConfig = Field(ServiceRestartConfig(), description="When it has failed.")
    always: bool = Field(
        False, description="Start it with the gateway, and whenever it has died, needed or not."
    )
    env: dict[Variable, str] = Field(
        default_factory=dict,
        description="Variables for it. `env:NAME` and `file:PATH` are references to secrets; `{port}` is its "
        "port. Of the gateway's own variables it gets harmless ones only, such as PATH and HOME.",
    )
    folder: str | None = Field(
        None,
        min_length=1,
        description="Where it runs. Left out: in a folder of its own below `store.folder`.",
    )
    requires: ServiceRequiresConfig = Field(
        ServiceRequiresConfig(), description="What the machine must have for it."
    )
    logs_kb: int = Field(256, ge=1, le=65_536, description="How much of what it writes is kept, in KiB.")

    @model_validator(mode="after")
    def _makes_sense(self) -> ServiceConfig:
        if self.command and self.compose is not None:
            raise ValueError("command or compose, not both")
        if not self.command and self.compose is None:
            if self.reuse is None:
                raise ValueError("needs a command, or compose, or an address to reuse")
            if self.port is not None:
                raise ValueError("port has no effect here: reuse says where it is")
        if self.health.says is not None and (self.reuse is not None or not self.command):
            raise ValueError("health.says is for a command that is always started here: use health.path")
        return self

    def spec(self, base: Path | None = None, folder: Path | None = None) -> ServiceSpec:
        """
        Args:
            base: what relative paths start from; None: the current folder.
            folder: where it runs if the setting does not say it; None: in a folder of its own.
        """
        base = base or Path.cwd()
        compose = self.compose
        return ServiceSpec(
            command=self.command,
            compose=None
            if compose is None
            else Compose(
                file=base / Path(compose.file).expanduser(),
                service=compose.service,
                port=compose.port,
                project=compose.project,
            ),
            reuse=None if self.reuse is None else self.reuse.origin,
            port=self.port,
            health=Health(**self.health.model_dump()),
            base_path=self.base_path,
            start_s=self.start_s,
            idle_stop_s=self.idle_stop_s,
            grace_s=self.grace_s,
            restart=Restart(steady_s=STEADY_S, **self.restart.model_dump()),
            always=self.always,
            env=self.env,
            folder=folder if self.folder is None else base / Path(self.folder).expanduser(),
            requires=Requires(**self.requires.model_dump()),
            logs_kb=self.logs_kb,
        )
