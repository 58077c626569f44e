"""The built-in table: every row valid, sourced and unmistakable."""

from __future__ import annotations

from collections import Counter
from urllib.parse import urlsplit

import pytest

from rhetor.core.capability import Capability
from rhetor.core.content import Text
from rhetor.core.media import Rank
from rhetor.core.request import Chat, Message, Request, Role
from rhetor.providers.builtin import base_url_of, load_builtin
from rhetor.providers.offline import OfflineTransport
from rhetor.providers.provider import Provider
from rhetor.providers.spec import QuirkSpec
from rhetor.wire.base import Quirks
from rhetor.wire.languages import WIRES

ROWS = load_builtin()
PROMISED = [
    "openai",
    "anthropic",
    "gemini",
    "ollama",
    "openrouter",
    "together",
    "groq",
    "mistral",
    "deepseek",
    "xai",
    "fireworks",
    "moonshot",
    "cerebras",
    "perplexity",
    "llamacpp",
    "vllm",
    "lmstudio",
]


def test_every_promised_provider_has_a_row() -> None:
    assert set(PROMISED) <= set(ROWS)
    assert all(row.id == id for id, row in ROWS.items())


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_a_row_can_be_called(row) -> None:
    """Its wire exists, its address is one, and paths joined to it have no double or missing segments."""
    assert {row.wire, *row.also} <= set(WIRES)
    assert set(row.wires.values()) <= {row.wire, *row.also}
    url = urlsplit(row.base_url)
    assert url.hostname
    assert url.scheme == "https" or row.local
    assert not row.base_url.endswith("/")
    assert not (row.wire == "anthropic" and row.base_url.endswith("/v1"))
    assert "/chat/completions" not in row.base_url


@pytest.mark.parametrize(
    ("id", "url"),
    [
        ("openai", "https://api.openai.com/v1/chat/completions"),
        ("anthropic", "https://api.anthropic.com/v1/messages"),
        ("gemini", "https://generativelanguage.googleapis.com/v1beta/models/m:generateContent"),
        ("groq", "https://api.groq.com/openai/v1/chat/completions"),
        ("deepseek", "https://api.deepseek.com/chat/completions"),
        ("perplexity", "https://api.perplexity.ai/chat/completions"),
        ("cohere", "https://api.cohere.ai/compatibility/v1/chat/completions"),
        ("ollama", "http://127.0.0.1:11434/api/chat"),
    ],
)
def test_a_chat_goes_to_the_documented_address(id: str, url: str) -> None:
    wire = WIRES[ROWS[id].wire]
    chat = Chat(messages=(Message(Role.USER, (Text("hi"),)),))
    request = Request(id="r", capability=Capability.CHAT, model="m", input=chat)
    provider = Provider(ROWS[id], wire, OfflineTransport(), "key")
    assert provider.prepare(request, "m").call.url == url


@pytest.mark.parametrize(
    ("id", "url"),
    [
        ("cohere", "https://api.cohere.ai/v2/rerank"),
        ("jina", "https://api.jina.ai/v1/rerank"),
        ("voyage", "https://api.voyageai.com/v1/rerank"),
        ("vllm", "http://127.0.0.1:8000/v1/rerank"),
    ],
)
def test_documents_are_put_in_order_at_the_documented_address(id: str, url: str) -> None:
    row, asked = ROWS[id], Rank(query="q", documents=("a",))
    request = Request(id="r", capability=Capability.RERANK, model="m", input=asked)
    provider = Provider(row, WIRES[row.wire], OfflineTransport(), "key", also=[WIRES[it] for it in row.also])
    assert provider.prepare(request, "m").call.url == url


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_a_row_says_where_its_key_is_and_what_to_ask_for(row) -> None:
    assert bool(row.key_env) or not row.auth.required
    assert row.default_model or row.default_models or row.local or row.deployments
    assert set(row.default_models) <= row.capabilities
    assert row.capabilities
    assert (row.embedding_model is None) or "embeddings" in row.capabilities


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_every_fact_has_a_source_and_a_date(row) -> None:
    said = row.quirks.model_dump(exclude_none=True, exclude={"sources"})
    assert bool(said) == bool(row.quirks.sources)
    assert all(source.url.startswith("https://") for source in row.quirks.sources)
    assert row.docs.read


ONE_VENDOR = {"azure-transcripts"}
"""The ears of a resource whose mouth is another row: it has two hosts, and one key."""


def test_no_two_rows_share_a_variable() -> None:
    """A key must switch on one provider, not two."""
    rows = [row for row in ROWS.values() if row.id not in ONE_VENDOR]
    names = Counter(name for row in rows for name in (*row.key_env, *row.base_url_env))
    assert [name for name, count in names.items() if count > 1] == []


def test_only_local_servers_are_found_by_variables() -> None:
    """OPENAI_BASE_URL and ANTHROPIC_BASE_URL point at this gateway as often as not: it would call itself."""
    assert all(row.local for row in ROWS.values() if row.base_url_env)


def test_quirks_are_those_that_wires_know() -> None:
    assert set(QuirkSpec.model_fields) - {"sources"} == set(Quirks.__dataclass_fields__)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("", "http://127.0.0.1:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:8000", "http://127.0.0.1:8000"),
        (":8000", "http://127.0.0.1:8000"),
        ("[::]:8000", "http://127.0.0.1:8000"),
        ("[::1]", "http://[::1]:11434"),
        ("box", "http://box:11434"),
        ("http://box", "http://box"),
        ("https://box:1/ollama/", "https://box:1/ollama"),
    ],
)
def test_ollamas_variable_may_lack_scheme_host_and_port(said: str, meant: str) -> None:
    assert base_url_of(ROWS["ollama"], {"OLLAMA_HOST": said}) == meant


def test_the_first_variable_wins() -> None:
    environ = {"OLLAMA_API_BASE": "http://second:1", "OLLAMA_HOST": "http://first:1"}
    assert base_url_of(ROWS["ollama"], environ) == "http://first:1"
    del environ["OLLAMA_HOST"]
    assert base_url_of(ROWS["ollama"], environ) == "http://second:1"
    assert base_url_of(ROWS["openai"], {"OPENAI_BASE_URL": "http://x"}) == "https://api.openai.com/v1"


def test_a_variable_without_an_address_is_named() -> None:
    with pytest.raises(ValueError, match="OLLAMA_HOST is no address"):
        base_url_of(ROWS["ollama"], {"OLLAMA_HOST": "http://box:many"})
