"""Callers' connections on every loop of production: they tell of bytes in their own ways."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest


@pytest.hookimpl(optionalhook=True)
def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    try:
        import uvloop
    except ImportError:  # there is none for Windows
        return {"asyncio": asyncio.new_event_loop}
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
