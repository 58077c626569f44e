"""A provider as data: what a row of the built-in table or of the configuration may say.

A wire says how to speak; a row says who is spoken to, where, with which key,
and in what the provider differs from the language. A provider that needs
more than a row does not exist: a changed field is a quirk, another grammar
is a wire.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from rhetor.core.capability import Capability, Feature


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(_Row):
    """Where a fact is written, and when it was read there."""

    url: str
    read: str = Field(pattern=r"^\d{4}-\d{2}-\d{2}$")


class AuthSpec(_Row):
    """How the key travels: always in a header, never in a URL."""

    header: str = "authorization"
    prefix: str = "Bearer "
    required: bool = True
    """False for local servers, which take any key or none."""


class SigningSpec(_Row):
    """How calls are signed that carry no key: with credentials that the vendor's own tools would find."""

    scheme: Literal["aws", "google"]
    service: str = ""
    """AWS: whose name is signed."""
    region: str = ""
    """AWS: where; `{region}` is filled in like an address."""
    scopes: tuple[str, ...] = ()
    """Google: what the token is for."""


class DialectSpec(_Row):
    """What is different where a provider speaks one of its further languages."""

    path: str = Field("", pattern=r"^(/[^/]+)*$")
    """Between the base URL and the language's own paths: `/openai`."""
    auth: AuthSpec | None = None
    """How the key travels there; None: as everywhere."""
    features: frozenset[Feature] | None = None
    """What can be said there: who needs more is spoken for in the first language. None: everything."""


class QuirkSpec(_Row):
    """See `wire.base.Quirks` for what each means; None keeps the language's own way."""

    max_tokens_field: str | None = None
    usage_in_stream: bool | None = None
    thinking_field: str | None = None
    thinking_returned: bool | None = None
    drop_fields: frozenset[str] | None = None
    tool_choice_required: str | None = None
    default_max_tokens: int | None = None
    max_temperature: float | None = None
    top_k: bool | None = None
    usage_estimated: bool | None = None
    prefill: str | None = None
    prefill_models: frozenset[str] | None = None
    cache_marks: bool | None = None
    raw_predict: bool | None = None
    sources: tuple[Source, ...] = ()


class ProviderRow(_Row):
    """One provider of the built-in table."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_-]*$")
    name: str
    """As the vendor writes it."""
    wire: str
    also: tuple[str, ...] = ()
    """Further languages that it speaks at the same place, to callers who speak them."""
    wires: dict[Capability, str] = Field(default_factory=dict)
    """What is asked in one of these languages only, since the provider says it otherwise than the first."""
    dialects: dict[str, DialectSpec] = Field(default_factory=dict)
    """What is different in these languages, by their names."""
    base_url: str
    """What the wire's paths are joined to: for `openai` with the version segment, else without.
    What stands in braces is the customer's own, see `place`."""
    place: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """What has to be known of the customer's place there, a region or a project, and the vendor's own
    variables that tell it; the first that is set wins."""
    elsewhere: dict[str, str] = Field(default_factory=dict)
    """The base URL where a place has this value: `global`."""
    signing: SigningSpec | None = None
    """For providers that know their customers by signatures or short-lived tokens, where no key is given."""
    hosts: frozenset[str] = frozenset()
    """Further hosts of the vendor that get its key, where a reply leads there: a region's, say.
    `.example.com` means all below it."""
    result_hosts: frozenset[str] = frozenset()
    """Hosts from which results are fetched, without the key."""
    key_env: tuple[str, ...] = ()
    """The vendor's own variable names, the first that is set wins."""
    base_url_env: tuple[str, ...] = ()
    auth: AuthSpec = AuthSpec()
    headers: dict[str, str] = Field(default_factory=dict)
    """Sent with every call, e.g. a required version."""
    capabilities: frozenset[Capability] = frozenset({Capability.CHAT})
    features: frozenset[Feature] = frozenset()
    """What at least the provider's better models can do; a model's own entry is more precise."""
    on_leave: Literal["cancel", "drain"] = "cancel"
    """When the caller leaves: abort the call, or hear it out within bounds, for providers that bill it anyway
    and tell the true usage only at the end."""
    local: bool = False
    """Runs on this machine: needs no key, is switched on when it answers."""
    models_listed: bool = True
    """Whether the provider lists its models at the wire's models path."""
    deployments: bool = False
    """Models are called as the customer likes: only those that the configuration lists are on offer."""
    models_query: str = ""
    """What has to be added to that path before all of them are listed: `output_modalities=all`."""
    default_model: str | None = None
    """What a caller gets who names only the provider."""
    embedding_model: str | None = None
    default_models: dict[Capability, str] = Field(default_factory=dict)
    """The same for whatever else is asked for: a picture, speech, a transcript."""
    catalogue_id: str | None = None
    """The provider's id in the price catalogue, where it differs from ours."""
    quirks: QuirkSpec = QuirkSpec()
    docs: Source | None = None
    """Where the row's facts stand; every built-in row says it, one of the configuration need not."""
    status: Literal["built-in", "configured", "plugin"] = "built-in"
