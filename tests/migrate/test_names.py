"""What names of a Python file stand for, also over the borders of files."""

from __future__ import annotations

from rhetor.migrate.names import Names
from rhetor.migrate.source import Source
from rhetor.migrate.values import Client, Instance
from tests.migrate.reading import found


def exports(text: str, file: str = "llm.py") -> dict[str, object]:
    return dict(Names(Source(file, text)).exports())


LLM = """
from openai import OpenAI

client = OpenAI()

class Adapter:
    def __init__(self):
        self.c = client

def get():
    return Adapter()
"""


def test_only_what_has_to_do_with_models_is_exported() -> None:
    found = exports(LLM + "class Other: ...\nx = 1\n")
    assert set(found) == {"client", "Adapter", "Adapter.c", "get", "get()"}
    assert isinstance(found["client"], Client)
    assert isinstance(found["get()"], Instance)


def test_other_files_follow_what_they_import() -> None:
    world = {"app.llm": exports(LLM), "llm.py": exports(LLM)}
    text = (
        "from app.llm import client, get\nimport app.llm\nfrom app import llm\n"
        "client.embeddings.create()\nget().c.embeddings.create()\n"
        "app.llm.client.embeddings.create()\nllm.client.embeddings.create()\n"
    )
    assert [(line, kind) for line, kind, _ in found(text, world=world)] == [(n, "call") for n in (4, 5, 6, 7)]


def test_circles_end() -> None:
    assert found("import openai\na = b\nb = a\na.chat.completions.create()\n") == [
        (1, "import", "import openai")
    ]
    deep = "".join(f"x{n} = x{n + 1}\n" for n in range(500))
    assert found(f"import openai\n{deep}x500 = openai.OpenAI()\nx0.embeddings.create()")[-1][1] == "client"
