"""What authors of providers are given: a plugin to begin with, and a report on one that tells the truth."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rhetor.cli import main
from rhetor.config import Config
from rhetor.core.capability import Capability
from rhetor.kit.check import Wishes, check_source, exit_code
from rhetor.kit.page import page
from rhetor.kit.probes import PROBES
from rhetor.kit.report import Outcome, Report, Step
from rhetor.testing import Upstream
from rhetor.testing.steps import fails
from tests.cli.conftest import Finished
from tests.plugins.desks import plugin_folder

Run = Callable[..., Finished]
KEY = "sk-canary-of-an-author"
EXAMPLES = (
    *("text-to-text", "embeddings", "rerank"),
    *("text-to-image", "text-to-audio", "audio-to-text"),
)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`rhetor providers …` in this process, in a folder of the test's own, which is its home as well."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def run(*arguments: str) -> Finished:
        code = main(["providers", *arguments])
        said = capsys.readouterr()
        return Finished(code, said.out, said.err)

    return run


def found(report: dict[str, Any], provider: str = "") -> dict[tuple[str, str], str]:
    """Outcomes by capability and name."""
    steps = [step for each in report["providers"] if provider in ("", each["id"]) for step in each["steps"]]
    return {
        (step["capability"] or "", step["name"]): step["outcome"] for step in [*report["loading"], *steps]
    }


# A plugin to begin with.


@pytest.mark.promise("M27")
@pytest.mark.parametrize("kind", ["python", "javascript"])
def test_a_program_that_was_begun_works_at_once(run: Run, kind: str) -> None:
    """With every example in it, confined as the gateway runs it."""
    asked = [word for each in EXAMPLES for word in ("--capability", each)]
    begun = run("new", "studio", "--kind", kind, *asked)
    assert begun.code == 0, begun.err

    checked = run("check", "studio", "--json", "-")

    report = json.loads(checked.out)
    assert checked.code == 0, [step for each in report["providers"] for step in each["steps"]]
    outcomes = found(report)
    assert report["verdict"] == "ok"
    assert all(outcomes[each, "generation"] == "ok" for each in EXAMPLES)
    assert outcomes["text-to-text", "cancel"] == "ok"
    assert outcomes["audio-to-text", "bad input"] == "ok"


@pytest.mark.promise("M27", "M28")
def test_a_row_that_was_begun_keeps_the_contract(run: Run) -> None:
    """`new NAME URL` is all; what it claims is held by the suite that holds the built-in ones."""
    media = ("text-to-image", "image-to-image", "text-to-audio", "audio-to-text")
    asked = [word for each in ("text-to-text", *media) for word in ("--capability", each)]
    assert run("new", "farm", "https://api.farm.example/v1", "--into", "here", *asked).code == 0

    checked = run("check", "here", "--offline", "--json", "report.json")

    assert checked.code == 0, checked.out
    assert "✓ farm 0.1.0: it works" in checked.out
    outcomes = found(json.loads(Path("report.json").read_text()))
    assert outcomes["text-to-text", "the connection is cut, streamed"] == "ok"
    for each in media:
        for name in ("generation", "too many requests", "the caller leaves while nothing was answered"):
            assert outcomes[each, name] == "ok", (each, name)
    assert (
        run("check", "here").out.splitlines()[-1].startswith("· farm 0.1.0: nothing failed, and nothing was")
    )


def test_nothing_is_overwritten(run: Run) -> None:
    Path("mine").mkdir()
    Path("mine/provider.py").write_text("years of work")

    begun = run("new", "mine", "--kind", "python")

    assert begun.code == 1
    assert begun.err == "✗ mine is there already, and not empty; say --into ANOTHER\n"
    assert [path.read_text() for path in Path("mine").iterdir()] == ["years of work"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["Big", "--kind", "python"], "'Big' is no id"),
        (["openai", "https://x.example/v1"], "there is a provider 'openai' already, which is built in"),
        (["lab", "http://x.example/v1"], "would send the key in clear; write https://"),
        (["lab", "https://x.example", "--wire", "latin"], "no such language"),
        (
            ["lab", "https://x.example", "--wire", "anthropic", "--capability", "rerank"],
            "has no word for rerank",
        ),
        (
            ["lab", "--kind", "python", "--capability", "text-to-video"],
            "there is no example of text-to-video",
        ),
        (["lab"], "--kind is needed"),
    ],
)
def test_what_could_not_be_used_is_not_begun(run: Run, arguments: list[str], why: str) -> None:
    begun = run("new", *arguments)
    assert begun.code != 0
    assert why in begun.err
    assert not Path(arguments[0]).exists()


# A report.

ZOO = """
plugin: 1
id: zoo
providers:
  liar: {wire: guest, code: liar, models: [a]}
  fragile: {wire: guest, code: fragile, models: [a]}
  deaf: {wire: guest, code: deaf, models: [a]}
  lost: {wire: guest, code: lost, models: [a]}
code:
  liar: {language: python, main: liar.py}
  fragile: {language: python, main: fragile.py}
  deaf: {language: python, main: deaf.py}
  lost: {language: python, main: lost.py}
"""
LIAR = """
from rhetor_provider import Provider
class Liar(Provider):
    async def stream(self, request):
        yield " "
"""
FRAGILE = """
import os
from rhetor_provider import Provider
class Fragile(Provider):
    async def stream(self, request):
        if not request.text:
            os._exit(3)
        yield "well"
"""
DEAF = """
import time
from rhetor_provider import Provider
class Deaf(Provider):
    async def stream(self, request):
        if not request.text:
            raise ValueError("surprise")
        yield "one "
        if request.stream:
            time.sleep(0.5)
            yield "two"
            time.sleep(600 if len(asked) else 0)
            asked.append(request)
asked = []
"""
LOST = """
from rhetor_provider import Failure, Provider
class Lost(Provider):
    def test_connection(self):
        raise Failure("plug it in\\x1b[2J\\x9b31m\\n✓ all is well", "unavailable")
"""


@pytest.mark.promise("M28", "M33")
def test_a_report_finds_what_is_wrong_and_says_what_to_do(run: Run, tmp_path: Path) -> None:
    """Wrong answers, a death, a program that works on for nobody, one that is not there."""
    zoo = plugin_folder(
        tmp_path / "zoo", ZOO, liar_dot_py=LIAR, fragile_dot_py=FRAGILE, deaf_dot_py=DEAF, lost_dot_py=LOST
    )

    checked = run("check", zoo, "--json", "zoo.json", "--html", "zoo.html")

    report = json.loads(Path("zoo.json").read_text())
    assert (checked.code, report["verdict"]) == (1, "failed")
    steps = {(each["id"], step["name"]): step for each in report["providers"] for step in each["steps"]}

    def failed(provider: str, name: str) -> str:
        step = steps[provider, name]
        assert step["outcome"] == "failed", step
        assert step["remedy"]
        return str(step["said"])

    assert failed("liar", "generation") == "it ended without a word"
    assert "the program died of it" in failed("fragile", "bad input")
    assert steps["fragile", "unknown model"]["outcome"] == "ok", "it was started again"
    assert "works on for more than 5 s when nobody listens" in failed("deaf", "cancel")
    assert "upstream_error" in failed("deaf", "bad input")
    assert "plug it in" in failed("lost", "connection")
    assert "plug it in\ufffd[2J\ufffd31m ✓ all is well" in checked.out, "nothing of it steers a terminal"
    assert {step["part"] for step in steps.values()} == {"loading", "models", "generation", "errors"}
    assert steps["deaf", "stream"]["first_event_ms"] <= steps["deaf", "stream"]["total_ms"]
    assert Path("zoo.html").read_text().count('<li class="failed">') == report["counts"]["failed"]


@pytest.mark.promise("M33")
def test_every_problem_of_a_manifest_is_told(run: Run, tmp_path: Path) -> None:
    broken = plugin_folder(tmp_path / "lab", "plugin: 1\nid: lab\nproviders: {lab: {wire: latin}}\nmode: x\n")

    checked = run("check", broken)

    assert checked.code == 1
    assert "✗ providers.lab.wire no such language" not in checked.out  # what stands in the way is told first
    assert "✗ mode           no such setting here" in checked.out
    assert "→ correct rhetor-plugin.yaml" in checked.out


ROW = """
plugin: 1
id: lab
providers:
  lab: {wire: openai, base_url: "%s/v1", local: true, auth: {required: true}, key_env: [LAB_KEY],
        capabilities: [text-to-text, embeddings, text-to-image], features: [streaming]}
"""


async def checked(source: str, **wishes: Any) -> Report:
    environ = {"LAB_KEY": "", "OTHER": KEY}
    return await check_source(source, Config(), environ, Wishes(**wishes), lambda provider, step: None)


def outcomes(report: Report) -> dict[tuple[str, str], Outcome]:
    return {(step.capability, step.name): step.outcome for step in report.steps()}


@pytest.mark.promise("M28", "M33")
async def test_a_row_is_asked_at_its_own_address_with_the_key(upstream: Upstream, tmp_path: Path) -> None:
    lab = plugin_folder(tmp_path / "lab", ROW % upstream.base_url)

    report = await checked(lab, key="env:OTHER")

    assert report.verdict == "ok", [step for step in report.steps() if step.outcome is Outcome.FAILED]
    assert outcomes(report)["text-to-image", "stream"] is Outcome.OK, "nobody is paid on this machine"
    assert all(seen.headers["authorization"] == f"Bearer {KEY}" for seen in upstream.requests)
    assert report.providers[0].models == ("small", "large")


async def test_without_its_key_everything_is_skipped(upstream: Upstream, tmp_path: Path) -> None:
    report = await checked(plugin_folder(tmp_path / "lab", ROW % upstream.base_url))

    assert (report.verdict, exit_code(report), upstream.requests) == ("unproven", 0, [])
    (step,) = report.providers[0].steps
    assert step.outcome is Outcome.SKIPPED
    assert "set LAB_KEY" in step.said
    assert "--key env:NAME" in step.remedy


async def test_a_key_that_is_refused_is_no_fault_of_the_rest_and_never_told(
    upstream: Upstream, tmp_path: Path
) -> None:
    upstream.always(fails(401, message=f"no such key: {KEY}"))

    report = await checked(
        plugin_folder(tmp_path / "lab", ROW % upstream.base_url),
        key="env:OTHER",
        only=frozenset({Capability.CHAT}),
    )

    step = next(step for step in report.steps() if step.name == "generation")
    assert step.outcome is Outcome.FAILED
    assert "look at the key" in step.remedy
    assert KEY not in json.dumps(report.as_json()) + page(report)
    assert outcomes(report)["text-to-text", "errors"] is Outcome.SKIPPED


KEYED = """
plugin: 1
id: keyed
providers: {keyed: {wire: guest, code: keyed, models: [a]}}
code: {keyed: {language: python, main: keyed.py, env: [KEYED_KEY]}}
"""
SAYS_ITS_KEY = """
import os
from rhetor_provider import Provider
class Keyed(Provider):
    async def stream(self, request):
        yield os.environ["KEYED_KEY"]
"""


async def test_a_program_gets_the_key_as_its_variable_and_the_report_has_it_not(tmp_path: Path) -> None:
    report = await checked(
        plugin_folder(tmp_path / "keyed", KEYED, keyed_dot_py=SAYS_ITS_KEY), key="env:OTHER"
    )

    assert report.verdict == "ok", list(report.steps())
    told = json.dumps(report.as_json()) + page(report)
    assert KEY not in told
    assert "[redacted]" in told


def test_what_was_added_is_checked_by_its_name(run: Run) -> None:
    assert run("new", "parrot", "--kind", "python").code == 0
    assert run("add", "parrot").code == 0

    Path("parrot").rename("elsewhere")  # which would be meant else

    added = run("check", "parrot")

    assert added.code == 0, added.out + added.err
    assert "✓ manifest       loaded" in added.out
    nobody = run("check", "nobody")
    assert (nobody.code, nobody.err) == (1, "✗ no plugin or provider 'nobody'\n")


def test_a_page_needs_nothing_but_itself_and_believes_nobody() -> None:
    nasty = "<script>alert(1)</script>"
    report = Report(source=nasty, plugin=nasty, warnings=(nasty,))
    report.loading.append(Step(part="loading", name=nasty, outcome=Outcome.FAILED, said=nasty, remedy=nasty))

    made = page(report)

    assert "<script" not in made
    assert made.count("&lt;script&gt;") >= 6
    assert "light-dark(" in made
    assert not re.search(r"""(src|href)=|url\(|@import""", made)


def test_every_capability_has_a_probe_or_begins_with_a_film() -> None:
    missing = set(Capability) - PROBES.keys()
    assert missing == {Capability.VIDEO_TO_VIDEO, Capability.VIDEO_TO_IMAGE, Capability.VIDEO_TO_AUDIO}
