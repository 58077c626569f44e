"""The documentation is true: its examples run, its generated parts are current, its links lead somewhere.

In a page, blocks of `yaml` load as a configuration; blocks of `sh`, `python` and
`js` run against a gateway with nothing but the offline provider, or with the
last `yaml` block that `<!-- run with this -->` stands before. What they print
must contain the text of the comments that they end with. All find the gateway
in `RHETOR_URL`, and Python's in the variables of the vendors' SDKs, too.
Other blocks (`console`, `html`, signatures in `py`, …) are only read.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from rhetor.assembly import load
from rhetor.cli import main as rhetor
from rhetor.config import json_schema
from tests.conftest import MakeGateway, settings

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    path
    for folder in (
        ROOT,
        ROOT / "docs",
        ROOT / "docs" / "decisions",
        ROOT / "docs" / "providers",
        ROOT / "docs" / "examples",
        ROOT / "client",
        ROOT / "js-client",
        ROOT / "deploy",
    )
    for path in folder.glob("*.md")
)
EXAMPLES = [ROOT / "deploy" / "rhetor.yaml", *sorted((ROOT / "docs" / "examples").glob("*.yaml"))]
FENCE = re.compile(
    r"(?P<with><!-- run with this -->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
ADDRESS = "http://localhost:8003"
PATIENCE_S = 30.0
CLIENT = "tekton_llm_client"
CLIENT_PACKAGES = [
    CLIENT,
    *(
        f"{CLIENT}.{room}"
        for room in ("config", "media", "prompt_templates", "response_handlers", "sessions", "utils")
    ),
]

RUNNER = """
import ast, asyncio, inspect, sys
code = compile(sys.argv[1], "example", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
if code.co_flags & inspect.CO_COROUTINE:
    asyncio.run(eval(code, {"__name__": "__main__"}))
else:
    exec(code, {"__name__": "__main__"})
"""
"""Runs an example, which may await at its top level as in Python's asyncio prompt."""

SECRET = "a-secret-of-32-bytes-and-some-more"


@dataclass(frozen=True)
class Block:
    page: Path
    line: int
    language: str
    text: str
    configuration: str | None
    """The file that the gateway has while the block runs."""

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def expected(self) -> list[str]:
        """What the comments at the end say that it prints."""
        mark = "//" if self.language == "js" else "#"
        lines = self.text.rstrip().split("\n")
        said = []
        while lines and lines[-1].startswith(mark):
            said.append(lines.pop().removeprefix(mark).strip())
        return said[::-1]


def blocks() -> Iterator[Block]:
    for page in PAGES:
        configuration = None
        text = page.read_text("utf-8")
        for match in FENCE.finditer(text):
            if match["with"]:
                configuration = match["text"]
            line = text.count("\n", 0, match.start("text"))
            yield Block(page, line, match["language"], match["text"], configuration)


BLOCKS = list(blocks())


def of(*languages: str) -> list[Block]:
    return [block for block in BLOCKS if block.language in languages]


def installed(name: str) -> bool:
    return shutil.which(name) is not None


# Examples.


@pytest.mark.parametrize("block", of("yaml"), ids=str)
def test_examples_of_configurations_load(block: Block, tmp_path: Path) -> None:
    text = block.text.replace("/run/secrets", str(tmp_path))
    for path in re.findall(r"file:([^\s\"}]+)", text):
        Path(path).write_text(SECRET)
    variables = re.findall(r"env:(\w+)", text)
    file = tmp_path / "rhetor.yaml"
    file.write_text(text)
    load(file, dict.fromkeys(variables, SECRET))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_files_that_are_shipped_load(path: Path) -> None:
    load(path, dict.fromkeys(re.findall(r"env:(\w+)", path.read_text()), SECRET))


@pytest.mark.skipif(not (installed("bash") and installed("curl")), reason="bash and curl are needed")
@pytest.mark.parametrize("block", of("sh"), ids=str)
async def test_examples_of_commands_run(block: Block, make_gateway: MakeGateway, tmp_path: Path) -> None:
    url = await serve(block, make_gateway)
    function = f'rhetor() {{ "{sys.executable}" -m rhetor "$@"; }}\n'
    script = "set -eo pipefail\n" + function + block.text.replace(ADDRESS, url)
    await run(block, "bash", "-c", script, url=url, cwd=tmp_path / "here")


@pytest.mark.parametrize("block", of("python"), ids=str)
async def test_examples_in_python_run(block: Block, make_gateway: MakeGateway, tmp_path: Path) -> None:
    url = await serve(block, make_gateway)
    script = block.text.replace(ADDRESS, url)
    await run(block, sys.executable, "-c", RUNNER, script, url=url, cwd=tmp_path, environ=sdks(url))


@pytest.mark.skipif(not installed("node"), reason="Node is needed")
@pytest.mark.parametrize("block", of("js"), ids=str)
async def test_examples_in_javascript_run(block: Block, make_gateway: MakeGateway, tmp_path: Path) -> None:
    await run_in_node(block, await serve(block, make_gateway), tmp_path / "here")


async def serve(block: Block, make_gateway: MakeGateway) -> str:
    """A gateway with the block's configuration; it lies beside the block as `rhetor.yaml`, too."""
    given = yaml.safe_load(block.configuration or "{}")
    gateway = await make_gateway(settings(**given))
    assert gateway.app.path is not None
    here = gateway.app.path.parent / "here"
    here.mkdir()
    if block.configuration is not None:
        (here / "rhetor.yaml").write_text(block.configuration)
    return gateway.url


async def run_in_node(block: Block, url: str, here: Path) -> None:
    """With the JavaScript client as an installed package."""
    packages = here / "node_modules"
    packages.mkdir()
    (packages / "tekton-llm-client").symlink_to(ROOT / "js-client")
    script = here / "example.mjs"
    script.write_text(block.text.replace(ADDRESS, url))
    await run(block, "node", str(script), url=url, cwd=here)


def sdks(url: str) -> dict[str, str]:
    """What sends the vendors' SDKs to the gateway, without a change in the code."""
    return {
        "ANTHROPIC_API_KEY": "unused",
        "ANTHROPIC_BASE_URL": url,
        "OPENAI_API_KEY": "unused",
        "OPENAI_BASE_URL": f"{url}/v1",
    }


async def run(
    block: Block, *command: str, url: str, cwd: Path, environ: Mapping[str, str] | None = None
) -> str:
    """What it complained of; it must have ended well, and have printed what it says it prints."""
    variables = {"RHETOR_URL": url, "OLLAMA_HOST": "127.0.0.1:9", "PATH": "/usr/local/bin:/usr/bin:/bin"}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        env={**variables, **(environ or {})},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=pipe,
        stderr=pipe,
    )
    async with asyncio.timeout(PATIENCE_S):
        out, err = await process.communicate()
    printed = out.decode()
    assert process.returncode == 0, f"{block}: {printed}{err.decode()}"
    assert printed, f"{block} prints nothing"
    for text in block.expected:
        assert text in printed, f"{block} does not print {text!r}, but {printed!r}"
    return err.decode()


def test_commands_that_are_shown_exist(capsys: pytest.CaptureFixture[str]) -> None:
    """Also where they are only read: no page names a subcommand that is gone."""
    pages = [page for page in PAGES if "decisions" not in page.parts]
    shown = {
        word for page in pages for word in re.findall(r"`(?:\$ )?rhetor ([a-z]+)", page.read_text("utf-8"))
    }
    assert {"up", "serve", "check", "doctor", "models", "chat"} <= shown
    for word in shown:
        with pytest.raises(SystemExit) as caught:
            rhetor([word, "--help"])
        assert caught.value.code == 0, word
    capsys.readouterr()


# Generated parts.


@pytest.mark.promise("P27")
async def test_generated_parts_are_current() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(ROOT / "docs" / "generate.py"), "--check", stderr=asyncio.subprocess.PIPE
    )
    _, err = await process.communicate()
    assert process.returncode == 0, err.decode()


@pytest.mark.parametrize("package", CLIENT_PACKAGES)
def test_the_reference_names_whatever_the_python_client_exports(package: str) -> None:
    page = (ROOT / "docs" / "client-python.md").read_text("utf-8")
    exported = import_module(package).__all__
    assert exported
    assert [name for name in exported if f"`{name}`" not in page] == []


def test_the_reference_names_whatever_the_javascript_client_exports() -> None:
    page = (ROOT / "docs" / "client-javascript.md").read_text("utf-8")
    index = (ROOT / "js-client" / "src" / "index.js").read_text("utf-8")
    index += (ROOT / "js-client" / "src" / "sessions.js").read_text("utf-8")
    index += (ROOT / "js-client" / "src" / "media.js").read_text("utf-8")
    exported = re.findall(r"(?:export {|typedef {.*}) (\w+)", index)
    assert "TektonLLMClient" in exported
    assert [name for name in exported if f"`{name}`" not in page] == []


# The schema that editors use.

SCHEMA = ROOT / "docs" / "rhetor.schema.json"


def violations(schema: Mapping[str, Any], value: Any, path: str = "") -> list[str]:
    """What a JSON Schema has against a value; as much of the language as our schema uses."""
    if "$ref" in schema:
        return violations(json_schema()["$defs"][schema["$ref"].rpartition("/")[2]], value, path)
    if "anyOf" in schema:
        found = [violations(choice, value, path) for choice in schema["anyOf"]]
        return [] if [] in found else min(found, key=len)
    kinds: dict[str, Any] = {
        "object": dict, "array": list, "string": str, "boolean": bool, "null": type(None),
        "integer": int, "number": (int, float),
    }  # fmt: skip
    if not isinstance(value, kinds[schema["type"]]) or (
        isinstance(value, bool) and schema["type"] != "boolean"
    ):
        return [f"{path}: is no {schema['type']}"]
    wrong = {
        "enum": lambda limit: value not in limit,
        "pattern": lambda limit: not re.search(limit, value),
        "minimum": lambda limit: value < limit,
        "exclusiveMinimum": lambda limit: value <= limit,
        "maximum": lambda limit: value > limit,
        "minItems": lambda limit: len(value) < limit,
        "required": lambda limit: set(limit) - set(value),
    }
    found = [
        f"{path}: {rule}" for rule, is_wrong in wrong.items() if rule in schema and is_wrong(schema[rule])
    ]
    for n, item in enumerate(value if isinstance(value, list) else ()):
        found += violations(schema["items"], item, f"{path}[{n}]")
    for name, item in value.items() if isinstance(value, dict) else ():
        patterns = schema.get("patternProperties", {}).items()
        fitting = [schema["properties"][name]] if name in schema.get("properties", {}) else []
        fitting += [inner for pattern, inner in patterns if re.search(pattern, name)]
        further = schema.get("additionalProperties", True)
        if not fitting and further is False:
            found.append(f"{path}.{name}: unknown")
        fitting += [further] if not fitting and isinstance(further, dict) else []
        found += [problem for inner in fitting for problem in violations(inner, item, f"{path}.{name}")]
    return found


@pytest.mark.parametrize(
    "text",
    [block.text for block in of("yaml")] + [path.read_text() for path in EXAMPLES] + ["providers: {groq: }"],
)
def test_the_schema_accepts_every_example(text: str) -> None:
    assert violations(json.loads(SCHEMA.read_text("utf-8")), yaml.safe_load(text)) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("server: {hots: x}", ".server.hots: unknown"),
        ("log: {}", ".log: unknown"),
        ("server: {port: 70000}", ".server.port: maximum"),
        ("server: {port: eight}", ".server.port: is no integer"),
        ("timeouts: {idle_s: 0}", ".timeouts.idle_s: exclusiveMinimum"),
        ("logs: {level: loud}", ".logs.level: enum"),
        ("routes: {fast: {}}", ".routes.fast: required"),
        ("routes: {fast: {targets: []}}", ".routes.fast.targets: minItems"),
        ("providers: {Big: {}}", ".providers.Big: unknown"),
        ("providers: {lab: {key: in-clear}}", ".providers.lab.key: pattern"),
        ("server: {tokens: {me: in-clear}}", ".server.tokens.me: pattern"),
        ("providers: {lab: {base_url: lab}}", ".providers.lab.base_url: pattern"),
    ],
)
def test_the_schema_refuses_what_the_gateway_refuses(text: str, problem: str, tmp_path: Path) -> None:
    assert violations(json_schema(), yaml.safe_load(text)) == [problem]
    file = tmp_path / "rhetor.yaml"
    file.write_text(text)
    with pytest.raises(Exception, match=r"\w+"):
        load(file, {})


# Links.


def anchors(page: Path) -> set[str]:
    """What GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    plain = (re.sub(r"[`*]", "", heading).lower() for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for match in LINK.finditer(page.read_text("utf-8")):
        path, _, anchor = match["target"].partition("#")
        if "://" in path:
            continue
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name} links to {match['target']}, which is not there"
        if anchor:
            assert anchor in anchors(target), (
                f"{page.name} links to {match['target']}, which has no such heading"
            )


def test_every_page_can_be_found() -> None:
    """From the README, by links."""
    found, ways = set(), [ROOT / "README.md"]
    while ways:
        page = ways.pop().resolve()
        if page in found or page.suffix != ".md":
            continue
        found.add(page)
        targets = (match["target"].partition("#")[0] for match in LINK.finditer(page.read_text("utf-8")))
        ways += [page.parent / target for target in targets if target and "://" not in target]
        ways += [path for way in ways if way.is_dir() for path in way.glob("*.md")]
        ways = [way for way in ways if not way.is_dir()]
    lost = {page for page in PAGES if page.resolve() not in found} - {ROOT / "CHANGELOG.md"}
    assert not lost, f"nothing links to {sorted(page.name for page in lost)}"
