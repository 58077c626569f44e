"""What a component is told from outside."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tekton_llm_client.config import (
    ClientSettings,
    LLMSettings,
    SettingsError,
    get_default_settings,
    get_env,
    get_env_bool,
    get_env_dict,
    get_env_float,
    get_env_int,
    get_env_list,
    has_env,
    load_settings,
    save_settings,
    set_env,
)

SECRET = "s3cret-canary"


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `set_env` sets here is gone afterwards."""
    monkeypatch.setattr(os, "environ", dict(os.environ))


# The environment.


def test_a_variable_has_the_prefix_unless_it_has_it_already() -> None:
    set_env("MODEL", "m")
    assert os.environ["TEKTON_LLM_MODEL"] == "m"
    assert get_env("MODEL") == get_env("TEKTON_LLM_MODEL") == "m"
    assert get_env("MODEL", use_prefix=False) is None
    set_env("PLAIN", 1, use_prefix=False)
    assert (get_env("PLAIN", use_prefix=False), has_env("PLAIN"), has_env("PLAIN", use_prefix=False)) == (
        "1",
        False,
        True,
    )


def test_what_is_not_set_has_its_default_and_what_is_required_is_missed() -> None:
    assert get_env("NONE") is None
    assert get_env("NONE", "d") == "d"
    assert get_env_int("NONE", default=10) == 10
    os.environ["TEKTON_LLM_EMPTY"] = ""
    assert not has_env("EMPTY")
    assert get_env_list("EMPTY", ["a"]) == ["a"]
    with pytest.raises(ValueError, match="TEKTON_LLM_NONE is not set"):
        get_env("NONE", required=True)


@pytest.mark.parametrize("said", ["true", "TRUE", "1", "yes", "On"])
def test_words_for_yes(said: str) -> None:
    set_env("B", said)
    assert get_env_bool("B") is True


@pytest.mark.parametrize("said", ["false", "False", "0", "no", "OFF"])
def test_words_for_no(said: str) -> None:
    set_env("B", said)
    assert get_env_bool("B", default=True) is False


@given(
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.lists(st.text(), min_size=1),
    st.dictionaries(st.text(), st.integers(), min_size=1),
)
def test_what_was_set_is_read_back(
    flag: bool, number: int, measure: float, items: list[str], pairs: dict[str, int]
) -> None:
    for name, value in (("F", flag), ("N", number), ("M", measure), ("L", items), ("D", pairs)):
        set_env(name, value)
    assert get_env_bool("F") is flag
    assert get_env_int("N") == number
    assert get_env_float("M") == measure
    assert get_env_list("L") == items
    assert get_env_dict("D") == pairs


def test_lists_and_pairs_may_be_written_plainly() -> None:
    set_env("L", "a, b ,,c")
    assert get_env_list("L") == ["a", "b", "c"]
    set_env("L", "a:b")
    assert get_env_list("L", separator=":") == ["a", "b"]
    set_env("D", "a=1, b=x=y")
    assert get_env_dict("D") == {"a": "1", "b": "x=y"}


@pytest.mark.parametrize(
    ("read", "said"),
    [
        (get_env_bool, "perhaps"),
        (get_env_int, "3.5"),
        (get_env_float, "much"),
        (get_env_list, "[1"),
        (get_env_dict, "{"),
        (get_env_dict, "a"),
    ],
)
def test_a_wrong_value_is_never_quietly_the_default(read: object, said: str) -> None:
    set_env("X", said)
    with pytest.raises(ValueError, match="TEKTON_LLM_X: expected"):
        read("X", default=None)  # type: ignore[operator]


# Settings.


def test_settings_have_the_promised_defaults() -> None:
    settings = get_default_settings("comp")
    assert (settings.component_id, settings.context_id, settings.version) == ("comp", "comp", "0.1.0")
    assert settings.additional_options == {}
    llm = settings.llm
    assert (llm.provider, llm.model, llm.rhetor_url) == ("anthropic", None, "http://localhost:8003")
    assert (llm.timeout, llm.max_retries, llm.retry_delay, llm.use_fallback) == (120, 3, 1000, True)
    assert (llm.auth_token, llm.temperature, llm.max_tokens, llm.fallback_model) == (None, 0.7, None, None)


def test_settings_keep_what_else_they_are_told() -> None:
    settings = ClientSettings(component_id="c", base_url="http://x", provider_id="p", timeout=30)
    assert (settings.base_url, settings.provider_id, settings.timeout) == ("http://x", "p", 30)
    settings.provider_id = "q"
    assert settings.provider_id == "q"
    assert LLMSettings(max_output=5).max_output == 5


def test_what_was_said_can_be_told_from_defaults() -> None:
    """So that a default never overrules what the caller or the gateway would have chosen."""
    assert LLMSettings(temperature=0.7).model_fields_set == {"temperature"}
    settings = get_default_settings("comp")
    settings.llm.model = "m"
    assert settings.llm.model_fields_set == {"model"}
    assert "llm" in settings.model_fields_set


def test_file_and_environment_are_merged_in_this_order(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text(
        json.dumps(
            {"component_id": "other", "team": "blue", "llm": {"provider": "p", "model": "m", "timeout": 5}}
        )
    )
    set_env("PROVIDER", "env-provider")
    set_env("MAX_RETRIES", "7")
    set_env("USE_FALLBACK", "no")
    set_env("STOP_SEQUENCES", "a,b")

    settings = load_settings("comp", file_path=str(path))
    assert (settings.component_id, settings.context_id, settings.team) == ("comp", "comp", "blue")
    assert (settings.llm.provider, settings.llm.model, settings.llm.timeout) == ("env-provider", "m", 5)
    assert (settings.llm.max_retries, settings.llm.use_fallback) == (7, False)
    assert settings.llm.stop_sequences == ["a", "b"]
    assert load_settings("comp", path, load_from_env=False).llm.provider == "p"
    assert load_settings("comp", load_from_env=False) == get_default_settings("comp")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "No such file"),
        ("{", "not JSON"),
        ("[1]", "expected an object"),
        ('{"llm": 5}', "expected an object"),
        ('{"llm": {"timeout": "long"}}', "llm.timeout: "),
        ('{"context_id": 5}', "context_id: "),
        ("[" * 5000, "not JSON"),
    ],
)
def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, text: str | None, reason: str) -> None:
    path = tmp_path / "settings.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SettingsError, match=reason) as caught:
        load_settings("comp", path)
    assert str(path) in str(caught.value)


def test_a_wrong_variable_is_told_without_its_value() -> None:
    set_env("TIMEOUT", "long")
    with pytest.raises(SettingsError, match=r"the environment: llm\.timeout: ") as caught:
        load_settings("comp")
    assert "'long'" not in str(caught.value)


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    settings = get_default_settings("comp")
    settings.llm.model = "m"
    settings.additional_options["seed"] = 1
    settings.team = "blue"
    path = tmp_path / "new" / "settings.json"
    assert save_settings(settings, path) is True
    assert load_settings("comp", path, load_from_env=False) == settings
    assert json.loads(path.read_text())["llm"] == {"model": "m"}


def secretive() -> ClientSettings:
    llm = LLMSettings(auth_token=SECRET, max_tokens=5, api_key=SECRET)
    return ClientSettings(
        component_id="comp", llm=llm, auth_token=SECRET, additional_options={"x": [{"password": SECRET}]}
    )


def test_secrets_are_never_shown() -> None:
    settings = secretive()
    for shown in (repr(settings), str(settings), repr(settings.llm), str([settings.llm])):
        assert SECRET not in shown
        assert "***" in shown
    assert "max_tokens=5" in repr(settings)


def test_secrets_are_written_only_on_request_and_for_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text("before")
    path.chmod(0o644)
    save_settings(secretive(), path)
    assert SECRET not in path.read_text()
    assert load_settings("comp", path).llm.max_tokens == 5
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    save_settings(secretive(), path, include_secrets=True)
    assert load_settings("comp", path).llm.auth_token == SECRET
    assert [entry.name for entry in tmp_path.iterdir()] == ["settings.json"]


def test_what_cannot_be_written_is_told_and_leaves_nothing_behind(tmp_path: Path) -> None:
    occupied = tmp_path / "folder"
    occupied.mkdir()
    (occupied / "file").touch()
    with pytest.raises(SettingsError, match="folder"):
        save_settings(get_default_settings("comp"), occupied)
    with pytest.raises(SettingsError, match="file"):
        save_settings(get_default_settings("comp"), occupied / "file" / "settings.json")
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]
