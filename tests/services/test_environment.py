"""A service gets what was written for it, what every program needs, and no secret of somebody else."""

from __future__ import annotations

import pytest

from rhetor.services.environment import ENGINE, inherited, variables
from rhetor.services.spec import ServiceSpec, service_url, variable

GATEWAYS = {
    "PATH": "/bin",
    "LC_ALL": "C",
    "OPENAI_API_KEY": "sk-x",
    "RHETOR_AUTH_TOKEN": "t",
    "DOCKER_HOST": "unix:///x",
    "HTTPS_PROXY": "http://user:password@proxy",
}


def test_only_harmless_variables_are_inherited() -> None:
    assert inherited(GATEWAYS) == {"PATH": "/bin", "LC_ALL": "C"}
    assert inherited(GATEWAYS, ENGINE).keys() == {"PATH", "LC_ALL", "DOCKER_HOST"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [("whisper", "WHISPER_HOST_PORT"), ("my-whisper", "MY_WHISPER_HOST_PORT"), ("a_b", "A_B_HOST_PORT")],
)
def test_a_port_has_a_legal_name(name: str, expected: str) -> None:
    assert variable(name) == expected


def test_what_was_written_counts() -> None:
    spec = ServiceSpec(command=("x",), env={"S_HOST_PORT": "7", "A": "{port}"})
    assert variables("s", spec) == {"S_HOST_PORT": "7", "A": "{port}"}
    assert variables("t", spec)["T_HOST_PORT"] == "{port}"


def test_a_service_has_an_address_before_its_port_is_known() -> None:
    assert service_url("my_whisper", "/v1") == "http://my-whisper.service.internal/v1"
