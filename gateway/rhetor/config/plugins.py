"""The section `plugins`: where providers from outside are kept, and who may add them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rhetor.config.section import Section

PluginId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]


class PluginLimitsConfig(Section):
    """The most that a program of a plugin gets, whatever its manifest asks for. One that asks for more is
    given this, and its status says so; raise it for plugins that need it, a large model's say."""

    memory_mb: int = Field(4096, ge=16, le=1 << 20, description="Memory, in MiB.")
    processes: int = Field(256, ge=1, le=4096, description="Processes and threads.")
    files: int = Field(1024, ge=16, le=65_536, description="Files open at the same time, in each process.")
    scratch_mb: int = Field(1024, ge=1, le=1 << 20, description="What it may write, in MiB.")
    cpu_s: int | None = Field(
        None,
        ge=1,
        le=86_400,
        description="Seconds of processor time, after which it is ended; the next request starts it again. "
        "Left out: as its manifest says, and without end where it says nothing.",
    )
    start_s: float = Field(120.0, ge=1, le=3_600, description="How long it may take to start.")
    idle_stop_s: float = Field(
        3600.0, ge=1, le=86_400, description="How long it is kept when nobody asks it anything."
    )


class PluginsConfig(Section):
    """Providers from outside: what `rhetor providers add` has added."""

    folder: str | None = Field(
        None,
        min_length=1,
        description="Where they are kept, with `plugins.lock`; of one gateway only. Left out: `plugins` "
        "below `store.folder`, or nowhere when that is `:memory:`.",
    )
    allow_add: bool | None = Field(
        None,
        description="Whether they may be added, updated and removed over HTTP while the gateway runs. Left "
        "out: by callers with a token. `true`: where nobody is asked for one, by every program of this "
        "machine as well, which can then run code as this user. `rhetor providers` needs it only for a "
        "gateway whose folder it cannot write.",
    )
    off: tuple[PluginId, ...] = Field((), description="Plugins that are there, and not used.")
    allowed_hosts: tuple[str, ...] = Field(
        (),
        description="Hosts within private networks, or this machine, from which plugins may be fetched: "
        "`git.example.internal`.",
    )
    reads: dict[PluginId, tuple[str, ...]] = Field(
        default_factory=dict,
        description="What the programs of a plugin may read beside its own files, by its id: "
        "`llamacpp: [~/models]`.",
    )
    sandbox: Literal["required", "best"] = Field(
        "required",
        description="Programs of plugins that cannot be confined on this machine do not run (`required`), or "
        "run as confined as they can be (`best`).",
    )
    limits: PluginLimitsConfig = PluginLimitsConfig()
    max_mb: int = Field(64, ge=1, le=4096, description="The largest plugin, in MiB, with all its files.")
    npm_registry: str = Field(
        "https://registry.npmjs.org",
        pattern=r"^https?://[^@?#\s]+$",
        description="Where `npm:` sources are fetched.",
    )
