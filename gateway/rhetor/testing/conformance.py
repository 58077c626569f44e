"""The contract of providers: every row × what it claims × every scenario, against a real upstream.

    @pytest.mark.parametrize("case", cases(load_builtin().values()), ids=str)
    async def test_provider(case):
        if case.exemption is None:
            await case.check()

Authors of rows and languages run it for theirs: `cases([row], wires={"mine": MINE})`,
with the endpoints of an upstream that speaks the language.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

import orjson

from rhetor.core.capability import Capability
from rhetor.core.content import JsonValue
from rhetor.core.errors import Code, RhetorError
from rhetor.core.events import Event, Failed, Folder, Grammar
from rhetor.core.request import Request, features_needed
from rhetor.providers.discovery import list_models
from rhetor.providers.provider import Provider
from rhetor.providers.spec import ProviderRow
from rhetor.tasks import spawn, stop
from rhetor.testing.endpoints import Endpoint
from rhetor.testing.scenarios import SCENARIOS, Aborted, Failure, Reply, Scenario
from rhetor.testing.seen import Seen
from rhetor.testing.steps import fails
from rhetor.testing.upstream import Upstream
from rhetor.transport.base import Progress
from rhetor.transport.pool import HttpPool
from rhetor.wire.base import PLAIN, Wire
from rhetor.wire.languages import WIRES

KEY = "sk-conformance"
CALLERS_MODEL = "the-callers-name"
UNKNOWN: Mapping[str, JsonValue] = {"x_conformance": {"said": ["by the caller"]}}
ERROR_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Case:
    """One scenario for one provider."""

    row: ProviderRow
    scenario: Scenario
    wire: Wire
    served: Sequence[Endpoint] | None = None

    def __str__(self) -> str:
        return f"{self.row.id}: {self.scenario.name}"

    @property
    def exemption(self) -> str | None:
        """Why this provider need not do this; None when it must."""
        scenario = self.scenario
        if scenario.capability not in self.row.capabilities:
            return f"{self.row.id} does not claim {scenario.capability}"
        if missing := scenario.features - self.row.features:
            return f"{self.row.id} does not claim {', '.join(sorted(missing))}"
        if scenario.verbatim and scenario.capability not in self.wire.doors:
            return f"callers cannot speak {self.wire.name}"
        return None

    @property
    def model(self) -> str:
        named = self.row.embedding_model if self.scenario.capability is Capability.EMBEDDINGS else None
        return named or self.row.default_model or "some-model"

    async def check(self) -> None:
        """Play the scenario.

        Raises:
            AssertionError: the provider does not do what its row claims.
        """
        async with (
            Upstream(served=self.served) as upstream,
            provider_at(upstream, self.row, self.wire) as provider,
        ):
            upstream.next(self.scenario.step)
            match self.scenario.expected:
                case Reply() as reply:
                    await self._check_reply(reply, provider, upstream)
                case Failure() as failure:
                    await self._check_failure(failure, provider)
                case Aborted():
                    await self._check_abort(provider, upstream)

    async def _check_reply(self, expected: Reply, provider: Provider, upstream: Upstream) -> None:
        request = self._request()
        heard = await ask(provider, request, self.model)
        assert heard.error is None, f"the reply failed: {heard.error!r}"
        # A caller of the same language may say what its canonical form would not, and loses that.
        assert not heard.dropped or self.scenario.verbatim, f"the row claims what it drops: {heard.dropped}"
        _compare(heard, self._as_asked(expected))
        self._check_request(request, upstream.requests[-1])

    async def _check_failure(self, expected: Failure, provider: Provider) -> None:
        heard = await ask(provider, self._request(), self.model)
        assert heard.error is not None, "a failure was taken for a reply"
        _same("code", heard.error.code, expected.code)
        _same("retry_after_s", heard.error.retry_after_s, expected.retry_after_s)
        if expected.after is not None:
            _same("text before the failure", heard.text, expected.after)

    async def _check_abort(self, provider: Provider, upstream: Upstream) -> None:
        asking = spawn(ask(provider, self._request(), self.model), "conformance caller")
        try:
            seen = await upstream.request()
            await seen.hanging()
        finally:
            await stop(asking)
        await seen.aborted()

    def _request(self) -> Request:
        scenario = self.scenario
        request = Request(
            id="conformance",
            capability=scenario.capability,
            model=CALLERS_MODEL,
            input=scenario.input,
            stream=scenario.stream,
        )
        return said_in(self.wire, request) if scenario.verbatim else request

    def _as_asked(self, expected: Reply) -> Reply:
        """A provider that is not asked for usage in its streams does not tell it."""
        unasked = self.scenario.stream and self.row.quirks.usage_in_stream is False
        return replace(expected, usage=None) if unasked else expected

    def _check_request(self, request: Request, seen: Seen) -> None:
        """What the provider was sent: to the right place, with its key, and nothing of it lost."""
        auth = self.row.auth
        assert seen.headers.get(auth.header) == auth.prefix + KEY, "the key is not where the row says"
        for name, value in self.row.headers.items():
            _same(f"the row's header {name}", seen.headers.get(name), value)
        base_path = urlsplit(self.row.base_url).path.rstrip("/")
        assert seen.path.startswith(base_path), f"{seen.path} is not below {base_path}"
        _same("model asked for", seen.model, self.model)
        if self.scenario.verbatim:
            assert UNKNOWN.items() <= seen.json.items(), "a field that we do not know was lost"
        if seen.heard is not None:
            assert features_needed(seen.heard) >= features_needed(request), "a part of the request was lost"
            _same("stream", seen.heard.stream, request.stream)


def cases(
    rows: Iterable[ProviderRow],
    scenarios: Sequence[Scenario] = SCENARIOS,
    wires: Mapping[str, Wire] = WIRES,
    served: Sequence[Endpoint] | None = None,
) -> list[Case]:
    """Every row that is reached over HTTP with every scenario."""
    reached = [row for row in rows if urlsplit(row.base_url).scheme in ("http", "https")]
    return [Case(row, scenario, wires[row.wire], served) for row in reached for scenario in scenarios]


async def check_models(row: ProviderRow, wire: Wire, served: Sequence[Endpoint] | None = None) -> None:
    """A provider's own list of models can be read, and its refusal too."""
    async with Upstream(served=served) as upstream, provider_at(upstream, row, wire) as provider:
        upstream.lists("first", "second")
        listed = await list_models(provider)
        assert listed is not None, f"{wire.name} has no list of models: say models_listed = false"
        _same("models", [entry.id for entry in listed], ["first", "second"])
        upstream.lists(but=fails(401))
        try:
            await list_models(provider)
        except RhetorError as error:
            _same("code", error.code, Code.UPSTREAM_AUTH)
        else:
            raise AssertionError("a refusal was taken for a list")


@asynccontextmanager
async def provider_at(upstream: Upstream, row: ProviderRow, wire: Wire) -> AsyncIterator[Provider]:
    """The row's provider with the upstream in the vendor's place, the path of its base URL kept."""
    transport = HttpPool(limit=2, connect_s=5.0)
    moved = row.model_copy(update={"base_url": upstream.base_url + urlsplit(row.base_url).path})
    try:
        yield Provider(moved, wire, transport, KEY)
    finally:
        await transport.close()


def said_in(wire: Wire, request: Request) -> Request:
    """The request as a caller of this language would send it, with a field that nobody knows."""
    plain = wire.upstream[request.capability].build(request, request.model, PLAIN)
    body = {**orjson.loads(plain.body), **UNKNOWN}
    return wire.doors[request.capability].parse(orjson.dumps(body), {})


@dataclass(slots=True)
class Heard:
    """What came of one attempt."""

    folder: Folder = field(default_factory=Folder)
    grammar: Grammar = field(default_factory=Grammar)
    error: RhetorError | None = None
    dropped: tuple[str, ...] = ()

    def hear(self, events: Iterable[Event]) -> None:
        for event in events:
            self.grammar.see(event)
            self.folder.add(event)
            if isinstance(event, Failed):
                self.error = event.error

    @property
    def text(self) -> str:
        return self.folder.result().text


async def ask(provider: Provider, request: Request, model: str) -> Heard:
    """One attempt, to its end; the grammar of events is checked on the way."""
    heard = Heard()
    try:
        prepared = provider.prepare(request, model)
        heard.dropped = prepared.outgoing.dropped
        assert prepared.verbatim == (request.original is not None)
        response = await provider.transport.open(prepared.call, Progress())
        try:
            if response.status != 200:
                raise provider.refusal(response.status, response.headers, await response.read(ERROR_BYTES))
            decoder = prepared.decoder()
            async for data in response.chunks():
                heard.hear(decoder.feed(data).events)
            heard.hear(decoder.close().events)
        finally:
            response.close()
    except RhetorError as error:
        heard.error = error
    else:
        assert heard.grammar.ended, "the reply has no ending"
    return heard


def _compare(heard: Heard, expected: Reply) -> None:
    folded = heard.folder.result()
    tools = [(tool.name, orjson.loads(tool.arguments)) for tool in folded.tool_uses]
    _same("text", folded.text, expected.text)
    _same("thinking", folded.thinking, expected.thinking)
    _same("tool calls", tools, list(expected.tools))
    _same("different ids of tool calls", len({tool.id for tool in folded.tool_uses}), len(tools))
    _same("finish reason", folded.finish, expected.finish)
    _same("usage", folded.usage, expected.usage)
    _same("vectors", folded.vectors, dict(enumerate(map(list, expected.vectors))))
    _same("logprobs", folded.logprobs, list(expected.logprobs))


def _same(what: str, heard: object, expected: object) -> None:
    """An assertion that explains itself: this module is shipped, and test runners do not rewrite it."""
    assert heard == expected, f"{what}: heard {heard!r}, expected {expected!r}"
