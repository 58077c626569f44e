"""Requirements, projects, packages and environments."""

from __future__ import annotations

import pytest

from rhetor.migrate.manifest import read, read_environment
from rhetor.migrate.source import Source, Unreadable


def lines(file: str, text: str) -> list[tuple[int, str]]:
    return [(finding.line, finding.what) for finding in read(Source(file, text)).findings]


def test_requirements() -> None:
    text = "openai>=1\n# anthropic\nAnthropic[bedrock]~=0.2  # x\n-r groq.txt\nlangchain_openai @ git+https://x\nopenai-x\n"
    assert lines("requirements/requirements.txt", text) == [
        (1, "openai"),
        (3, "Anthropic"),
        (5, "langchain_openai"),
    ]


def test_projects_of_every_tool() -> None:
    text = """
[project]
dependencies = ["openai>=1", "x"]
[project.optional-dependencies]
a = ["groq"]
[dependency-groups]
dev = ["cohere"]
[tool.poetry.dependencies]
ollama = "^0.3"  # not anthropic
[tool.poetry.group.dev.dependencies]
litellm = { version = "1" }
[tool.mistralai]
openai = "not a requirement"
"""
    assert [what for _, what in lines("pyproject.toml", text)][:5] == [
        "openai",
        "groq",
        "cohere",
        "ollama",
        "litellm",
    ]
    assert "mistralai" not in {what for _, what in lines("pyproject.toml", text)}


def test_npm() -> None:
    text = '{\n"name": "ai",\n"dependencies": {\n"openai": "4",\n"x": "3"},\n"devDependencies": {"ai": "4"}}'
    assert lines("package.json", text) == [(4, "openai"), (6, "ai")]


@pytest.mark.parametrize(
    ("file", "text"), [("package.json", "{"), ("pyproject.toml", "["), ("package.json", "[" * 100_000)]
)
def test_broken_files_say_so(file: str, text: str) -> None:
    with pytest.raises(Unreadable):
        read(Source(file, text))


def test_environments_give_names_and_no_values() -> None:
    secret = "sk-ant-" + "a" * 30
    text = f"# OPENAI_API_KEY=x\nexport OPENAI_API_KEY='{secret}'\nX={secret}\nMODEL=gpt-4o\nRHETOR_X=o1\n"
    findings = read_environment(Source(".env", text)).findings
    assert [(finding.line, finding.kind.value) for finding in findings] == [
        (2, "key"),
        (3, "secret"),
        (4, "model"),
    ]
    assert secret not in repr(findings)
