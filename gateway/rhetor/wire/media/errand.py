"""Work that is done elsewhere and takes its time: what the replies of all queues have in common.

    submit ─ how far? … how far? ─ fetch, one result after the other

Every response but those of results is told in words, JSON. A subclass of `ErrandDecoder` reads them and
says what is to be done: ask again, fetch what was made, or end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

from rhetor.core.capability import Capability
from rhetor.core.content import Json
from rhetor.core.errors import Code
from rhetor.core.events import (
    Event,
    Finished,
    FinishReason,
    MediumDelta,
    MediumStarted,
    Progress,
)
from rhetor.core.media import EXTENSIONS, inlined
from rhetor.core.value import value
from rhetor.wire.base import WHOLE_LIMIT_BYTES, Chunk, Follow, Narrator
from rhetor.wire.lenient import parse
from rhetor.wire.refusals import error_object, message_of, page_text, shortened

FIRST_PAUSE_S = 0.25  # quick models need a second or two, and whoever waits for one notices half of it
LONGEST_PAUSE_S = 2.0  # a film takes minutes; vendors ask for polls that are seconds apart
GROWTH = 1.3
MOST_RESULTS = 64  # no model makes more in one go; each costs a call
LARGEST_RESULTS = 4 << 30  # bytes of all together: some minutes of film in the highest quality there is
LONGEST_NOTE = 100  # characters of a status; vendors have words for them


@value(kw_only=True)
class Kind:
    """What a medium is that was asked for."""

    name: str
    begins: tuple[str, ...]
    """How its media types begin."""
    otherwise: str
    """Its type, where nobody says one."""


IMAGE = Kind(name="an image", begins=("image/",), otherwise="image/png")
AUDIO = Kind(name="audio", begins=("audio/",), otherwise="audio/mpeg")
VIDEO = Kind(name="a video", begins=("video/",), otherwise="video/mp4")
SHAPE = Kind(name="a 3D model", begins=("model/", "application/zip"), otherwise="model/gltf-binary")
TEXT = Kind(name="text", begins=("text/", "application/json"), otherwise="text/plain")

_KINDS: Mapping[str, Kind] = {"image": IMAGE, "audio": AUDIO, "video": VIDEO, "3d": SHAPE, "text": TEXT}


def kind_of(capability: Capability) -> Kind:
    """What comes out of this operation."""
    return _KINDS[capability.rpartition("-to-")[2]]


@value(kw_only=True)
class Result:
    """Where something lies that was made: at an address, or in a `data:` URL."""

    url: str
    media_type: str | None = None
    """As the provider says, or as the address ends."""
    prompt: str | None = None
    """What the provider made of the prompt."""
    keyed: bool = False
    """Only whoever has the key gets it."""


class ErrandDecoder:
    """Decodes a reply that is told in several goes.

    Args:
        kind: what has to come.
    """

    in_step = False
    has_frames = False

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.polls = 0
        """How often it was asked how far the work is."""
        self._narrator = Narrator()
        self._words: list[bytes] = []
        self._size = 0
        self._next: Follow | None = None
        self._farewell: Follow | None = None
        self._results: deque[Result] = deque()
        self._ending: list[Event] = []
        self._fetched: Result | None = None
        """What the present response gives; None: it is told in words."""
        self._media_type: str | None = None
        """Of what is fetched; None: it is not what has to come."""
        self._index = -1
        self._opened = False
        self._fetched_bytes = 0

    # What a subclass says.

    def read(self, said: Json) -> None:
        """What a response means that is told in words."""
        raise NotImplementedError

    def start(self, id: str, model: str) -> None:
        """Who works on it; the first time counts."""
        self._narrator.start(id, model)

    def wait(
        self,
        poll: str,
        note: str,
        fraction: float | None = None,
        cancel: Follow | None = None,
        *,
        pause_s: float = 0,
    ) -> None:
        """It is not done yet: ask there again, after a pause that grows.

        Args:
            cancel: how to stop it, should nobody wait for it any more.
            pause_s: at least so long.
        """
        self._narrator.emit(Progress(fraction, note[:LONGEST_NOTE]))
        after_s = max(min(FIRST_PAUSE_S * GROWTH**self.polls, LONGEST_PAUSE_S), pause_s)
        self.polls += 1
        self._farewell = cancel
        self._next = Follow(url=poll, after_s=after_s)

    def ask(self, where: str) -> None:
        """It is done, and told elsewhere."""
        self._farewell = None
        self._next = Follow(url=where)

    def fetch(self, results: Iterable[Result], ending: Iterable[Event] = ()) -> None:
        """It is done: get what was made, and end with these events."""
        self._farewell = None
        self._results.extend(results)
        self._ending.extend(ending)
        if not self._results:
            self.fail("the provider made nothing", Code.PROTOCOL)
        elif len(self._results) > MOST_RESULTS:
            self.fail(f"the provider made {len(self._results)} media; nobody wants so many", Code.PROTOCOL)
        else:
            self._advance()

    def say(self, event: Event) -> None:
        self._narrator.emit(event)

    def finish(self, *ending: Event) -> None:
        """Everything was said."""
        self._farewell = None
        for event in ending:
            self._narrator.emit(event)
        self._narrator.end(Finished(FinishReason.STOP))

    def fail(self, message: str, code: Code, *, ended: bool = True) -> None:
        """It came to nothing.

        Args:
            ended: the provider knows; else it may well work on, and is told to stop.
        """
        if ended:
            self._farewell = None
        self._next = None
        self._narrator.fail(shortened(message), code)

    # What every decoder does.

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        self._words.clear()
        self._size = 0
        if self._fetched is not None:
            self.open(headers.get("content-type", ""), self._fetched)

    def open(self, content_type: str, result: Result) -> None:
        """A response begins that is a medium."""
        self._opened = False
        self._media_type = media_type_of(content_type, self.kind, result)

    def feed(self, data: bytes) -> Chunk:
        if self._fetched is None or self._media_type is None:
            self._size += len(data)
            if self._size > WHOLE_LIMIT_BYTES:
                message = f"the reply is larger than {WHOLE_LIMIT_BYTES >> 20} MiB"
                self.fail(message, Code.PROTOCOL, ended=False)
            elif not self._narrator.ended:
                self._words.append(data)
            return Chunk(self._narrator.take())
        if not self._opened:
            self._opened = True
            self._index += 1
            self.say(MediumStarted(self._index, self._media_type, self._fetched.prompt))
        self.say(MediumDelta(self._index, data))
        self._fetched_bytes += len(data)
        if self._fetched_bytes > LARGEST_RESULTS:
            self.fail(f"what was made is larger than {LARGEST_RESULTS >> 30} GiB", Code.PROTOCOL)
        return Chunk(self._narrator.take())

    def close(self) -> Chunk:
        if not self._narrator.ended:
            self._close()
        follow, self._next = self._next, None
        if follow is None and not self._narrator.ended:
            self.fail("the provider does not say what becomes of the request", Code.PROTOCOL, ended=False)
        return Chunk(self._narrator.take(), follow=follow)

    def abandon(self) -> Follow | None:
        farewell, self._farewell = self._farewell, None
        return farewell

    def _close(self) -> None:
        words = b"".join(self._words)
        if self._fetched is None:
            said = parse(words)
            if said is None:
                message = f"the provider's reply is not JSON: {page_text(words)}"
                self.fail(message, Code.PROTOCOL, ended=False)
            else:
                self.read(said)
        elif self._media_type is None:
            fields = error_object(words)
            reason = (message_of(fields) if fields is not None else None) or page_text(words[:LONGEST_REASON])
            self.fail(f"the provider sent something else than {self.kind.name}: {reason}", Code.PROTOCOL)
        elif not self._opened:
            self.fail("what the provider made is empty", Code.PROTOCOL)
        else:
            self._advance()

    def _advance(self) -> None:
        """On to the next result, or to the end."""
        self._fetched = None
        while self._results:
            result = self._results.popleft()
            if not result.url.startswith("data:"):
                self._fetched = result
                self._next = Follow(url=result.url, keyed=result.keyed, steady=True)
                return
            if not self._unpack(result):
                return
        self.finish(*self._ending)

    def _unpack(self, result: Result) -> bool:
        """A result that came along in the words."""
        found = inlined(result.url)
        said, at = found or ("", 0)
        media_type = media_type_of(said, self.kind, result)
        if found is None or media_type is None:
            self.fail(f"the provider sent {said or 'something'} instead of {self.kind.name}", Code.PROTOCOL)
            return False
        self._index += 1
        self.say(MediumStarted(self._index, media_type, result.prompt))
        self.say(MediumDelta(self._index, result.url[at:].encode(), base64=True))
        return True


LONGEST_REASON = 4096  # bytes of something that is no medium; the rest may be one of another kind
VAGUE = frozenset({"", "application/octet-stream", "binary/octet-stream"})
"""What servers say of files that they do not know."""
_BY_EXTENSION: Mapping[str, str] = {
    **{extension: media_type for media_type, extension in reversed([*EXTENSIONS.items()])},
    "jpeg": "image/jpeg",
    "mov": "video/quicktime",
    "gltf": "model/gltf+json",
    "obj": "model/obj",
    "stl": "model/stl",
    "ply": "model/ply",
    "usdz": "model/vnd.usdz+zip",
    "zip": "application/zip",
}


def media_type_of(said: str, kind: Kind, result: Result) -> str | None:
    """Of what type a medium is; None: it is of another kind than has to come.

    Args:
        said: by who sends it.
    """
    bare = said.partition(";")[0].strip().lower()
    if bare not in VAGUE:
        return said.strip() if bare.startswith(kind.begins) else None
    known = result.media_type or type_by_name(result.url)
    return known if known is not None and known.startswith(kind.begins) else kind.otherwise


def type_by_name(url: str) -> str | None:
    """The media type of a file, told from how its address ends."""
    path = url.partition("?")[0].partition("#")[0]
    name, dot, extension = path.rpartition("/")[2].rpartition(".")
    return _BY_EXTENSION.get(extension.lower()) if name and dot else None
