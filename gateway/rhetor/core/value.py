"""Values: small immutable objects that every request makes many of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, dataclass_transform, overload

Class = TypeVar("Class", bound=type)


@overload
def value(cls: Class, /) -> Class: ...
@overload
def value(*, kw_only: bool = False) -> Callable[[Class], Class]: ...
@dataclass_transform(frozen_default=True)
def value(cls: type | None = None, /, *, kw_only: bool = False) -> object:
    """A slotted dataclass that nobody may change, as the type checker sees to.

    `frozen=True` would see to it again at run time, and makes every object three times as dear.
    Equal values have equal hashes, so they serve as keys.
    """
    make = dataclass(slots=True, kw_only=kw_only, unsafe_hash=True)
    return make if cls is None else make(cls)
