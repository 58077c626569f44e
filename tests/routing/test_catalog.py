"""Names: who stands behind each, and what is said when nobody does."""

from __future__ import annotations

import pytest

from rhetor.core.call import Deadlines
from rhetor.core.capability import Capability
from rhetor.core.errors import BadRequest, Code
from rhetor.core.usage import Price
from rhetor.routing.catalog import LONGEST_NAME, Catalog, build_catalog
from tests.routing.stock import CHAT_AND_EMBED, catalog, off, offer, provider, route

STOCK = catalog(
    provider("lab", default_model="small", embedding_model="vectors", capabilities=CHAT_AND_EMBED),
    provider("cloud", default_model="big"),
    provider("bare"),
    provider("shut", closed=True),
    off("keyless", default_model="dear"),
    off("locked", closed=True),
    provider("offline", default_model="echo", last_resort=True, capabilities=CHAT_AND_EMBED),
    offer("lab/small"),
    offer("lab/vectors"),
    offer("lab/org/model"),
    offer("cloud/big"),
    offer("cloud/shared"),
    offer("bare/shared"),
    offer("keyless/big"),
    offer("keyless/dear"),
    offer("shut/only"),
    offer("offline/echo"),
    route("fast", "lab/small", "cloud/big"),
    route("lab/special", "cloud/big"),
    aliases={
        "quick": "fast",
        "gpt": "cloud/big",
        "q": "quick",
        "this": "that",
        "that": "this",
        "cloud/retired": "cloud/big",
    },
)


def names(catalog: Catalog, name: str, capability: Capability = Capability.CHAT) -> list[str]:
    return [target.name for target in catalog.resolve(name, capability).targets]


@pytest.mark.parametrize(
    ("name", "targets"),
    [
        pytest.param("fast", ["lab/small", "cloud/big"], id="a route"),
        pytest.param("lab/special", ["cloud/big"], id="a route may look like a model"),
        pytest.param("quick", ["lab/small", "cloud/big"], id="an alias of a route"),
        pytest.param("gpt", ["cloud/big"], id="an alias of a model"),
        pytest.param("q", ["lab/small", "cloud/big"], id="an alias of an alias"),
        pytest.param("cloud/retired", ["cloud/big"], id="an alias for a model that is no more"),
        pytest.param("lab/small", ["lab/small"], id="provider and model"),
        pytest.param("lab/unlisted", ["lab/unlisted"], id="a model that nobody listed"),
        pytest.param("lab/org/model", ["lab/org/model"], id="a model with a slash"),
        pytest.param("org/model", ["lab/org/model"], id="a bare model id with a slash"),
        pytest.param("lab/", ["lab/small"], id="a provider's default"),
        pytest.param("small", ["lab/small"], id="a bare model id"),
        pytest.param("big", ["cloud/big"], id="a bare id that only one provider with a key offers"),
        pytest.param("dear", ["keyless/dear"], id="a bare id that only a provider without a key offers"),
        pytest.param("keyless/dear", ["keyless/dear"], id="a provider without a key: the plan says why"),
        pytest.param("locked/any", ["locked/any"], id="a closed provider without a key: likewise"),
        pytest.param("shut/only", ["shut/only"], id="a closed provider's listed model"),
        pytest.param("", ["lab/small"], id="nothing"),
        pytest.param("auto", ["lab/small"], id="auto"),
        pytest.param("default", ["lab/small"], id="default"),
    ],
)
def test_a_name(name: str, targets: list[str]) -> None:
    assert names(STOCK, name) == targets


@pytest.mark.parametrize(
    ("name", "targets"),
    [("lab/", ["lab/vectors"]), ("", ["lab/vectors"]), ("lab/small", ["lab/small"])],
)
def test_embeddings_have_a_default_of_their_own(name: str, targets: list[str]) -> None:
    assert names(STOCK, name, Capability.EMBEDDINGS) == targets


@pytest.mark.parametrize(
    ("name", "words"),
    [
        pytest.param("nonsense", "unknown model 'nonsense'; GET /v1/models lists them", id="like no other"),
        pytest.param("smal", "unknown model 'smal'; did you mean small?", id="a bare id misspelt"),
        pytest.param("lba/small", "did you mean lab/small", id="a provider misspelt"),
        pytest.param("fats", "did you mean fast", id="a route misspelt"),
        pytest.param("quik", "did you mean quick", id="an alias misspelt"),
        pytest.param("shut/onyl", "did you mean shut/only", id="a closed provider's model misspelt"),
        pytest.param("shut/small", "unknown model 'shut/small'", id="a closed provider does not have it"),
        pytest.param("/small", "unknown model '/small'", id="a provider left out"),
        pytest.param("shared", r"say which \(cloud/shared, bare/shared\)", id="offered by several"),
        pytest.param("bare/", "name one, bare/<model>", id="a provider without a default"),
        pytest.param("this", "unknown model 'that'|unknown model 'this'", id="aliases in a circle"),
    ],
)
def test_a_name_that_is_nobodys(name: str, words: str) -> None:
    with pytest.raises(BadRequest, match=words) as caught:
        STOCK.resolve(name, Capability.CHAT)
    assert caught.value.code is Code.MODEL_NOT_FOUND
    assert caught.value.param == "model"


def test_a_bare_id_that_several_offer_and_none_can_serve() -> None:
    """Which of them is meant has to be said anyway."""
    stock = catalog(off("a"), off("b"), offer("a/m"), offer("b/m"))
    with pytest.raises(BadRequest, match=r"say which \(a/m, b/m\)"):
        stock.resolve("m", Capability.CHAT)


def test_an_error_does_not_repeat_a_name_without_end() -> None:
    with pytest.raises(BadRequest) as caught:
        STOCK.resolve("x" * 1_000_000, Capability.CHAT)
    assert len(caught.value.message) < LONGEST_NAME + 100


def test_those_who_can_answer_come_first_behind_a_bare_id() -> None:
    stock = catalog(
        off("a"), provider("b"), off("c"), provider("d"), *map(offer, ("a/m", "b/m", "c/m", "d/m"))
    )
    assert stock.by_model["m"] == ("b", "d", "a", "c")


class TestDefaultTarget:
    def test_the_default_route_goes_before_it(self) -> None:
        stock = catalog(provider("lab", default_model="small"), route("default", "lab/large"))
        assert names(stock, "default") == ["lab/large"]

    def test_the_first_provider_that_can(self) -> None:
        stock = catalog(
            off("dear", default_model="m"),
            provider("deaf", default_model="m", capabilities=frozenset()),
            provider("vague"),
            provider("good", default_model="m"),
            provider("late", default_model="m"),
        )
        assert names(stock, "") == ["good/m"]

    def test_the_last_resort_only_when_nobody_else_can(self) -> None:
        last = provider("offline", default_model="echo", last_resort=True)
        assert names(catalog(last, provider("lab", default_model="m")), "") == ["lab/m"]
        assert names(catalog(last, off("lab", default_model="m")), "") == ["offline/echo"]

    def test_nobody(self) -> None:
        with pytest.raises(BadRequest, match="nobody here can; name a model") as caught:
            catalog(provider("lab", default_model="m")).resolve("", Capability.EMBEDDINGS)
        assert caught.value.code is Code.MODEL_NOT_FOUND

    def test_the_last_resort_is_no_stand_in(self) -> None:
        """Where somebody could answer if only a model were named, an echo would be a wrong answer."""
        last = provider("offline", default_model="echo", last_resort=True)
        with pytest.raises(BadRequest, match="'lab' has no default model; name a model"):
            catalog(last, provider("lab")).resolve("", Capability.CHAT)


def test_a_single_target_keeps_the_houses_deadlines() -> None:
    deadlines = Deadlines(total_s=7.0)
    stock = build_catalog([provider("lab", default_model="m")], [], deadlines=deadlines)
    assert [stock.resolve(name, Capability.CHAT).deadlines for name in ("", "lab/m", "lab/")] == [
        deadlines
    ] * 3


def test_a_route_keeps_its_own() -> None:
    own = Deadlines(total_s=3.0)
    stock = catalog(provider("lab"), route("slow", "lab/m", deadlines=own))
    assert stock.resolve("slow", Capability.CHAT).deadlines is own


def test_nobody_changes_a_catalog() -> None:
    """It is a snapshot: trips under way decide with the one they began with."""
    for mapping in (
        STOCK.providers,
        STOCK.offers,
        STOCK.routes,
        STOCK.aliases,
        STOCK.by_model,
        STOCK.standins,
    ):
        with pytest.raises(TypeError):
            mapping["new"] = None  # type: ignore[index]


def test_free_is_what_is_known_to_cost_nothing() -> None:
    assert offer("a/x").free is None
    assert offer("a/x", price=Price(0, 0)).free is True
    assert offer("a/x", price=Price(1, 0)).free is False
    assert offer("a/x", price=Price(0, 0, image_micros=20_000)).free is False
