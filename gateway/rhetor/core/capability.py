"""What a model can do: capabilities name an operation, features what one request of it may contain."""

from __future__ import annotations

from enum import StrEnum


class Capability(StrEnum):
    """An operation, from what goes in to what comes out."""

    CHAT = "text-to-text"
    EMBEDDINGS = "embeddings"
    COUNT_TOKENS = "count-tokens"
    RERANK = "rerank"
    TEXT_TO_IMAGE = "text-to-image"
    IMAGE_TO_IMAGE = "image-to-image"
    IMAGE_TO_TEXT = "image-to-text"
    TEXT_TO_VIDEO = "text-to-video"
    IMAGE_TO_VIDEO = "image-to-video"
    VIDEO_TO_VIDEO = "video-to-video"
    VIDEO_TO_IMAGE = "video-to-image"
    VIDEO_TO_AUDIO = "video-to-audio"
    TEXT_TO_AUDIO = "text-to-audio"
    AUDIO_TO_TEXT = "audio-to-text"
    AUDIO_TO_AUDIO = "audio-to-audio"
    TEXT_TO_3D = "text-to-3d"
    IMAGE_TO_3D = "image-to-3d"


CONVERSING = frozenset({Capability.CHAT, Capability.COUNT_TOKENS, Capability.IMAGE_TO_TEXT})
"""What is asked for in conversations: to say what is in a picture is one that a model must be able to see."""


class Feature(StrEnum):
    """Something a chat request may need from its model."""

    STREAMING = "streaming"
    TOOLS = "tools"
    IMAGES = "images"
    AUDIO = "audio"
    DOCUMENTS = "documents"
    JSON_SCHEMA = "json_schema"
    THINKING = "thinking"
    LOGPROBS = "logprobs"
    PROMPT_CACHING = "prompt_caching"
