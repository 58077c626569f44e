"""Every language the house speaks, by the name that provider rows use."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from rhetor.wire.anthropic import ANTHROPIC
from rhetor.wire.base import Wire
from rhetor.wire.bedrock import BEDROCK
from rhetor.wire.gemini import GEMINI, VERTEX
from rhetor.wire.guest import GUEST
from rhetor.wire.media.azure_speech import AZURE_SPEECH
from rhetor.wire.media.bfl import BFL
from rhetor.wire.media.deepgram import DEEPGRAM
from rhetor.wire.media.elevenlabs import ELEVENLABS
from rhetor.wire.media.fal import FAL
from rhetor.wire.media.openrouter import OPENROUTER
from rhetor.wire.media.replicate import REPLICATE
from rhetor.wire.media.stability import STABILITY
from rhetor.wire.media.together import TOGETHER
from rhetor.wire.media.xai import XAI_MEDIA
from rhetor.wire.ollama import OLLAMA
from rhetor.wire.openai import OPENAI
from rhetor.wire.openai.responses import RESPONSES
from rhetor.wire.rerank import RERANK, VOYAGE
from rhetor.wire.tekton import TEKTON

WIRES: Mapping[str, Wire] = MappingProxyType(
    {
        wire.name: wire
        for wire in (
            OPENAI,
            RESPONSES,
            ANTHROPIC,
            OLLAMA,
            TEKTON,
            GUEST,
            GEMINI,
            VERTEX,
            BEDROCK,
            ELEVENLABS,
            DEEPGRAM,
            AZURE_SPEECH,
            TOGETHER,
            OPENROUTER,
            XAI_MEDIA,
            REPLICATE,
            FAL,
            BFL,
            STABILITY,
            RERANK,
            VOYAGE,
        )
    }
)
