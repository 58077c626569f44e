"""What gives a vendor away, and what does not."""

from __future__ import annotations

import re

import pytest

from rhetor.http.server import table
from rhetor.migrate import packages
from rhetor.migrate.vendors import (
    has_secret,
    is_model,
    may_matter,
    vendor_of_address,
    vendor_of_variable,
    without_secrets,
)
from rhetor.providers.builtin import load_builtin


@pytest.mark.parametrize(
    "name",
    [
        "gpt-4o",
        "claude-3-5-sonnet-20241022",
        "o1",
        "o3-mini",
        "gemini-1.5-pro",
        "llama3.1:8b",
        "openai/gpt-4o",
        "mistral-large-latest",
        "text-embedding-3-small",
        "command-r-plus",
        "anthropic/claude-3-opus-20240229",
    ],
)
def test_models(name: str) -> None:
    assert is_model(name)
    assert may_matter(f"m = '{name}'")


@pytest.mark.parametrize(
    "text",
    ["gpt-4o is a model", "o", "claude", "openai", "llama farm", "gpt", "o11y", "command-run", "x" * 500],
)
def test_what_is_no_model(text: str) -> None:
    assert not is_model(text)


def test_every_provider_with_a_host_of_its_own_is_known() -> None:
    for id, row in load_builtin().items():
        if "127.0.0.1" not in row.base_url:
            assert vendor_of_address(re.sub(r"{\w+}", "some-where1", row.base_url)), id


@pytest.mark.parametrize(
    "url", ["https://api.openai.com.evil.example/v1", "https://example.com/api.openai.com", "api.openai.com"]
)
def test_other_hosts_are_other_hosts(url: str) -> None:
    assert vendor_of_address(url) is None


def test_variables() -> None:
    assert (
        vendor_of_variable("ANTHROPIC_API_KEY") == vendor_of_variable("VITE_ANTHROPIC_API_KEY") == "anthropic"
    )
    assert vendor_of_variable("DATABASE_URL") is None


@pytest.mark.parametrize(
    "secret", ["sk-ant-api03-" + "a" * 20, "sk-" + "A1" * 15, "AIza" + "b" * 35, "gsk_" + "c" * 30]
)
def test_secrets_are_hidden(secret: str) -> None:
    assert has_secret(f"Bearer {secret}")
    assert secret not in without_secrets(f"key = '{secret}'")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('f(api_key="hunter2", timeout="3")', 'f(api_key=•••, timeout="3")'),
        ("apiKey: `hunter2`,", "apiKey: •••,"),
        ("OPENAI_API_KEY: Final[str] = ('hun' \"ter2\")", "OPENAI_API_KEY: Final[str] = (•••)"),
        ("{'x-api-key': b'hun\\'ter2'}", "{'x-api-key': •••}"),
        ('password = """hun\r\nter2"""; x', "password = •••\r\n•••; x"),
        ("const token: string = 'hunter2'", "const token: string = •••"),
        ("-H 'X: Bearer hunter2'", "-H 'X: Bearer •••'"),
        ("f'Bearer {key}'", "f'Bearer {key}'"),
        ("'https://me:hunter2@a.example/b@c'", "'https://•••@a.example/b@c'"),
        ("'wss://a.example/b?key=hunter2&v=1#c'", "'wss://a.example/b?key=•••&v=•••#c'"),
        ('get("RHETOR_AUTH_TOKEN") or "none"', 'get("RHETOR_AUTH_TOKEN") or "none"'),
        ('max_tokens="3"', 'max_tokens="3"'),
    ],
)
def test_what_could_be_a_secret_is_hidden(text: str, expected: str) -> None:
    assert without_secrets(text) == expected


@pytest.mark.parametrize(
    "part", ["token=", "token: ", "://", "://a@", "Bearer ", 'token = """', "token" + " " * 99]
)
def test_hiding_takes_no_time(part: str) -> None:
    without_secrets(part * (1_000_000 // len(part)))
    assert not has_secret("task-management-and-other-long-names-of-things")


SERVED = {
    "chat.completions.create": "/v1/chat/completions",
    "embeddings.create": "/v1/embeddings",
    "models.list": "/v1/models",
    "messages.create": "/v1/messages",
    "messages.count_tokens": "/v1/messages/count_tokens",
}


def test_what_pointed_clients_ask_is_served() -> None:
    """Whoever is pointed at the gateway finds there what it asks for."""
    paths = {entry.path for entry in table()}
    for package in packages.PYTHON:
        if package.pointing is not None and package.name in ("openai", "anthropic"):
            for call in package.calls & SERVED.keys():
                assert SERVED[call] in paths
