"""JSON and moments as the tables hold them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import orjson

from rhetor.core.content import Json
from rhetor.core.errors import BadRequest, Code

LARGEST_BYTES = 4 << 20  # an event, or a document: more is no conversation, and every reader is sent it
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def written(said: Json, what: str, beside: str = "") -> str:
    """
    Args:
        what: how an error calls it.
        beside: what counts into its size as well.

    Raises:
        BadRequest: it is too large, or no JSON.
    """
    try:
        text = orjson.dumps(said)
        size_bytes = len(text) + len(beside.encode())
    except (TypeError, UnicodeEncodeError) as error:
        raise BadRequest(f"{what} cannot be stored: {error}") from error
    if size_bytes > LARGEST_BYTES:
        message = f"{what} has {size_bytes} bytes, and cannot be stored: at most {LARGEST_BYTES} fit"
        raise BadRequest(message, Code.TOO_LARGE)
    return text.decode()


def read(text: str) -> Json:
    said: Json = orjson.loads(text)
    return said


def micros(at: datetime) -> int:
    return (at - EPOCH) // MICROSECOND


def moment(micros: int) -> datetime:
    return EPOCH + micros * MICROSECOND
