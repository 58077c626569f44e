"""The chat platform's variables count where somebody says that they are meant for the gateway."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from rhetor.assembly import load
from rhetor.config import Config, ConfigError, earlier_names, without_effect
from tests.config.test_jelmore import setting, warnings

SECRET = "correct horse battery staple, at least 32 bytes"
CHAT = {"RHETOR_COMPAT": "chat"}


@pytest.mark.parametrize(
    ("variable", "value", "path", "meant"),
    [
        ("MAX_CONTEXT_TOKENS", "4000", "sessions.chat.context_tokens", 4000),
        ("SUMMARIZATION_THRESHOLD", "3000", "sessions.chat.summarize_tokens", 3000),
        ("SESSION_TTL_DAYS", "30", "sessions.expire_s", 30 * 86_400.0),
        ("SESSION_TTL_DAYS", "0.5", "sessions.expire_s", 43_200.0),
        ("LOG_LEVEL", "debug", "logs.level", "debug"),
        ("LOG_LEVEL", "WARN", "logs.level", "warning"),
        ("LOG_LEVEL", "silly", "logs.level", "debug"),
    ],
)
def test_a_variable_counts_where_it_is_meant_for_us(
    variable: str, value: str, path: str, meant: object
) -> None:
    environ = {variable: value}
    assert load(None, environ) == Config()
    assert earlier_names(None, environ) == []
    assert setting(load(None, CHAT | environ), path) == meant
    assert warnings(CHAT | environ)[variable].startswith(f"is called {path} now: ")
    assert without_effect(CHAT | environ) == []


def test_the_secret_is_referred_to_and_never_shown() -> None:
    environ = CHAT | {"JWT_SECRET": SECRET}
    assert load(None, {"JWT_SECRET": SECRET}).sessions.jwt_secret is None
    assert load(None, environ).sessions.jwt_secret == "env:JWT_SECRET"
    told = warnings(environ)["JWT_SECRET"]
    assert (
        told == "signs the platform's tokens; better say sessions.jwt_secret: env:JWT_SECRET in rhetor.yaml"
    )


def test_a_short_secret_is_refused_and_not_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        load(None, CHAT | {"JWT_SECRET": "hunter2"})
    assert "a secret of 7 bytes can be guessed" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_secret_in_clear_is_refused_and_not_shown(tmp_path: Path) -> None:
    ours = tmp_path / "rhetor.yaml"
    ours.write_text(f"sessions: {{jwt_secret: '{SECRET}'}}")
    for path, environ in ((ours, {}), (None, {"RHETOR_SESSIONS_JWT_SECRET": SECRET})):
        with pytest.raises(ConfigError) as caught:
            load(path, environ)
        assert "secrets are references" in str(caught.value)
        assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("compat", "taken", "told"),
    [
        ("chat", True, False),
        ("Chat,", True, False),
        ("chat jelmore", True, True),
        ("jelmore", False, True),
        ("", False, False),
        (" ", False, False),
    ],
)
def test_the_word_that_says_so(compat: str, taken: bool, told: bool) -> None:
    environ = {"RHETOR_COMPAT": compat, "MAX_CONTEXT_TOKENS": "4000"}
    assert (load(None, environ).sessions.chat.context_tokens == 4000) is taken
    said = warnings(environ)
    assert ("MAX_CONTEXT_TOKENS" in said) is taken
    assert (said.get("RHETOR_COMPAT") == "has no effect: it knows the word 'chat' only") is told


@pytest.mark.parametrize("variable", ["PORT", "CLIENT_URL", "MONGO_URI", "REDIS_URL", "ENABLE_METRICS"])
def test_what_is_no_setting_is_told_without_its_value(variable: str) -> None:
    environ = CHAT | {variable: f"mongodb://user:{SECRET}@host"}
    assert load(None, environ) == Config()
    assert warnings(environ)[variable].startswith("has no effect: ")
    assert SECRET not in str(earlier_names(None, environ))


def test_bad_values_are_problems_under_the_name_that_was_used() -> None:
    environ = {"MAX_CONTEXT_TOKENS": "400", "SESSION_TTL_DAYS": "soon", "LOG_LEVEL": "loud"}
    with pytest.raises(ConfigError) as caught:
        load(None, CHAT | environ)
    assert [str(problem) for problem in caught.value.problems] == [
        "MAX_CONTEXT_TOKENS: must be at least 500; it is now sessions.chat.context_tokens (is '400')",
        "SESSION_TTL_DAYS: must be a number; it is now sessions.expire_s (is 'soon')",
        "LOG_LEVEL: must be 'debug', 'info', 'warning' or 'error'; it is now logs.level (is 'loud')",
    ]


# Providers.

YOURS = {
    "YOUR_PROVIDER_API_KEY": SECRET,
    "YOUR_PROVIDER_MODEL": "default-model",
    "YOUR_PROVIDER_ENDPOINT": "https://api.yourprovider.com/v1",
}


@pytest.mark.promise("P09")
def test_three_variables_make_a_provider() -> None:
    config = load(None, CHAT | YOURS)
    provider = config.providers["your-provider"]
    assert (provider.wire, provider.base_url) == ("openai", "https://api.yourprovider.com/v1")
    assert provider.key == "env:YOUR_PROVIDER_API_KEY"
    assert config.sessions.chat.default_model == "your-provider/default-model"
    assert set(warnings(CHAT | YOURS)) == set(YOURS)
    assert SECRET not in str(earlier_names(None, CHAT | YOURS))
    assert load(None, YOURS) == Config()


def test_a_provider_that_we_know_moves_and_keeps_its_language() -> None:
    environ = {"OPENAI_API_KEY": SECRET, "OPENAI_ENDPOINT": "http://127.0.0.1:9/v1/chat/completions"}
    provider = load(None, CHAT | environ).providers["openai"]
    assert (provider.wire, provider.base_url) == (None, "http://127.0.0.1:9/v1")


def test_one_model_is_the_default() -> None:
    environ = YOURS | {"OPENAI_API_KEY": SECRET, "OPENAI_MODEL": "gpt-6"}
    assert load(None, CHAT | environ).sessions.chat.default_model == "openai/gpt-6"
    told = warnings(CHAT | environ)
    assert told["YOUR_PROVIDER_MODEL"] == "has no effect beside OPENAI_MODEL; remove it"


def test_a_model_of_nobody_is_told() -> None:
    environ = CHAT | {"YOUR_PROVIDER_API_KEY": SECRET, "YOUR_PROVIDER_MODEL": "m"}
    assert load(None, environ) == Config()
    assert "YOUR_PROVIDER_ENDPOINT" in warnings(environ)["YOUR_PROVIDER_MODEL"]


def test_our_file_knows_the_provider_better(tmp_path: Path) -> None:
    ours = tmp_path / "rhetor.yaml"
    ours.write_text(
        "providers: {your-provider: {wire: anthropic, base_url: 'http://127.0.0.1:9', key: 'env:OTHER'}}"
    )
    environ: Mapping[str, str] = CHAT | YOURS | {"OTHER": "x"}
    provider = load(ours, environ).providers["your-provider"]
    assert (provider.wire, provider.base_url, provider.key) == (
        "anthropic",
        "http://127.0.0.1:9",
        "env:OTHER",
    )
    assert warnings(environ, ours)["YOUR_PROVIDER_ENDPOINT"].startswith("has no effect beside providers.")


@pytest.mark.parametrize(
    "environ",
    [
        {"API_KEY": "x", "_API_KEY": "x", "_ENDPOINT": "y"},
        {"1_API_KEY": "x", "1_ENDPOINT": "y"},
        {"A.B_API_KEY": "x", "A.B_ENDPOINT": "y"},
        {"X_API_KEY": "", "X_ENDPOINT": "y"},
    ],
)
def test_what_is_no_name_makes_no_provider(environ: dict[str, str]) -> None:
    assert load(None, CHAT | environ) == Config()
