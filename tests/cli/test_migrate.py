"""`rhetor migrate`: reports, exit codes, and code bases whose own tests pass afterwards."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rhetor.testing import Upstream, says
from tests.cli.conftest import PATIENCE_S, Rhetor
from tests.conftest import MakeGateway, settings
from tests.migrate.projects import lay_out

ROOT = Path(__file__).parent.parent.parent
CODE = "import os\nfrom openai import OpenAI\n\nclient = OpenAI(timeout=3)\n"
SAID = "Hello from the model."


@pytest.fixture
def code(tmp_path: Path) -> Path:
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "a.py").write_text(CODE)
    return folder


async def test_a_dry_run_by_default(rhetor: Rhetor, code: Path) -> None:
    finished = await rhetor("migrate", str(code))
    assert (finished.code, finished.err) == (1, "")
    assert "✓     4  client     OpenAI" in finished.out
    assert (code / "a.py").read_text() == CODE


async def test_a_diff_that_git_could_apply(rhetor: Rhetor, code: Path) -> None:
    finished = await rhetor("migrate", str(code), "--diff")
    assert finished.code == 1
    assert finished.out.startswith("--- a/a.py\n+++ b/a.py\n@@")
    assert "\n-client = OpenAI(timeout=3)\n" in finished.out
    assert (code / "a.py").read_text() == CODE


async def test_writing_once_is_enough(rhetor: Rhetor, code: Path) -> None:
    finished = await rhetor("migrate", str(code), "--write")
    assert (finished.code, finished.out) == (0, "✓ a.py: OpenAI reaches the gateway\n")
    once = (code / "a.py").read_text()
    assert 'os.environ.get("RHETOR_URL"' in once
    finished = await rhetor("migrate", str(code), "--write")
    assert (finished.code, finished.out) == (0, "Nothing can be changed beyond doubt.\n")
    assert (code / "a.py").read_text() == once
    finished = await rhetor("migrate", str(code))
    assert (finished.code, finished.out) == (
        0,
        "Nothing reaches a model past the gateway. 1 files were looked at.\n",
    )


async def test_json_and_html(rhetor: Rhetor, code: Path) -> None:
    finished = await rhetor("migrate", str(code), "--format", "json")
    assert [each["kind"] for each in json.loads(finished.out)["findings"]] == ["import", "client"]
    finished = await rhetor("migrate", str(code), "--format", "html")
    assert finished.out.startswith("<!doctype html>")


async def test_a_diff_shows_no_secret(rhetor: Rhetor, code: Path) -> None:
    secret = "sk-ant-" + "a" * 30
    (code / "a.py").write_text(f"import os, anthropic\nanthropic.Anthropic(api_key='{secret}')\n")
    for arguments in ((), ("--diff",), ("--format", "json"), ("--format", "html")):
        finished = await rhetor("migrate", str(code), *arguments)
        assert secret not in finished.out + finished.err


@pytest.mark.parametrize("component", [(), ("--component", "desk")])
async def test_nothing_that_could_be_a_secret_is_repeated(
    rhetor: Rhetor, code: Path, component: tuple[str, ...]
) -> None:
    address = "https://api.openai.com/v1/chat/completions"
    (code / "a.py").write_text(
        "import os, openai, anthropic, requests\nfrom openai import OpenAI\n"
        "a = OpenAI(api_key=decode('HUNTER-1') or 'HUNTER-2', timeout=3)\n"
        "b = OpenAI(\n    api_key=(\n        'HUNTER-3'\n        'HUNTER-4'\n    ),\n)\n"
        f"requests.post('{address}?key=HUNTER-5', headers={{'Authorization': 'Bearer HUNTER-6'}})\n"
        f"requests.post('{address}', headers={{'Authorization': 'Bearer HUNTER-7'}})\n"
    )
    (code / "b.py").write_text(
        "import anthropic\nclass A:\n    def __init__(self):\n"
        "        self.c = anthropic.AsyncAnthropic(api_key='HUNTER-8')\n"
    )
    (code / "c.mjs").write_text(
        "import { createOpenAI } from '@ai-sdk/openai'\nimport { OpenAI } from 'openai'\n"
        "const a = new OpenAI({ apiKey: decode('HUNTER-9') })\n"
        "const b = createOpenAI({ apiKey: 'HUNTER-10' }).chat('gpt-4o')\n"
        "new OpenAI({ apiKey: 'HUNTER-11' }).chat.completions.create({})\n"
    )
    for arguments in ((), ("--diff",), ("--format", "json"), ("--format", "html")):
        finished = await rhetor("migrate", str(code), *arguments, *component)
        assert finished.code == 1
        assert "HUNTER" not in finished.out + finished.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere",), "there is no nowhere"),
        ((".", "--component", " "), "needs a name"),
        (("--diff", "--write", "."), "not allowed with"),
    ],
)
async def test_what_cannot_be_done(rhetor: Rhetor, arguments: tuple[str, ...], words: str) -> None:
    finished = await rhetor("migrate", *arguments)
    assert finished.code == 2
    assert words in finished.err


@pytest.mark.skipif(shutil.which("git") is None, reason="git is missing")
async def test_work_that_is_not_committed_is_not_written_over(rhetor: Rhetor, code: Path) -> None:
    for arguments in (("init",), ("add", "a.py")):
        subprocess.run(["git", "-C", str(code), *arguments], check=True, capture_output=True, timeout=60)
    finished = await rhetor("migrate", str(code), "--write")
    assert finished.code == 2
    assert "not committed" in finished.err
    assert (code / "a.py").read_text() == CODE
    assert (await rhetor("migrate", str(code), "--write", "--force")).code == 0


async def test_without_its_parser_it_says_what_to_install(rhetor: Rhetor, code: Path, tmp_path: Path) -> None:
    (tmp_path / "libcst.py").write_text("raise ModuleNotFoundError('no', name='libcst')\n")
    finished = await rhetor("migrate", str(code), environ={"PYTHONPATH": str(tmp_path)})
    assert (finished.code, finished.out) == (2, "")
    assert "pip install 'rhetor[migrate]'" in finished.err


# Code bases that were changed do what they did, through the gateway.


@pytest.mark.parametrize("name", ["terma", "desk"])
async def test_python_that_was_changed_passes_its_own_tests(
    rhetor: Rhetor, make_gateway: MakeGateway, upstream: Upstream, tmp_path: Path, name: str
) -> None:
    project = lay_out(name, tmp_path / name)
    finished = await rhetor("migrate", str(project.root), "--write", "--component", name)
    assert (finished.code, finished.err) == (0, "")
    compiled = await run(project.root, sys.executable, "-m", "compileall", "-q", ".")
    assert compiled == (0, "")
    url = await gateway(make_gateway, upstream)
    variables = {"PYTHONPATH": str(project.root), "RHETOR_URL": url}
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "tests")
    code, out = await run(project.root, *command, environ=variables)
    assert code == 0, out
    assert upstream.requests


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is missing")
@pytest.mark.skipif(not (ROOT / "tests" / "js" / "node_modules").is_dir(), reason="tests/js is not installed")
@pytest.mark.skipif(not (ROOT / "js-client" / "node_modules").is_dir(), reason="js-client is not installed")
async def test_typescript_that_was_changed_passes_its_own_tests(
    rhetor: Rhetor, make_gateway: MakeGateway, upstream: Upstream, tmp_path: Path
) -> None:
    project = lay_out("briefs", tmp_path / "briefs")
    assert (await rhetor("migrate", str(project.root), "--write")).code == 0
    packages = project.root / "node_modules"
    packages.mkdir()
    for package in ("openai", "@anthropic-ai", "zod", "json-schema-to-ts", "standardwebhooks"):
        source = ROOT / "tests" / "js" / "node_modules" / package
        if source.exists():
            (packages / package).symlink_to(source)
    (packages / "@types").symlink_to(ROOT / "js-client" / "node_modules" / "@types")
    (packages / "undici-types").symlink_to(ROOT / "js-client" / "node_modules" / "undici-types")
    compiler = str(ROOT / "js-client" / "node_modules" / ".bin" / "tsc")
    options = (
        "--outDir dist --rootDir . --target es2022 --module nodenext --strict --skipLibCheck --types node"
    )
    sources = ("src/brief.ts", "src/claude.ts", "src/client.ts", "test/briefs.test.ts")
    code, out = await run(project.root, compiler, *options.split(), *sources)
    assert code == 0, out
    url = await gateway(make_gateway, upstream)
    code, out = await run(project.root, "node", "--test", "dist/test/", environ={"RHETOR_URL": url})
    assert code == 0, out
    assert len(upstream.requests) == 3


async def gateway(make_gateway: MakeGateway, upstream: Upstream) -> str:
    """A gateway that has the models which the code bases name."""
    upstream.always(says(SAID))
    vendors = {
        "openai": {"base_url": f"{upstream.base_url}/v1", "key": "env:TEST_KEY", "models": ["gpt-4o-mini"]},
        "anthropic": {
            "base_url": upstream.base_url,
            "key": "env:TEST_KEY",
            "models": ["claude-3-sonnet-20240229", "claude-3-haiku-20240307", "claude-3-5-haiku-20241022"],
        },
    }
    return (await make_gateway(settings(providers=vendors))).url


async def run(folder: Path, *command: str, environ: dict[str, str] | None = None) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env={"PATH": os.environ["PATH"], "HOME": str(folder), **(environ or {})},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(PATIENCE_S * 3):
            out, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()
