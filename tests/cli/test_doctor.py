"""`rhetor doctor`: what a person wants to know before asking somebody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from rhetor.providers.builtin import load_builtin
from rhetor.testing import Upstream, fails
from tests.cli.conftest import Rhetor


def write(tmp_path: Path, **sections: Any) -> None:
    (tmp_path / "rhetor.yaml").write_text(yaml.safe_dump(sections, sort_keys=False))


async def test_on_a_fresh_machine_it_names_every_key(rhetor: Rhetor) -> None:
    finished = await rhetor("doctor")
    assert finished.code == 0
    assert finished.err == ""
    assert "✓ offline  built in: an echo that asks no model" in finished.out
    assert "· ollama   on while it answers at http://127.0.0.1:9" in finished.out
    assert "✓ auto  offline/echo" in finished.out
    for row in load_builtin().values():
        if row.auth.required:
            for variable in row.key_env:
                assert variable in finished.out
    assert "llamacpp, vllm, lmstudio" in finished.out
    told = [" ".join(line.split()) for line in finished.out.splitlines()]
    assert "· AWS_BEARER_TOKEN_BEDROCK bedrock (or providers.bedrock), with AWS_REGION" in told
    assert "· providers.vertex vertex, with GOOGLE_CLOUD_PROJECT, with GOOGLE_CLOUD_LOCATION" in told


async def test_clouds_say_what_is_missing_of_their_place(rhetor: Rhetor, tmp_path: Path) -> None:
    write(tmp_path, providers={"azure": {"models": ["chat"]}, "bedrock": {"place": {"region": "eu-west-1"}}})
    finished = await rhetor("doctor", environ={"AZURE_API_KEY": "k"})
    assert (
        "✗ azure    no resource for 'azure': set AZURE_OPENAI_RESOURCE or AZURE_RESOURCE_NAME or "
        "providers.azure.place.resource"
    ) in finished.out
    bedrock = "✓ bedrock  https://bedrock-runtime.eu-west-1.amazonaws.com, signed with credentials of aws"
    assert bedrock in finished.out


async def test_the_whole_picture(rhetor: Rhetor, tmp_path: Path, upstream: Upstream) -> None:
    """Read as a person reads it: from top to bottom, ill things marked, nothing that is not needed."""
    upstream.lists("small", "large")
    url = upstream.base_url
    write(
        tmp_path,
        server={"port": 9000, "tokens": {"app": "env:APP_TOKEN"}},
        providers={
            "lab": {"wire": "openai", "base_url": f"{url}/v1", "key": "env:LAB_KEY"},
            "groq": {},
            "bare": {"wire": "openai", "base_url": f"{url}/v1", "models": ["tiny"]},
        },
        routes={"fast": {"targets": ["groq/x", "lab/small"]}, "none": {"targets": ["groq/x"]}},
        aliases={"gpt-4": "fast", "typo": "smal"},
    )
    finished = await rhetor("doctor", environ={"APP_TOKEN": "t", "LAB_KEY": "k", "OLLAMA_HOST": url})
    assert finished.err == ""
    head, _, tail = finished.out.partition("\na key switches on\n")
    assert (
        head
        == f"""\
configuration  {tmp_path}/rhetor.yaml
listens on     127.0.0.1:9000, tokens of app

providers
  ✓ lab      {url}/v1, key from env:LAB_KEY, 2 models
  ✗ groq     no key for 'groq': set GROQ_API_KEY, or remove the provider
  ✓ bare     {url}/v1, 1 model
  ✓ ollama   {url}, 2 models
  ✓ offline  built in: an echo that asks no model

who answers to a name
  ✓ auto   lab/small
  ✓ fast   lab/small; without groq/x: no key for 'groq': set GROQ_API_KEY, or remove the provider
  ✗ none   no key for 'groq': set GROQ_API_KEY, or remove the provider
  ✓ gpt-4  lab/small; without groq/x: no key for 'groq': set GROQ_API_KEY, or remove the provider
  ✗ typo   unknown model 'smal'; did you mean small?
"""
    )
    assert "GROQ_API_KEY" not in tail
    assert finished.code == 1


@pytest.mark.parametrize("status", [401, 500])
async def test_a_provider_that_refuses_is_found_out(
    rhetor: Rhetor, tmp_path: Path, upstream: Upstream, status: int
) -> None:
    """Asking is the only way to know; the key itself is not shown, even if the provider repeats it."""
    upstream.lists("small", but=fails(status, "wrong key: canary-0123456789"))
    write(tmp_path, providers={"openai": {"base_url": f"{upstream.base_url}/v1"}})
    finished = await rhetor("doctor", environ={"OPENAI_API_KEY": "canary-0123456789"})
    assert finished.code == 1
    assert f"✗ openai   {upstream.base_url}/v1, key from OPENAI_API_KEY: " in finished.out
    assert "canary" not in finished.out + finished.err


async def test_where_a_key_comes_from(rhetor: Rhetor, tmp_path: Path, upstream: Upstream) -> None:
    write(tmp_path, providers={"gemini": {"base_url": f"{upstream.base_url}/v1"}})
    finished = await rhetor("doctor", environ={"GEMINI_API_KEY": "", "GOOGLE_API_KEY": "k"})
    assert "key from GOOGLE_API_KEY, " in finished.out


async def test_nobody_is_asked_when_discovery_is_off(
    rhetor: Rhetor, tmp_path: Path, upstream: Upstream
) -> None:
    write(
        tmp_path,
        discovery={"enabled": False, "local": False},
        providers={"lab": {"wire": "openai", "base_url": f"{upstream.base_url}/v1"}},
    )
    finished = await rhetor("doctor")
    assert f"✓ lab      {upstream.base_url}/v1\n" in finished.out
    assert upstream.requests == []


async def test_a_broken_file_is_told_like_check_does(rhetor: Rhetor, tmp_path: Path) -> None:
    write(tmp_path, server={"port": "eight"})
    finished = await rhetor("doctor")
    assert (finished.code, finished.out) == (1, "")
    assert finished.err == "✗ server.port: must be a whole number (is 'eight')\n"


async def test_a_variable_without_effect_is_named(rhetor: Rhetor) -> None:
    finished = await rhetor("doctor", environ={"RHETOR_LOG_LEVEL": "debug"})
    assert "✗ RHETOR_LOG_LEVEL: has no effect; did you mean RHETOR_LOGS_LEVEL?\n" in finished.out


async def test_who_lists_no_models_is_not_ill_where_they_are_known(
    rhetor: Rhetor, tmp_path: Path, upstream: Upstream
) -> None:
    upstream.lists("x", but=fails(404, "no such page"))
    lab = {"wire": "openai", "base_url": f"{upstream.base_url}/v1", "models": ["tiny"]}
    write(tmp_path, providers={"lab": lab})
    finished = await rhetor("doctor")
    assert finished.code == 0
    assert f"· lab      {upstream.base_url}/v1: " in finished.out
