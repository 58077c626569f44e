"""The three forms of a report: for a terminal, for programs, for a page."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

from rhetor.migrate.document import SCHEMA, document
from rhetor.migrate.finding import Change, Effort, Finding, Kind, Problem, Report
from rhetor.migrate.page import page
from rhetor.migrate.table import WIDTH, table

EVIL = "a<script>alert(1)</script>\x1b[31m\udcff&'\".py"


def report(*findings: Finding, problems: tuple[Problem, ...] = ()) -> Report:
    changes = {"a.py": (Change("c", "openai", "OpenAI reaches the gateway", ()),)} if findings else {}
    return Report("/somewhere/desk", findings, problems, changes, {}, 3, 0.5)


def finding(file: str = "a.py", effort: Effort = Effort.ASSISTED, what: str = "openai.OpenAI") -> Finding:
    return Finding(file, 12, Kind.CLIENT, what, "openai", "TektonLLMClient", effort, "a reason " * 20)


ALL = report(
    finding(what="x" * 300),
    finding(effort=Effort.MECHANICAL),
    finding(EVIL, Effort.BY_HAND, EVIL),
    problems=(Problem(EVIL, "it is no text"),),
)
NONE = report()


def test_a_table_fits_into_a_terminal_and_obeys_nobody() -> None:
    text = table(ALL)
    assert max(map(len, text.split("\n"))) <= WIDTH
    assert "\x1b" not in text
    assert re.search(r"→ +1 assisted", text)
    assert "it is no text" in text


def test_reasons_that_are_alike_are_said_once() -> None:
    text = table(report(finding(), finding("b.py")))
    assert text.count("[1]") == 3
    assert "[2]" not in text


def test_nothing_is_said_in_one_line() -> None:
    assert table(NONE) == "Nothing reaches a model past the gateway. 3 files were looked at.\n"


def test_json_has_a_version_and_every_field() -> None:
    said = json.loads(document(ALL))
    assert said["schema"] == SCHEMA == 1
    assert said["count"]["effort"] == {"mechanical": 1, "assisted": 1, "by-hand": 1}
    assert said["findings"][1] == {
        "file": "a.py", "line": 12, "kind": "client", "vendor": "openai", "what": "openai.OpenAI",
        "instead": "TektonLLMClient", "effort": "mechanical", "reason": "a reason " * 20,
    }  # fmt: skip
    assert said["changes"] == [{"file": "a.py", "what": "OpenAI reaches the gateway"}]
    assert said["problems"][0]["reason"] == "it is no text"
    assert json.loads(document(NONE))["findings"] == []


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_a_page_needs_nothing_else_and_runs_nothing() -> None:
    for each in (ALL, NONE):
        parser = _Tags()
        parser.feed(page(each))
        assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in parser.tags}
        assert not [attrs for _, attrs in parser.tags if "src" in attrs or "href" in attrs]
    assert "alert(1)" in page(ALL)
    assert "default-src 'none'" in page(ALL)
    page(ALL).encode()
