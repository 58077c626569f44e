"""Images that go with a prompt: files, bytes and addresses → parts of a message in OpenAI's shape."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

from tekton_llm_client.asking import Messages, conversation, message_fields
from tekton_llm_client.exceptions import InvalidRequestError

Image: TypeAlias = str | bytes | bytearray | memoryview | PathLike[str]
"""A URL (http, https or data), a path, or the bytes of an image."""

_MAGIC = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}
_BYTES = (bytes, bytearray, memoryview)
_ONE = (str, PathLike, *_BYTES)
_ADDRESSES = ("http://", "https://", "data:")


async def with_images(messages: Messages, images: Sequence[Image] | Image) -> Messages:
    """The conversation with these images, or this one, in the user's last message.

    Raises:
        InvalidRequestError: there is no such message, or an image cannot be read.
    """
    messages = conversation(messages)
    if not images:
        return messages
    several = [images] if isinstance(images, _ONE) else images
    if not isinstance(several, Sequence):
        raise InvalidRequestError(f"images: expected one, or a list of them, got {images!r}")
    parts = await asyncio.to_thread(image_parts, several)
    fields = [message_fields(index, message) for index, message in enumerate(messages)]
    if not fields or fields[-1]["role"] != "user":
        raise InvalidRequestError("images: the last message must be the user's")
    content = fields[-1]["content"]
    said = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return [*fields[:-1], {**fields[-1], "content": [*said, *parts]}]


def image_parts(images: Sequence[Image]) -> list[dict[str, Any]]:
    """Reads files, so it is for a thread.

    Raises:
        InvalidRequestError: a file cannot be read, or is no PNG, JPEG, GIF or WebP.
    """
    return [{"type": "image_url", "image_url": {"url": _address(image)}} for image in images]


def _address(image: Image) -> str:
    if isinstance(image, str) and image.startswith(_ADDRESSES):
        return image
    if isinstance(image, _BYTES):
        data, name = bytes(image), "these bytes"
    elif isinstance(image, str | PathLike):
        try:
            data, name = Path(image).read_bytes(), str(image)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InvalidRequestError(f"the image {image} cannot be read: {reason}") from error
    else:
        raise InvalidRequestError(f"images: expected a path, a URL or bytes, got {image!r}")
    return f"data:{_media_type(data, name)};base64,{b64encode(data).decode()}"


def _media_type(data: bytes, name: str) -> str:
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    for magic, media_type in _MAGIC.items():
        if data.startswith(magic):
            return media_type
    raise InvalidRequestError(f"{name}: expected a PNG, JPEG, GIF or WebP image")
