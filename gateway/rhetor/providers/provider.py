"""A provider: a row made callable. It turns a request into one call and says how to read the reply."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import fields, replace
from urllib.parse import urlsplit

from rhetor import __version__
from rhetor.core.call import Call
from rhetor.core.capability import Capability, Feature
from rhetor.core.errors import BadRequest, Code, RhetorError, UpstreamError
from rhetor.core.request import Chat, Request, features_needed
from rhetor.core.value import value
from rhetor.providers.fetching import ANYTHING, ensure_outside, said_outside, stands_inside
from rhetor.providers.spec import AuthSpec, DialectSpec, ProviderRow, QuirkSpec
from rhetor.transport.base import Transport
from rhetor.wire.base import PLAIN, Decoder, Follow, Outgoing, Quirks, Upstream, Wire
from rhetor.wire.prefill import prefilled

QUOTABLE_KEY = 6  # bytes; what local servers are given as a key is an ordinary word, and no secret
USER_AGENT = f"rhetor/{__version__}"  # some vendors' firewalls refuse callers without one
_PORTS = {"http": 80, "https": 443}


@value
class Prepared:
    """One attempt, ready to be sent."""

    call: Call
    outgoing: Outgoing
    wire: Wire
    upstream: Upstream
    verbatim: bool
    """Caller and provider speak the same language: the reply's frames may pass untouched."""
    stream: bool

    def decoder(self) -> Decoder:
        return self.upstream.decoder(self.stream, self.outgoing)


class Provider:
    """One provider with its key and its pool.

    Args:
        row: what is known of it.
        wire: the language that `row.wire` names.
        transport: its own bounded pool.
        keys: the secrets, or None when none is set; never logged, only put into a header.
        also: the languages that `row.also` names.
        allowed_hosts: those inside from which it may fetch what callers name, where it stands inside itself.
    """

    def __init__(
        self,
        row: ProviderRow,
        wire: Wire,
        transport: Transport,
        *keys: str | None,
        also: Sequence[Wire] = (),
        allowed_hosts: Collection[str] = (),
    ) -> None:
        self.row = row
        self.wire = wire
        self._own = {
            (capability, spoken.name): spoken
            for spoken in (wire, *also)
            for capability in _spoken_in(spoken)
            if row.wires.get(capability, spoken.name) == spoken.name
        }
        """By what is asked for, and in which language."""
        sees = Capability.CHAT in row.capabilities and Feature.IMAGES in row.features
        self.capabilities = row.capabilities | ({Capability.IMAGE_TO_TEXT} if sees else frozenset())
        self._first = {capability: spoken for (capability, _), spoken in reversed(self._own.items())}
        self.transport = transport
        self.quirks = quirks_of(row.quirks)
        self._spoken = {it.name: _spoken(row, it.name, keys or (None,)) for it in (wire, *also)}
        """By language."""
        self._quotable = tuple(key.encode() for key in keys if key is not None and len(key) >= QUOTABLE_KEY)
        self.keyless = row.auth.required and not any(keys)
        self._guarded = ANYTHING not in allowed_hosts and stands_inside(row)
        """Callers may not have it fetch whatever it can reach."""
        self._allowed_hosts = frozenset(allowed_hosts)

    @property
    def id(self) -> str:
        return self.row.id

    def __repr__(self) -> str:
        return f"Provider({self.id})"

    def speaks(self, capability: Capability) -> bool:
        return capability in self.capabilities and capability in self._first

    def prepare(self, request: Request, model: str, key: int = 0) -> Prepared:
        """The request as one call to this provider, with this one of its keys.

        Raises:
            RhetorError: no_key; unsupported, when the language cannot say what is asked.
        """
        if self.keyless:
            raise UpstreamError(self.missing_key(), Code.NO_KEY, origin=self.id)
        wire = self._wire_for(request)
        if wire is None or request.capability not in self.capabilities:
            raise BadRequest(f"{self.row.name} does not offer {request.capability}", Code.UNSUPPORTED)
        upstream = wire.upstream.get(request.capability) or wire.upstream[Capability.CHAT]
        original = request.original
        verbatim = original is not None and original.wire == wire.name
        if not verbatim and request.bound is not None:
            raise copy(request.bound)  # whoever passes it on may add to its message
        if not verbatim and isinstance(request.input, Chat) and request.input.choices > 1:
            message = "several choices are possible only when caller and provider speak the same language"
            raise BadRequest(message, Code.UNSUPPORTED, param="n")
        if verbatim:
            assert original is not None
            if self._guarded:
                original = said_outside(original, request.input, self.row.id, self._allowed_hosts)
            outgoing = upstream.retarget(original, model, self.quirks)
        else:
            if self._guarded:
                ensure_outside(request.input, self.row.id, self._allowed_hosts)
            outgoing = upstream.build(request, model, self.quirks)
            if request.unsaid:
                outgoing = replace(outgoing, dropped=(*request.unsaid, *outgoing.dropped))
        spoken = self._spoken[wire.name]
        headers = spoken.headers[key]
        if outgoing.headers:
            headers = {**headers, **outgoing.headers}
        # A component is whatever the caller writes: it has turns of its own only where nobody is known.
        caller = request.principal or request.component or ""
        call = Call("POST", spoken.base_url + outgoing.path, headers, outgoing.body, caller)
        return Prepared(call, outgoing, wire, upstream, verbatim, request.stream)

    def follow(self, prepared: Prepared, follow: Follow) -> Call:
        """The next call of a reply that is told in several.

        Raises:
            UpstreamError: protocol_error, it leads to a host that nothing in the row speaks of.
        """
        base_url = self._spoken[prepared.wire.name].base_url
        url = base_url + follow.url if follow.url.startswith("/") else follow.url
        keyed = follow.keyed
        if not _same_origin(url, base_url):
            keyed = keyed and is_host_of(url, self.row.hosts)
            if not keyed and not is_host_of(url, self.row.hosts | self.row.result_hosts):
                _, host, _ = _origin(url) or ("", "an address without a host", 0)
                message = f"the reply leads to {host}, which is no host of {self.id!r}: see its result_hosts"
                raise UpstreamError(message, Code.PROTOCOL, origin=self.id)
        headers = {
            name: value
            for name, value in prepared.call.headers.items()
            if (keyed or name == "user-agent") and (follow.body is not None or name != "content-type")
        }
        return Call(follow.method, url, headers, follow.body, prepared.call.caller)

    def _wire_for(self, request: Request) -> Wire | None:
        """The caller's own language where it is spoken here, else the first that has a word for this."""
        own = request.original.wire if request.original is not None else ""
        wire = self._own.get((request.capability, own))
        if wire is not None and request.bound is None:
            features = self._spoken[wire.name].features
            if features is not None and not features_needed(request) <= features:
                wire = None
        return wire or self._first.get(request.capability)

    def prefilled(self, request: Request, text: str, model: str) -> Request | None:
        """The request with the beginning of its answer; None where the model takes none."""
        wire = self._wire_for(request)
        if wire is not None and request.original is not None and request.original.wire != wire.name:
            request = replace(request, original=None)  # it is not what is sent
        return prefilled(request, text, model, self.quirks)

    def models_call(self) -> Call | None:
        """The call that lists this provider's models; None when it has no list."""
        if self.wire.models_path is None or not self.row.models_listed:
            return None
        query = f"?{self.row.models_query}" if self.row.models_query else ""
        spoken = self._spoken[self.wire.name]
        return Call("GET", spoken.base_url + self.wire.models_path + query, spoken.headers[0])

    def refusal(
        self, status: int, headers: Mapping[str, str], body: bytes, wire: Wire | None = None
    ) -> RhetorError:
        """What an answer that is not a success means. Some quote the key that they were sent; we do not.

        Args:
            wire: the language in which was asked, if not the provider's first.
        """
        for key in self._quotable:
            body = body.replace(key, b"[redacted]")
        error = (wire or self.wire).read_error(status, headers, body)
        error.origin = self.id
        return error

    def missing_key(self) -> str:
        names = " or ".join(self.row.key_env) or f"providers.{self.id}.key"
        return f"no key for {self.id!r}: set {names}, or remove the provider"


def _spoken_in(wire: Wire) -> Iterable[Capability]:
    """What a language has words for; what is in a picture is asked in conversations, if nowhere else."""
    yield from wire.upstream
    if Capability.CHAT in wire.upstream and Capability.IMAGE_TO_TEXT not in wire.upstream:
        yield Capability.IMAGE_TO_TEXT


def _same_origin(url: str, other: str) -> bool:
    return (origin := _origin(url)) is not None and origin == _origin(other)


def _origin(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port; None where it is not plain whom it leads to."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return None
    if not parts.hostname or not port or "@" in parts.netloc or "\\" in parts.netloc:
        return None
    return parts.scheme, parts.hostname, port


def is_host_of(url: str, hosts: Iterable[str]) -> bool:
    """Whether a URL is encrypted and leads to one of these hosts; `.example.com` means all below it.

    A host is who listens at the usual port: what else runs on a machine is somebody else's.
    """
    scheme, host, port = _origin(url) or ("", "", 0)
    return (scheme, port) == ("https", 443) and any(
        host.endswith(each) if each.startswith(".") else host == each for each in hosts
    )


def quirks_of(spec: QuirkSpec) -> Quirks:
    """The language's own way, changed where the row says so."""
    if not spec.model_fields_set:
        return PLAIN
    said = {f.name: value for f in fields(Quirks) if (value := getattr(spec, f.name)) is not None}
    return replace(PLAIN, **said)


@value
class _Spoken:
    """Where a language is spoken, and with which headers."""

    base_url: str
    headers: Sequence[Mapping[str, str]]
    """By key."""
    features: frozenset[Feature] | None
    """What can be said in it; None: everything."""


def _spoken(row: ProviderRow, language: str, keys: Sequence[str | None]) -> _Spoken:
    dialect = row.dialects.get(language, _AS_THE_FIRST)
    headers = [_headers(row, key, dialect.auth or row.auth) for key in keys]
    return _Spoken(row.base_url.rstrip("/") + dialect.path, headers, dialect.features)


_AS_THE_FIRST = DialectSpec()


def _headers(row: ProviderRow, key: str | None, auth: AuthSpec) -> dict[str, str]:
    """Lower-case names: a row that writes `User-Agent` replaces ours instead of sending both."""
    headers = {"content-type": "application/json", "user-agent": USER_AGENT}
    headers |= {name.lower(): value for name, value in row.headers.items()}
    if key is not None:
        headers[auth.header.lower()] = auth.prefix + key
    return headers
