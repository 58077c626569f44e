"""`rhetor check`: all that is wrong, at once, with the right exit code, asking nobody."""

from __future__ import annotations

from pathlib import Path

from rhetor.wire.languages import WIRES
from tests.cli.conftest import Rhetor

SECRET = "sk-canary-0123456789"
SPOKEN = ", ".join(sorted(name for name, wire in WIRES.items() if wire.upstream and name != "guest"))


async def test_no_file_is_fine(rhetor: Rhetor) -> None:
    finished = await rhetor("check")
    assert (finished.code, finished.out, finished.err) == (0, "✓ no file: the defaults\n", "")


async def test_a_good_file_is_named(rhetor: Rhetor, tmp_path: Path) -> None:
    (tmp_path / "rhetor.yaml").write_text("server: {port: 9000}")
    finished = await rhetor("check")
    assert (finished.code, finished.out, finished.err) == (0, f"✓ {tmp_path}/rhetor.yaml\n", "")


async def test_which_file_can_be_said_in_two_ways(rhetor: Rhetor, tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text("{}")
    (tmp_path / "rhetor.yaml").write_text("nonsense")
    assert (await rhetor("check", "--config", "good.yaml")).code == 0
    assert (await rhetor("check", environ={"RHETOR_CONFIG": "good.yaml"})).out == "✓ good.yaml\n"
    assert (await rhetor("check")).code == 1


async def test_every_problem_at_once_and_no_secret(rhetor: Rhetor, tmp_path: Path) -> None:
    (tmp_path / "rhetor.yaml").write_text(
        f"""
        server: {{port: eight, hosst: x}}
        providers:
          openai: {{key: {SECRET}}}
          lab: {{wire: klingon, base_url: "http://lab.test"}}
        routes:
          fast: {{targets: [nobody/x]}}
        """
    )
    finished = await rhetor("check", environ={"RHETOR_LOGS_LEVEL": "loud"})
    assert finished.code == 1
    assert finished.out == ""
    assert finished.err.splitlines() == [
        "✗ RHETOR_LOGS_LEVEL: must be 'debug', 'info', 'warning' or 'error' (is 'loud')",
        "✗ server.port: must be a whole number (is 'eight')",
        "✗ server.hosst: no such setting here; did you mean host?",
        "✗ providers.openai.key: secrets are references: write env:NAME or file:PATH",
        f"✗ providers.lab.wire: no such language; there are {SPOKEN} (is 'klingon')",
        "✗ routes.fast.targets[0]: no provider 'nobody'; add it to providers (is 'nobody/x')",
    ]


async def test_a_syntax_error_has_a_line(rhetor: Rhetor, tmp_path: Path) -> None:
    (tmp_path / "rhetor.yaml").write_text("server:\n  port: [1\n")
    finished = await rhetor("check")
    assert finished.code == 1
    assert finished.err.startswith(f"✗ {tmp_path}/rhetor.yaml:3:1: not valid YAML")


async def test_a_file_that_is_not_there_is_an_error(rhetor: Rhetor) -> None:
    finished = await rhetor("check", "--config", "nowhere.yaml")
    assert (finished.code, finished.err) == (1, "✗ nowhere.yaml: cannot be read: No such file or directory\n")


async def test_what_is_off_although_it_was_named_is_a_warning(rhetor: Rhetor, tmp_path: Path) -> None:
    """A missing key is no mistake of the file: it may be there where the gateway runs."""
    (tmp_path / "rhetor.yaml").write_text("providers: {groq: }")
    finished = await rhetor("check", environ={"RHETOR_LOG_LEVEL": "debug"})
    assert finished.code == 0
    assert finished.err.splitlines() == [
        "! providers.groq: off: no key for 'groq': set GROQ_API_KEY, or remove the provider",
        "! RHETOR_LOG_LEVEL: has no effect; did you mean RHETOR_LOGS_LEVEL?",
    ]


async def test_an_agent_that_could_leave_its_key_out_is_a_warning(rhetor: Rhetor, tmp_path: Path) -> None:
    file = tmp_path / "rhetor.yaml"
    for command in ("check", "doctor"):
        file.write_text("sessions: {opencode: {enabled: true}, codex: {enabled: true}}")
        finished = await rhetor(command)
        told = finished.err + finished.out
        assert finished.code == 0
        assert "sessions.opencode, sessions.codex: on, while nobody is asked for a token" in told
        file.write_text("sessions: {opencode: {enabled: true}}\nserver: {tokens: {app: 'env:APP'}}")
        finished = await rhetor(command, environ={"APP": "a-token-of-24-characters"})
        assert "while nobody is asked" not in finished.err + finished.out
