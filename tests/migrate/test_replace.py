"""A TektonLLMClient takes a vendor's client's place only where nothing can be lost."""

from __future__ import annotations

import ast

import pytest

from tests.migrate.reading import written

BEFORE = """\
import anthropic


class Terma:
    def __init__(self, key):
        self._llm = anthropic.AsyncAnthropic(api_key=key)

    async def ask(self, prompt: str, system: str | None = None) -> str:
        reply = await self._llm.messages.create(
            model="claude-3-haiku-20240307", max_tokens=9, temperature=0.5, system=system,
            messages=[{"role": "user", "content": prompt}],
        )
        return reply.content[0].text
"""
AFTER = """\
from tekton_llm_client import TektonLLMClient


class Terma:
    def __init__(self, key):
        self._llm = TektonLLMClient(component_id="terma", provider_id="anthropic")

    async def ask(self, prompt: str, system: str | None = None) -> str:
        reply = await self._llm.generate_text(
            prompt,
            system_prompt=system,
            options={"model": "claude-3-haiku-20240307", "max_tokens": 9, "temperature": 0.5},
        )
        return reply.content
"""


def test_as_the_guide_has_it() -> None:
    assert written(BEFORE, component="terma") == AFTER


def test_only_for_a_component_that_has_a_name() -> None:
    assert "TektonLLMClient" not in written(BEFORE)


def test_a_second_run_has_nothing_to_do() -> None:
    assert written(AFTER, component="terma") == AFTER


def test_a_name_with_quotes_is_still_a_text() -> None:
    after = written(BEFORE, component='"; import os; "\\')
    ast.parse(after)
    assert 'component_id="\\"; import os; \\"\\\\"' in after


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("prompt: str,", "prompt,"),  # it may be a list of parts
        ("temperature=0.5, ", ""),  # the two clients differ where nothing is said
        ("max_tokens=9", "max_tokens=9, tools=[]"),
        ("max_tokens=9", "**options"),
        ("max_tokens=9, ", "max_tokens=9,  # a title is short\n            "),
        ("max_tokens=9", "stream=True"),
        ("reply.content[0].text", "reply"),
        ("reply.content[0].text", "reply.usage.input_tokens"),
        ("reply.content[0].text", "reply.content[1].text"),
        ("async def ask", "def ask"),
        ('[{"role": "user", "content": prompt}]', "history"),
        ('"role": "user"', '"role": role'),
        ("return reply.content[0].text", "return f'{reply.content[0].text} {await self._llm.x}'"),
        ("self, prompt: str", "self, prompt: str, x=self._llm.messages.create()"),
        ("api_key=key", "api_key=key, timeout=3"),
        ("api_key=key", "api_key=fetch()"),
        ("import anthropic\n", "import anthropic\nERRORS = (anthropic.APIError,)\n"),
        ("import anthropic\n", "import anthropic, os\n"),
        ("        return reply", "        self._llm.close()\n        return reply"),
        ("        return reply", "        reply = other(reply)\n        return reply"),
        ("class Terma:", "class Terma:\n    def swap(self):\n        self._llm = None\n"),
    ],
)
def test_any_doubt_leaves_the_vendors_client_and_points_it_at_the_gateway(old: str, new: str) -> None:
    text = BEFORE.replace(old, new, 1)
    assert text != BEFORE
    assert "TektonLLMClient" not in written(text, component="terma")


SYNC = "reply = self._llm.messages.create(a)\n        return reply.content[0].text"
TEXT = "self._llm.messages.create(a).content[0].text"


@pytest.mark.parametrize(
    ("old", "new", "is_replaced"),
    [
        ("", "", True),
        (SYNC, f"return [{TEXT} for _ in range(3)]", True),
        (SYNC, f"return ''.join({TEXT} for _ in range(3))", False),
        (SYNC, f'return f"""{{{TEXT}}}"""', False),
    ],
)
def test_what_could_not_be_awaited_is_not_replaced(old: str, new: str, is_replaced: bool) -> None:
    message = "{'role': 'user', 'content': prompt}"
    arguments = f"model='m', max_tokens=9, temperature=1, messages=[{message}]"
    head = BEFORE.partition("        reply =")[0].replace("AsyncAnthropic", "Anthropic")
    before = f"{head}        {SYNC}\n".replace(old, new).replace("(a)", f"({arguments})")
    after = written(before, component="terma")
    assert ("TektonLLMClient" in after) is is_replaced
    compile(after, "a.py", "exec", dont_inherit=True)


def test_openai_with_a_conversation_in_an_async_with() -> None:
    messages = "[{'role': 'system', 'content': 'Be brief.'}, {'role': 'user', 'content': q.strip()}]"
    before = (
        "from openai import AsyncOpenAI\nasync def f(q: str):\n    async with AsyncOpenAI() as c:\n"
        f"        asked = c.chat.completions.create(model='m', temperature=1, messages={messages})\n"
        "        return (await asked).choices[0].message.content\n"
    )
    assert "TektonLLMClient" not in written(before, component="x")
    before = before.replace("asked = c", "reply = await c").replace("(await asked)", "reply")
    after = written(before, component="x")
    assert "async with TektonLLMClient(component_id='x', provider_id='openai') as c:" in after
    assert "await c.generate_chat_response(" in after
    assert "return reply.content\n" in after
    ast.parse(after)
