"""What the guide says of earlier names is what becomes of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from rhetor.config import chat_platform, jelmore
from rhetor.config.sections import SECTIONS, Section

PAGE = Path(__file__).parents[2] / "docs" / "migrating-sessions.md"
ROW = re.compile(r"^\| `([\w.]+)` \| (?:`([\w.]+)`)? ?\|", re.MULTILINE)

Table = Mapping[str, str | None]


def table(title: str) -> Table:
    """What a section of the guide says: old names, and what they are now."""
    (section,) = re.findall(
        rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    return {old: new or None for old, new in ROW.findall(section)}


JELMORE = (jelmore.DEFAULT, *jelmore.ROWS)


@pytest.mark.parametrize(
    ("title", "meant"),
    [
        (
            "Jelmore's variables",
            {"JELMORE_CONFIG_FILE": None} | {row.variable: row.setting for row in JELMORE if row.variable},
        ),
        ("Jelmore's file", {row.key: row.setting for row in JELMORE}),
        ("The chat platform's variables", {row.variable: row.setting for row in chat_platform.ROWS}),
    ],
)
def test_the_guide_has_every_name_and_its_meaning(title: str, meant: Table) -> None:
    assert table(title) == meant


@pytest.mark.parametrize("row", [*JELMORE, *chat_platform.ROWS], ids=lambda row: row.variable or row.key)
def test_what_a_name_means_is_a_setting(row: jelmore.Row | chat_platform.Row) -> None:
    if row.setting is None:
        assert row.remark, "say what to do instead"
        return
    section, *way = row.setting.split(".")
    model: object = SECTIONS[section]
    for name in way:
        assert isinstance(model, type)
        assert issubclass(model, Section)
        assert name in model.model_fields, f"there is no {row.setting}"
        model = type(model.model_fields[name].default)
