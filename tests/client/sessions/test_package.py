"""What can be imported from `tekton_llm_client.sessions`, and how soon."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

import tekton_llm_client as tekton
from tekton_llm_client import sessions
from tests.http.conversing import Sessions

JELMORES = (
    "get_provider_factory",
    "SessionConfig",
    "SessionStatus",
    "StreamEventType",
    "StreamResponse",
    "create_session_with_auto_selection",
    "ProviderError",
    "ModelNotSupportedError",
    "SessionError",
    "ProviderCapabilities",
    "ModelInfo",
    "register_provider",
    "get_session_service",
    "SessionManager",
)
"""The names that its callers import."""


@pytest.mark.promise("J01")
@pytest.mark.parametrize("name", sorted({*sessions.__all__, *JELMORES}))
def test_every_promised_name_is_there(name: str) -> None:
    assert name in sessions.__all__
    assert name in dir(sessions)
    assert getattr(sessions, name).__module__.startswith("tekton_llm_client.sessions.")


def test_a_name_that_is_none_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = sessions.nothing


@pytest.mark.parametrize("first", ["tekton_llm_client", "tekton_llm_client.sessions"])
def test_importing_imports_nothing_else(first: str) -> None:
    code = f"import sys, {first}; print(*{{'aiohttp', 'pydantic', 'orjson'}} & sys.modules.keys())"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.strip() == ""


def test_the_client_is_at_the_top_as_well() -> None:
    assert tekton.SessionsClient is sessions.SessionsClient


@pytest.mark.promise("J46")
def test_the_errors_are_a_family() -> None:
    for kind in (sessions.SessionError, sessions.ModelNotSupportedError, sessions.ProviderUnavailableError):
        assert issubclass(kind, sessions.ProviderError)
        assert issubclass(kind, tekton.TektonLLMError)
    error = sessions.ProviderError("it failed", "claude", "ses_1")
    assert (str(error), error.provider, error.session_id) == ("it failed", "claude", "ses_1")
    assert issubclass(sessions.ProviderUnavailableError, tekton.ServiceUnavailableError)
    assert issubclass(sessions.SessionError, tekton.InvalidRequestError)


async def test_a_program_that_shuts_nothing_down_ends_without_complaints(house: Sessions) -> None:
    """As the guides of Jelmore's callers are written."""
    code = """
import asyncio
from tekton_llm_client.sessions import SessionManager, get_provider_factory, get_session_service

async def main():
    service = await get_session_service()
    session = await service.create_session("Hello", provider_name="scripted")
    print([r["content"] async for r in service.stream_session(session["session_id"])])
    await (await get_provider_factory().get_provider("scripted")).get_metrics()
    await SessionManager().list_sessions()

asyncio.run(main())
"""
    url = house.gateway.url
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-X", "dev", "-c", code,
        env={"RHETOR_URL": url, "JELMORE_URL": url, "PATH": "/usr/bin:/bin"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(30):
        out, err = await process.communicate()
    assert (b"You said: Hello" in out, err) == (True, b"")
