"""What models are said to be good at, told from their ids: data for callers who leave the choice to us."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict, field_validator

from rhetor.providers.spec import Source

NONE: frozenset[str] = frozenset()


class Family(BaseModel):
    """One table of `strengths.toml`; the file explains the fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ids: re.Pattern[str]
    strengths: frozenset[str]
    use_cases: frozenset[str] = frozenset()
    docs: Source

    @field_validator("strengths", "use_cases")
    @classmethod
    def _in_small_letters(cls, words: frozenset[str]) -> frozenset[str]:
        if any(word != word.lower() for word in words):
            raise ValueError("words are written in small letters")
        return words


@cache
def load_strengths() -> Mapping[str, Family]:
    """The families, in the order of the file, which is read once in the life of a process.

    Raises:
        pydantic.ValidationError: the file is wrong.
    """
    table = tomllib.loads(files(__package__).joinpath("strengths.toml").read_text("utf-8"))
    return MappingProxyType({name: Family.model_validate(family) for name, family in table.items()})


def strengths_of(model_id: str) -> frozenset[str]:
    """The strengths and use cases of a model, as words; none where nobody says."""
    for family in load_strengths().values():
        if family.ids.search(model_id):
            return family.strengths | family.use_cases
    return NONE
