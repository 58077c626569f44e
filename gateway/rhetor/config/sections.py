"""The sections of `rhetor.yaml` as frozen models. Named like rooms, with units in the names."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from rhetor.config.assets import AssetsConfig
from rhetor.config.plugins import PluginsConfig
from rhetor.config.section import Seconds as Seconds
from rhetor.config.section import Section as Section
from rhetor.config.services import ServiceConfig, ServiceName
from rhetor.core.capability import Capability, Feature
from rhetor.providers.fetching import ANYTHING
from rhetor.providers.places import VALUE as PLACE
from rhetor.providers.spec import AuthSpec, QuirkSpec
from rhetor.routing.catalog import Midstream, Strategy

DEFAULT_PORT = 8003


def _reference(text: str) -> str:
    kind, colon, rest = text.partition(":")
    if not colon or kind not in ("env", "file") or not rest:
        raise ValueError("secrets are references: write env:NAME or file:PATH")
    return text


def _base_url(text: str) -> str:
    url = urlsplit(text)
    if url.username or url.password:
        raise ValueError("no user or password here: use key and auth")
    if url.scheme not in ("http", "https") or not url.hostname or url.query or url.fragment:
        raise ValueError("must be an address such as https://host/v1")
    return text


def _host_name(text: str) -> str:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        if not re.fullmatch(r"[\w.-]+", text):
            raise ValueError("must be a host's name alone, such as rhetor.example.org") from None
    return text.lower()


def _fetched_host(text: str) -> str:
    return text if text == ANYTHING else _host_name(text)


def _origin(text: str) -> str:
    url = urlsplit(text.rstrip("/"))
    if url.scheme not in ("http", "https") or not url.hostname or url.path or url.query:
        raise ValueError("must be a page's scheme, host and port, such as https://app.example.org")
    return text.rstrip("/").lower()


def _no_credentials(headers: dict[str, str]) -> dict[str, str]:
    if named := [name for name in headers if name.lower() in CREDENTIAL_HEADERS]:
        raise ValueError(f"{named[0]} is not set here: use key, and auth for how it travels")
    return {name.lower(): value for name, value in headers.items()}


CREDENTIAL_HEADERS = (
    "authorization",
    "proxy-authorization",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "cookie",
)
NAME = r"^[A-Za-z0-9][A-Za-z0-9._:-]*$"
ALIAS = r"^[A-Za-z0-9][A-Za-z0-9._:/-]*$"
PROVIDER_ID = r"^[a-z][a-z0-9_-]*$"

WORD = r"^[^/\s]+$"
PAIR = r"^[^/\s]+/[^/\s]+$"

SecretRef = Annotated[
    str, AfterValidator(_reference), Field(json_schema_extra={"pattern": r"^(env|file):.+$"})
]
BaseUrl = Annotated[
    str, AfterValidator(_base_url), Field(json_schema_extra={"pattern": r"^https?://[^@?#]+$"})
]
HostName = Annotated[str, AfterValidator(_host_name)]
FetchedHost = Annotated[str, AfterValidator(_fetched_host)]
Origin = Annotated[str, AfterValidator(_origin)]
Headers = Annotated[dict[str, str], AfterValidator(_no_credentials)]
Name = Annotated[str, Field(pattern=NAME)]
PlaceValue = Annotated[str, Field(pattern=PLACE)]
Alias = Annotated[str, Field(pattern=ALIAS)]
ProviderId = Annotated[str, Field(pattern=PROVIDER_ID)]
Tag = Annotated[str, Field(pattern=NAME)]
Word = Annotated[str, Field(pattern=WORD)]
Pair = Annotated[str, Field(pattern=PAIR)]
Component = Annotated[str, Field(min_length=1, max_length=1000)]


class ServerConfig(Section):
    """Where the gateway listens, and who may come in."""

    host: str = Field("127.0.0.1", description="Address to listen on. Beyond loopback only with `tokens`.")
    port: int = Field(DEFAULT_PORT, ge=0, le=65_535, description="TCP port; 0 takes a free one.")
    tokens: dict[Name, SecretRef] = Field(
        default_factory=dict,
        description="Who may call: a name for each token, and a reference to it. Callers send it as "
        "`Authorization: Bearer …` or `x-api-key: …`. Empty: no token is asked for (loopback only).",
    )
    allowed_hosts: tuple[HostName, ...] = Field(
        (), description="Further names in the `Host` header that are ours. Loopback names always are."
    )
    allowed_origins: tuple[Origin, ...] = Field(
        (), description="Web pages of other origins that may call, e.g. `https://app.example.org`."
    )
    max_body_mb: int = Field(32, ge=1, le=1024, description="Largest request body, in MiB.")
    max_frame_kb: int = Field(1024, ge=16, le=65_536, description="Largest WebSocket frame, in KiB.")
    max_requests: int = Field(
        5000,
        ge=1,
        le=100_000,
        description="Generations at the same time, on all doors. Further ones get 503 with `Retry-After`.",
    )
    keepalive_s: Seconds = Field(
        10.0,
        description="How long a stream may be silent before a comment or ping keeps it alive, also before "
        "anybody has answered. Shorter than what proxies in between wait.",
    )
    header_timeout_s: Seconds = Field(
        30.0, description="How long a caller may take to send a request's head."
    )
    idle_timeout_s: Seconds = Field(
        630.0,
        description="How long a connection is kept without a request. Longer than a reverse proxy keeps it, "
        "which else sends a request into a connection that closes.",
    )
    soft_errors: tuple[Component, ...] = Field(
        (),
        description="Components whose errors come with status 200, as `error` in a reply of Tekton's door: "
        "their clients make up an answer of their own for any other status. Named as they name themselves, "
        "in `component` or `x-component-id`, or in `context_id` as the published Python client does.",
    )
    shutdown_grace_s: Seconds = Field(30.0, description="How long trips may go on after SIGTERM, in seconds.")
    detached_each_mb: int = Field(
        16, ge=1, le=1024, description="The most that is kept of one recorded generation, in MiB."
    )
    detached_mb: int = Field(
        256, ge=1, le=65_536, description="The most that is kept of all of them together, in MiB."
    )


class ProviderConfig(Section):
    """A provider: a built-in row switched on or changed, or a row of your own."""

    wire: str | None = Field(
        None, description="The language: openai, responses, anthropic or ollama. Built-in rows know theirs."
    )
    also: tuple[str, ...] | None = Field(
        None,
        description="Further languages that it speaks at the same address, such as responses: callers who "
        "speak one of them are passed through in it.",
    )
    base_url: BaseUrl | None = Field(
        None, description="Where; for openai with its version segment, e.g. `…/v1`."
    )
    service: ServiceName | None = Field(
        None,
        description="The local server that it is, of `services`: it is started when it is asked, and "
        "`base_url` is the service's own.",
    )
    place: dict[Name, PlaceValue] = Field(
        default_factory=dict,
        description="What an address needs to know of your account, where the vendor's own variables do not "
        "tell it: `{project: my-project, location: europe-west4}`.",
    )
    key: SecretRef | None = Field(
        None, description="Reference to the key. Built-in rows know the vendor's variable."
    )
    keys: tuple[SecretRef, ...] = Field(
        (),
        description="References to further keys, beside `key`: each has limits of its own, and one that is "
        "refused or at its limit is passed over for the next.",
    )
    name: str | None = Field(None, description="How people call it.")
    enabled: bool = Field(
        True, description="False switches a provider off, also one whose key is in the environment."
    )
    models: tuple[str, ...] | None = Field(
        None,
        description="The models on offer; others are refused. Without it the provider's own list counts.",
    )
    default_model: str | None = Field(None, description="What callers get who name only the provider.")
    embedding_model: str | None = Field(None, description="The same, for embeddings.")
    default_models: dict[Capability, str] | None = Field(
        None, description="The same, for other capabilities: `text-to-image: gpt-image-2`."
    )
    capabilities: frozenset[Capability] | None = Field(None, description="Replaces the row's capabilities.")
    features: frozenset[Feature] | None = Field(None, description="Replaces the row's features.")
    headers: Headers = Field(
        default_factory=dict, description="Sent with every call, with those of the row; never for secrets."
    )
    auth: AuthSpec | None = Field(None, description="How the key travels.")
    quirks: QuirkSpec | None = Field(None, description="Where the provider differs from its language.")
    tags: frozenset[Tag] = Field(
        frozenset(), description="Words that callers may demand in `requirements.tags`: a region, say."
    )
    allowed_hosts: tuple[FetchedHost, ...] = Field(
        (),
        description="Hosts of private networks, or this machine, from which callers may have it fetch what "
        "they name; `*`: whatever that is. Without it your own servers and plugins fetch what is public.",
    )
    on_leave: Literal["cancel", "drain"] | None = Field(
        None,
        description="When the caller leaves: `cancel` the call, or `drain` it within bounds, for providers "
        "that bill it anyway and tell the usage only at the end.",
    )
    max_connections: int = Field(1000, ge=1, le=10_000, description="Connections at the same time.")
    max_waiting: int = Field(
        1000,
        ge=0,
        le=100_000,
        description="Calls that may wait for a connection, served in turn for each token, or else component. "
        "Further ones go to the next target, or get 503.",
    )


class TimeoutsConfig(Section):
    """Seconds for each phase."""

    connect_s: Seconds = Field(5.0, description="DNS, TCP and TLS. Only the top-level section sets it.")
    first_event_s: Seconds = Field(
        12.0, description="Until the first content of a stream, where another target could answer."
    )
    whole_s: Seconds = Field(
        120.0, description="Until a reply that is not streamed is there, where another target could answer."
    )
    idle_s: Seconds = Field(20.0, description="Between two reads of a stream.")
    total_s: Seconds = Field(600.0, description="The whole trip, over all attempts.")
    job_s: Seconds = Field(3600.0, description="The same for a job, where that is longer.")


class RouteTimeouts(Section):
    """Like `timeouts`, for one route; what is left out is taken from there."""

    first_event_s: Seconds | None = Field(None, description="As there.")
    whole_s: Seconds | None = Field(None, description="As there.")
    idle_s: Seconds | None = Field(None, description="As there.")
    total_s: Seconds | None = Field(None, description="As there.")
    job_s: Seconds | None = Field(None, description="As there.")


class TargetConfig(Section):
    """A target of a route, with what is said of it there."""

    target: str = Field(description="`provider/model`.")
    weight: int = Field(1, ge=1, le=1000, description="How often it is drawn, beside the others' weights.")


def _said_of(target: object) -> object:
    return {"target": target} if isinstance(target, str) else target


class RouteConfig(Section):
    """A name callers use, and the targets behind it."""

    targets: tuple[
        Annotated[TargetConfig, BeforeValidator(_said_of, json_schema_input_type=str | TargetConfig)], ...
    ] = Field(
        min_length=1,
        description="`provider/model`, in the order they are tried; or `{target: provider/model, weight: 2}` "
        "for the strategy `weighted`.",
    )
    strategy: Strategy = Field(
        Strategy.PRIORITY,
        description="Who is asked first: `priority` the first, `weighted` one that is drawn, `least_busy` "
        "who has the fewest requests under way, `fastest` who speaks sooner, `cheapest` who asks the least "
        "for a request of this size. The others are fallbacks.",
    )
    midstream: Midstream = Field(
        Midstream.CONTINUE,
        description="When a target fails after it has begun to speak: `continue` with the next one, tell the "
        "caller of the `error`, or `hold` everything back until it is complete.",
    )
    retries: int = Field(2, ge=0, le=10, description="Attempts beyond one for each target.")
    hedge: bool = Field(
        False,
        description="Ask a second target when the first is later than it usually is; costs both. Not for "
        "pictures, sounds, transcripts and films.",
    )
    detach_s: float = Field(
        0.0,
        ge=0,
        le=86_400,
        description="How long a generation goes on and is kept, in seconds, when its caller has left; "
        "0 ends it.",
    )
    reroute_refused: bool = Field(
        False, description="Ask the next target for what one refused as against its content policy."
    )
    timeouts: RouteTimeouts = Field(RouteTimeouts(), description="Differences from the top-level `timeouts`.")


class RulesConfig(Section):
    """Which route or model callers get who name none, by the component and the task that they give.

    The first rule that fits counts, in this order.
    """

    component_task: dict[Pair, str] = Field(
        default_factory=dict, description="By `component/task`, e.g. `ergon/code: fast`."
    )
    component: dict[Word, str] = Field(default_factory=dict, description="By component.")
    task: dict[Word, str] = Field(
        default_factory=dict, description="By task: `code`, `planning`, `reasoning`, `chat`, …"
    )
    default: str | None = Field(None, description="For all others who name no model.")


class HealthConfig(Section):
    """How it is noticed that a provider is back."""

    check_s: float = Field(
        0.0,
        ge=0,
        le=86_400,
        description="How often providers that are left alone are asked for their models, in seconds, in the "
        "background. 0: never; requests notice it themselves, within half a minute.",
    )


class LogsConfig(Section):
    """What is logged, and how."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least that is logged."
    )
    format: Literal["console", "json"] = Field("console", description="For people, or for machines.")


class DiscoveryConfig(Section):
    """How providers' own model lists are used."""

    enabled: bool = Field(True, description="Ask providers for their models, in the background.")
    interval_s: Seconds = Field(3600.0, description="How often, in seconds.")
    local: bool = Field(True, description="Look for an Ollama on this machine.")


class StoreConfig(Section):
    """Where it is kept what must survive a restart."""

    folder: str | None = Field(
        None,
        min_length=1,
        description="For sessions and what belongs to them; of one gateway only. Left out: `rhetor` below "
        "`XDG_STATE_HOME`, which is `~/.local/state` by default. `:memory:` keeps nothing.",
    )


class BackendConfig(Section):
    """Who converses in sessions, and how many at the same time."""

    default_model: str = Field("", description="For sessions that name none; a route or `provider/model`.")
    models: tuple[str, ...] = Field((), description="The only models of its sessions; empty: any.")
    max_sessions: int = Field(
        10, ge=1, le=100_000, description="Live at the same time; further ones get 503."
    )


class ChatConfig(BackendConfig):
    """Chats: a model, and what was said to it."""

    max_sessions: int = Field(10_000, ge=1, le=100_000, description="As there.")
    context_tokens: int = Field(
        16_000,
        ge=500,
        le=10_000_000,
        description="How much of a chat a model is told, at most: what is older is left out, or summed up.",
    )
    summarize_tokens: int = Field(
        12_000, ge=0, le=10_000_000, description="From how much on older messages are summed up; 0: never."
    )
    keep_s: Seconds = Field(600.0, description="What is younger is never summed up.")


class AgentConfig(BackendConfig):
    """A coding agent. It runs with this gateway's rights: whoever may open sessions may use them."""

    enabled: bool = Field(False, description="Whether sessions may run it.")
    command: str | None = Field(None, min_length=1, description="Its program; left out: by its name.")
    max_turns: int | None = Field(
        None, ge=1, le=10_000, description="How often it may call its model for one message, at most."
    )
    permissions: Literal["ask", "accept_edits", "plan", "deny"] = Field(
        "ask", description="What happens when it wants to use a tool, where a session says nothing."
    )


class OpenCodeConfig(AgentConfig):
    """OpenCode, as there."""

    max_sessions: int = Field(
        20, ge=1, le=100_000, description="As there. Each takes some 0.5 GB of memory while it is live."
    )


class SessionsConfig(Section):
    """Conversations with agents and models."""

    max_live: int = Field(
        5_000, ge=1, le=100_000, description="Sessions with a turn under way or a backend open, in all."
    )
    expire_s: float = Field(
        30 * 86_400.0,
        gt=0,
        le=10 * 365 * 86_400,
        description="What nobody touched for so long is forgotten, with its log.",
    )
    turn_s: Seconds = Field(3600.0, description="How long one turn may take.")
    warm_s: Seconds = Field(600.0, description="How long an idle agent is kept running.")
    directories: tuple[str, ...] = Field(
        (),
        description="Folders in and below which sessions may work. Empty: only in a folder of their own, "
        "below `store.folder`.",
    )
    environment: tuple[Word, ...] = Field(
        (), description="Names of variables that callers may set for an agent."
    )
    jwt_secret: SecretRef | None = Field(
        None,
        description="Reference to a secret of at least 32 bytes: with it the chat platform's callers sign in "
        "under `/api/v1/auth`.",
    )
    registration: bool = Field(
        False,
        description="Whether anybody may make an account there; else only who has the run of the gateway.",
    )
    chat: ChatConfig = ChatConfig()
    claude_code: AgentConfig = AgentConfig()
    opencode: OpenCodeConfig = OpenCodeConfig()
    codex: AgentConfig = AgentConfig()


class Config(Section):
    """The whole file."""

    server: ServerConfig = ServerConfig()
    providers: dict[ProviderId, ProviderConfig] = Field(
        default_factory=dict, description="By id. `{}` switches a built-in row on."
    )
    services: dict[ServiceName, ServiceConfig] = Field(
        default_factory=dict, description="By name. A provider becomes one with `service: NAME`."
    )
    routes: dict[Name, RouteConfig] = Field(default_factory=dict, description="By the name that callers use.")
    aliases: dict[Alias, str] = Field(
        default_factory=dict,
        description="Another name for a route or model. `provider/model` may be one too: callers that have a "
        "model written into their code, which its vendor has retired, get another.",
    )
    rules: RulesConfig = RulesConfig()
    timeouts: TimeoutsConfig = TimeoutsConfig()
    discovery: DiscoveryConfig = DiscoveryConfig()
    health: HealthConfig = HealthConfig()
    store: StoreConfig = StoreConfig()
    plugins: PluginsConfig = PluginsConfig()
    assets: AssetsConfig = AssetsConfig()
    sessions: SessionsConfig = SessionsConfig()
    logs: LogsConfig = LogsConfig()


SECTIONS: Mapping[str, type[Section]] = {
    "server": ServerConfig,
    "rules": RulesConfig,
    "timeouts": TimeoutsConfig,
    "discovery": DiscoveryConfig,
    "health": HealthConfig,
    "store": StoreConfig,
    "plugins": PluginsConfig,
    "assets": AssetsConfig,
    "sessions": SessionsConfig,
    "logs": LogsConfig,
}
"""The sections of settings; the others hold names."""


def json_schema() -> dict[str, Any]:
    """The JSON Schema of the file, for editors: as strict with names, as lenient with empty sections."""
    schema = Config.model_json_schema()
    for name, section in schema["properties"].items():
        if "patternProperties" in section:
            section["additionalProperties"] = False
        schema["properties"][name] = {"anyOf": [section, {"type": "null"}]}
    providers = schema["properties"]["providers"]["anyOf"][0]["patternProperties"]
    providers[PROVIDER_ID] = {"anyOf": [providers[PROVIDER_ID], {"type": "null"}]}
    tokens = schema["$defs"]["ServerConfig"]["properties"]["tokens"]
    tokens["additionalProperties"] = False
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "rhetor.yaml"}
