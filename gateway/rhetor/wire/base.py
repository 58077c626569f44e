"""What a wire is: one language, seen from both ends.

A wire has two sides for each capability. The *upstream* side speaks to
providers: `build` a request, then `decoder` turns the reply's bytes into
events. The *door* side listens to callers: `parse` a request, then `renderer`
turns events into the reply's bytes. No side does I/O, and none knows a
provider or a door.

    caller bytes ─ door.parse ─> Request ─ upstream.build ─> Outgoing
    caller bytes <─ renderer.render ─ events <─ decoder.feed ─ provider bytes
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Protocol

from rhetor.core.capability import Capability
from rhetor.core.content import JsonValue
from rhetor.core.errors import Code, RhetorError, UpstreamError
from rhetor.core.events import Event, Failed, Finished, Folded, Folder, Started
from rhetor.core.request import Original, Request
from rhetor.core.value import value


@value(kw_only=True)
class Follow:
    """What has to be asked next, before a reply that is told in several goes on: how a prediction is doing,
    or what it has made.
    """

    url: str
    """A path below the provider's base URL, from its `/` on, or a whole address that the provider named."""
    method: str = "GET"
    body: bytes | None = None
    after_s: float = 0.0
    """How long to wait before it is asked."""
    keyed: bool = True
    """With the provider's key, which only its own hosts get; False for places that everybody may read."""
    steady: bool = False
    """It gives the same bytes however often it is asked: a result. Where it breaks off, it is asked again and
    read on from there."""


@dataclass(slots=True)
class Chunk:
    """What one read of the upstream became.

    `raw` holds whole frames only, and exactly those that `events` came from;
    it is empty when the events were made by the gateway and have no frame.
    """

    events: list[Event]
    raw: bytes = b""
    before: list[Event] | None = None
    """What the caller heard so far in the provider's own frames, from where on it has to be rendered."""
    follow: Follow | None = None
    """The reply goes on in the answer to this; only `close` may say so, and then it is no ending."""


class Decoder(Protocol):
    """A reply's bytes → events. Any split of the bytes gives the same events and the same raw bytes."""

    @property
    def in_step(self) -> bool:
        """Whether a renderer that was told these events stands where the frames do, and may write on."""

    @property
    def has_frames(self) -> bool:
        """Whether `raw` is all that callers of the same language need; without its type a medium is not."""

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """A response begins, the first one or one that was followed; `headers` have names in any case.

        What was heard of one before that did not come to its end is void: it is asked again.
        """

    def feed(self, data: bytes) -> Chunk:
        """Events of the frames completed by these bytes."""

    def close(self) -> Chunk:
        """The upstream ended: the rest, and `Failed(truncated)` when nothing else ended the reply.

        Or where the reply goes on.
        """

    def abandon(self) -> Follow | None:
        """What makes the provider stop, now that nobody waits for the reply; None: closing it is enough."""


class Renderer(Protocol):
    """Events → the reply's bytes. A renderer for a whole reply gives everything with the ending."""

    content_type: str

    def render(self, events: Iterable[Event]) -> bytes: ...


@value
class ReplyInfo:
    """What a renderer may say about the reply beyond its events."""

    id: str
    """The generation's id."""
    created_s: int
    """Unix time at which the trip began, in seconds."""
    model: str
    """The model as the caller wrote it."""
    provider: str = ""
    """Who answers; known before the first byte is rendered."""
    served_model: str = ""
    meta: Mapping[str, JsonValue] = field(default_factory=dict)
    """The trip's metadata; filled up to the moment it is read, so the ending says more than the start."""


@value
class Quirks:
    """Where a provider differs from the language it speaks. Rows set them, each with source and date."""

    max_tokens_field: str = "max_completion_tokens"
    """How an OpenAI speaker calls the output limit: `max_completion_tokens` or the older `max_tokens`."""
    usage_in_stream: bool = True
    """An OpenAI speaker that sends usage last when asked with `stream_options.include_usage`."""
    thinking_field: str = "reasoning_content"
    """Where an OpenAI speaker puts the model's thoughts: `reasoning_content` or `reasoning`."""
    thinking_returned: bool = False
    """Whether the provider wants earlier thoughts of the conversation sent back."""
    drop_fields: frozenset[str] = frozenset()
    """Body fields that the provider answers with an error; left out and named in `dropped`."""
    tool_choice_required: str = "required"
    """The word for "call some tool"; Mistral says `any`."""
    default_max_tokens: int = 4096
    """Sent where the language demands a limit (Anthropic) and the caller gave none."""
    max_temperature: float = 2.0
    """Higher temperatures are lowered to this, since the provider refuses them."""
    top_k: bool = False
    """An OpenAI speaker that takes `top_k`, which OpenAI itself answers with 400."""
    usage_estimated: bool = False
    """The provider's token counts are guesses; they are passed on as such."""
    prefill: str = ""
    """How the model is made to go on with an answer that has begun, the last message being the assistant's:
    empty where it cannot be; `plain` where such a message is enough; else the name of the flag that an
    OpenAI speaker wants set in that message, such as Mistral's `prefix`."""
    prefill_models: frozenset[str] = frozenset()
    """Parts of the names of the models that can be; empty: all of them."""
    cache_marks: bool = False
    """An OpenAI speaker that takes Anthropic's `cache_control` on parts; others answer 400 to it."""
    raw_predict: bool = False
    """An Anthropic speaker that is reached through `:rawPredict` of a prediction service."""


PLAIN = Quirks()


@value
class Outgoing:
    """A request in a provider's language."""

    path: str
    """Joined to the provider's base URL."""
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    """What the caller said and this language cannot."""
    withhold_usage: bool = False
    """The usage in the reply was asked for by us; a caller in the verbatim lane must not see it."""
    outlives: bool = False
    """What it begins goes on without its connection, and can be stopped by whoever knows the answer."""


class Upstream(Protocol):
    """One capability of a language, as spoken to providers."""

    def build(self, request: Request, model: str, quirks: Quirks) -> Outgoing:
        """The request in this language, from its canonical form.

        Raises:
            BadRequest: the content cannot be said in this language at all.
        """

    def retarget(self, original: Original, model: str, quirks: Quirks) -> Outgoing:
        """The caller's own body; only the model changes, and what a quirk demands: unknown fields survive."""

    def decoder(self, stream: bool, outgoing: Outgoing) -> Decoder: ...


class Door(Protocol):
    """One capability of a language, as heard from callers."""

    def parse(self, body: bytes, headers: Mapping[str, str]) -> Request:
        """The request, with its original kept. The headers are asked for by lower-case names.

        Raises:
            BadRequest: says which field is wrong and what was expected.
        """

    def renderer(self, request: Request, info: ReplyInfo) -> Renderer: ...

    @property
    def keepalive(self) -> bytes:
        """A frame without meaning, for streams in which nothing is said; empty where there are no streams."""


@value
class ModelEntry:
    """A model as a provider's own list tells it. None: the list does not say."""

    id: str
    name: str | None = None
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    features: frozenset[str] | None = None
    """All that it can do; None also where the list tells of some features only."""
    capabilities: frozenset[Capability] | None = None
    lacks: frozenset[str] = frozenset()
    """Features that the list denies."""
    created_s: int | None = None
    """Unix time at which the model appeared."""
    tags: frozenset[str] = frozenset()
    """What else the list tells apart, in lower case: `cloned`, `premade`, a language."""
    free: bool | None = None
    """Costs nothing, as the list says itself."""


class Wire(Protocol):
    """A language."""

    @property
    def name(self) -> str: ...

    @property
    def upstream(self) -> Mapping[Capability, Upstream]: ...

    @property
    def doors(self) -> Mapping[Capability, Door]: ...

    def read_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        """What a provider's refusal means; `headers` have lower-case names."""

    def render_error(self, error: RhetorError, request_id: str) -> bytes:
        """The body of an error reply."""

    def error_status(self, error: RhetorError) -> int:
        """The HTTP status of an error reply: the error's own, unless the language has another."""

    @property
    def models_path(self) -> str | None:
        """Where a provider lists its models; None when the language has no such list."""

    def read_models(self, body: bytes) -> Sequence[ModelEntry]:
        """The provider's list of models."""


WHOLE_LIMIT_BYTES = 64 << 20  # 2048 embeddings of 3072 numbers, as text, are some 60 MB
STREAM_TYPE = "text/event-stream"
JSON_TYPE = "application/json"
KEEPALIVE = b": keep-alive\n\n"
"""A comment; its blank line is for readers that split at blank lines before they look for comments."""


class Narrator:
    """Keeps a decoder inside the grammar: what every decoder has to remember, once.

    A decoder calls `start` whenever it sees who answers, `emit` for content and
    `end` at the ending; the narrator adds the `Started` that was missing, drops
    what comes after the ending, and turns a silent hang-up into `Failed`.
    """

    def __init__(self) -> None:
        self.started = False
        self.ended = False
        self._id = ""
        self._events: list[Event] = []

    def start(self, id: str, model: str) -> None:
        if not self.started:
            self.started = True
            self._id = id
            self._events.append(Started(id, model))

    def emit(self, event: Event) -> None:
        if self.ended:
            return
        if not self.started:
            self.start("", "")
        self._events.append(event)

    def end(self, event: Event) -> None:
        self.emit(event)
        self.ended = True

    def call_id(self, number: int) -> str:
        """The id of a tool call that came without one: unlike those of all other replies, and no longer than
        any provider takes (40 characters: https://github.com/agno-agi/agno/issues/5382, read 2026-11-21)."""
        return f"call_{self._id[-24:] or token_hex(8)}_{number}"

    def fail(self, message: str, code: Code) -> None:
        self.end(Failed(UpstreamError(message, code)))

    def hang_up(self) -> None:
        """The upstream closed the connection."""
        if not self.ended:
            self.fail("the provider ended its reply in the middle", Code.TRUNCATED)

    def take(self) -> list[Event]:
        events, self._events = self._events, []
        return events


class BodyDecoder:
    """A decoder of one body, which says all by itself: that it begins and that it is left means nothing."""

    has_frames = True

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        return None

    def abandon(self) -> Follow | None:
        return None


class WholeDecoder(BodyDecoder):
    """Decodes a reply that comes in one piece: a subclass says what the whole body means."""

    in_step = False

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> Chunk:
        """Collects.

        Raises:
            UpstreamError: protocol_error, the reply is larger than any real one.
        """
        self._size += len(data)
        if self._size > WHOLE_LIMIT_BYTES:
            raise UpstreamError(f"the reply is larger than {WHOLE_LIMIT_BYTES >> 20} MiB", Code.PROTOCOL)
        self._pieces.append(data)
        return Chunk([])

    def close(self) -> Chunk:
        raw = b"".join(self._pieces)
        return Chunk(self.read(raw), raw)

    def read(self, body: bytes) -> list[Event]:
        raise NotImplementedError


class WholeRenderer:
    """Renders a reply in one piece, with the ending.

    Raises:
        RhetorError: the reply failed; the door answers with `render_error`.
    """

    content_type = JSON_TYPE

    def __init__(self) -> None:
        self._folder = Folder()

    def render(self, events: Iterable[Event]) -> bytes:
        out = b""
        for event in events:
            self._folder.add(event)
            if isinstance(event, Failed):
                raise event.error
            if isinstance(event, Finished):
                out = self.write(self._folder.result())
        return out

    def write(self, folded: Folded) -> bytes:
        raise NotImplementedError
