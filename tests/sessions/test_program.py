"""Programs are found, looked at and cleaned; the ones here are small scripts."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.errors import Code, RhetorError
from rhetor.core.ids import new_id
from rhetor.services import minder
from rhetor.services.process import Spec
from rhetor.sessions import program as module
from rhetor.sessions.backend import Access, Setup
from rhetor.sessions.program import FRESH_S, LAST_WORDS, Make, Program, around_proxies, cleaner, death
from rhetor.testing import FakeClock
from tests.sessions.conformance import make_setup, no_history

MAKE = Make(
    name="an_agent",
    title="An Agent",
    version=re.compile(r"^(\d+)\.(\d+)\.(\d+)", re.MULTILINE),
    oldest=(2, 1, 150),
    install="npm install -g an-agent",
)
ENVIRON = {"PATH": "/usr/bin:/bin"}
TOKEN = "sk-session-canary-7d41"

MakeProgram = Callable[..., Program]


def script(folder: Path, body: str) -> str:
    path = folder / "agent"
    path.write_text(f"#!{sys.executable} -ISu\nimport os, sys, time\n{body}\n")
    path.chmod(0o700)
    return str(path)


@pytest.fixture
async def make(tmp_path: Path, no_leaks: None) -> AsyncIterator[MakeProgram]:
    """Programs that do as they are told; no process of theirs may be left."""
    house = f"tests.{new_id('house')}"
    yield lambda body, **given: Program(
        MAKE, script(tmp_path, body), house, given.pop("environ", ENVIRON), **given
    )
    left = [pid for pid in minder.pids() if minder.environment_of(pid).get(minder.HOUSE) == house]
    assert not left, f"processes left behind: {left}"


async def test_it_says_its_version(make: MakeProgram, tmp_path: Path) -> None:
    condition = await make("print('2.1.197 (An Agent)')").check()
    assert (condition.healthy, condition.version) == (True, "2.1.197")
    assert condition.binary == str(tmp_path / "agent")
    assert condition.error is None


async def test_it_is_asked_once_in_half_a_minute_whoever_asks(make: MakeProgram, tmp_path: Path) -> None:
    clock = FakeClock()
    asked = tmp_path / "asked"
    program = make(f"open({str(asked)!r}, 'a').write('x'); print('2.1.197')", clock=clock)
    await asyncio.gather(*(program.check() for _ in range(5)))
    clock.advance(FRESH_S - 1)
    await program.check()
    assert asked.read_text() == "x"
    clock.advance(1)
    await program.check()
    assert asked.read_text() == "xx"


@pytest.mark.parametrize(
    ("body", "error", "version"),
    [
        ("print('2.1.99')", "An Agent 2.1.99 is older than 2.1.150: update it with `npm install", "2.1.99"),
        ("print('hello')", "status 0 and said 'hello'", None),
        ("sys.exit('no licence')", "status 1 and said 'no licence'", None),
        ("print('2.1.197'); sys.exit(2)", "status 2", None),
    ],
)
async def test_what_is_wrong_with_it_is_said(
    body: str, error: str, version: str | None, make: MakeProgram
) -> None:
    condition = await make(body).check()
    assert not condition.healthy
    assert condition.error is not None
    assert error in condition.error
    assert condition.version == version


async def test_warnings_before_its_version_do_no_harm(make: MakeProgram) -> None:
    assert (await make("print('warning: old kernel', file=sys.stderr); print('2.1.197')").check()).healthy


async def test_a_program_that_does_not_end(make: MakeProgram, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "VERSION_S", 0.3)
    condition = await make("time.sleep(600)").check()
    assert "took longer than" in str(condition.error)


async def test_a_program_that_is_not_there() -> None:
    """The error says how to get it."""
    program = Program(MAKE, "no-such-agent", "tests.nobody", ENVIRON)
    condition = await program.check()
    assert not condition.healthy
    with pytest.raises(RhetorError, match=r"npm install .* sessions\.an_agent\.command") as raised:
        program.find()
    assert (raised.value.code, raised.value.origin) == (Code.UNAVAILABLE, "an_agent")
    assert condition.error == raised.value.message


async def test_it_is_found_by_its_name(tmp_path: Path) -> None:
    path = script(tmp_path, "print('2.1.197')")
    assert Program(MAKE, "agent", "tests.nobody", {"PATH": str(tmp_path)}).find() == path


def test_of_our_environment_it_gets_the_harmless_part() -> None:
    ours = {"PATH": "/bin", "LC_ALL": "C", "HOME": "/root", "OPENAI_API_KEY": "sk-x", "LD_PRELOAD": "/x.so"}
    assert Program(MAKE, "agent", "tests.nobody", ours).inherited() == {"PATH": "/bin", "LC_ALL": "C"}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("sys.exit('the disk is full')", "agent ended with status 1: the disk is full"),
        ("sys.exit(3)", "agent ended with status 3"),
        ("os.kill(os.getpid(), 9)", "agent was ended by signal 9"),
        ("os.close(1); time.sleep(600)", "agent has closed its output"),
        ("sys.exit('it said secret-words')", "agent ended with status 1: it said ***"),
    ],
)
async def test_what_it_died_of(
    body: str, said: str, make: MakeProgram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EXIT_S", 0.5)
    program = make(body)
    wanted = Spec(argv=(program.find(),), cwd=tmp_path, env=ENVIRON, label="agent", stdout="lines")
    child = await program.start(wanted, "mark")
    try:
        assert [line async for line in child.lines()] == []
        error = await death(child, "an_agent", "agent", lambda text: text.replace(b"secret-words", b"***"))
    finally:
        await child.stop()
    assert (error.message, error.code, error.origin) == (said, Code.UNAVAILABLE, "an_agent")


async def test_of_its_last_words_only_the_last_are_repeated(make: MakeProgram, tmp_path: Path) -> None:
    program = make("sys.exit('x' * 100_000 + ' the end')")
    wanted = Spec(argv=(program.find(),), cwd=tmp_path, env=ENVIRON, label="agent", stdout="lines")
    child = await program.start(wanted, "mark")
    async for _ in child.lines():
        pass
    error = await death(child, "an_agent", "agent", bytes)
    await child.stop()
    assert error.message.endswith(" the end")
    assert len(error.message) < LAST_WORDS + 100


def test_the_gateway_is_asked_around_proxies(tmp_path: Path) -> None:
    def given(**environment: str) -> Mapping[str, str]:
        return around_proxies(make_setup(tmp_path, "http://127.0.0.1:8003", environment=environment))

    assert given() == {}
    assert given(HTTPS_PROXY="http://proxy:3128")["NO_PROXY"] == "127.0.0.1"
    assert given(https_proxy="http://proxy:3128", no_proxy="intern")["no_proxy"] == "intern,127.0.0.1"


def test_secrets_are_taken_out(tmp_path: Path) -> None:
    environment = {"GITHUB_TOKEN": "ghp_123456789", "GIT_AUTHOR_NAME": "Ada Lovelace", "A_KEY": "1"}
    clean = cleaner(make_setup(tmp_path, "http://x", environment=environment))
    line = f'{{"a": "{TOKEN} ghp_123456789 Ada Lovelace 1"}}'.encode()
    assert clean(line) == b'{"a": "[redacted] [redacted] Ada Lovelace 1"}'


@given(secret=st.text(min_size=8, max_size=20))
def test_secrets_are_taken_out_however_json_writes_them(secret: str) -> None:
    """Once, and as a text in a text."""
    clean = cleaner(
        Setup(
            session_id="ses_1",
            owner="",
            model="",
            directory=Path("/"),
            home=Path("/"),
            native_id=None,
            history=no_history,
            access=Access("http://x", "k" * 9),
            environment={"MY_SECRET": secret},
        )
    )
    for text in (secret, json.dumps(secret), json.dumps(secret, ensure_ascii=False)):
        for plain in (True, False):
            cleaned = json.loads(clean(json.dumps({"said": f"<{text}>"}, ensure_ascii=plain).encode()))
            assert secret not in cleaned["said"]
            assert json.dumps(secret)[1:-1] not in cleaned["said"]


def test_without_secrets_nothing_is_taken_out(tmp_path: Path) -> None:
    clean = cleaner(make_setup(tmp_path, "http://x", access=Access("http://x", "")))
    assert clean(b"anything") == b"anything"
