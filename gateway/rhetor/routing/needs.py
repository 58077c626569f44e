"""What this very request needs of whoever takes it."""

from __future__ import annotations

from collections.abc import Iterable

from rhetor.core.capability import Feature
from rhetor.core.content import Part, Refusal, Text, Thinking, ToolResult, ToolUse
from rhetor.core.media import Draw, Make, Rank, Speak, Transcribe
from rhetor.core.request import Chat, Embed, Request, features_needed
from rhetor.core.usage import TOKENS_PER_PRICE, Price

CHARS_PER_TOKEN = 4
NONE: frozenset[str] = frozenset()
USUAL_OUTPUT_TOKENS = 500  # of an answer whose length nobody limits


class Needs:
    """A request, as its targets are measured by it. The costly questions are answered when they are asked."""

    __slots__ = (
        "_output_tokens",
        "_request",
        "_tokens",
        "features",
        "id",
        "most_micros",
        "price_class",
        "tags",
        "thinks",
    )

    def __init__(self, request: Request) -> None:
        self._request = request
        self._tokens: int | None = None
        self._output_tokens: int | None = None
        self.id = request.id
        self.features: frozenset[Feature] = features_needed(request)
        self.tags: frozenset[str] = NONE
        self.most_micros: int | None = None
        """What the request may cost."""
        self.price_class: str | None = None
        chat = request.input
        self.thinks = isinstance(chat, Chat) and chat.reasoning is not None and chat.reasoning.enabled
        """Asks for thoughts, which is a wish: who cannot think still has an answer."""
        if (wanted := request.wanted) is not None:
            self.features |= wanted.features
            self.tags = wanted.tags
            self.most_micros = wanted.max_cost_micros
            self.price_class = wanted.price_class

    def of_size(self, tokens: int, output_tokens: int) -> Needs:
        """The same of another length."""
        other = Needs(self._request)
        other._tokens, other._output_tokens = tokens, output_tokens
        return other

    @property
    def tokens(self) -> int:
        """About how long the request is."""
        if self._tokens is None:
            self._tokens = -(-_chars(self._request) // CHARS_PER_TOKEN)
        return self._tokens

    def fits(self, context_tokens: int) -> bool:
        """Whether the request is surely shorter; long ones are measured, the body of most says enough."""
        original = self._request.original
        if original is not None and len(original.body) <= context_tokens * CHARS_PER_TOKEN:
            return True
        return self.tokens <= context_tokens

    @property
    def output_tokens(self) -> int:
        """About how long the answer may become."""
        if self._output_tokens is None:
            chat = self._request.input
            self._output_tokens = chat.max_tokens or USUAL_OUTPUT_TOKENS if isinstance(chat, Chat) else 0
        return self._output_tokens

    def cost_micros(self, price: Price) -> float:
        """About what the request costs, in micro-dollars."""
        cost = self.tokens * price.input_micros + self.output_tokens * price.output_micros
        match self._request.input:
            case Draw(count=count):
                cost += count * price.image_micros * TOKENS_PER_PRICE
            case Speak(text=text):
                cost += len(text) * price.character_micros
        return cost / TOKENS_PER_PRICE


def _chars(request: Request) -> int:
    match request.input:
        case Chat(messages=messages, tools=tools):
            said = sum(_length(message.parts) for message in messages)
            return said + sum(len(tool.name) + len(tool.description or "") for tool in tools)
        case Embed(inputs=inputs):
            return sum(len(it) if isinstance(it, str) else len(it) * CHARS_PER_TOKEN for it in inputs)
        case Draw(prompt=text) | Make(prompt=text) | Speak(text=text):
            return len(text)
        case Rank(query=query, documents=documents):
            return len(query) + sum(map(len, documents))
        case Transcribe():
            return 0


def _length(parts: Iterable[Part]) -> int:
    chars = 0
    for part in parts:
        match part:
            case Text(text) | Thinking(text) | Refusal(text):
                chars += len(text)
            case ToolUse(arguments=arguments):
                chars += len(arguments)
            case ToolResult(parts=inner):
                chars += _length(inner)
    return chars
