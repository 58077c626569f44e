"""What can be imported from `tekton_llm_client.media`, and how soon."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from tekton_llm_client import media
from tests.conftest import Gateway


@pytest.mark.parametrize("name", media.__all__)
def test_every_name_is_there(name: str) -> None:
    assert name in dir(media)
    assert getattr(media, name) is not None


def test_a_name_that_is_none_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = media.nothing


def test_importing_imports_nothing_else() -> None:
    code = "import sys, tekton_llm_client.media; print(*{'aiohttp', 'pydantic'} & sys.modules.keys())"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.strip() == ""


async def test_a_program_that_closes_nothing_ends_without_complaints(gateway: Gateway) -> None:
    """As MediaConduit's samples are written."""
    code = """
import asyncio
from tekton_llm_client.media import get_provider_registry

async def main():
    provider = await get_provider_registry().get_provider("lab")
    print((await provider.get_model("small").transform("Hello")).content)

asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-X", "dev", "-c", code,
        env={"RHETOR_URL": gateway.url, "PATH": "/usr/bin:/bin"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(30):
        out, err = await process.communicate()
    assert (out, err) == (b"a red fox in snow\n", b"")
