"""What models do when a request ends in the beginning of their own answer.

upstream.always(takes_prefill("one two three"))      # after "one two" it goes on with " three"
upstream.always(refuses_prefill("one two three"))    # 400 for every such request
"""

from __future__ import annotations

from rhetor.core.content import Text
from rhetor.core.request import Chat, Role
from rhetor.core.usage import Usage
from rhetor.testing.script import Step
from rhetor.testing.seen import Seen
from rhetor.testing.steps import USAGE, fails, says
from rhetor.testing.upstream import Play

REFUSAL = (
    "This model does not support assistant message prefill. The conversation must end with a user message."
)


def takes_prefill(text: str, usage: Usage = USAGE) -> Play:
    """Says this text; where the request ends in a beginning of it, only the rest.

    A beginning that this model would not have said is answered with the whole text, as
    a model does that goes its own way. One that ends in a space is refused, as Anthropic does.
    """

    def play(seen: Seen) -> Step:
        said = prefilled(seen)
        if said != said.rstrip():
            return fails(400, "messages: final assistant content cannot end with trailing whitespace")
        return says(text.removeprefix(said), usage=usage)

    return play


def refuses_prefill(text: str, usage: Usage = USAGE) -> Play:
    """Says this text, and refuses every request that ends in an assistant's message."""
    return lambda seen: fails(400, REFUSAL) if prefilled(seen) else says(text, usage=usage)


def prefilled(seen: Seen) -> str:
    """The text of the assistant's message that a request ends in; empty when it ends otherwise."""
    asked = seen.heard.input if seen.heard is not None else None
    if not isinstance(asked, Chat) or asked.messages[-1].role is not Role.ASSISTANT:
        return ""
    return "".join(part.text for part in asked.messages[-1].parts if isinstance(part, Text))
