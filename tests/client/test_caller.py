"""Who asks: arguments, settings, environment."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, SecretStr

from tekton_llm_client.caller import caller, options_of


class Flat(BaseModel):
    """As the components write their settings: any names, some defaults."""

    model_config = ConfigDict(extra="allow")

    provider: str = "anthropic"
    temperature: float = 0.7


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in {
        "RHETOR_URL": "http://env/prefix/",
        "RHETOR_DEFAULT_PROVIDER": "env-p",
        "RHETOR_DEFAULT_MODEL": "env-m",
        "RHETOR_AUTH_TOKEN": "env-t",
        "RHETOR_TIMEOUT": "7",
        "RHETOR_MAX_RETRIES": "1",
        "RHETOR_FALLBACK_PROVIDER": "env-fp",
        "RHETOR_FALLBACK_MODEL": "env-fm",
    }.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_without_anything_the_gateway_chooses() -> None:
    who = caller("comp")
    assert (who.rhetor_url, who.provider_id, who.model_id) == ("http://localhost:8003", None, None)
    assert (who.silence_s, who.retries, who.use_fallback, who.auth_token) == (120.0, 3, True, None)
    assert who.options == {}


@pytest.mark.usefixtures("env")
def test_the_environment_gives_the_defaults() -> None:
    who = caller("comp")
    assert (who.rhetor_url, who.provider_id, who.model_id) == ("http://env/prefix", "env-p", "env-m")
    assert (who.silence_s, who.retries, who.auth_token) == (7.0, 1, "env-t")
    assert who.options == {"fallback_provider": "env-fp", "fallback_model": "env-fm"}


@pytest.mark.usefixtures("env")
def test_settings_beat_the_environment_and_arguments_beat_settings() -> None:
    flat = Flat(component_id="comp", base_url="http://set", model_id="set-m", timeout=9, max_retries=0)
    who = caller(None, settings=flat)
    assert (who.component_id, who.rhetor_url, who.model_id) == ("comp", "http://set", "set-m")
    assert (who.silence_s, who.retries) == (9.0, 0)

    who = caller("mine", "http://arg", model_id="arg-m", timeout_s=1, max_retries=5, settings=flat)
    assert (who.component_id, who.rhetor_url, who.model_id) == ("mine", "http://arg", "arg-m")
    assert (who.silence_s, who.retries) == (1.0, 5)


def test_what_settings_only_default_to_is_no_wish() -> None:
    who = caller("comp", llm_settings=Flat(max_tokens=5))
    assert (who.provider_id, who.options) == (None, {"max_tokens": 5})


def test_settings_of_the_model_hold_for_every_call() -> None:
    nested: dict[str, Any] = {"llm": {"provider": "p", "stop_sequences": ["x"], "top_p": 0}}
    who = caller("comp", settings={"context_id": "c", **nested}, llm_settings={"temperature": 0.1})
    assert (who.provider_id, who.context_id) == ("p", "c")
    assert who.options == {"temperature": 0.1, "stop_sequences": ["x"], "top_p": 0}


def test_a_token_is_used_and_never_shown() -> None:
    who = caller("comp", settings={"auth_token": SecretStr("s3cret")})
    assert who.auth_token == "s3cret"
    assert "s3cret" not in repr(who)


def test_a_token_may_come_with_the_end_of_its_line() -> None:
    assert caller("comp", auth_token="s3cret\r\n").auth_token == "s3cret"


@pytest.mark.parametrize("token", ["s3cret\nx-evil: 1", "s3cret\0", "s3crét", "s3cret\x7f"])
def test_a_token_that_no_header_can_carry_is_an_error_that_does_not_repeat_it(token: str) -> None:
    with pytest.raises(ValueError, match="auth_token: expected printable ASCII") as error:
        caller("comp", auth_token=token)
    assert "s3cr" not in str(error.value)


def test_somebody_must_ask() -> None:
    with pytest.raises(TypeError, match="component_id is missing"):
        caller(None)


def test_a_variable_that_is_no_number_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RHETOR_TIMEOUT", "long")
    with pytest.raises(ValueError, match="RHETOR_TIMEOUT: expected a number, got 'long'"):
        caller("comp")


@pytest.mark.parametrize("number", ["abc", float("nan"), float("inf"), []])
def test_an_argument_that_is_no_number_is_named(number: Any) -> None:
    with pytest.raises(ValueError, match="timeout: expected a number, got"):
        caller("comp", timeout_s=number)
    with pytest.raises(ValueError, match="max_retries: expected a number, got"):
        caller("comp", settings={"max_retries": number})


@pytest.mark.parametrize(("said", "wanted"), [("false", False), ("0", False), ("yes", True), (None, True)])
def test_yes_and_no_may_be_said_as_text(said: str | None, wanted: bool) -> None:
    assert caller("comp", settings={"use_fallback": said}).use_fallback is wanted


def test_what_is_neither_yes_nor_no_is_named() -> None:
    with pytest.raises(ValueError, match="use_fallback: expected true or false, got 'perhaps'"):
        caller("comp", settings={"use_fallback": "perhaps"})


def test_settings_of_one_call_become_its_options() -> None:
    assert options_of(Flat(model="m", max_tokens=5, max_retries=0, use_fallback=False)) == {
        "model": "m",
        "max_tokens": 5,
        "retry_count": 0,
        "use_fallback": False,
    }
    assert options_of(None) == {}
