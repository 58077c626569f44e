"""Manifests of MediaConduit: what they say is taken over, and what is not is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from rhetor.core.capability import Capability
from rhetor.guestbook import service_problems
from rhetor.plugins.loader import read_folder
from rhetor.plugins.manifest import Reading

PROVIDER = """
id: whisper
name: Whisper
description: Speech to text
version: 1.2.0
author: Ann
type: docker
capabilities: [audio-to-text, MindReading]
serviceUrl: https://github.com/example/whisper-service
serviceConfig:
  dockerCompose: docker-compose.yml
  serviceName: whisper
  healthEndpoint: /health
  defaultBaseUrl: http://localhost:9000
models:
  - id: tiny
    name: Tiny
    capabilities: [AudioToText]
    parameters: {maxTokens: 448, temperature: 0}
main: src/index.ts
exportName: WhisperProvider
dependencies: {axios: ^1.0.0}
"""
SERVICE = """
name: Whisper
version: "1.0"
description: Speech to text
capabilities: [AudioToText]
docker:
  composeFile: docker-compose.yml
  serviceName: whisper
  image: example/whisper
  ports: ["9000:9000"]
  healthCheck: {url: "http://localhost:9000/health", interval: 30s, retries: 3}
  environment: {ASR_MODEL: tiny}
requirements: {gpu: false, memory: 2GB, cpu: 2, disk: 512MB}
"""


def read(folder: Path, compose: bool = True, **files: str) -> Reading:
    for name, text in files.items():
        (folder / f"MediaConduit.{name}.yml").write_text(text)
    if compose:
        (folder / "docker-compose.yml").write_text("services: {whisper: {image: example/whisper}}\n")
    return read_folder(folder, service_problems)


@pytest.mark.promise("M11", "M20")
def test_a_provider_with_its_service(tmp_path: Path) -> None:
    """It becomes a row and a service. What would run in its host does not; how to replace that is said."""
    reading = read(tmp_path, provider=PROVIDER)
    manifest = reading.manifest
    assert manifest is not None, reading.problems
    assert (manifest.id, manifest.name, manifest.version, manifest.author) == (
        "whisper",
        "Whisper",
        "1.2.0",
        "Ann",
    )
    row = manifest.providers["whisper"]
    assert (row.wire, row.service, row.capabilities) == ("openai", "whisper", {Capability.AUDIO_TO_TEXT})
    assert [(model.id, model.max_output_tokens) for model in row.models] == [("tiny", 448)]
    compose = {"file": "docker-compose.yml", "service": "whisper", "port": 9000}
    assert manifest.services == {"whisper": {"compose": compose, "health": "/health"}}
    assert [warning.partition(":")[0] for warning in reading.warnings] == [
        "serviceUrl",
        "main",
        "exportName",
        "dependencies",
        "nothing says which language it speaks; it is taken to speak OpenAI's (wire",
        "capabilities",
        "models[0].parameters.temperature",
    ]
    assert "'src/index.ts' is a program that is not run; see docs/plugins.md" in reading.warnings[1]


@pytest.mark.promise("M12")
def test_a_service_alone_is_a_provider_as_well(tmp_path: Path) -> None:
    reading = read(tmp_path, service=SERVICE)
    manifest = reading.manifest
    assert manifest is not None, reading.problems
    assert manifest.providers["whisper"].service == "whisper"
    assert manifest.services["whisper"] == {
        "compose": {"file": "docker-compose.yml", "service": "whisper", "port": 9000},
        "health": "/health",
        "requires": {"memory_mb": 2048, "disk_mb": 512},
    }
    assert [warning.partition(":")[0] for warning in reading.warnings if "not taken over" in warning] == [
        "docker.image",
        "docker.environment",
        "requirements.cpu",
        "docker.healthCheck.interval",
        "docker.healthCheck.retries",
    ]


def test_both_together(tmp_path: Path) -> None:
    reading = read(tmp_path, provider=PROVIDER, service=SERVICE)
    assert reading.file == "MediaConduit.provider.yml and MediaConduit.service.yml"
    assert reading.manifest is not None
    assert reading.manifest.services["whisper"]["requires"] == {"memory_mb": 2048, "disk_mb": 512}


def test_a_server_that_somebody_else_runs(tmp_path: Path) -> None:
    reading = read(tmp_path, compose=False, provider=PROVIDER)
    assert reading.manifest is not None, reading.problems
    row = reading.manifest.providers["whisper"]
    assert (row.base_url, row.local, row.service) == ("http://localhost:9000", True, None)
    assert any(
        warning.endswith("clone https://github.com/example/whisper-service and add that folder")
        for warning in reading.warnings
    )


def test_a_provider_that_is_only_a_program_cannot_be_used(tmp_path: Path) -> None:
    text = "id: moo\nname: Moo\ntype: remote\ncapabilities: [text-to-text]\nmain: src/index.ts\nodd: 1\n"
    reading = read(tmp_path, provider=text)
    assert reading.manifest is None
    assert [str(problem) for problem in reading.problems] == [
        "providers.moo.base_url: must be an address such as https://host/v1"
    ]
    assert "type: not taken over: says 'remote', and nothing says where it answers" in reading.warnings
    assert "odd: not taken over: is not known here" in reading.warnings


def test_what_is_no_yaml_is_said_by_its_own_name(tmp_path: Path) -> None:
    reading = read(tmp_path, provider="a: !!python/object:x y")
    assert str(reading.problems[0]).startswith("MediaConduit.provider.yml:1:4: is not valid: tags such as")


@pytest.mark.parametrize("file", ["../docker-compose.yml", "/etc/passwd"])
def test_a_compose_file_elsewhere_is_none(tmp_path: Path, file: str) -> None:
    reading = read(tmp_path, provider=PROVIDER.replace("docker-compose.yml", file))
    assert (
        "serviceConfig.dockerCompose: not taken over: there is no such file in the plugin" in reading.warnings
    )
