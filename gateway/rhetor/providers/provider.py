"""A provider: a row made callable. It turns a request into one call and says how to read the reply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import fields, replace

from rhetor import __version__
from rhetor.core.call import Call
from rhetor.core.capability import Capability
from rhetor.core.errors import BadRequest, Code, RhetorError, UpstreamError
from rhetor.core.request import Chat, Request
from rhetor.core.value import value
from rhetor.providers.spec import ProviderRow, QuirkSpec
from rhetor.transport.base import Transport
from rhetor.wire.base import PLAIN, Decoder, Outgoing, Quirks, Upstream, Wire
from rhetor.wire.prefill import prefilled

QUOTABLE_KEY = 6  # bytes; what local servers are given as a key is an ordinary word, and no secret
USER_AGENT = f"rhetor/{__version__}"  # some vendors' firewalls refuse callers without one


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
    """

    def __init__(
        self,
        row: ProviderRow,
        wire: Wire,
        transport: Transport,
        *keys: str | None,
        also: Sequence[Wire] = (),
    ) -> None:
        self.row = row
        self.wire = wire
        self._own = {
            (capability, spoken.name): spoken for spoken in (wire, *also) for capability in spoken.upstream
        }
        """By what is asked for, and in which language."""
        self._first = {capability: spoken for (capability, _), spoken in reversed(self._own.items())}
        self.transport = transport
        self.quirks = quirks_of(row.quirks)
        self._headers = tuple(_headers(row, key) for key in keys or (None,))
        """By key."""
        self._quotable = tuple(key.encode() for key in keys if key is not None and len(key) >= QUOTABLE_KEY)
        self.keyless = row.auth.required and not any(keys)
        self._base_url = row.base_url.rstrip("/")

    @property
    def id(self) -> str:
        return self.row.id

    def __repr__(self) -> str:
        return f"Provider({self.id})"

    def speaks(self, capability: Capability) -> bool:
        return capability in self.row.capabilities and capability in self._first

    def prepare(self, request: Request, model: str, key: int = 0) -> Prepared:
        """The request as one call to this provider, with this one of its keys.

        Raises:
            RhetorError: no_key; unsupported, when the language cannot say what is asked.
        """
        if self.keyless:
            raise UpstreamError(self.missing_key(), Code.NO_KEY, origin=self.id)
        wire = self._wire_for(request)
        if wire is None or request.capability not in self.row.capabilities:
            raise BadRequest(f"{self.row.name} does not offer {request.capability}", Code.UNSUPPORTED)
        upstream = wire.upstream[request.capability]
        original = request.original
        verbatim = original is not None and original.wire == wire.name
        if not verbatim and request.bound is not None:
            raise copy(request.bound)  # whoever passes it on may add to its message
        if not verbatim and isinstance(request.input, Chat) and request.input.choices > 1:
            message = "several choices are possible only when caller and provider speak the same language"
            raise BadRequest(message, Code.UNSUPPORTED, param="n")
        if verbatim:
            assert original is not None
            outgoing = upstream.retarget(original, model, self.quirks)
        else:
            outgoing = upstream.build(request, model, self.quirks)
            if request.unsaid:
                outgoing = replace(outgoing, dropped=(*request.unsaid, *outgoing.dropped))
        headers = self._headers[key]
        if outgoing.headers:
            headers = {**headers, **outgoing.headers}
        # A component is whatever the caller writes: it has turns of its own only where nobody is known.
        caller = request.principal or request.component or ""
        call = Call("POST", self._base_url + outgoing.path, headers, outgoing.body, caller)
        return Prepared(call, outgoing, wire, upstream, verbatim, request.stream)

    def _wire_for(self, request: Request) -> Wire | None:
        """The caller's own language where it is spoken here, else the first that has a word for this."""
        own = request.original.wire if request.original is not None else ""
        return self._own.get((request.capability, own)) or self._first.get(request.capability)

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
        return Call("GET", self._base_url + self.wire.models_path, self._headers[0])

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


def quirks_of(spec: QuirkSpec) -> Quirks:
    """The language's own way, changed where the row says so."""
    said = {f.name: value for f in fields(Quirks) if (value := getattr(spec, f.name)) is not None}
    return replace(PLAIN, **said)


def _headers(row: ProviderRow, key: str | None) -> dict[str, str]:
    """Lower-case names: a row that writes `User-Agent` replaces ours instead of sending both."""
    headers = {"content-type": "application/json", "user-agent": USER_AGENT}
    headers |= {name.lower(): value for name, value in row.headers.items()}
    if key is not None:
        headers[row.auth.header.lower()] = row.auth.prefix + key
    return headers
