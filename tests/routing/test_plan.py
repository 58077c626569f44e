"""Plans: whom a request is sent to, in which order, and why not to the others."""

from __future__ import annotations

import pytest

from rhetor.core.capability import Capability, Feature
from rhetor.core.errors import BadRequest, Code, RhetorError, UpstreamError
from rhetor.core.request import Tool
from rhetor.routing.catalog import Catalog
from rhetor.routing.plan import Plan, plan
from tests.routing.stock import (
    CHAT_AND_EMBED,
    PNG,
    SEEING,
    catalog,
    chat,
    count,
    embed,
    off,
    offer,
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
