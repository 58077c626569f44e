"""What is told one by one: models that make one thing at a time are asked as often as things are wanted."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

from rhetor.core.content import Json
from rhetor.core.errors import Code
from rhetor.core.events import Finished, FinishReason
from rhetor.wire.base import WHOLE_LIMIT_BYTES, Chunk, Follow, Narrator
from rhetor.wire.lenient import parse
from rhetor.wire.refusals import page_text


class RepeatedDecoder:
    """Decodes several replies in JSON as one: a subclass says what each of them means.

    Args:
        rest: the calls that are still to be made, once the first has been answered.
    """

    in_step = False
    has_frames = False

    def __init__(self, rest: Iterable[Follow] = ()) -> None:
        self.narrator = Narrator()
        self._rest = deque(rest)
        self._headers: Mapping[str, str] = {}
        self._pieces: list[bytes] = []
        self._size = 0

    def read(self, said: Json, headers: Mapping[str, str]) -> None:
        """What one reply means; whoever ends the narration here ends it for good."""
        raise NotImplementedError

    def finish(self) -> None:
        """All were read."""
        self.narrator.end(Finished(FinishReason.STOP))

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        self._headers = headers
        self._pieces = []

    def feed(self, data: bytes) -> Chunk:
        self._size += len(data)
        if self._size > WHOLE_LIMIT_BYTES:
            self.narrator.fail(f"the replies are larger than {WHOLE_LIMIT_BYTES >> 20} MiB", Code.PROTOCOL)
        elif not self.narrator.ended:
            self._pieces.append(data)
        return Chunk(self.narrator.take())

    def close(self) -> Chunk:
        body = b"".join(self._pieces)
        self._pieces = []
        said = parse(body)
        if said is None:
            self.narrator.fail(f"the provider's reply is not JSON: {page_text(body)}", Code.PROTOCOL)
        elif not self.narrator.ended:
            self.read(said, self._headers)
        if not self.narrator.ended and self._rest:
            return Chunk(self.narrator.take(), follow=self._rest.popleft())
        if not self.narrator.ended:
            self.finish()
        return Chunk(self.narrator.take())

    def abandon(self) -> Follow | None:
        return None
