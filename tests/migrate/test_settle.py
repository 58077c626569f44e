"""What the findings of all files come to: efforts, and changes that nothing speaks against."""

from __future__ import annotations

from rhetor.migrate.finding import Effort, Finding
from rhetor.migrate.manifest import read as read_manifest
from rhetor.migrate.settle import settled
from rhetor.migrate.source import Source
from tests.migrate.reading import read

OPENAI = "import os\nfrom openai import OpenAI\nclient = OpenAI()\n"
AT_GATEWAY = (
    "import os, openai\nclient = openai.OpenAI(base_url=os.environ['RHETOR_URL'])\nclient.x('gpt-4o')\n"
)


def settle(**files: str) -> tuple[Finding, ...]:
    readings = {
        f"{name}.py": read(text, f"{name}.py") for name, text in files.items() if name != "requirements"
    }
    if "requirements" in files:
        readings["requirements.txt"] = read_manifest(Source("requirements.txt", files["requirements"]))
    return settled(readings)[0]


def test_what_hangs_from_a_client_follows_it() -> None:
    findings = settle(a=OPENAI + "client.embeddings.create()", requirements="openai")
    assert {finding.effort for finding in findings} == {Effort.MECHANICAL}


def test_a_client_in_doubt_holds_its_package_back() -> None:
    findings = settle(a=OPENAI, b="import openai\nopenai.OpenAI(**x)", requirements="openai")
    efforts = {(finding.file, finding.kind.value): finding.effort for finding in findings}
    assert efforts["a.py", "import"] is Effort.MECHANICAL
    assert efforts["b.py", "import"] is efforts["requirements.txt", "dependency"] is Effort.ASSISTED


def test_whoever_has_arrived_has_no_findings() -> None:
    assert settle(a=AT_GATEWAY, b="from openai import APIError", requirements="openai") == ()


def test_a_dependency_that_nobody_uses_says_so() -> None:
    (finding,) = settle(requirements="cohere")
    assert finding.reason == "nothing in this tree imports it"
