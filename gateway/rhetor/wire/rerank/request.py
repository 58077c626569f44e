"""Requests for an order of documents, both directions."""

from __future__ import annotations

from rhetor.core.capability import Capability
from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import BadRequest, Code
from rhetor.core.media import Rank
from rhetor.core.request import Original, Request
from rhetor.wire import fields
from rhetor.wire.base import Outgoing, Quirks
from rhetor.wire.splice import with_model

NAME = "rerank"
PATH = "/rerank"
MOST, VOYAGES_MOST = "top_n", "top_k"
"""How many of the best are wanted."""
_SAID = frozenset({"model", "query", "documents", MOST, "return_documents", "fallbacks"})
_OURS = "fallbacks"


def parse(body: bytes) -> Request:
    """
    Raises:
        BadRequest: says which field is wrong and what was expected.
    """
    said = fields.parse_object(body)
    documents, bound = _documents(said)
    asked = Rank(
        query=fields.text(said, "query"),
        documents=documents,
        most=fields.optional_integer(said, MOST, least=1),
        extra={name: given for name, given in said.items() if name not in _SAID and given is not None},
    )
    return Request(
        id="",
        capability=Capability.RERANK,
        model=fields.optional_text(said, "model") or "",
        input=asked,
        original=Original(NAME, body, said),
        bound=bound,
        fallbacks=fields.texts(said, _OURS),
    )


def build(request: Request, model: str, quirks: Quirks, most: str) -> Outgoing:
    """The request in a provider's words.

    Args:
        most: how it says how many are wanted.
    """
    asked = request.input
    assert isinstance(asked, Rank)
    body: dict[str, JsonValue] = {"model": model, "query": asked.query, "documents": list(asked.documents)}
    if asked.most is not None:
        body[most] = asked.most
    body |= {name: given for name, given in asked.extra.items() if name not in _SAID}
    return _outgoing(body, quirks)


def retarget(original: Original, model: str, quirks: Quirks) -> Outgoing:
    """The caller's own body for another model."""
    said = original.fields
    if _OURS not in said and not quirks.drop_fields & said.keys():
        body = with_model(original, model)
        if body is not None:
            return Outgoing(PATH, body)
    return _outgoing(
        {**{name: given for name, given in said.items() if name != _OURS}, "model": model}, quirks
    )


def _outgoing(body: dict[str, JsonValue], quirks: Quirks) -> Outgoing:
    dropped = tuple(name for name in sorted(quirks.drop_fields) if body.pop(name, None) is not None)
    return Outgoing(PATH, fields.dump(body), dropped=dropped)


def _documents(said: Json) -> tuple[tuple[str, ...], BadRequest | None]:
    """The texts; and why only a speaker of this language can read them, where some are more than text."""
    texts: list[str] = []
    bound = None
    entries = fields.items(said, "documents")
    if not entries:
        raise BadRequest("documents: expected at least one document", param="documents")
    for number, entry in enumerate(entries):
        where = f"documents[{number}]"
        if isinstance(entry, str):
            texts.append(entry)
            continue
        text = fields.optional_text(fields.as_mapping(entry, where), "text", where)
        if text is None:
            message = f"{where}: a document without a text is understood by speakers of this language only"
            bound = BadRequest(message, Code.UNSUPPORTED, param=where)
        texts.append(text or "")
    return tuple(texts), bound
