"""What a provider's refusal means, as far as HTTP says it: shared by the wires, which add their own codes."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import orjson

from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import Code

MESSAGE_LIMIT = 500  # characters; an error page says nothing more after that

_CODE_OF_STATUS: Mapping[int, Code] = {
    401: Code.UPSTREAM_AUTH,
    402: Code.UPSTREAM_BILLING,
    403: Code.UPSTREAM_AUTH,
    404: Code.MODEL_NOT_FOUND,
    408: Code.UPSTREAM_ERROR,  # the provider's own clock; official SDKs repeat on 408 and 409
    409: Code.UPSTREAM_ERROR,
    413: Code.TOO_LARGE,
    429: Code.RATE_LIMITED,
    502: Code.UNAVAILABLE,
    503: Code.UNAVAILABLE,
    504: Code.UNAVAILABLE,
    529: Code.OVERLOADED,
    **dict.fromkeys(range(520, 527), Code.UNAVAILABLE),  # Cloudflare did not reach its origin
}


def code_of_status(status: int) -> Code:
    """What an HTTP status says when nothing more precise was said."""
    code = _CODE_OF_STATUS.get(status)
    if code is not None:
        return code
    if 400 <= status < 500:
        return Code.INVALID_REQUEST
    return Code.UPSTREAM_ERROR if status >= 500 else Code.PROTOCOL


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """How long the provider wants to be left alone, in seconds; `headers` have lower-case names.

    Milliseconds are looked for first, as the official SDKs do. A date is
    compared with the reply's own Date, so that no clock needs to be right.
    """
    for name in ("retry-after-ms", "x-ms-retry-after-ms"):
        if (ms := _number(headers.get(name))) is not None:
            return ms / 1000
    after = headers.get("retry-after")
    seconds = _number(after)
    return seconds if seconds is not None else _seconds_between(headers.get("date"), after)


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return max(number, 0.0) if math.isfinite(number) else None


def _seconds_between(earlier: str | None, later: str | None) -> float | None:
    if earlier is None or later is None:
        return None
    try:
        return max((parsedate_to_datetime(later) - parsedate_to_datetime(earlier)).total_seconds(), 0.0)
    except (TypeError, ValueError):  # no date, or only one of them names its zone
        return None


def error_object(body: bytes) -> Json | None:
    """The body as a JSON object; a list that wraps one (Gemini) is opened. None when it is neither."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if isinstance(value, list) and value:
        value = value[0]
    return value if isinstance(value, dict) else None


def message_of(fields: Json, depth: int = 3) -> str | None:
    """The sentence for people in an error object, under any of the names that servers give it."""
    for name in ("message", "error", "detail", "msg", "err_msg", "errors"):
        value = fields.get(name)
        if isinstance(value, str) and value:
            return shortened(value)
        if isinstance(value, Mapping) and depth and (inner := message_of(value, depth - 1)):
            return inner
        if isinstance(value, list) and value:
            return shortened("; ".join(map(_complaint, value)))
    return None


def _complaint(value: JsonValue) -> str:
    """One entry of a list of complaints: `{"loc": ["body", "model"], "msg": "Field required"}`."""
    if not isinstance(value, Mapping):
        return str(value)
    place, text = value.get("loc"), value.get("msg")
    where = ".".join(map(str, place)) + ": " if isinstance(place, list) else ""
    return where + (text if isinstance(text, str) else str(value))


def page_text(body: bytes) -> str:
    """What a reply that is not JSON says to people: the words of an error page, without its markup."""
    text = body.decode(errors="replace")
    if "<" in text:
        text = _TAGS.sub(" ", _INVISIBLE.sub(" ", text))
    return shortened(" ".join(text.split()))


_INVISIBLE = re.compile(r"<(script|style)\b.*?(</\1>|$)|<!--.*?(-->|$)", re.DOTALL | re.IGNORECASE)
_TAGS = re.compile(r"<[^>]*>")


def shortened(text: str) -> str:
    return text if len(text) <= MESSAGE_LIMIT else text[: MESSAGE_LIMIT - 1] + "…"


def refused(status: int, text: str | None) -> str:
    """The message of an error from a reply with this status."""
    return f"the provider answered {status}: {text}" if text else f"the provider answered {status}"


def credentials_refused(status: int) -> str:
    """For 401 and 403: what the provider says may repeat the key, so it is not quoted."""
    return f"the provider answered {status}: it does not accept the gateway's key, or not for this"
