"""Logs: one line an event, and no secret in it, wherever it hid."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.telemetry.logs import MIN_SECRET_LENGTH, REDACTED, JsonFormatter, Redactor, set_up

KNOWN = "correct horse battery staple"
"""A secret that looks like nothing in particular: only learning it helps."""

JWT = "eyJjYW5hcnki.eyJjYW5hcnki.c2ln"

SHAPED = (
    "sk-canary-3f9a1c7e5b",
    "sk-ant-api03-canary_0123",
    "gsk_canary0123456789",
    "xai-canary0123456789",
    "AIzaCanary0123456789-0123456789",
    "Bearer canary.0123",
    "bearer   canary0123",
    "Basic Y2FuYXJ5OmNhbmFyeQ==",
    JWT,
    "hf_canary0123456789",
)
"""Secrets that nobody told us of, in the shapes that vendors give them."""


@dataclass
class Odd:
    """Neither text nor number."""

    secret: str


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """`set_up` is for a whole process; put back what it changes."""
    root = logging.getLogger()
    kept = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = kept[0], kept[1]


def logged(form: Literal["json", "console"], message: str, *args: object, **options: Any) -> str:
    redactor = Redactor()
    redactor.learn([KNOWN])
    stream = io.StringIO()
    set_up("debug", form, redactor, stream)
    logging.getLogger("rhetor.test").warning(message, *args, **options)
    return stream.getvalue()


def as_json(message: str = "event", *args: object, **options: Any) -> dict[str, Any]:
    line: dict[str, Any] = json.loads(logged("json", message, *args, **options))
    return line


class TestRedaction:
    @pytest.mark.parametrize("form", ["json", "console"])
    @pytest.mark.parametrize("secret", [KNOWN, *SHAPED])
    @pytest.mark.parametrize(
        "place",
        [
            pytest.param(lambda s: (f"failed with {s}!", (), {}), id="message"),
            pytest.param(lambda s: ("failed with %s", (s,), {}), id="argument"),
            pytest.param(lambda s: ("failed with %r", (Odd(s),), {}), id="object in an argument"),
            pytest.param(lambda s: ("x", (), {"reason": f"said {s} and left"}), id="field"),
            pytest.param(lambda s: ("x", (), {"deep": {"a": [{"b": (f"{s}",)}]}}), id="nested"),
            pytest.param(lambda s: ("x", (), {"deep": {f"{s}": 1}}), id="name of a nested field"),
            pytest.param(lambda s: ("x", (), {"set": {s}}), id="set"),
            pytest.param(lambda s: ("x", (), {"object": Odd(s)}), id="object"),
            pytest.param(lambda s: ("x", (), {"raw": s.encode()}), id="bytes"),
            pytest.param(lambda s: ("x", (), {"error": ValueError(s)}), id="exception in a field"),
        ],
    )
    def test_a_secret_is_seen_nowhere(
        self, place: Any, secret: str, form: Literal["json", "console"]
    ) -> None:
        message, args, extra = place(secret)
        out = logged(form, message, *args, extra=extra)
        assert secret not in out
        assert "canary0" not in out.lower()
        assert REDACTED in out

    @pytest.mark.parametrize("form", ["json", "console"])
    @pytest.mark.parametrize("secret", [KNOWN, *SHAPED])
    def test_nor_in_tracebacks_and_what_caused_them(
        self, secret: str, form: Literal["json", "console"]
    ) -> None:
        try:
            try:
                raise KeyError(secret)
            except KeyError as error:
                raise RuntimeError(f"gave up on {secret}") from error
        except RuntimeError as error:
            out = logged(form, "failed", exc_info=error)
        assert secret not in out
        assert "RuntimeError: gave up on" in out
        assert "KeyError" in out

    @pytest.mark.parametrize(
        "name",
        ["authorization", "Authorization", "x-api-key", "api_key", "OPENAI_API_KEY", "token", "password",
         "client_secret", "cookie", "set-cookie", "x-goog-api-key"],
    )  # fmt: skip
    @pytest.mark.parametrize("value", ["hush", ["hush"], {"value": "hush"}, b"hush", ("a", {"b": "hush"})])
    def test_a_field_with_a_secrets_name_says_nothing(self, name: str, value: object) -> None:
        """Whatever its shape: an empty or short secret has none."""
        assert "hush" not in logged("json", "x", extra={"headers": {name: value}})

    @pytest.mark.parametrize("wrap", [lambda it: [it], lambda it: {"a": it}, lambda it: ({"b": [it]},)])
    def test_a_secrets_name_is_seen_at_any_depth(self, wrap: Any) -> None:
        assert "hush" not in logged("json", "x", extra={"request": wrap({"token": "hush"})})

    def test_numbers_that_only_sound_secret_stay(self) -> None:
        assert as_json(extra={"max_token": 5, "tokens_in": 7, "token": None})["max_token"] == 5

    @pytest.mark.parametrize(
        "harmless",
        ["task-manager is open", "skip this", "the bearer of news", "key-value", "eyJust.kidding.you",
         "a@b.example", "http://127.0.0.1:8003/v1", "claude-haiku-4-5", "risk-assessment-2026"],
    )  # fmt: skip
    def test_ordinary_words_stay(self, harmless: str) -> None:
        assert as_json(extra={"said": harmless})["said"] == harmless

    def test_a_password_in_an_address(self) -> None:
        assert (
            as_json(extra={"url": "http://me:hush@lab.example/v1"})["url"]
            == f"http://{REDACTED}@lab.example/v1"
        )

    @pytest.mark.parametrize("joint", ["-", ":", " ", "=", "é-"])
    def test_a_token_is_seen_behind_whatever_ends_a_word(self, joint: str) -> None:
        assert Redactor().text(f"session{joint}{JWT} begins") == f"session{joint}{REDACTED} begins"

    @pytest.mark.parametrize(
        "text",
        ["-eyJ", "eyJaaaaaaaa-", "-eyJaaaaaaaa.", "eyJaaaaaaaa.-eyJbbbbbbbb:", "Bearer ", "Bearer\t\t",
         "Basic=", "-sk-", "-AIza", "://", "://a:", "a://b@", "a@b-", "correct horse "],
    )  # fmt: skip
    def test_no_text_holds_everybody_up(self, text: str) -> None:
        """Each takes milliseconds; if the work grew with the square of the length it were minutes."""
        redactor = Redactor()
        redactor.learn([KNOWN])
        much = f"Bearer{' ' * (1 << 18)}://{text * ((1 << 18) // len(text))}"
        out = redactor.text(f"{much} {KNOWN}, {JWT}, http://me:hush@lab.example, Bearer canary.0123")
        assert [secret for secret in (KNOWN, JWT, "hush", "canary") if secret in out] == []
        assert redactor.cut(much) < len(much)

    def test_a_broken_log_call_shows_nothing_either(self, capsys: pytest.CaptureFixture[str]) -> None:
        """The standard library would print the arguments to stderr as they are."""
        out = logged("json", "%d of them", KNOWN)
        assert KNOWN not in out
        assert json.loads(out)["event"] == f"%d of them ('{REDACTED}',)"
        assert capsys.readouterr().err == ""

    def test_what_is_learned_later_counts_too(self) -> None:
        redactor = Redactor()
        redactor.learn(["first secret"])
        redactor.learn(["second secret"])
        assert redactor.text("first secret, second secret") == f"{REDACTED}, {REDACTED}"

    def test_a_secret_that_begins_with_another_is_removed_whole(self) -> None:
        redactor = Redactor()
        redactor.learn(["horse battery", "horse battery staple"])
        assert redactor.text("horse battery staple") == REDACTED

    def test_words_too_short_to_be_secrets_are_not_learned(self) -> None:
        redactor = Redactor()
        redactor.learn(["", "a", "x" * (MIN_SECRET_LENGTH - 1)])
        assert redactor.text("a banana") == "a banana"

    @given(
        secret=st.text(st.characters(min_codepoint=33, max_codepoint=1000), min_size=8, max_size=20),
        before=st.text(max_size=5),
        after=st.text(max_size=5),
    )
    def test_any_known_secret_is_removed_from_any_text(self, secret: str, before: str, after: str) -> None:
        redactor = Redactor()
        redactor.learn([secret])
        assert secret not in redactor.text(f"{before}{secret}{after}").replace(REDACTED, "")
        assert secret not in redactor.text(repr(KeyError(f"{before}{secret}{after}"))).replace(REDACTED, "")


class TestJson:
    def test_a_line(self) -> None:
        line = as_json("trip", extra={"trip": "gen_1", "ms": 12, "attempts": ["a:ok"], "known": True})
        at = datetime.fromisoformat(line.pop("at"))
        assert abs((datetime.now(UTC) - at).total_seconds()) < 60
        assert at.tzinfo is not None
        assert line == {
            "level": "warning",
            "room": "rhetor.test",
            "event": "trip",
            "trip": "gen_1",
            "ms": 12,
            "attempts": ["a:ok"],
            "known": True,
        }

    @pytest.mark.parametrize(
        "value",
        [
            "two\nlines",
            "\x1b[31mred",
            'quote " and \\',
            "日本語 🦀",
            "\udc80 half",
            "\x00",
            1 << 80,
            {1: {2: 3}},
            "http://lab.example",
            "user@lab.example",
        ],
        ids=ascii,
    )
    def test_one_event_is_one_line_of_json(self, value: object, capsys: pytest.CaptureFixture[str]) -> None:
        out = logged("json", "event", extra={"before": "http://x.example", "field": value, "after": "a@b"})
        assert out.count("\n") == 1
        said = json.loads(out)["field"]
        assert said == (value if isinstance(value, str | int) else {"1": {"2": 3}})
        assert capsys.readouterr().err == "", "logging complains about its own failures there"

    def test_a_traceback_is_a_field(self) -> None:
        try:
            raise ValueError("no")
        except ValueError as error:
            line = as_json("failed", exc_info=error)
        assert line["traceback"].endswith("ValueError: no")

    def test_nothing_of_logging_itself_is_shown(self) -> None:
        record = logging.makeLogRecord({"msg": "x", "name": "a", "levelname": "INFO", "taskName": "t"})
        assert set(json.loads(JsonFormatter(Redactor()).format(record))) == {"at", "level", "room", "event"}


class TestEach:
    """A crowd of events costs one log call, and is a line each all the same."""

    @pytest.mark.parametrize("form", ["console", "json"])
    def test_every_one_is_a_line(self, form: Literal["console", "json"]) -> None:
        lines = logged(form, "trip", extra={"each": [{"trip": "gen_1"}, {"trip": "gen_2"}]}).splitlines()
        assert ["gen_1" in lines[0], "gen_2" in lines[1], len(lines)] == [True, True, 2]
        assert all("trip" in line and "each" not in line for line in lines)

    @pytest.mark.parametrize("form", ["console", "json"])
    def test_secrets_are_removed_from_all(self, form: Literal["console", "json"]) -> None:
        out = logged(form, "trip", extra={"each": [{"model": "sk-0123456789abc"}, {"token": "plain"}]})
        assert "0123456789" not in out
        assert "plain" not in out


class TestConsole:
    def test_a_line(self) -> None:
        out = logged("console", "trip", extra={"trip": "gen_1", "ms": 12})
        clock, level, event, *fields = out.split()
        datetime.strptime(clock, "%H:%M:%S")
        assert (level, event, fields) == ("warning", "trip", ["trip=gen_1", "ms=12"])

    @pytest.mark.parametrize(
        "sent", ["x\n12:00:00 error   fire", "x\r12:00:00", "\x1b[2J", "\x9b31m", "a\u2028b"]
    )
    @pytest.mark.parametrize("place", ["field", "message"])
    def test_nobody_writes_lines_of_ours(self, sent: str, place: str) -> None:
        """Model and component names are the caller's words."""
        out = logged("console", sent) if place == "message" else logged("console", "x", extra={"model": sent})
        assert len(out.splitlines()) == 1
        assert out.removesuffix("\n").isprintable()

    def test_a_traceback_follows_its_line(self) -> None:
        try:
            raise ValueError("no")
        except ValueError as error:
            lines = logged("console", "failed", exc_info=error).splitlines()
        assert "failed" in lines[0]
        assert lines[1].startswith("Traceback")
        assert lines[-1] == "ValueError: no"


class TestSetUp:
    def test_it_may_be_done_again(self) -> None:
        """A reload must not write every line twice."""
        logged("json", "x")
        assert logged("console", "y").count("y") == 1
        assert len(logging.getLogger().handlers) == 1

    def test_what_is_below_the_level_is_not_written(self) -> None:
        stream = io.StringIO()
        set_up("warning", "json", Redactor(), stream)
        logging.getLogger("rhetor.test").info("quiet")
        logging.getLogger("aiohttp.access").info("quiet")
        assert stream.getvalue() == ""
