"""How it is started: what it is told, and what is kept from whoever looks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rhetor.core.errors import Code, RhetorError
from rhetor.sessions.backend import Permissions, Setup
from rhetor.sessions.codex.command import KEY, beginning, environment, furnish, spec
from rhetor.sessions.program import Limits
from tests.sessions.conformance import make_setup

TOKEN = "sk-session-canary-7d41"
ID = "01a1ff35-89e4-7c92-9267-e656c09a930d"


@pytest.fixture
def setup(tmp_path: Path) -> Any:
    def make(**given: object) -> Setup:
        return make_setup(tmp_path, "http://127.0.0.1:8003", **given)

    return make


@pytest.mark.parametrize(
    ("permissions", "policy", "sandbox"),
    [
        (Permissions.ASK, "untrusted", "danger-full-access"),
        (Permissions.ACCEPT_EDITS, "untrusted", "danger-full-access"),
        (Permissions.PLAN, "never", "read-only"),
        (Permissions.DENY, "never", "read-only"),
    ],
)
def test_nobody_is_let_do_without_being_asked(
    setup: Any, permissions: Permissions, policy: str, sandbox: str
) -> None:
    _, params = beginning(setup(permissions=permissions), Limits())
    assert (params["approvalPolicy"], params["sandbox"]) == (policy, sandbox)


def test_a_thread_is_begun_or_gone_on_with(setup: Any) -> None:
    assert beginning(setup(), Limits())[0] == "thread/start"
    method, params = beginning(setup(native_id=ID, system="be brief"), Limits())
    assert (method, params["threadId"]) == ("thread/resume", ID)
    assert params["developerInstructions"] == "be brief"


@pytest.mark.parametrize("native_id", ["", "latest", f"{ID}\n"])
def test_what_is_no_id_is_not_found(setup: Any, native_id: str) -> None:
    with pytest.raises(RhetorError) as raised:
        beginning(setup(native_id=native_id), Limits())
    assert raised.value.code is Code.NOT_FOUND


def test_it_asks_this_gateway_with_the_session_s_key(setup: Any) -> None:
    _, params = beginning(setup(model=""), Limits())
    config: Any = params["config"]
    assert config["model_providers"]["rhetor"]["base_url"] == "http://127.0.0.1:8003/v1"
    assert config["model_providers"]["rhetor"]["env_key"] == KEY
    assert config["shell_environment_policy"]["exclude"] == [KEY]
    assert params["model"] == "auto"
    assert environment(setup(), {"PATH": "/bin"})[KEY] == TOKEN


def test_nothing_that_was_said_is_in_its_arguments(setup: Any) -> None:
    wanted = spec("codex", setup(system="SECRET-WORDS", environment={"A": "SECRET-WORDS"}), {})
    assert "SECRET" not in " ".join(wanted.argv)
    assert TOKEN not in " ".join(wanted.argv)


def test_what_the_caller_sets_does_not_undo_what_we_set(setup: Any) -> None:
    variables = environment(setup(environment={"MINE": "1", "CODEX_HOME": "/", KEY: "x"}), {})
    assert (variables["MINE"], variables[KEY]) == ("1", TOKEN)
    assert variables["CODEX_HOME"] == str(setup().home / ".codex")


def test_limits(setup: Any) -> None:
    config: Any = beginning(setup(), Limits(8192, 1024))[1]["config"]
    assert config["model_context_window"] == 8192


def test_its_home_is_its_own(setup: Any) -> None:
    furnish(setup())
    furnish(setup())
    assert all((setup().home / name).stat().st_mode & 0o077 == 0 for name in (".codex", "tmp"))
    assert (setup().home / ".codex" / "AGENTS.md").readlink() == setup().directory / "AGENTS.md"


def test_the_directory_is_not_trusted(setup: Any) -> None:
    """Nor is the program started there."""
    config: Any = beginning(setup(), Limits())[1]["config"]
    assert config["projects"] == {str(setup().directory): {"trust_level": "untrusted"}}
    assert spec("codex", setup(), {}).cwd == setup().home
