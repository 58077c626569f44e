"""`rhetor route explain`: who would be asked, and why the others would not."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from rhetor.cli import route
from rhetor.testing import Upstream, fails
from rhetor.testing.nowhere import refused
from tests.cli.conftest import Rhetor
from tests.conftest import MakeGateway, settings

FILE = {
    "providers": {
        "lab": {"wire": "openai", "base_url": "http://127.0.0.1:9/v1", "models": ["a", "b"], "tags": ["eu"]}
    },
    "routes": {"fast": {"targets": ["lab/a", "groq/x"], "strategy": "cheapest"}},
    "rules": {"component": {"ergon": "lab/b"}},
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "house.yaml"
    path.write_text(yaml.safe_dump(FILE))
    return path


async def test_a_file_is_enough(rhetor: Rhetor, file: Path) -> None:
    finished = await rhetor("route", "explain", "fast", "--config", str(file))
    assert (finished.code, finished.err) == (0, "")
    assert finished.out == (
        "fast (cheapest)\n  1. lab/a   target 1 of fast\n  ✗  groq/x  no key for 'groq': set GROQ_API_KEY\n"
    )


async def test_rules_and_demands(rhetor: Rhetor, file: Path) -> None:
    finished = await rhetor("route", "explain", "--component", "ergon", "--config", str(file))
    assert "1. lab/b" in finished.out
    finished = await rhetor("route", "explain", "auto", "--tags", "eu,us", "--config", str(file))
    assert finished.code == 1
    assert "lab/a: is not tagged us" in finished.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("nobody",), "unknown model"), (("fast", "--capability", "magic"), "magic")],
)
async def test_what_cannot_be_explained(
    rhetor: Rhetor, file: Path, arguments: tuple[str, ...], words: str
) -> None:
    finished = await rhetor("route", "explain", *arguments, "--config", str(file))
    assert (finished.code, finished.out) == (1, "")
    assert words in finished.err


def test_no_words_of_others_steer_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    told = {"target": "lab/a\x1b[2J", "reason": "said: no\n  ✗  you"}
    route._print({"route": "r\x9b", "strategy": "ordered", "targets": [told], "left_out": [told]})
    said = "lab/a\ufffd[2J  said: no   ✗  you"
    assert capsys.readouterr().out == f"r\ufffd (ordered)\n  1. {said}\n  ✗  {said}\n"


async def test_a_running_gateway_knows_how_they_are_doing(
    rhetor: Rhetor, make_gateway: MakeGateway, upstream: Upstream
) -> None:
    gateway = await make_gateway(settings(upstream, routes={"two": {"targets": ["oai/m", "oai/n"]}}))
    upstream.next(fails(429, headers={"retry-after": "60"}))
    ask = {"model": "oai/m", "messages": [{"role": "user", "content": "hi"}]}
    assert (await gateway.post("/v1/chat/completions", ask))[0] == 429
    finished = await rhetor("route", "explain", "two", "--url", gateway.url)
    assert finished.code == 0
    assert "asked to be left alone" in finished.out


async def test_no_gateway_is_a_sentence_and_a_remedy(rhetor: Rhetor) -> None:
    with refused() as url:
        finished = await rhetor("route", "explain", "fast", "--url", url)
    assert finished.code == 1
    assert "start it with `rhetor up`" in finished.err
