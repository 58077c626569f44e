"""What can be imported, from where, and how soon."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

import tekton_llm_client as tekton
from tekton_llm_client import TektonLLMClient
from tekton_llm_client.adapters.base import BaseAdapter
from tekton_llm_client.adapters.fallback import FallbackAdapter
from tekton_llm_client.adapters.rhetor import RhetorAdapter
from tests.conftest import Gateway

OUTSIDE = {tekton.FormatError, tekton.JSONParsingError}
"""They are about a model's text, not about the way to it."""


@pytest.mark.parametrize("name", tekton.__all__)
def test_every_promised_name_is_at_top_level(name: str) -> None:
    kind = getattr(tekton, name)
    assert name in dir(tekton)
    if name.endswith("Error"):
        assert issubclass(kind, tekton.TektonLLMError) != (kind in OUTSIDE)
        assert getattr(import_module("tekton_llm_client.exceptions"), name) is kind


def test_a_name_that_is_none_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = tekton.nothing


def test_importing_the_package_imports_nothing_else() -> None:
    code = "import sys, tekton_llm_client; print(*{'aiohttp', 'pydantic', 'websockets'} & sys.modules.keys())"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.strip() == ""


def test_http_alone_needs_no_websockets() -> None:
    code = "import sys; from tekton_llm_client import TektonLLMClient; print('websockets' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.strip() == "False"


async def test_a_client_can_be_seen_as_adapters(gateway: Gateway) -> None:
    options = {"fallback_provider": "ant", "fallback_model": "large"}
    client = TektonLLMClient("comp", gateway.url, "oai", "small", llm_settings=options)
    assert client.session is None
    async with client:
        primary, fallback = client.primary_adapter, client.fallback_adapter
        assert isinstance(primary, BaseAdapter)
        assert (primary.base_url, primary.timeout) == (gateway.url, client.timeout)
        assert await primary.initialize()
        assert fallback is not None
        assert fallback.fallback_models == ["ant/large"]
        assert await fallback.initialize()
        messages = [{"role": "user", "content": "q"}]
        assert (await primary.complete_chat(messages)).content == "hello world"
        assert "".join([chunk.chunk async for chunk in primary.stream_chat(messages)]) == "hello world"
        assert (await primary.get_providers()).providers
        assert client.session is not None
    assert client.session is None


async def test_an_adapter_can_stand_alone(gateway: Gateway) -> None:
    adapter = RhetorAdapter(gateway.url, timeout=5)
    assert await adapter.initialize()
    await adapter.shutdown()


async def test_a_fallback_only_names_somebody() -> None:
    adapter = FallbackAdapter(fallback_models=["ant/large", "oai/small"], max_retries=2)
    assert adapter.options == {"fallback_model": "ant/large"}
    assert TektonLLMClient("comp", use_fallback=False).fallback_adapter is None
    assert FallbackAdapter().options == {}
    assert not await FallbackAdapter().initialize()
    await adapter.shutdown()
