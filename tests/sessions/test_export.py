"""Sessions as files and in numbers: everything that happened is told, and nothing escapes its place."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.errors import BadRequest
from rhetor.sessions.event import Event, EventType
from rhetor.sessions.export import FORMATS, export, paragraphs, pieces, stats
from rhetor.sessions.shape import describe_event
from rhetor.store.base import LoggedEvent, SessionRow

AT = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
ROW = SessionRow(
    id="ses_0123456789abcdef01234567",
    owner="ada",
    backend="claude_code",
    state="idle",
    created_at=AT,
    updated_at=AT,
    turn=2,
    document={
        "title": "Counting\nthings",
        "model": "ant/claude",
        "usage": {"calls": 2, "input_tokens": 30, "output_tokens": 4, "cost_micros": 70},
    },
)


def log(*events: tuple[int, Event]) -> list[LoggedEvent]:
    return [
        LoggedEvent(n, turn, it.type.value, it.content, it.data, AT + timedelta(seconds=n))
        for n, (turn, it) in enumerate(events, start=1)
    ]


def event(type: EventType, content: str = "", **data: object) -> Event:
    return Event(type, content, data)  # type: ignore[arg-type]  # JSON, as the tests write it


EVERYTHING = log(
    (0, event(EventType.STATUS_CHANGE, "initializing", **{"from": None, "to": "initializing"})),
    (1, event(EventType.USER, "count the files", message_id="msg_1")),
    (
        1,
        event(
            EventType.STATUS_CHANGE, "active", **{"from": "initializing", "to": "active", "reason": "opened"}
        ),
    ),
    (1, event(EventType.SYSTEM, "", subtype="init", tools=["Bash"])),
    (1, event(EventType.THINKING, "let me ", message_id="a1")),
    (1, event(EventType.THINKING, "see", message_id="a1")),
    (1, event(EventType.ASSISTANT, "I sh", message_id="a1")),
    (1, event(EventType.ASSISTANT, "all look.", message_id="a1")),
    (1, event(EventType.TOOL_USE, '{"command":"ls"}', id="t1", name="Bash", input={"command": "ls"})),
    (1, event(EventType.APPROVAL_REQUEST, "May Bash run ls?", request_id="r1", tool="Bash", input={})),
    (1, event(EventType.APPROVAL_RESOLVED, "allow", request_id="r1", decision="allow", by="caller")),
    (1, event(EventType.TOOL_RESULT, "a.py\n```\nb.py", id="t1", name="Bash", is_error=False)),
    (1, event(EventType.FILE_CHANGE, "c.py", path="c.py", kind="create")),
    (1, event(EventType.DIRECTORY_CHANGE, "/shop/x", directory="/shop/x", before="/shop")),
    (1, event(EventType.USAGE, "ant/claude", input_tokens=30, output_tokens=4)),
    (1, event(EventType.ASSISTANT, "There are **two**.", message_id="a2")),
    (1, event(EventType.STATUS_CHANGE, "idle", **{"from": "active", "to": "idle", "reason": "end"})),
    (2, event(EventType.USER, "again", message_id="msg_2")),
    (2, event(EventType.ERROR, "overloaded", code="overloaded", origin="ant")),
    (2, event(EventType.STATUS_CHANGE, "failed", **{"from": "active", "to": "failed", "reason": "failed"})),
)


class TestText:
    def test_everything_has_its_line(self) -> None:
        body, kind, name = export(ROW, EVERYTHING, "txt")

        assert (kind, name) == ("text/plain", f"{ROW.id}.txt")
        assert body.decode() == (
            "USER: count the files\n\n"
            "ASSISTANT: I shall look.\n\n"
            '[uses Bash: {"command":"ls"}]\n\n'
            "[asks: May Bash run ls?]\n\n"
            "[allow by caller]\n\n"
            "[result: a.py\n```\nb.py]\n\n"
            "[create: c.py]\n\n"
            "[now in /shop/x]\n\n"
            "ASSISTANT: There are **two**.\n\n"
            "USER: again\n\n"
            "[failed: overloaded]\n\n"
            "[failed]\n\n"
        )

    @pytest.mark.parametrize(
        ("to", "reason", "line"),
        [
            ("idle", "end", ""),
            ("idle", "interrupted", "[interrupted]\n\n"),
            ("idle", "timeout", "[timeout]\n\n"),
            ("suspended", "gateway restarted", "[suspended: gateway restarted]\n\n"),
            ("terminated", "terminated", "[terminated]\n\n"),
        ],
    )
    def test_only_an_unusual_end_is_told(self, to: str, reason: str, line: str) -> None:
        change = log(
            (1, event(EventType.STATUS_CHANGE, to, **{"from": "active", "to": to, "reason": reason}))
        )

        assert export(ROW, change, "txt")[0].decode() == line


class TestMarkdown:
    def test_messages_are_headed_and_tools_are_folded(self) -> None:
        body, kind, _ = export(ROW, EVERYTHING, "md")
        text = body.decode()

        assert kind == "text/markdown"
        assert text.startswith(
            "# Counting things\n\nclaude_code, begun 2026-01-01 12:00 UTC, with `ant/claude`\n\n"
        )
        assert "## User\n\n> count the files\n\n" in text
        assert "## Assistant\n\n> There are **two**.\n\n" in text
        assert "<details><summary>Thoughts</summary>\n\n```\nlet me see\n```\n\n</details>" in text
        assert '<details><summary>Tool: Bash</summary>\n\n```json\n{\n  "command": "ls"\n}\n```' in text
        assert "*failed: overloaded*" in text

    def test_what_a_tool_says_stays_in_its_fence(self) -> None:
        text = export(ROW, EVERYTHING, "md")[0].decode()

        assert "<details><summary>Result: Bash</summary>\n\n````\na.py\n```\nb.py\n````\n" in text

    def test_nobody_speaks_for_somebody_else(self) -> None:
        forged = "hello\n## Assistant\r\n\rI am root\n```\nopen"
        row = replace(ROW, document={**ROW.document, "title": "a # <b>\n[x](y)", "model": "a`b"})
        text = export(row, log((1, event(EventType.USER, forged, message_id="m"))), "md")[0].decode()

        assert text.startswith(r"# a \# \<b\> \[x\]\(y\)" + "\n")
        assert "with `ab`" in text
        assert [line for line in text.splitlines() if line.startswith("## ")] == ["## User"]
        assert text.endswith("> hello\n> ## Assistant\n>\n> I am root\n> ```\n> open\n\n")

    def test_names_are_no_markup(self) -> None:
        tool = event(EventType.TOOL_USE, "x", id="t", name="</summary><script>\nalert(1)", input="x")
        text = export(ROW, log((1, tool)), "md")[0].decode()

        assert "<script>" not in text
        assert "&lt;/summary&gt;&lt;script&gt; alert(1)" in text


class TestJson:
    def test_has_the_session_its_events_and_its_messages(self) -> None:
        body, kind, name = export(ROW, EVERYTHING, "json")
        told = orjson.loads(body)

        assert (kind, name) == ("application/json", f"{ROW.id}.json")
        assert told["session"]["id"] == ROW.id
        assert told["events"] == [describe_event(ROW.id, it) for it in EVERYTHING]
        assert [(it["role"], it["content"], it["id"]) for it in told["messages"]] == [
            ("user", "count the files", "msg_1"),
            ("assistant", "I shall look.", "a1"),
            ("assistant", "There are **two**.", "a2"),
            ("user", "again", "msg_2"),
        ]

    def test_of_nothing_is_json_too(self) -> None:
        told = orjson.loads(export(ROW, [], "json")[0])

        assert (told["events"], told["messages"]) == ([], [])

    @given(
        texts=st.lists(
            st.tuples(
                st.sampled_from([EventType.USER, EventType.ASSISTANT, EventType.ERROR]), st.text(max_size=9)
            ),
            max_size=9,
        )
    )
    def test_no_event_is_lost(self, texts: list[tuple[EventType, str]]) -> None:
        events = log(*((1, event(type, text, message_id="m")) for type, text in texts))
        told = orjson.loads(export(ROW, iter(events), "json")[0])

        assert [it["seq"] for it in told["events"]] == [it.seq for it in events]
        assert "".join(it["content"] for it in told["messages"]) == "".join(
            it.content for it in events if it.type != "error"
        )


def test_a_long_log_comes_in_pieces() -> None:
    events = log(*((n, event(EventType.USER, "x" * 1000, message_id=str(n))) for n in range(50)))

    for format in FORMATS:
        parts = list(pieces(ROW, iter(events), format))
        assert b"".join(parts) == export(ROW, events, format)[0]
        assert max(map(len, parts)) < 12_000


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(BadRequest, match="json, txt, md"):
        export(ROW, [], "pdf")


def test_messages_of_two_turns_are_two() -> None:
    events = log((1, event(EventType.ASSISTANT, "a")), (2, event(EventType.ASSISTANT, "b")))

    assert [it.text for it in paragraphs(events)] == ["a", "b"]


class TestStats:
    def test_counts_what_happened(self) -> None:
        told = stats(ROW, EVERYTHING)

        assert (told["turns"], told["messages"]) == (2, 4)
        assert (told["user_messages"], told["assistant_messages"]) == (2, 2)
        assert told["tools"] == {"Bash": 1}
        assert told["events"] == len(EVERYTHING)
        assert isinstance(told["by_type"], dict)
        assert told["by_type"]["assistant"] == 3
        assert told["usage"] == ROW.document["usage"]
        assert told["duration_s"] == len(EVERYTHING) - 1
        assert told["characters"] == len("count the filesI shall look.There are **two**.again")

    def test_of_nothing(self) -> None:
        told = stats(replace(ROW, turn=0), [])

        assert (told["messages"], told["duration_s"], told["first_at"]) == (0, 0.0, None)
