"""What callers may have a provider fetch: whoever may stand in our networks only what lies outside of them.

A vendor in the cloud reaches what everybody reaches. A server or a program of our own also reaches our other
servers, and what clouds tell only their own machines: in its hands a caller's address would be a way in. What
a host says of itself counts; which address a name has that looks like everybody's is not looked up here.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from urllib.parse import urlsplit

from rhetor.core.addresses import is_inside
from rhetor.core.content import Audio, File, Image, Json, JsonValue, Opaque, Part, Text, ToolResult, Url
from rhetor.core.errors import BadRequest, Code
from rhetor.core.media import Draw, Make, Rank, Speak, Transcribe
from rhetor.core.request import Chat, Embed, Input
from rhetor.providers.spec import ProviderRow

ANYTHING = "*"
"""Among the allowed: what callers say is handed on, whatever it is."""
_DATA = re.compile(r"data:", re.IGNORECASE)
_PLAIN = re.compile(
    r"https?://([a-z0-9._~!$&'()*+,;=:%-]*@)?(?P<host>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{0,5})?"
    r"([/?#][^\x00-\x20\\]*)?",
    re.IGNORECASE,
)
"""What every reader of addresses takes for the same host: no escapes in it, and nothing that is left out."""
_ADDRESS = re.compile(r"[\x00-\x20]*([a-z][a-z0-9+.-]*:[/\\]|https?:|file:|[/\\]{2})", re.IGNORECASE)
"""How a text begins that somebody might fetch."""


def stands_inside(row: ProviderRow) -> bool:
    """Whether it may be in our networks: all but the vendors that we know, where they are at home."""
    host = urlsplit(row.base_url).hostname
    return row.status != "built-in" or (host is not None and is_inside(host))


def ensure_outside(asked: Input, provider: str, allowed: Collection[str]) -> None:
    """
    Args:
        provider: who would fetch it.
        allowed: hosts inside from which it may.

    Raises:
        BadRequest: unsupported, something of it lies inside, or it is not plain where.
    """
    if isinstance(asked, Chat) and _is_text(asked):
        return
    for address in _addresses(asked):
        if (against := _against(address, provider, allowed)) is not None:
            message = f"{provider} fetches nothing for callers but what everybody can reach: {against}"
            raise BadRequest(message, Code.UNSUPPORTED)


def _is_text(chat: Chat) -> bool:
    """As nearly always, and so it costs next to nothing."""
    for message in chat.messages:
        for part in message.parts:
            if type(part) is not Text:
                return False
    return True


def _against(address: str, provider: str, allowed: Collection[str]) -> str | None:
    """What is wrong with an address; None when it leads outside, or where it may."""
    plain = _PLAIN.fullmatch(address)
    if plain is None:
        return "https: and http: addresses of a plain host"
    host = plain["host"].lower().strip("[]").rstrip(".")
    if host in allowed or not is_inside(host):
        return None
    return f"not {host}, unless it is in providers.{provider}.allowed_hosts"


def _addresses(asked: Input) -> Iterator[str]:
    """All that may be fetched for a request."""
    match asked:
        case Chat(messages=messages):
            for message in messages:
                for part in message.parts:
                    yield from _in_part(part)
        case Draw(images=images, mask=mask, extra=extra):
            yield from _in_media((*images, mask))
            yield from _in_json(extra)
        case Transcribe(audio=audio, extra=extra):
            yield from _in_media((audio,))
            yield from _in_json(extra)
        case Make(sources=sources, extra=extra):
            yield from _in_media(sources)
            yield from _in_json(extra)
        case Speak(extra=extra) | Rank(extra=extra):
            yield from _in_json(extra)
        case Embed():
            pass


def _in_part(part: Part) -> Iterator[str]:
    match part:
        case Image(source=source) | Audio(source=source) | File(source=source):
            yield from _in_media((source,))
        case ToolResult(parts=parts):
            for each in parts:
                yield from _in_part(each)
        case Opaque(data=data):
            yield from _in_json(data)


def _in_media(media: Iterable[object]) -> Iterator[str]:
    return (medium.url for medium in media if isinstance(medium, Url) and not _DATA.match(medium.url))


def _in_json(said: JsonValue | Json) -> Iterator[str]:
    """Whatever looks like an address; a text that only names one somewhere is none."""
    left = [said]
    while left:
        match left.pop():
            case str(text):
                if _ADDRESS.match(text):
                    yield text
            case Mapping() as fields:
                left += fields.values()
            case list() as items:
                left += items
