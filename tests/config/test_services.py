"""The section `services`: what it says is what is run, and what makes no sense is said with its remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from rhetor.assembly import assemble, load
from rhetor.config import ConfigError
from rhetor.config.services import ServiceConfig
from rhetor.providers.builtin import load_builtin
from rhetor.providers.offline import OfflineTransport
from rhetor.services.spec import Compose, Health, Requires, ServiceSpec
from rhetor.services.supervisor import Restart

BASE = Path("/home/me/lab")


def test_a_command() -> None:
    said = {
        "command": ["llama-server", "--port", "{port}"],
        "health": "/health",
        "base_path": "/v1",
        "idle_stop_s": 900,
        "restart": {"most": None},
        "env": {"HF_TOKEN": "env:HF_TOKEN"},
        "folder": "models",
        "requires": {"memory_mb": 6000, "gpu": True},
    }
    assert ServiceConfig.model_validate(said).spec(BASE) == ServiceSpec(
        command=("llama-server", "--port", "{port}"),
        health=Health(path="/health"),
        base_path="/v1",
        idle_stop_s=900.0,
        restart=Restart(steady_s=10.0, most=None),
        env={"HF_TOKEN": "env:HF_TOKEN"},
        folder=BASE / "models",
        requires=Requires(memory_mb=6000, gpu=True),
    )


def test_a_compose_file_and_one_that_runs_already() -> None:
    compose = {"file": "compose.yaml", "service": "whisper", "port": 9000}
    spec = ServiceConfig.model_validate({"compose": compose, "reuse": {"port": 9000}}).spec(BASE)
    assert spec.compose == Compose(file=BASE / "compose.yaml", service="whisper", port=9000)
    assert spec.reuse == "http://127.0.0.1:9000"
    elsewhere = ServiceConfig.model_validate({"reuse": {"url": "http://gpu-box:9000/"}}).spec()
    assert elsewhere.reuse == "http://gpu-box:9000"


def test_where_it_runs_unless_it_says_so() -> None:
    plain = ServiceConfig.model_validate({"command": ["x"]})
    assert plain.spec(BASE).folder is None
    assert plain.spec(BASE, folder=BASE / "plugin").folder == BASE / "plugin"


COMPOSE = {"file": "c.yaml", "service": "s", "port": 80}


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ({}, "services.s: needs a command, or compose, or an address to reuse"),
        ({"command": ["x"], "compose": COMPOSE}, "services.s: command or compose, not both"),
        ({"command": "x --port"}, "services.s.command: must be a list: [one, another] (is 'x --port')"),
        ({"command": ["x"], "port": 0}, "services.s.port: must be at least 1 (is 0)"),
        ({"reuse": {"port": 9}, "port": 9}, "services.s: port has no effect here: reuse says where it is"),
        ({"reuse": {}}, "services.s.reuse: either port or url"),
        (
            {"reuse": {"url": "ftp://x"}},
            "services.s.reuse.url: must be scheme, host and port alone, such as http://127.0.0.1:9000 "
            "(is 'ftp://x')",
        ),
        (
            {"command": ["x"], "health": "health"},
            "services.s.health.path: must be a path on the service's own port, such as /health (is 'health')",
        ),
        (
            {"command": ["x"], "health": {"path": "/h", "says": "ready"}},
            "services.s.health: path or says, not both",
        ),
        (
            {"command": ["x"], "health": {"says": "ready", "silent_s": 9}},
            "services.s.health: silent_s has no effect without a path to ask at",
        ),
        (
            {"compose": COMPOSE, "health": {"says": "ready"}},
            "services.s: health.says is for a command that is always started here: use health.path",
        ),
        (
            {"command": ["x"], "base_path": "v1/"},
            "services.s.base_path: must be a path such as /v1, without a slash at its end (is 'v1/')",
        ),
        (
            {"command": ["x"], "idle_stop": 5},
            "services.s.idle_stop: no such setting here; did you mean idle_stop_s?",
        ),
    ],
)
def test_what_makes_no_sense(said: dict[str, Any], wrong: str, tmp_path: Path) -> None:
    assert problems({"services": {"s": said}}, tmp_path) == [wrong]


def test_a_provider_can_only_be_a_service_that_there_is(tmp_path: Path) -> None:
    given = {
        "services": {"tiny": {"command": ["x"]}},
        "providers": {"a": {"wire": "openai", "service": "tny"}},
    }
    assert problems(given, tmp_path) == [
        "providers.a.service: no such service; there are tiny: add it to services (is 'tny')"
    ]


def test_what_is_wrong_with_a_variable_does_not_show_it(tmp_path: Path) -> None:
    given = {"services": {"s": {"command": ["x"], "env": {"TOKEN": ["canary"]}}}}
    (problem,) = problems(given, tmp_path)
    assert problem.startswith("services.s.env.TOKEN: must be text")
    assert "canary" not in problem


def nowhere(row: object, setting: object) -> OfflineTransport:
    return OfflineTransport()


def problems(given: dict[str, Any], folder: Path) -> list[str]:
    path = folder / "rhetor.yaml"
    path.write_text(yaml.safe_dump(given))
    with pytest.raises(ConfigError) as raised:
        assemble(load(path, {}), {}, load_builtin(), nowhere)
    return [str(problem) for problem in raised.value.problems]
