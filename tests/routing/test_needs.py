"""What a request needs of whoever takes it."""

from __future__ import annotations

from rhetor.core.capability import Feature
from rhetor.core.content import Text, Thinking, ToolResult, ToolUse
from rhetor.core.request import Chat, Embed, Original, Reasoning, Request, Tool, Wanted
from rhetor.core.usage import Price
from rhetor.routing.needs import USUAL_OUTPUT_TOKENS, Needs
from tests.routing.stock import PNG, chat, embed


def test_its_length_is_guessed_from_its_texts() -> None:
    parts = (
        Text("12345678"),
        PNG,
        Thinking("1234"),
        ToolUse("1", "f", "{}  "),
        ToolResult("1", (Text("1234"),)),
    )
    assert Needs(chat("m", *parts)).tokens == 5
    assert Needs(chat("m", Text("1234"), tools=(Tool("abcd", "1234"),))).tokens == 3


def test_texts_and_tokens_to_embed() -> None:
    request = embed("m")
    request.input = Embed(inputs=("12345678", (1, 2, 3)))
    assert Needs(request).tokens == 5
    assert Needs(request).output_tokens == 0


def test_a_short_body_need_not_be_measured() -> None:
    request = chat("m", Text("x" * 400))
    assert (Needs(request).fits(100), Needs(request).fits(99)) == (True, False)
    request.original = Original("openai", b"x" * 100, {})
    assert Needs(request).fits(25), "the whole body would fit"


def test_it_costs_what_goes_in_and_what_may_come_out() -> None:
    price = Price(1_000_000, 2_000_000)
    assert Needs(chat("m", Text("x" * 400), max_tokens=10)).cost_micros(price) == 120
    assert Needs(chat("m", Text("x" * 400))).cost_micros(price) == 100 + 2 * USUAL_OUTPUT_TOKENS


def test_demands_are_added_to_what_the_request_shows() -> None:
    request = chat("auto", PNG)
    request.wanted = Wanted(features=frozenset({Feature.TOOLS}), max_cost_micros=5, tags=frozenset({"eu"}))
    needs = Needs(request)
    assert needs.features == {Feature.IMAGES, Feature.TOOLS}
    assert (needs.tags, needs.most_micros) == (frozenset({"eu"}), 5)
    other = needs.of_size(7, 8)
    assert (other.tokens, other.output_tokens, other.tags) == (7, 8, needs.tags)


def test_thoughts_are_a_wish() -> None:
    def thinks(reasoning: Reasoning | None) -> bool:
        request: Request = chat("m")
        request.input = Chat(messages=(), reasoning=reasoning)
        return Needs(request).thinks

    assert thinks(Reasoning("low"))
    assert not thinks(Reasoning("none", enabled=False))
    assert not thinks(None)
