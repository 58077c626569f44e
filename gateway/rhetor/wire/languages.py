"""Every language the house speaks, by the name that provider rows use."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from rhetor.wire.anthropic import ANTHROPIC
from rhetor.wire.base import Wire
from rhetor.wire.ollama import OLLAMA
from rhetor.wire.openai import OPENAI
from rhetor.wire.openai.responses import RESPONSES
from rhetor.wire.tekton import TEKTON

WIRES: Mapping[str, Wire] = MappingProxyType(
    {wire.name: wire for wire in (OPENAI, RESPONSES, ANTHROPIC, OLLAMA, TEKTON)}
)
