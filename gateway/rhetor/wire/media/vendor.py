"""What languages have in common that only providers speak: nobody calls us in them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from rhetor.core.capability import Capability
from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import Code, RhetorError, UpstreamError
from rhetor.core.request import Original
from rhetor.wire import refusals
from rhetor.wire.base import Door, ModelEntry, Outgoing, Quirks, Upstream


class VendorWire:
    """A language without doors: subclasses name it, say what it can, and where models are listed.

    What is refused is read as most vendors write it: JSON with a sentence in it, under the usual names.
    """

    name: str
    upstream: Mapping[Capability, Upstream]
    doors: Mapping[Capability, Door] = {}
    models_path: str | None = None
    codes: Mapping[str, Code] = {}
    """Words of the vendor's refusals, as codes or as statuses, where they say more than HTTP's do."""

    def read_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        fields = refusals.error_object(body)
        said = refusals.message_of(fields) if fields is not None else refusals.page_text(body)
        code = self._code_said(fields) or self.code_of(status, said or "")
        secretive = code is Code.UPSTREAM_AUTH
        message = refusals.credentials_refused(status) if secretive else refusals.refused(status, said)
        after_s = refusals.retry_after_s(headers)
        return UpstreamError(message, code, status=_status(status, code), retry_after_s=after_s)

    def code_of(self, status: int, said: str) -> Code:
        """What a refusal means; languages with codes of their own know better than the status."""
        return refusals.code_of_status(status)

    def render_error(self, error: RhetorError, request_id: str) -> bytes:
        raise NotImplementedError(f"nobody calls in the language {self.name}")

    def error_status(self, error: RhetorError) -> int:
        return error.status

    def read_models(self, body: bytes) -> Sequence[ModelEntry]:
        raise NotImplementedError(f"the language {self.name} has no list of models")

    def _code_said(self, fields: Json | None) -> Code | None:
        return next((code for word in _words(fields) if (code := self.codes.get(word)) is not None), None)


class VendorUpstream:
    """One capability of such a language: nothing of a caller's can be passed on as it is."""

    def retarget(self, original: Original, model: str, quirks: Quirks) -> Outgoing:
        raise NotImplementedError("nobody calls in this language")


def split_extra(extra: Json, known: Collection[str]) -> tuple[dict[str, JsonValue], list[str]]:
    """What a language has words for of what a caller said besides, and the names of the rest."""
    return (
        {name: value for name, value in extra.items() if name in known},
        sorted(name for name in extra if name not in known),
    )


CODE_FIELDS = ("code", "status", "type", "err_code", "category")
DEPTH = 3  # {"error": {"innerError": {"code": …}}}


def _words(value: JsonValue, depth: int = DEPTH) -> Iterator[str]:
    """What stands where vendors write the codes of their errors, the innermost first: it is more precise."""
    if not isinstance(value, Mapping):
        return
    if depth:
        for inner in value.values():
            yield from _words(inner, depth - 1)
    for name in CODE_FIELDS:
        if isinstance(word := value.get(name), str):
            yield word


def _status(status: int, code: Code) -> int | None:
    """The provider's own status where it is the caller's matter."""
    return status if code is Code.INVALID_REQUEST and 400 <= status < 500 else None
