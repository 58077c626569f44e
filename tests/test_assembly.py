"""Who is on, why the others are off, and who answers to which name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from rhetor.app import App
from rhetor.assembly import Member, assemble, load, make_catalog, secrets_of
from rhetor.config import Config, ConfigError
from rhetor.core.capability import Capability
from rhetor.core.clock import SystemClock
from rhetor.core.errors import BadRequest, RhetorError
from rhetor.core.request import Chat, Embed, Input, Request
from rhetor.providers.builtin import load_builtin
from rhetor.providers.models import Catalogue, load_catalogue
from rhetor.providers.offline import OfflineTransport
from rhetor.routing.catalog import Catalog, Route
from rhetor.testing import Upstream, fails
from rhetor.testing.nowhere import refused
from rhetor.wire.base import ModelEntry
from rhetor.wire.languages import WIRES
from tests.routing.stock import plan

ROWS = load_builtin()
LAB = {"wire": "openai", "base_url": "http://lab.test/v1"}
SPOKEN = ", ".join(sorted(name for name, wire in WIRES.items() if wire.upstream and name != "guest"))
Lists = Mapping[str, Sequence[ModelEntry] | str]


def members(environ: Mapping[str, str] | None = None, **sections: Any) -> dict[str, Member]:
    config = Config.model_validate(sections)
    return assemble(config, environ or {}, ROWS, lambda row, setting: OfflineTransport())


def catalog(
    environ: Mapping[str, str] | None = None,
    lists: Lists | None = None,
    catalogue: Catalogue | None = None,
    **sections: Any,
) -> Catalog:
    config = Config.model_validate(sections)
    nothing = Catalogue({}, {}, SystemClock())
    return make_catalog(config, members(environ, **sections), lists or {}, catalogue or nothing)


def wrong(environ: Mapping[str, str] | None = None, **sections: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        members(environ, **sections)
    return [str(problem) for problem in caught.value.problems]


def tried(catalog: Catalog, name: str, capability: Capability = Capability.CHAT) -> list[str]:
    """The targets behind a name, in order."""
    given: Input = Chat(messages=()) if capability is not Capability.EMBEDDINGS else Embed(inputs=())
    request = Request(id="", capability=capability, model=name, input=given)
    return [target.name for target in plan(request, catalog).targets]


# Built-in providers.


def test_without_anything_only_the_offline_provider_is_on() -> None:
    known = members()
    assert [id for id, member in known.items() if member.off is None and not member.probed] == ["offline"]
    assert set(known) == {*ROWS, "offline"}


@pytest.mark.parametrize("id", [id for id, row in ROWS.items() if row.auth.required and row.key_env])
def test_a_row_is_switched_on_by_its_vendors_variables(id: str) -> None:
    row = ROWS[id]
    assert members()[id].off == f"no key for {id!r}: set {' or '.join(row.key_env)}"
    place = {variables[0]: "here" for variables in row.place.values()}
    for variable in row.key_env:
        member = members({variable: "k", **place})[id]
        assert member.off is None
        assert member.secrets == ("k",)


def test_the_first_variable_wins_and_an_empty_one_is_none() -> None:
    environ = {"GEMINI_API_KEY": "", "GOOGLE_API_KEY": "a\n", "GOOGLE_GENERATIVE_AI_API_KEY": "b"}
    assert members(environ)["gemini"].secrets == ("a",)


def test_a_missing_key_is_said_by_the_name_of_its_variable() -> None:
    off = members(providers={"groq": {}})["groq"].off
    assert off == "no key for 'groq': set GROQ_API_KEY, or remove the provider"


def test_a_key_of_the_file_wins_over_the_vendors_variable() -> None:
    environ = {"GROQ_API_KEY": "vendors", "TEAM_KEY": "ours"}
    assert members(environ, providers={"groq": {"key": "env:TEAM_KEY"}})["groq"].secrets == ("ours",)


def test_a_reference_that_leads_nowhere_switches_off(tmp_path: Path) -> None:
    """The vendor's own variable is no substitute: another key is another bill."""
    environ = {"GROQ_API_KEY": "vendors"}
    off = members(environ, providers={"groq": {"key": "env:TEAM_KEY"}})["groq"].off
    assert off == "no key for 'groq': the variable TEAM_KEY is not set"
    off = members(environ, providers={"groq": {"key": f"file:{tmp_path}/key"}})["groq"].off
    assert off == f"no key for 'groq': cannot read {tmp_path}/key: No such file or directory"


def test_a_disabled_provider_is_nobody_even_with_its_key() -> None:
    assert "groq" not in members({"GROQ_API_KEY": "k"}, providers={"groq": {"enabled": False}})


def test_a_local_server_is_on_when_it_is_named() -> None:
    assert members()["vllm"].off == "'vllm' is not switched on: add `vllm: {}` to providers"
    assert members(providers={"vllm": {}})["vllm"].off is None


def test_the_order_of_the_file_comes_first() -> None:
    known = list(members(providers={"mistral": {}, "lab": LAB, "anthropic": {}}))
    assert known[:3] == ["mistral", "lab", "anthropic"]
    assert known[-1] == "offline"


def test_the_offline_provider_takes_no_settings() -> None:
    """Nothing would come of them."""
    assert wrong(providers={"offline": {"enabled": False}}) == [
        "providers.offline: takes no settings: it is always there; remove them"
    ]
    assert members(providers={"offline": {}})["offline"].off is None


# Changed rows.


def test_settings_change_a_row_and_keep_the_rest() -> None:
    row = members(
        providers={
            "anthropic": {
                "base_url": "https://proxy.test/anthropic",
                "name": "Claude",
                "default_model": "claude-haiku-4-5",
                "headers": {"Anthropic-Beta": "x"},
                "features": ["tools"],
            }
        }
    )["anthropic"].row
    assert (row.base_url, row.name) == ("https://proxy.test/anthropic", "Claude")
    assert row.default_model == "claude-haiku-4-5"
    assert row.headers == {**ROWS["anthropic"].headers, "anthropic-beta": "x"}
    assert row.features == {"tools"}
    assert (row.wire, row.auth, row.quirks) == ("anthropic", ROWS["anthropic"].auth, ROWS["anthropic"].quirks)


def test_a_quirk_is_added_to_those_of_the_row() -> None:
    row = members(providers={"mistral": {"quirks": {"max_temperature": 1.5}}})["mistral"].row
    assert row.quirks == ROWS["mistral"].quirks.model_copy(update={"max_temperature": 1.5})


def test_how_the_key_travels_can_be_changed_in_part() -> None:
    row = members(providers={"openai": {"auth": {"header": "api-key", "prefix": ""}}})["openai"].row
    assert (row.auth.header, row.auth.prefix, row.auth.required) == ("api-key", "", True)


def test_an_address_in_the_vendors_variable_counts() -> None:
    assert members({"OLLAMA_HOST": "box:1234"})["ollama"].row.base_url == "http://box:1234"
    given = {"ollama": {"base_url": "http://elsewhere:1"}}
    assert (
        members({"OLLAMA_HOST": "box:1234"}, providers=given)["ollama"].row.base_url == "http://elsewhere:1"
    )


def test_an_address_that_is_none_is_a_problem() -> None:
    (problem,) = wrong({"OLLAMA_HOST": "box:many"})
    assert problem.startswith("providers.ollama.base_url: OLLAMA_HOST is no address")


# Rows of one's own.


def test_a_row_of_ones_own_needs_a_language_and_an_address() -> None:
    assert wrong(providers={"lab": {}}) == [
        "providers.lab.wire: is required, since no built-in provider is called so",
        "providers.lab.base_url: is required, since no built-in provider is called so",
    ]
    assert len(wrong(providers={"lab": {"wire": "openai"}})) == 1


@pytest.mark.parametrize("wire", ["klingon", "tekton"])
def test_a_language_that_no_provider_speaks_is_a_problem(wire: str) -> None:
    expected = f"no such language; there are {SPOKEN} (is {wire!r})"
    assert wrong(providers={"lab": {**LAB, "wire": wire}}) == [f"providers.lab.wire: {expected}"]
    assert wrong(providers={"openai": {"wire": wire}}) == [f"providers.openai.wire: {expected}"]


def test_without_a_key_it_is_taken_to_need_none() -> None:
    member = members(providers={"lab": LAB})["lab"]
    assert (member.off, member.secrets) == (None, ())


def test_with_a_key_it_needs_it() -> None:
    assert members(providers={"lab": {**LAB, "key": "env:K"}})["lab"].off is not None
    assert members({"K": "k"}, providers={"lab": {**LAB, "key": "env:K"}})["lab"].secrets == ("k",)
    off = members(providers={"lab": {**LAB, "auth": {"header": "x-lab"}}})["lab"].off
    assert off == "no key for 'lab': set providers.lab.key, or remove the provider"


def test_a_provider_may_speak_several_languages() -> None:
    row = members(providers={"lab": {**LAB, "also": ["responses"]}})["lab"].row
    assert (row.wire, row.also) == ("openai", ("responses",))
    assert members(providers={"lab": LAB})["lab"].row.also == (), "what the vendor speaks others need not"
    assert members({"OPENAI_API_KEY": "k"}, providers={"openai": {"also": []}})["openai"].row.also == ()


def test_a_language_that_nobody_speaks_beside_another_is_a_problem() -> None:
    (problem,) = wrong(providers={"lab": {**LAB, "also": ["klingon"]}})
    assert problem.startswith("providers.lab.also: no such language")


def test_who_speaks_responses_only_is_addressed_like_openai() -> None:
    row = members(providers={"lab": {**LAB, "wire": "responses"}})["lab"].row
    assert (row.wire, row.also, row.auth.header) == ("responses", (), "authorization")


@pytest.mark.parametrize("wire", ["openai", "anthropic", "ollama"])
def test_it_is_addressed_like_the_vendor_of_its_language(wire: str) -> None:
    row = members({"K": "k"}, providers={"lab": {**LAB, "wire": wire, "key": "env:K"}})["lab"].row
    assert (row.auth.header, row.auth.prefix) == (ROWS[wire].auth.header, ROWS[wire].auth.prefix)
    assert row.headers == ROWS[wire].headers
    assert row.capabilities == ROWS[wire].capabilities & {Capability.CHAT, Capability.EMBEDDINGS}


def test_who_speaks_a_language_without_words_for_conversations_offers_what_it_has() -> None:
    row = members(providers={"lab": {**LAB, "wire": "deepgram"}})["lab"].row
    assert row.capabilities == ROWS["deepgram"].capabilities


def test_every_problem_of_every_provider_is_said_at_once(tmp_path: Path) -> None:
    """Also those that only show when providers are put together, and nothing that merely follows."""
    path = tmp_path / "rhetor.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "server": {"port": "eight"},
                "providers": {
                    "lab": {"wire": "openai", "base_url": "no address"},
                    "odd": {"wire": "klingon", "base_url": "http://odd.test"},
                    "bare": "sk-canary-0123456789",
                    "small": {**LAB, "models": ["a"]},
                    "groq": {"enabled": False},
                },
                "routes": {
                    "one": {"targets": ["lab/x", "odd/x", "bare/x"]},
                    "two": {"targets": ["nobody/x", "small/b", "small/a", "groq/x", "slash"]},
                },
            },
            sort_keys=False,
        )
    )
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    assert [str(problem) for problem in caught.value.problems] == [
        "server.port: must be a whole number (is 'eight')",
        "providers.lab.base_url: must be an address such as https://host/v1 (is 'no address')",
        "providers.bare: must hold settings, each as `name: value`",
        f"providers.odd.wire: no such language; there are {SPOKEN} (is 'klingon')",
        "routes.two.targets[0]: no provider 'nobody'; add it to providers (is 'nobody/x')",
        "routes.two.targets[1]: 'small' lists only a; add the model there (is 'small/b')",
        "routes.two.targets[3]: 'groq' is switched off; enable it, or remove the target (is 'groq/x')",
        "routes.two.targets[4]: write provider/model (is 'slash')",
    ]


@pytest.mark.parametrize("target", ["slash", "lab/", "/x", ""])
def test_a_target_is_a_provider_and_a_model(target: str) -> None:
    (problem,) = wrong(providers={"lab": LAB}, routes={"fast": {"targets": ["lab/a", target]}})
    assert problem.startswith("routes.fast.targets[1]: ")


# Names.


def test_explicit_models_are_the_only_ones() -> None:
    """Neither what the provider lists besides, nor what a caller makes up."""
    given = {"lab": {**LAB, "models": ["small", "large"]}}
    names = catalog(
        providers=given, lists={"lab": [ModelEntry("small", context_tokens=5), ModelEntry("huge")]}
    )
    assert [id for id in names.offers if id.startswith("lab/")] == ["lab/small", "lab/large"]
    assert names.offers["lab/small"].context_tokens == 5
    assert tried(names, "lab/large") == ["lab/large"]
    assert tried(names, "lab/") == ["lab/small"]
    with pytest.raises(BadRequest, match="unknown model 'lab/huge'; did you mean lab/large"):
        names.resolve("lab/huge", Capability.CHAT)


def test_without_explicit_models_the_provider_decides() -> None:
    names = catalog(providers={"lab": LAB}, lists={"lab": [ModelEntry("small")]})
    assert next(iter(names.offers)) == "lab/small"
    assert tried(names, "lab/small") == ["lab/small"]
    assert tried(names, "small") == ["lab/small"]
    assert tried(names, "lab/made-up") == ["lab/made-up"], "the provider will say whether it exists"


def test_the_first_model_listed_is_the_default_where_there_is_no_other() -> None:
    lists = {"lab": [ModelEntry("first"), ModelEntry("second")]}
    assert tried(catalog(providers={"lab": LAB}, lists=lists), "lab/") == ["lab/first"]
    given = {"lab": {**LAB, "default_model": "second"}}
    assert tried(catalog(providers=given, lists=lists), "lab/") == ["lab/second"]


def test_defaults_are_on_offer_even_if_nobody_listed_them() -> None:
    given = {"lab": {**LAB, "default_model": "a", "embedding_model": "embed-b"}}
    names = catalog(providers=given, lists={"lab": "no list today"})
    assert [id for id in names.offers if id.startswith("lab/")] == ["lab/a", "lab/embed-b"]
    assert tried(names, "lab/", Capability.EMBEDDINGS) == ["lab/embed-b"]


def test_a_server_of_ones_own_embeds_whatever_its_models_are_called() -> None:
    """Only names that say what they are for, and lists that tell, narrow what a configured row offers."""
    listed = [ModelEntry("mine"), ModelEntry("nomic-embed"), ModelEntry("told", capabilities=frozenset())]
    given = {"lab": {**LAB, "capabilities": ["text-to-text", "embeddings"]}}
    offers = catalog(providers=given, lists={"lab": listed}).offers

    assert offers["lab/mine"].capabilities == {Capability.CHAT, Capability.EMBEDDINGS}
    assert offers["lab/nomic-embed"].capabilities == {Capability.EMBEDDINGS}
    assert offers["lab/told"].capabilities == frozenset()


def test_what_a_provider_lists_is_completed_by_prices_and_limits() -> None:
    """The list says that a model exists, the catalogue what it costs, limits what fits into it."""
    environ = {"ANTHROPIC_API_KEY": "k"}
    row = ROWS["anthropic"]
    catalogue = load_catalogue([row], SystemClock())
    model = str(row.default_model)
    offer = catalog(environ, {"anthropic": [ModelEntry(model, name="Sonnet")]}, catalogue).offers[
        f"anthropic/{model}"
    ]
    assert offer.name == "Sonnet"
    assert offer.price is not None
    assert offer.price.input_micros > 0
    assert offer.context_tokens is not None
    assert Capability.COUNT_TOKENS in offer.capabilities


def test_a_provider_that_does_not_list_offers_what_the_catalogue_knows() -> None:
    row = ROWS["anthropic"]
    names = catalog({"ANTHROPIC_API_KEY": "k"}, catalogue=load_catalogue([row], SystemClock()))
    assert any(id.startswith("anthropic/claude") for id in names.offers)


def test_a_target_that_nobody_lists_has_its_price_where_it_is_known() -> None:
    """So that a trip through its route has a cost; of others nothing is invented."""
    row = ROWS["anthropic"]
    catalogue = load_catalogue([row], SystemClock())
    known = next(facts.id for facts in catalogue.known(row) if facts.price is not None)
    route = {"targets": [f"anthropic/{known}", "anthropic/nobody-knows", f"anthropic/{known}"]}
    names = catalog(
        {"ANTHROPIC_API_KEY": "k"}, {"anthropic": [ModelEntry("listed")]}, catalogue, routes={"r": route}
    )
    offers = [id for id in names.offers if id.startswith("anthropic/")]
    assert offers == ["anthropic/listed", f"anthropic/{row.default_model}", f"anthropic/{known}"]
    assert names.offers[f"anthropic/{known}"].price is not None


def test_a_provider_that_is_off_offers_nothing_and_says_why() -> None:
    names = catalog(providers={"groq": {}})
    assert not [id for id in names.offers if id.startswith("groq/")]
    with pytest.raises(RhetorError, match="no key for 'groq': set GROQ_API_KEY") as caught:
        tried(names, "groq/any")
    assert (caught.value.code, caught.value.status) == ("no_key", 503)


def test_who_names_nobody_gets_the_first_that_is_on() -> None:
    given = {"groq": {}, "lab": {**LAB, "models": ["small"]}, "more": {**LAB, "models": ["large"]}}
    assert tried(catalog(providers=given), "auto") == ["lab/small"]
    assert tried(catalog(), "auto") == ["offline/echo"]


@pytest.mark.parametrize("name", ["default", "auto"])
def test_a_route_of_this_name_is_the_default(name: str) -> None:
    names = catalog(
        providers={"lab": LAB, "more": LAB}, routes={name: {"targets": ["more/large", "lab/small"]}}
    )
    for asked in ("", "auto", "default"):
        assert tried(names, asked) == ["more/large", "lab/small"]


@pytest.mark.parametrize("name", ["default", "auto"])
def test_an_alias_of_this_name_is_the_default(name: str) -> None:
    names = catalog(providers={"lab": LAB, "more": LAB}, aliases={name: "more/large"})
    for asked in ("", "auto", "default"):
        assert tried(names, asked) == ["more/large"]


def test_a_route_and_an_alias_may_each_have_one_of_the_default_names() -> None:
    names = catalog(
        providers={"lab": LAB, "more": LAB},
        routes={"default": {"targets": ["lab/a"]}},
        aliases={"auto": "more/b"},
    )
    assert [tried(names, asked) for asked in ("", "default", "auto")] == [["lab/a"], ["lab/a"], ["more/b"]]


def test_aliases_stand_for_routes_models_and_bare_ids() -> None:
    names = catalog(
        providers={"lab": {**LAB, "models": ["small"]}},
        routes={"fast": {"targets": ["lab/small", "offline/echo"]}},
        aliases={"gpt-4": "fast", "tiny": "lab/small", "bare": "small"},
    )
    assert tried(names, "gpt-4") == ["lab/small", "offline/echo"]
    assert tried(names, "tiny") == tried(names, "bare") == ["lab/small"]


def test_a_target_without_its_key_is_left_out_and_the_rest_tried() -> None:
    names = catalog(providers={"lab": LAB, "groq": {}}, routes={"fast": {"targets": ["groq/a", "lab/b"]}})
    assert tried(names, "fast") == ["lab/b"]


def test_a_route_has_the_common_timeouts_and_its_own() -> None:
    names = catalog(
        providers={"lab": LAB},
        timeouts={"connect_s": 1, "idle_s": 7},
        routes={"fast": {"targets": ["lab/a"], "timeouts": {"total_s": 9}}},
    )
    route: Route = names.routes["fast"]
    assert (route.deadlines.connect_s, route.deadlines.idle_s, route.deadlines.total_s) == (1, 7, 9)
    assert names.resolve("lab/a", Capability.CHAT).deadlines.total_s == 600


def test_tokens_are_estimated_where_the_provider_cannot_count_them() -> None:
    names = catalog(providers={"lab": LAB})
    assert tried(names, "lab/small", Capability.COUNT_TOKENS) == ["offline/estimate"]


def test_only_keys_in_use_are_told_to_the_redactor() -> None:
    assert secrets_of(members({"GROQ_API_KEY": "g", "TOKEN": "t"})) == {"g"}


# The local server that is looked for.


def local(base_url: str, **sections: Any) -> App:
    """A house that finds its Ollama at this address."""
    environ = {"OLLAMA_HOST": base_url}
    config = Config.model_validate(sections)
    return App(config, None, environ)


async def test_an_ollama_is_on_while_it_answers(upstream: Upstream) -> None:
    upstream.lists("llama3.2:1b")
    app = local(upstream.base_url)
    try:
        assert not app.house.catalog.providers["ollama"].available
        await app.discover()
        assert app.house.catalog.providers["ollama"].available
        assert tried(app.house.catalog, "auto") == ["ollama/llama3.2:1b"]
        await upstream.stop()
        await app.probe()
        facts = app.house.catalog.providers["ollama"]
        assert not facts.available
        assert f"'ollama' does not answer at {upstream.base_url}: " in str(facts.reason)
        assert tried(app.house.catalog, "auto") == ["offline/echo"]
        await upstream.start()
        upstream.lists("llama3.2:1b", "qwen3:4b")
        await app.probe()
        assert app.house.catalog.providers["ollama"].available
        assert "ollama/qwen3:4b" in app.house.catalog.offers
    finally:
        await app.stop()


async def test_a_model_that_was_pulled_is_noticed(upstream: Upstream) -> None:
    upstream.lists("llama3.2:1b")
    app = local(upstream.base_url)
    try:
        await app.discover()
        upstream.lists("llama3.2:1b", "qwen3:4b")
        await app.probe()
        assert "ollama/qwen3:4b" in app.house.catalog.offers
    finally:
        await app.stop()


async def test_it_is_looked_for_even_when_nobody_else_is_asked(upstream: Upstream) -> None:
    app = local(upstream.base_url, discovery={"enabled": False})
    try:
        await app.discover()
        assert app.house.catalog.providers["ollama"].available
    finally:
        await app.stop()


async def test_nobody_is_asked_when_it_is_not_to_be_looked_for(upstream: Upstream) -> None:
    app = local(upstream.base_url, discovery={"local": False})
    try:
        await app.discover()
        await app.probe()
        assert upstream.requests == []
        reason = app.house.catalog.providers["ollama"].reason
        assert reason == "'ollama' is not switched on: add `ollama: {}` to providers"
    finally:
        await app.stop()


async def test_something_else_at_its_address_is_no_ollama(upstream: Upstream) -> None:
    upstream.lists("x", but=fails(404))
    app = local(upstream.base_url)
    try:
        await app.discover()
        assert not app.house.catalog.providers["ollama"].available
    finally:
        await app.stop()


async def test_an_ollama_that_is_named_is_on_without_being_asked() -> None:
    """Whoever names it wants to hear why it does not answer."""
    with refused() as base_url:
        app = local(base_url, providers={"ollama": {}})
        try:
            await app.discover()
            assert app.house.catalog.providers["ollama"].available
        finally:
            await app.stop()


# Several keys, accounts, rules, and what a route says.


def test_a_provider_may_have_several_keys() -> None:
    environ = {"A": "a", "B": "b"}
    lab = {**LAB, "key": "env:A", "keys": ["env:B", "env:A"]}
    assert members(environ, providers={"lab": lab})["lab"].secrets == ("a", "b")
    missing = members({"A": "a"}, providers={"lab": lab})["lab"]
    assert missing.off == "no key for 'lab': the variable B is not set"


def test_who_shares_a_place_and_a_key_shares_an_account() -> None:
    environ = {"A": "a", "B": "b"}
    there = {**LAB, "base_url": "http://lab.test/other"}
    names = catalog(
        environ,
        providers={
            "one": {**LAB, "keys": ["env:A", "env:B"]},
            "two": {**there, "key": "env:B"},
            "far": {**LAB, "base_url": "http://far.test/v1", "key": "env:A"},
        },
    )
    accounts = {id: names.providers[id].accounts for id in ("one", "two", "far")}
    assert accounts == {"one": ("one", "one#2"), "two": ("one#2",), "far": ("far",)}


def test_what_a_route_says() -> None:
    targets = [{"target": "lab/a", "weight": 3}, "lab/b"]
    said = {"targets": targets, "strategy": "weighted", "midstream": "hold", "retries": 1, "hedge": True}
    route = catalog(providers={"lab": LAB}, routes={"r": {**said, "reroute_refused": True}}).routes["r"]
    assert [target.name for target in route.targets] == ["lab/a", "lab/b"]
    assert route.weights == (3, 1)
    assert (route.strategy, route.midstream, route.retries) == ("weighted", "hold", 1)
    assert (route.hedge, route.reroute_refused) == (True, True)


def test_what_routing_must_know_of_a_provider() -> None:
    lab = {**LAB, "tags": ["eu"], "max_connections": 7}
    facts = catalog(providers={"lab": lab, "vllm": {}}).providers
    assert (facts["lab"].tags, facts["lab"].slots, facts["lab"].free) == (frozenset({"eu"}), 7, False)
    assert facts["vllm"].free


def test_rules_as_the_catalog_looks_them_up() -> None:
    rules = {
        "component_task": {"Ergon/code": "fast"},
        "component": {"telos": "lab/t"},
        "task": {"planning": "lab/p"},
        "default": "quick",
    }
    names = catalog(
        providers={"lab": LAB},
        routes={"fast": {"targets": ["lab/f"]}},
        aliases={"quick": "fast"},
        rules=rules,
    )
    assert dict(names.rules) == {
        "ergon/code": "fast",
        "telos/": "lab/t",
        "/planning": "lab/p",
        "/": "quick",
    }


def test_a_rule_that_leads_nowhere_is_a_problem() -> None:
    rules = {"component_task": {"a/b": "fats"}, "task": {"code": "nobody/x"}, "default": "lab/m"}
    assert wrong(providers={"lab": LAB}, rules=rules) == [
        "rules.component_task.a/b: no route or alias is called so; add it to routes, or write provider/model"
        " (is 'fats')",
        "rules.task.code: no provider 'nobody'; add it to providers (is 'nobody/x')",
    ]
