"""Plans: whom a request is sent to, in which order, and why not to the others."""

from __future__ import annotations

import pytest

from rhetor.core.capability import Capability, Feature
from rhetor.core.content import Part, Text
from rhetor.core.errors import BadRequest, Code, RhetorError, UpstreamError
from rhetor.core.request import Tool
from rhetor.routing.breaker import FIRST_WAIT_S, IN_A_ROW
from rhetor.routing.catalog import Catalog, Strategy
from rhetor.routing.decision import Plan
from rhetor.routing.health import Health
from rhetor.testing.clock import FakeClock
from tests.routing.stock import (
    CHAT_AND_EMBED,
    PNG,
    SEEING,
    attempt,
    candidate,
    catalog,
    chat,
    count,
    embed,
    off,
    offer,
    plan,
    provider,
    route,
    target,
)

STOCK = catalog(
    provider("lab", default_model="small", capabilities=CHAT_AND_EMBED, embedding_model="vectors"),
    provider("cloud", default_model="big"),
    off("keyless"),
    offer("lab/blind", features=frozenset()),
    offer("lab/seeing", features=SEEING),
    offer("lab/handy", features=SEEING | {Feature.TOOLS}),
    offer("lab/vectors", capabilities=frozenset({Capability.EMBEDDINGS})),
    offer("cloud/undescribed", features=None),
    route("fast", "lab/a", "cloud/b"),
    route("backup", "cloud/b", "cloud/c"),
    route("patchy", "keyless/x", "gone/y", "lab/z"),
    route("eyes", "lab/blind", "lab/seeing"),
    route("dead", "keyless/x", "keyless/y"),
    aliases={"quick": "fast"},
)


def targets(plan: Plan) -> list[str]:
    return [target.name for target in plan.targets]


def reasons(plan: Plan) -> dict[str, str]:
    return {candidate.target.name: candidate.reason for candidate in plan.left_out}


class TestOrder:
    def test_a_route_is_asked_in_its_order(self) -> None:
        planned = plan(chat("fast"), STOCK)
        assert targets(planned) == ["lab/a", "cloud/b"]
        assert [c.reason for c in planned.candidates] == ["target 1 of fast", "target 2 of fast"]
        assert planned.route.name == "fast"

    def test_a_model_is_asked_alone(self) -> None:
        assert targets(plan(chat("lab/a"), STOCK)) == ["lab/a"]

    @pytest.mark.parametrize(
        ("fallbacks", "expected"),
        [
            pytest.param(("cloud/c",), ["lab/a", "cloud/b", "cloud/c"], id="a model"),
            pytest.param(("backup",), ["lab/a", "cloud/b", "cloud/c"], id="a route, without what is there"),
            pytest.param(("cloud/",), ["lab/a", "cloud/b", "cloud/big"], id="a provider's default"),
            pytest.param(("quick",), ["lab/a", "cloud/b"], id="an alias of the same"),
            pytest.param(("cloud/c", "cloud/c"), ["lab/a", "cloud/b", "cloud/c"], id="the same twice"),
            pytest.param(("cloud/d", "cloud/c"), ["lab/a", "cloud/b", "cloud/d", "cloud/c"], id="in order"),
        ],
    )
    def test_fallbacks_of_the_caller_come_after_the_route(
        self, fallbacks: tuple[str, ...], expected: list[str]
    ) -> None:
        assert targets(plan(chat("fast", fallbacks=fallbacks), STOCK)) == expected

    def test_a_fallback_says_who_wanted_it(self) -> None:
        planned = plan(chat("lab/a", fallbacks=("cloud/b",)), STOCK)
        assert planned.candidates[1].reason == "fallback that the caller named"

    def test_a_fallback_may_be_all_that_is_left(self) -> None:
        planned = plan(chat("keyless/x", fallbacks=("cloud/b",)), STOCK)
        assert targets(planned) == ["cloud/b"]
        assert reasons(planned) == {"keyless/x": "no key for 'keyless'"}

    def test_an_unknown_fallback_is_the_callers_mistake(self) -> None:
        with pytest.raises(BadRequest, match="unknown model 'nobody'") as caught:
            plan(chat("fast", fallbacks=("cloud/b", "nobody")), STOCK)
        assert caught.value.param == "fallbacks[1]"

    def test_the_same_question_has_the_same_answer(self) -> None:
        request = chat("patchy", fallbacks=("backup",))
        assert plan(request, STOCK) == plan(request, STOCK)


class TestLeftOut:
    def test_who_cannot_be_asked(self) -> None:
        planned = plan(chat("patchy"), STOCK)
        assert targets(planned) == ["lab/z"]
        assert reasons(planned) == {"keyless/x": "no key for 'keyless'", "gone/y": "no provider 'gone'"}

    def test_who_does_not_offer_what_is_asked(self) -> None:
        stock = catalog(
            provider("lab", capabilities=CHAT_AND_EMBED),
            provider("mute"),
            offer("lab/talker"),
            route("mixed", "mute/any", "lab/talker", "lab/unlisted"),
        )
        planned = plan(embed("mixed"), stock)
        assert targets(planned) == ["lab/unlisted"], "a model nobody described may do what its provider does"
        assert reasons(planned) == {
            "mute/any": "does not offer embeddings",
            "lab/talker": "does not offer embeddings",
        }

    def test_who_claims_more_than_its_provider(self) -> None:
        """What the gateway cannot ask for, no list of models makes possible."""
        stock = catalog(provider("lab"), offer("lab/m", capabilities=CHAT_AND_EMBED))
        with pytest.raises(BadRequest, match="does not offer embeddings"):
            plan(embed("lab/m"), stock)

    def test_who_lacks_a_feature(self) -> None:
        planned = plan(chat("eyes", PNG), STOCK)
        assert targets(planned) == ["lab/seeing"]
        assert reasons(planned) == {"lab/blind": "lacks images"}

    def test_all_that_is_lacking_is_named(self) -> None:
        with pytest.raises(BadRequest, match=r"lab/blind: lacks images, tools"):
            plan(chat("lab/blind", PNG, tools=(Tool("f"),)), STOCK)

    @pytest.mark.parametrize("model", ["cloud/undescribed", "cloud/unlisted"])
    def test_who_is_not_described_gets_its_chance(self, model: str) -> None:
        """The provider will tell."""
        assert targets(plan(chat(model, PNG), STOCK)) == [model]

    def test_a_fallback_is_left_out_for_the_same_reasons(self) -> None:
        planned = plan(chat("lab/seeing", PNG, fallbacks=("lab/blind", "keyless/x")), STOCK)
        assert reasons(planned) == {"lab/blind": "lacks images", "keyless/x": "no key for 'keyless'"}


class TestNobody:
    def refusal(self, stock: Catalog, model: str, **said: object) -> RhetorError:
        with pytest.raises(RhetorError) as caught:
            plan(chat(model, **said), stock)  # type: ignore[arg-type]
        return caught.value

    def test_without_a_key_the_missing_key_is_named(self) -> None:
        error = self.refusal(STOCK, "keyless/x")
        assert (error.code, error.status) == (Code.NO_KEY, 503)
        assert error.message == "no key for 'keyless'"
        assert error.origin == "keyless"

    def test_every_reason_is_named(self) -> None:
        error = self.refusal(STOCK, "dead")
        assert isinstance(error, UpstreamError)
        assert error.code is Code.NOTHING_TO_TRY
        assert "keyless/x: no key for 'keyless'; keyless/y: no key for 'keyless'" in error.message

    def test_what_nobody_can_do_is_the_callers_mistake(self) -> None:
        """Waiting or repeating would not help: another model would."""
        error = self.refusal(STOCK, "lab/blind", tools=(Tool("f"),))
        assert isinstance(error, BadRequest)
        assert (error.code, error.status) == (Code.UNSUPPORTED, 400)

    def test_a_mixture_of_both_may_pass(self) -> None:
        stock = catalog(provider("lab"), off("keyless"), offer("lab/m", features=frozenset()),
                        route("both", "lab/m", "keyless/x"))  # fmt: skip
        assert self.refusal(stock, "both", tools=(Tool("f"),)).code is Code.NOTHING_TO_TRY

    def test_an_unknown_name(self) -> None:
        assert self.refusal(STOCK, "nobody").code is Code.MODEL_NOT_FOUND


class TestNow:
    """What the last minutes tell."""

    KEYED = catalog(
        provider("lab", accounts=("lab", "lab#2")),
        provider("cloud", accounts=("cloud",)),
        provider("twin", accounts=("cloud",)),
        offer("cloud/small", context_tokens=10),
        route("keyed", "lab/m", "cloud/m"),
        route("twins", "cloud/m", "twin/m"),
        route("sizes", "cloud/small", "lab/m"),
        route("equals", "lab/m", "cloud/m", strategy=Strategy.LEAST_BUSY),
    )

    @pytest.fixture
    def health(self) -> Health:
        return Health(FakeClock())

    def asked(self, health: Health, name: str, *parts: Part, now_s: float = 0.0) -> Plan:
        return plan(chat(name, *parts), self.KEYED, health, now_s)

    def test_each_key_is_a_target_of_its_own(self, health: Health) -> None:
        planned = self.asked(health, "keyed")
        assert [(c.target.name, c.target.key, c.domain) for c in planned.candidates] == [
            ("lab/m", 0, "lab/m"),
            ("lab/m", 1, "lab#2/m"),
            ("cloud/m", 0, "cloud/m"),
        ]

    def test_the_least_busy_key_goes_first(self, health: Health) -> None:
        health.began(target("lab/m"))
        assert [t.key for t in self.asked(health, "lab/m").targets] == [1, 0]

    def test_a_refused_key_is_passed_over(self, health: Health) -> None:
        attempt(health, candidate("lab/m"), Code.UPSTREAM_AUTH)
        planned = self.asked(health, "lab/m")
        assert [t.key for t in planned.targets] == [1]
        assert reasons(planned) == {"lab/m": "its key was refused a short while ago"}

    def test_with_only_refused_keys_one_is_tried_all_the_same(self, health: Health) -> None:
        """It may have been the provider's mistake, and nobody would ever know."""
        attempt(health, candidate("cloud/m"), Code.UPSTREAM_AUTH)
        assert targets(self.asked(health, "cloud/m")) == ["cloud/m"]

    def test_who_wants_to_be_left_alone_is_remembered(self, health: Health) -> None:
        attempt(health, candidate("cloud/m"), Code.RATE_LIMITED, 0, retry_after_s=3)
        planned = self.asked(health, "keyed")
        assert targets(planned) == ["lab/m", "lab/m"]
        assert planned.cooling == planned.left_out
        assert reasons(planned) == {"cloud/m": "asked to be left alone for 3 s"}

    def test_one_account_has_one_window(self, health: Health) -> None:
        attempt(health, candidate("cloud/m"), Code.RATE_LIMITED, 0, retry_after_s=3)
        planned = self.asked(health, "twins")
        assert targets(planned) == ["cloud/m", "twin/m"], "nobody else is left: they are waited for"
        assert not planned.cooling

    def test_when_all_want_to_be_left_alone_whose_window_ends_first(self, health: Health) -> None:
        for asked, window_s in (("lab/m", 20), ("cloud/m", 2), ("home/m", 5)):
            attempt(health, candidate(asked), Code.RATE_LIMITED, 0, retry_after_s=window_s)
        stock = catalog(
            provider("lab"), provider("cloud"), provider("home"), route("r", "lab/m", "cloud/m", "home/m")
        )
        planned = plan(chat("r"), stock, health)
        assert [each.name for each in planned.targets] == ["cloud/m", "home/m", "lab/m"]

    def test_who_fails_comes_last(self, health: Health) -> None:
        for _ in range(IN_A_ROW):
            attempt(health, candidate("lab/m"), Code.UNAVAILABLE)
        planned = self.asked(health, "keyed")
        assert [(t.name, t.key) for t in planned.targets] == [("lab/m", 1), ("cloud/m", 0), ("lab/m", 0)]
        assert planned.candidates[-1].reason == "failed too often of late"

    def test_who_is_due_for_a_probe_has_its_old_place(self, health: Health) -> None:
        for _ in range(IN_A_ROW):
            attempt(health, candidate("lab/m"), Code.UNAVAILABLE)
        planned = self.asked(health, "keyed", now_s=FIRST_WAIT_S)
        assert (planned.targets[0].name, planned.targets[0].key) == ("lab/m", 0)

    def test_what_is_too_long_goes_where_it_fits(self, health: Health) -> None:
        planned = self.asked(health, "sizes", Text("x" * 50))
        assert targets(planned) == ["lab/m", "lab/m"]
        assert reasons(planned) == {"cloud/small": "takes 10 tokens, and the request has about 13"}
        assert targets(self.asked(health, "cloud/small", Text("x" * 50))) == ["cloud/small"]

    def test_a_conversation_stays_with_who_has_read_it(self, health: Health) -> None:
        long = Text("x" * 5000)
        planned = self.asked(health, "equals", long)
        assert planned.prefix is not None
        health.served(planned.prefix, target("cloud/m"))
        assert targets(self.asked(health, "equals", long))[0] == "cloud/m"
        assert targets(self.asked(health, "equals", Text("y" * 5000)))[0] == "lab/m"

    def test_where_nobody_is_as_good_nobody_looks_who_has(self, health: Health) -> None:
        assert self.asked(health, "cloud/m", Text("x" * 5000)).prefix is None

    def test_every_plan_has_targets_of_its_own(self, health: Health) -> None:
        """Attempts are told apart by them."""
        one, other = self.asked(health, "cloud/m"), self.asked(health, "cloud/m")
        assert one.targets == other.targets
        assert one.targets[0] is not other.targets[0]


class TestRules:
    STOCK = catalog(
        provider("lab", default_model="m", capabilities=CHAT_AND_EMBED, embedding_model="e"),
        route("planning", "lab/planner"),
        rules={
            "ergon/code": "lab/coder",
            "ergon/": "lab/worker",
            "/planning": "planning",
            "/": "lab/usual",
        },
    )

    @pytest.mark.parametrize(
        ("component", "task", "expected"),
        [
            ("ergon", "code", "lab/coder"),
            ("Ergon", "CODE", "lab/coder"),
            ("ergon", "planning", "lab/worker"),
            ("ergon", None, "lab/worker"),
            ("telos", "planning", "lab/planner"),
            (None, "planning", "lab/planner"),
            ("telos", "chat", "lab/usual"),
            (None, None, "lab/usual"),
        ],
    )
    @pytest.mark.parametrize("name", ["", "auto"])
    def test_who_names_nobody_goes_by_the_rules(
        self, name: str, component: str | None, task: str | None, expected: str
    ) -> None:
        request = chat(name)
        request.component, request.task = component, task
        assert targets(plan(request, self.STOCK)) == [expected]

    def test_who_names_somebody_does_not(self) -> None:
        request = chat("lab/m")
        request.component = "ergon"
        assert targets(plan(request, self.STOCK)) == ["lab/m"]

    def test_they_are_about_chats(self) -> None:
        assert targets(plan(embed(""), self.STOCK)) == ["lab/e"]


class TestStandins:
    STOCK = catalog(
        provider("lab", default_model="m"),
        provider("counts", capabilities=frozenset({Capability.CHAT, Capability.COUNT_TOKENS})),
        off("keyless"),
        provider("offline", capabilities=frozenset({Capability.COUNT_TOKENS})),
        route("mixed", "lab/m", "counts/m"),
        standins={Capability.COUNT_TOKENS: target("offline/estimate")},
    )

    def test_who_can_answers_itself(self) -> None:
        assert targets(plan(count("counts/m"), self.STOCK)) == ["counts/m"]
        assert targets(plan(count("mixed"), self.STOCK)) == ["counts/m"]

    def test_somebody_stands_in_for_who_cannot(self) -> None:
        planned = plan(count("lab/m"), self.STOCK)
        assert targets(planned) == ["offline/estimate"]
        assert planned.candidates[0].reason == "stands in: nobody asked for offers count-tokens"
        assert reasons(planned) == {"lab/m": "does not offer count-tokens"}

    def test_also_for_who_has_no_key(self) -> None:
        assert targets(plan(count("keyless/m"), self.STOCK)) == ["offline/estimate"]

    def test_nobody_stands_in_for_a_model_that_does_not_exist(self) -> None:
        with pytest.raises(BadRequest, match="unknown model"):
            plan(count("nobody"), self.STOCK)

    def test_nor_for_another_capability(self) -> None:
        with pytest.raises(BadRequest, match="does not offer embeddings"):
            plan(embed("lab/m"), self.STOCK)
