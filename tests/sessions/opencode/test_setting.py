"""OpenCode gets what it needs, and nothing else."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from rhetor.sessions.backend import Permissions
from rhetor.sessions.opencode.setting import Limits, agent, allowed, config, environment
from tests.sessions.conformance import make_setup

OURS = {
    "PATH": "/bin", "LANG": "C.UTF-8", "LC_ALL": "C", "TZ": "UTC", "HOME": "/root",
    "OPENAI_API_KEY": "sk-canary", "HTTPS_PROXY": "http://proxy", "LD_PRELOAD": "x.so",
    "OPENCODE_PERMISSION": '"allow"',
}  # fmt: skip


def test_of_our_environment_only_what_is_harmless(tmp_path: Path) -> None:
    setup = make_setup(
        tmp_path, "http://gateway", environment={"EDITOR": "ed", "https_proxy": "x", "PATH": "/my"}
    )
    env = environment(setup, Limits(), "pw", OURS)
    assert (env["PATH"], env["LANG"], env["LC_ALL"], env["TZ"], env["EDITOR"]) == (
        "/my", "C.UTF-8", "C", "UTC", "ed",
    )  # fmt: skip
    assert not env.keys() & {
        "OPENAI_API_KEY",
        "HTTPS_PROXY",
        "https_proxy",
        "LD_PRELOAD",
        "OPENCODE_PERMISSION",
    }
    assert env["HOME"] == str(setup.home)
    assert all(Path(env[name]).is_relative_to(setup.home) for name in env if name.startswith("XDG_"))
    assert env["OPENCODE_SERVER_PASSWORD"] == "pw"


def test_callers_cannot_change_what_is_ours(tmp_path: Path) -> None:
    wanted = {"HOME": "/root", "OPENCODE_CONFIG_CONTENT": "{}", "XDG_DATA_HOME": "/", "TMPDIR": "/tmp"}
    wanted["OPENCODE_PERMISSION"] = '"allow"'
    setup = make_setup(tmp_path, "http://gateway", environment=wanted)
    env = environment(setup, Limits(), "pw", OURS)
    assert not any(env.get(name) == text for name, text in wanted.items())


def test_the_gateway_is_its_only_provider(tmp_path: Path) -> None:
    setup = make_setup(
        tmp_path, "http://gateway", model="oai/small", temperature=0.5, max_turns=7, max_tokens=99
    )
    said = orjson.loads(environment(setup, Limits(5000, 1000), "pw", OURS)["OPENCODE_CONFIG_CONTENT"])
    assert said["model"] == said["small_model"] == "rhetor/oai/small"
    assert said["enabled_providers"] == list(said["provider"]) == ["rhetor"]
    assert said["provider"]["rhetor"]["options"] == {
        "baseURL": "http://gateway/v1", "apiKey": setup.access.token,
    }  # fmt: skip
    assert said["provider"]["rhetor"]["models"]["oai/small"]["limit"] == {"context": 5000, "output": 99}
    assert said["agent"] == {"build": {"temperature": 0.5, "steps": 7}}


def test_who_names_no_model_gets_whichever_answers(tmp_path: Path) -> None:
    assert config(make_setup(tmp_path, "http://gateway", model=""), Limits())["model"] == "rhetor/auto"


@pytest.mark.parametrize(
    ("permissions", "bash", "edit"),
    [
        (Permissions.ASK, "ask", "ask"),
        (Permissions.ACCEPT_EDITS, "ask", "allow"),
        (Permissions.PLAN, "deny", "deny"),
        (Permissions.DENY, "deny", "deny"),
    ],
)
def test_what_it_may(permissions: Permissions, bash: str, edit: str) -> None:
    rules = allowed(permissions)
    assert (rules["bash"], rules["edit"], rules["external_directory"]) == (bash, edit, bash)
    assert next(iter(rules)) == "*", "the last rule that matches counts"
    assert rules["*"] in ("ask", "deny"), "what nobody thought of is not allowed"
    assert rules["question"] == "deny"


def test_plans_are_made_by_the_agent_for_plans(tmp_path: Path) -> None:
    assert agent(make_setup(tmp_path, "http://x", permissions=Permissions.PLAN)) == "plan"
    assert agent(make_setup(tmp_path, "http://x")) == "build"
