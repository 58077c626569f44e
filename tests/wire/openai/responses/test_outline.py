"""The response object, whatever the reply is."""

from __future__ import annotations

from typing import Any

import pytest

from rhetor.core.content import Text
from rhetor.core.errors import Code, UpstreamError
from rhetor.core.events import Folded
from rhetor.core.request import Original
from rhetor.wire.openai.responses.outline import Outline, complete_logprobs
from rhetor.wire.openai.responses.render import whole
from tests.wire.openai.responses.speech import INFO, parse


def outline(told: Any = None, **asked: Any) -> Outline:
    return Outline(parse(**asked), INFO, told or {})


def test_what_a_body_no_longer_tells_is_told() -> None:
    reply = outline({"created_at": 7, "previous_response_id": "resp_before"}).unfinished()
    assert (reply["created_at"], reply["previous_response_id"]) == (7, "resp_before")
    assert (reply["status"], reply["output"], reply["usage"]) == ("in_progress", [], None)


def test_a_request_of_another_language_repeats_nothing() -> None:
    request = parse(instructions="Be brief.")
    assert request.original is not None
    request.original = Original("openai", b"", request.original.fields)
    assert Outline(request, INFO, {}).unfinished()["instructions"] is None


def test_a_reply_that_failed_is_a_response_too() -> None:
    """It is not told whole, but kept."""
    folded = Folded("x", "m", [Text("so fa")], error=UpstreamError("broke", Code.TRUNCATED))
    reply: Any = whole(outline(), folded)
    assert (reply["status"], reply["error"]) == ("failed", {"code": "server_error", "message": "broke"})
    assert reply["output"][0]["status"] == "incomplete"
    assert reply["output"][0]["content"][0]["text"] == "so fa"


@pytest.mark.parametrize(
    ("given", "complete"),
    [
        (None, []),
        (["nonsense"], []),
        (
            [{"token": "é", "logprob": -1.0, "bytes": None}],
            [{"token": "é", "logprob": -1.0, "bytes": [195, 169], "top_logprobs": []}],
        ),
        (
            [
                {
                    "token": "a",
                    "logprob": -1.0,
                    "bytes": [97],
                    "top_logprobs": [{"token": "b", "logprob": -2.0}],
                }
            ],
            [
                {
                    "token": "a",
                    "logprob": -1.0,
                    "bytes": [97],
                    "top_logprobs": [{"token": "b", "logprob": -2.0, "bytes": [98]}],
                }
            ],
        ),
    ],
)
def test_probabilities_are_completed(given: Any, complete: Any) -> None:
    assert complete_logprobs(given) == complete
