"""What is told one by one is one reply."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from rhetor.core.content import Json
from rhetor.core.errors import Code
from rhetor.core.events import Failed, Finished, FinishReason, TextDelta
from rhetor.wire.base import Follow
from rhetor.wire.lenient import word
from rhetor.wire.media import repeated
from rhetor.wire.media.repeated import RepeatedDecoder

NEXT = Follow(url="/again", method="POST", body=b"{}")


class Words(RepeatedDecoder):
    def read(self, said: Json, headers: Mapping[str, str]) -> None:
        if word(said, "stop"):
            self.narrator.fail(word(said, "stop"), Code.UPSTREAM_ERROR)
        self.narrator.emit(TextDelta(word(said, "word") + headers.get("x-end", "")))


def test_every_reply_is_read_and_only_the_last_one_ends_it() -> None:
    decoder = Words([NEXT, NEXT])
    events = []
    for said, follow in ((b"a", NEXT), (b"b", NEXT), (b"c", None)):
        decoder.begin(200, {"x-end": "."})
        events += decoder.feed(b'{"word":"').events + decoder.feed(said + b'"}').events
        chunk = decoder.close()
        events += chunk.events
        assert chunk.follow == follow
    assert events[1:] == [TextDelta("a."), TextDelta("b."), TextDelta("c."), Finished(FinishReason.STOP)]
    assert decoder.abandon() is None


@pytest.mark.parametrize("body", [b'{"stop":"enough"}', b"<html>"])
def test_a_failure_ends_it_at_once(body: bytes) -> None:
    """Nobody is asked again."""
    decoder = Words([NEXT])
    decoder.begin(200, {})
    decoder.feed(body)
    chunk = decoder.close()
    assert chunk.follow is None
    assert isinstance(chunk.events[-1], Failed)


def test_all_together_they_may_not_be_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeated, "WHOLE_LIMIT_BYTES", 20)
    decoder = Words([NEXT, NEXT])
    decoder.feed(b'{"word":"a"}')
    decoder.close()
    [*_, last] = decoder.feed(b'{"word":"b"}').events
    assert isinstance(last, Failed)
    assert decoder.close().follow is None
