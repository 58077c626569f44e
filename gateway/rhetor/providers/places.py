"""Where a customer's own part of a provider is: `{region}` and the like in addresses, filled in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from rhetor.providers.spec import ProviderRow

VALUE = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
"""A word that leads to no other host and no other path."""
_NAMED = re.compile(r"\{(\w+)\}")


def placed(row: ProviderRow, said: Mapping[str, str], environ: Mapping[str, str], moved: bool) -> ProviderRow:
    """The row with what is known of the place; what is not known keeps its braces.

    Args:
        said: by the configuration, before what the environment says.
        moved: the configuration has an address of its own.
    """
    if not row.place and row.signing is None:
        return row
    known = {name: value for name in row.place if (value := _value(row, name, said, environ)) is not None}
    base_url = row.base_url
    if not moved:
        base_url = next((row.elsewhere[it] for it in known.values() if it in row.elsewhere), base_url)
    changes: dict[str, object] = {"base_url": _filled(base_url, known)}
    if row.signing is not None:
        region = _filled(row.signing.region, known)
        changes["signing"] = row.signing.model_copy(update={"region": region})
    return row.model_copy(update=changes)


def unplaced(row: ProviderRow, environ: Mapping[str, str], signed: bool) -> str | None:
    """What is still to be known of the place, in words for people; None when all is.

    Args:
        signed: whether calls are signed, for which a region may be needed that the address does not name.
    """
    missing = dict.fromkeys(_NAMED.findall(row.base_url))
    if signed and row.signing is not None:
        missing |= dict.fromkeys(_NAMED.findall(row.signing.region))
    return "; ".join(_told(row, name, environ) for name in missing) or None


def _value(row: ProviderRow, name: str, said: Mapping[str, str], environ: Mapping[str, str]) -> str | None:
    if name in said:
        return said[name]
    return next((value for _, value in _from_environment(row, name, environ) if re.match(VALUE, value)), None)


def _from_environment(row: ProviderRow, name: str, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for variable in row.place.get(name, ()):
        if value := environ.get(variable, "").strip():
            yield variable, value


def _filled(text: str, known: Mapping[str, str]) -> str:
    return _NAMED.sub(lambda found: known.get(found[1], found[0]), text)


def _told(row: ProviderRow, name: str, environ: Mapping[str, str]) -> str:
    setting = f"providers.{row.id}.place.{name}"
    for variable, value in _from_environment(row, name, environ):
        return f"no {name} for {row.id!r}: {variable} says {value!r}, which cannot be one; set {setting}"
    variables = row.place.get(name, ())
    return f"no {name} for {row.id!r}: set {' or '.join((*variables[:2], setting))}"
