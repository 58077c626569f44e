"""Who has read which conversation."""

from __future__ import annotations

from rhetor.core.content import Text
from rhetor.core.request import Chat, Message, Role
from rhetor.routing.affinity import KEPT_S, MOST, WORTH_CHARS, Affinity, prefix_of
from tests.routing.stock import chat, embed, target

LONG = "you are a careful reader. " * (WORTH_CHARS // 20)


def turns(*texts: str, system: str = LONG, model: str = "fast") -> int | None:
    """The prefix of a conversation in which user and assistant take turns."""
    request = chat(model)
    roles = (Role.USER, Role.ASSISTANT)
    said = [Message(roles[n % 2], (Text(text),)) for n, text in enumerate(texts)]
    request.input = Chat(messages=(Message(Role.SYSTEM, (Text(system),)), *said))
    return prefix_of(request)


def test_the_turns_of_a_conversation_have_it_in_common() -> None:
    assert turns("hi") == turns("hi", "hello", "how are you?") is not None


def test_conversations_differ() -> None:
    assert len({turns("hi"), turns("ho"), turns("hi", system=LONG + "!"), turns("hi", model="slow")}) == 4


def test_what_is_short_is_cached_by_nobody() -> None:
    assert turns("hi", system="be brief") is None
    assert prefix_of(embed("m")) is None


def test_the_latest_reader_counts_for_a_while() -> None:
    affinity = Affinity()
    affinity.served(1, target("lab/a"), 0)
    affinity.served(1, target("lab/b"), 10)
    assert affinity.reader_of(1, 10 + KEPT_S) == target("lab/b")
    assert affinity.reader_of(1, 11 + KEPT_S) is None
    assert affinity.reader_of(2, 0) is None


def test_the_oldest_are_forgotten_first() -> None:
    affinity = Affinity()
    for n in range(MOST):
        affinity.served(n, target("lab/a"), 0)
    affinity.served(0, target("lab/a"), 0)
    affinity.served(MOST, target("lab/a"), 0)
    assert affinity.reader_of(0, 0) is not None, "it was served again"
    assert affinity.reader_of(1, 0) is None
