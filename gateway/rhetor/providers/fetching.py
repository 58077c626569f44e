"""What callers may have a provider fetch: whoever may stand in our networks only what lies outside of them.

A vendor in the cloud reaches what everybody reaches. A server or a program of our own also reaches our other
servers, and what clouds tell only their own machines: in its hands a caller's address would be a way in. What
a host says of itself counts; which address a name has that looks like everybody's is not looked up here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from rhetor.core.addresses import is_inside
from rhetor.core.content import Audio, File, Image, Json, JsonValue, Opaque, Part, Text, ToolResult, Url
from rhetor.core.errors import BadRequest, Code
from rhetor.core.media import Draw, Make, Rank, Speak, Transcribe
from rhetor.core.request import Chat, Embed, Input, Original
from rhetor.providers.builtin import load_builtin
from rhetor.providers.spec import ProviderRow
from rhetor.wire import fields

ANYTHING = "*"
"""Among the allowed: what callers say is handed on, whatever it is."""
_DATA = re.compile(r"data:", re.IGNORECASE)
_PLAIN = re.compile(
    r"https?://([a-z0-9._~!$&'()*+,;=:%-]*@)?(?P<host>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{0,5})?"
    r"([/?#][^\x00-\x20\\]*)?",
    re.IGNORECASE,
)
"""What every reader of addresses takes for the same host: no escapes in it, and nothing that is left out."""
_ADDRESS = re.compile(
    r"[\x00-\x20\s\ufeff]*"
    r"([a-z][a-z0-9+.\t\r\n-]{1,40}:[\t\r\n]*[/\\]|(https?|file):(?=[^ ])"
    r"|[/\\]{2}(?=localhost\b|\[|[a-z0-9_-]+(\.[a-z0-9_-]+)+([:/?#\\]|$)))",
    re.IGNORECASE,
)
"""How a text begins that somebody might fetch. Browsers leave out blanks before it, and line breaks in it."""
_MAYBE = re.compile(rb":(?:/|\\[/\\u]|(?<=[psePSEntraAdD9]:)[^ ])")
_LIKELY = re.compile(rb":(?:/|\\[/\\u])")
_ESCAPED_COLON = b"\\u003"
"""What is in the bytes of JSON, or of a form, that has an address with a scheme: nobody fetches without.
`_LIKELY` leaves out those without a slash, which are addresses for browsers only."""
_SAID = frozenset(("content", "context", "input", "inputs", "instruction", "instructions", "suffix", "text"))
_SAID |= {"documents", "negative_prompt", "prompt", "queries", "query", "reasoning", "reasoning_content"}
_SAID |= {"refusal", "stop", "stop_sequences", "system", "template", "texts", "thinking", "title"}
_OF_TOOLS = frozenset(("code", "command", "commands", "diff", "error", "logs", "output", "stderr", "stdout"))
_OF_SCHEMAS = frozenset(("const", "default", "definition", "description", "enum", "example", "examples"))
_OF_SCHEMAS |= {"pattern", "$id", "$ref", "$schema"}
_TEXTS = _SAID | _OF_TOOLS | _OF_SCHEMAS
"""Fields in which a text is a text, whoever is asked; objects in them are looked through."""
_PROMPTS = frozenset(
    ("description", "instruction", "instructions", "negative_prompt", "prompt", "text", "title")
)
"""The same where media are made of media: an `input` may be one there."""
_UNREAD = frozenset(("annotations", "arguments", "citations", "env", "metadata", "safety_identifier", "user"))
"""Fields of what tools did, or shall do, and callers' own labels: nobody fetches for them."""
_UNREAD_OF: Mapping[str, str] = {
    "mcp_tool_use": "input",
    "search_result": "source",
    "server_tool_use": "input",
    "text": "data",
    "tool_use": "input",
}
"""The same of objects of a type."""


def stands_inside(row: ProviderRow) -> bool:
    """Whether it may be in our networks: all but the vendors that we know, where they are at home."""
    host = urlsplit(row.base_url).hostname
    if row.status != "built-in" or host is None:
        return row.status != "built-in"
    known = load_builtin().get(row.id)
    return is_inside(host) or (known is not None and not _is_home(host, known))


def _is_home(host: str, vendor: ProviderRow) -> bool:
    """Whether a host is the vendor's own; what stands in braces is the customer's part of its name."""
    homes = [urlsplit(url).hostname or "" for url in (vendor.base_url, *vendor.elsewhere.values())]
    homes += [f"*{name}" if name.startswith(".") else name for name in vendor.hosts]
    return any(fnmatchcase(host, re.sub(r"\{\w+\}", "*", home)) for home in homes)


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
    _refuse(_addresses(asked), provider, allowed)


def said_outside(original: Original, asked: Input, provider: str, allowed: Collection[str]) -> Original:
    """What is sent as the caller said it, when nothing of it lies inside, whichever field it is in.

    Where a field of it is there twice, one is left, so that all who read it find the one that was looked at.

    Raises:
        BadRequest: as above.
    """
    escaped = _ESCAPED_COLON in original.body
    if not escaped and _MAYBE.search(original.body) is None:
        return original
    ensure_outside(asked, provider, allowed)
    texts = _PROMPTS if isinstance(asked, Draw | Transcribe | Make) else _TEXTS
    _refuse(_in_json(original.fields, texts), provider, allowed)
    if type(original) is not Original:  # a form, of which all that is there twice was looked at
        return original
    if (escaped or _LIKELY.search(original.body) is not None) and _repeats(original.body):
        return replace(original, body=fields.dump(original.fields))
    return original


def _repeats(body: bytes) -> bool:
    """Whether an object may have two fields of one name; false is certain."""
    try:
        json.loads(body, object_pairs_hook=_ensure_once)
    except (ValueError, RecursionError):
        return True
    return False


def _ensure_once(pairs: list[tuple[str, object]]) -> None:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a field is there twice")


def _refuse(addresses: Iterable[str], provider: str, allowed: Collection[str]) -> None:
    for address in addresses:
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
            yield from _in_json(extra, _PROMPTS)
        case Transcribe(audio=audio, extra=extra):
            yield from _in_media((audio,))
            yield from _in_json(extra, _PROMPTS)
        case Make(sources=sources, extra=extra):
            yield from _in_media(sources)
            yield from _in_json(extra, _PROMPTS)
        case Speak(extra=extra) | Rank(extra=extra):
            yield from _in_json(extra, _PROMPTS)
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


def _in_json(said: JsonValue | Json, texts: frozenset[str] = _TEXTS) -> Iterator[str]:
    """Whatever looks like an address where no text is expected; a text that only names one is none."""
    left = [said]
    while left:
        match left.pop():
            case str(text):
                if (address := _address_in(text)) is not None:
                    yield address
            case list() as items:
                left += [each for each in items if type(each) not in _NEITHER]
            case Mapping() as given:
                left += _not_text(given, texts)


_NEITHER = frozenset((int, float, bool, type(None)))


def _not_text(given: Json, texts: frozenset[str]) -> list[JsonValue]:
    """The values of an object that are, or hold, more than words."""
    kind = given.get("type")
    unread = _UNREAD_OF.get(kind) if isinstance(kind, str) else None
    more: list[JsonValue] = []
    for name, value in given.items():
        if type(value) in _NEITHER or name in _UNREAD or name == unread:
            continue
        if name not in texts:
            more.append(value)
        elif isinstance(value, list):
            more += [each for each in value if not isinstance(each, str)]
        elif not isinstance(value, str):
            more.append(value)
    return more


def _address_in(text: str) -> str | None:
    """The address that a text is, or begins with.

    What comes after a blank is not part of the host for anybody, unless an `@` follows.
    """
    if (found := _ADDRESS.match(text)) is None:
        return None
    text = text[found.start(1) :].rstrip()
    first, _, rest = text.partition(" ")
    return text if "@" in rest else first
