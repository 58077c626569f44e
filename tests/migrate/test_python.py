"""What a Python file does to reach models on its own: found wherever names lead, and nowhere else."""

from __future__ import annotations

import pytest
from libcst import ParserSyntaxError

from rhetor.migrate.finding import Effort, Kind
from tests.migrate.reading import found, read


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import openai\nopenai.OpenAI()", "1 import, 2 client"),
        ("import anthropic as a\na.AsyncAnthropic()", "1 import, 2 client"),
        ("from groq import Groq as G\nG()", "1 import, 2 client"),
        ("import google.generativeai as genai\ngenai.configure(api_key=k)", "1 import, 2 client"),
        ("import google.generativeai\ngoogle.generativeai.GenerativeModel(m)", "1 import, 2 client"),
        ("from google import genai\ngenai.Client().models.generate_content()", "1 import, 2 call, 2 client"),
        ("import litellm\nasync def f():\n    await litellm.acompletion()", "1 import, 3 call"),
        ("import ollama\nollama.chat(stream=True)", "1 import, 2 stream"),
        ("import openai\nopenai.ChatCompletion.create()", "1 import, 2 call"),
        (
            "from mistralai import Mistral\nwith Mistral() as m:\n    m.chat.stream()",
            "1 import, 2 client, 3 stream",
        ),
        ("import cohere\nco = cohere.ClientV2()\nco.rerank()", "1 import, 2 client, 3 call"),
        ("import openai\nopenai.api_key = k", "1 import, 2 client"),
        ("import openai\ndef f(c: 'openai.OpenAI'):\n    c.responses.create()", "1 import, 3 call"),
        ("from langchain_openai import *\nx = 1", "1 import"),
    ],
)
def test_imports_clients_and_calls(text: str, expected: str) -> None:
    assert ", ".join(f"{line} {kind}" for line, kind, _ in found(text)) == expected


METHOD = "    def f(self):\n        self.c.embeddings.create()\n"


@pytest.mark.parametrize(
    "text",
    [
        f"class A:\n    def __init__(self):\n        self.c = OpenAI()\n{METHOD}",
        f"class A:\n    c = OpenAI()\n{METHOD}",
        f"class A:\n{METHOD}    @property\n    def c(self):\n        return OpenAI()",
        f"class A:\n    def __init__(self):\n        self.c = OpenAI()\nclass B(A):\n{METHOD}",
        "def make():\n    return OpenAI()\nmake().embeddings.create()",
        "def make():\n    yield OpenAI()\ndef f(c=Depends(make)):\n    c.embeddings.create()",
        "def f(c: OpenAI | None = None):\n    (c or OpenAI()).embeddings.create()",
        "def f(c):\n    def g():\n        return client.embeddings.create()\n    client = OpenAI()",
        "if x:\n    c = OpenAI()\nelse:\n    c = None\nc.with_options(timeout=1).embeddings.create()",
        "app.state.llm = OpenAI()\ndef f(request):\n    request.app.state.llm.embeddings.create()",
        "clients = {'a': OpenAI()}\nclients[name].embeddings.create()",
        f"class A:\n    def __init__(self):\n        self.c = [OpenAI()]\n{METHOD}".replace(
            "c.emb", "c[0].emb"
        ),
        "(c := OpenAI()).embeddings.create()",
        "c = OpenAI()\ncreate = c.embeddings\ncreate.create()",
        "c = OpenAI()\nc.embeddings.with_raw_response.create()",
    ],
)
def test_clients_are_followed_wherever_they_are_kept(text: str) -> None:
    kinds = [kind for _, kind, _ in found(f"from fastapi import Depends\nfrom openai import OpenAI\n{text}")]
    assert kinds.count("call") == 1
    assert kinds.count("client") == 1


@pytest.mark.parametrize(
    "text",
    [
        "from twilio.rest import Client\nClient().messages.create(body='claude')",
        "def f(openai):\n    openai.chat.completions.create()",
        "import re\nre.compile('openai\\d')",
        "class OpenAI: pass\nOpenAI().chat.completions.create()",
        '"""import openai; claude-3-opus-20240229"""\n# openai.OpenAI()',
        "print('gpt-4o is a model, https://api.openai.com is not asked')",
        "from langchain_core.output_parsers import StrOutputParser\nStrOutputParser().invoke('gpt-4o said')",
        "PRICES = {'gpt-4o': 1}",
        "import websockets\nasync def f():\n    await websockets.connect('ws://x')  # openai",
        "from .openai import client\nclient.chat.completions.create()",
        "import os\nos.environ['OPENAI_API_KEY_FILE']",
        "url = 'https://api.openai.com.example/v1'",
        "url = 'https://platform.openai.com/account'",
    ],
)
def test_what_only_looks_like_it_is_left_out(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("import requests\nrequests.post('https://api.openai.com/v1/chat/completions')", 2),
        ("import httpx\nU = 'https://api.anthropic.com'\nhttpx.post(f'{U}/v1/messages')", 3),
        ("U = 'https://api.mistral.ai'\nasync def f(session):\n    await session.post(U + '/v1/chat')", 3),
        ("import os, requests\nU = os.getenv('U', 'https://api.groq.com')\nrequests.get(U.rstrip('/'))", 3),
        ("from urllib.request import urlopen\nurlopen('http://localhost:11434/api/tags')", 2),
        ("URL = 'https://my.openai.azure.com/openai'", 1),
    ],
)
def test_addresses_are_followed_to_whoever_asks_them(text: str, line: int) -> None:
    assert [(n, kind) for n, kind, _ in found(text)] == [(line, "http")]


def test_http_clients_that_know_a_vendors_address() -> None:
    text = "import httpx\nc = httpx.Client(base_url='https://api.openai.com')\nc.post('/v1/embeddings')"
    assert [(line, kind) for line, kind, _ in found(text)] == [(2, "http"), (3, "http")]


def test_sockets_that_ask_for_text() -> None:
    text = (
        "import websockets\nclass A:\n    async def f(self):\n        ws = await websockets.connect(x)\n"
        "        await ws.send({'type': 'GENERATE', 'prompt': 'x'})\n"
    )
    assert found(text) == [(4, "websocket", "websockets.connect")]
    assert found(text.replace("GENERATE", "RESIZE")) == []


def test_adapters_are_classes_that_hold_a_client() -> None:
    text = "from openai import OpenAI\nclass {}:\n    def __init__(self):\n        self.c = OpenAI()\n"
    assert (2, "adapter", "class ChatAdapter") in found(text.format("ChatAdapter"))
    assert "adapter" not in {kind for _, kind, _ in found(text.format("Summary"))}


@pytest.mark.parametrize(
    "text",
    [
        "import os\nos.environ['OPENAI_API_KEY']",
        "from os import getenv\ngetenv('OPENAI_API_KEY', '')",
        "KEYS = ['OPENAI_API_KEY']\n",
        "class Settings(BaseSettings):\n    openai_api_key: str",
    ],
)
def test_keys_in_the_environment(text: str) -> None:
    assert [(kind, what) for _, kind, what in found(text)] == [("key", "OPENAI_API_KEY")]


SECRET = "sk-proj-" + "a1B2" * 8


@pytest.mark.parametrize("text", [f"K = '{SECRET}'", f"x = f'Bearer {SECRET}{{y}}'", f"f('Bearer {SECRET}')"])
def test_secrets_are_found_and_not_repeated(text: str) -> None:
    (finding,) = read(text).findings
    assert (finding.kind, finding.effort) == (Kind.SECRET, Effort.BY_HAND)
    assert SECRET not in repr(finding)


def test_what_reaches_the_gateway_is_no_finding() -> None:
    text = "import os, openai\nc = openai.OpenAI(base_url=os.environ['RHETOR_URL'])\nc.embeddings.create()"
    reading = read(text)
    assert [finding.kind for finding in reading.findings] == [Kind.IMPORT]
    assert reading.at_gateway == {"openai"}


def test_what_the_gateway_does_not_serve_takes_a_hand() -> None:
    text = "from openai import OpenAI\nOpenAI().files.create()"
    efforts = {finding.kind: finding.effort for finding in read(text).findings}
    assert efforts[Kind.CALL] is Effort.BY_HAND


def test_no_python_is_an_error() -> None:
    with pytest.raises(ParserSyntaxError):
        read("import openai\nprint 'x'\n")
