"""What a JavaScript or TypeScript file does to reach models on its own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.migrate.finding import Effort
from rhetor.migrate.values import Client
from tests.migrate.reading import found, read


def kinds(text: str, file: str = "a.ts") -> str:
    return ", ".join(f"{line} {kind}" for line, kind, _ in found(text, file))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import OpenAI from 'openai';\nconst c = new OpenAI();", "1 import, 2 client"),
        ("import { OpenAI as O } from 'openai';\nnew O({});", "1 import, 2 client"),
        ("import * as sdk from 'openai';\nnew sdk.OpenAI();", "1 import, 2 client"),
        ("const OpenAI = require('openai');\nnew OpenAI;", "1 import, 2 client"),
        ("const { OpenAI } = require('openai');\nnew OpenAI()", "1 import, 2 client"),
        ("const { default: A } = await import('@anthropic-ai/sdk');\nnew A()", "1 import, 2 client"),
        ("import type { Message } from '@anthropic-ai/sdk';", "1 import"),
        ("export * from 'openai';", "1 import"),
        ("import 'openai/shims/node';", "1 import"),
        ("import { generateText } from 'ai';\nawait generateText({ model })", "1 import, 2 call"),
        ("import ollama from 'ollama';\nollama.chat({ stream: true })", "1 import, 2 stream"),
        ("import { GoogleGenAI } from '@google/genai';\nnew GoogleGenAI({})", "1 import, 2 client"),
    ],
)
def test_imports_clients_and_calls(text: str, expected: str) -> None:
    assert kinds(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "const c = new OpenAI(); c.embeddings.create()",
        "let c: OpenAI | null = null; c = new OpenAI(); c!.embeddings.create()",
        "class A { c = new OpenAI(); f() { return this.c?.embeddings.create() } }",
        "class A { private c: OpenAI; set() { this.c = new OpenAI() } f() { this.c.embeddings.create() } }",
        "function make() { return new OpenAI() }\nmake().embeddings.create()",
        "const make = async () => new OpenAI();\nconst c = await make(); c.embeddings.create()",
        "function make(): OpenAI { if (x) { y() } return new OpenAI() }\nmake().embeddings.create()",
        "const c = cached ?? new OpenAI(); c\n  .embeddings\n  .create()",
    ],
)  # fmt: skip
def test_clients_are_followed_wherever_they_are_kept(text: str) -> None:
    said = kinds(f"import OpenAI from 'openai';\n{text}")
    assert said.count("call") == 1
    assert said.count("client") == 1


@pytest.mark.parametrize(
    "text",
    [
        "// import OpenAI from 'openai'\nconst s = \"new OpenAI()\"",
        "import twilio from 'twilio'; twilio().messages.create({})",
        "import groq from 'groq'; groq`*[_type == 'x']`",
        "const PRICES = { 'gpt-4o': 1, \"claude-3-opus-20240229\": 2 }",
        "socket = new WebSocket('wss://prices.example'); socket.send({ type: 'subscribe', channel: 'chat' })",
        "interface Env { OPENAI_API_KEY: string }",
        "const r = /https:\\/\\/api.openai.com/; const t = `see https://api.openai.com`",
    ],
)
def test_what_only_looks_like_it_is_left_out(text: str) -> None:
    assert found(text, "a.ts") == []


@pytest.mark.parametrize(
    "text",
    [
        "fetch('https://api.openai.com/v1/models')",
        "const U = 'https://api.openai.com';\nfetch(`${U}/v1/models`)",
        "axios.create({ baseURL: 'https://api.openai.com' })",
        "class A { url = 'https://api.openai.com'; f() { return fetch(this.url) } }",
        "fetch(new URL('https://api.openai.com/v1'))",
        "const U = 'https://api.openai.com'",
    ],
)
def test_addresses_are_followed_to_whoever_asks_them(text: str) -> None:
    assert [kind for _, kind, _ in found(text, "a.js")] == ["http"]


@pytest.mark.parametrize(
    "text",
    [
        "process.env.OPENAI_API_KEY",
        "process.env['OPENAI_API_KEY']",
        "const { OPENAI_API_KEY, PORT } = process.env",
        "import.meta.env.VITE_OPENAI_API_KEY",
    ],
)
def test_keys_in_the_environment(text: str) -> None:
    assert [kind for _, kind, _ in found(text, "a.js")] == ["key"]


def test_names_mean_what_they_were_last_made_to_be() -> None:
    text = (
        "import OpenAI from 'openai'; import Anthropic from '@anthropic-ai/sdk';\n"
        "{ let c = new OpenAI(); c.embeddings.create() }\n{ let c = new Anthropic(); c.messages.create() }"
    )
    assert [line for line, kind, _ in found(text, "a.js") if kind == "call"] == [2, 3]


def test_chains_of_langchain() -> None:
    text = "import { ChatOpenAI } from '@langchain/openai';\nconst llm = new ChatOpenAI();\n"
    text += "const chain = prompt.pipe(llm).pipe(parser);\nawait chain.stream({})\nparser.invoke('x')"
    assert kinds(text) == "1 import, 2 client, 4 stream"


def test_old_clients_and_their_sockets() -> None:
    assert kinds("const a = new LLMAdapterClient()") == "1 adapter"
    assert kinds("const s = new WebSocket(u); s.send({ type: 'GENERATE', prompt })") == "1 websocket"


def test_scripts_in_pages_are_read_and_paragraphs_are_not() -> None:
    page = (
        "<p>don't fetch('https://api.openai.com')</p>\n<script>\nfetch('https://api.openai.com/v1')</script>"
    )
    assert found(page, "a.html") == [(3, "http", "fetch https://api.openai.com/v1")]


def test_a_client_in_a_page_takes_a_hand() -> None:
    text = "import OpenAI from 'openai';\nnew OpenAI({ apiKey, dangerouslyAllowBrowser: true })"
    (client,) = [finding for finding in read(text, "a.js").findings if finding.kind == "client"]
    assert client.effort is Effort.BY_HAND


def test_other_files_follow_what_they_import() -> None:
    exports = dict(
        read(
            "import OpenAI from 'openai';\nexport const ai = new OpenAI();\nexport default ai", "ai.ts"
        ).exports
    )
    assert isinstance(exports["default"], Client)
    text = "import x, { ai as y } from './ai.js';\nx.embeddings.create();\ny.embeddings.create()"
    assert [line for line, _, _ in found(text, "b.ts", {"./ai.js": exports})] == [2, 3]


WORDS = "import OpenAI from 'openai' new ( ) { } = const c . => `${ ` return require : ; this , type function"


@given(st.lists(st.sampled_from(WORDS.split()), max_size=30).map(" ".join))
def test_no_heap_of_tokens_is_too_strange(parts: list[str]) -> None:
    read("import OpenAI from 'openai'; " + " ".join(parts), "a.ts")
