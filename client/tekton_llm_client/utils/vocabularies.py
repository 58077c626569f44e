"""Which vocabulary a model counts with, as far as a package brings it along.

The vocabularies are those of `splintr-rs`, which has them in its wheel and needs no network.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

NEAREST = "o200k_base"
"""Of the vocabularies that are there, for models that publish none."""

_FAMILIES = tuple(
    (re.compile(pattern), vocabulary)
    for pattern, vocabulary in (
        # https://github.com/openai/tiktoken/blob/main/tiktoken/model.py (read 2026-11-21)
        (r"gpt-oss", "gpt-oss"),
        (r"(chatgpt-4o|gpt-4o|gpt-4\.1|gpt-4\.5|gpt-5|o1|o3|o4-mini)\b", "o200k_base"),
        (r"(gpt-4|gpt-3\.5|gpt-35-turbo|text-embedding-3|text-embedding-ada-002)\b", "cl100k_base"),
        # https://pypi.org/project/splintr-rs/ (0.22, read 2026-11-21). Names that move on to the next model,
        # such as `deepseek-chat` or `mistral-large-latest`, are none of them.
        (r"(meta-)?llama-?3(\.[1-3])?(?![.\d])", "llama3"),
        (r"(meta-)?llama-?2(?![.\d])", "llama2"),
        (r"code-?llama", "codellama"),
        (r"deepseek-(v3|r1)(?!.*distill)(?!\d)", "deepseek_v3"),
        (r"qwen-?(2(\.5)?|3)(?!\.?\d)", "qwen3"),
        (r"glm-?4(\.5)?(?!\.?\d)", "glm4"),
        (r"kimi-k2", "kimi_k2"),
        (r"kimi-k3", "kimi_k3"),
        (r"mistral-7b(-instruct)?-v0\.[12]", "mistral_v1"),
        (r"mistral-7b(-instruct)?-v0\.3|codestral-22b", "mistral_v2"),
        (r"(open-)?mistral-nemo|pixtral-12b|mistral-large-24(07|11)", "mistral_v3"),
        (r"phi-?4(?!\d)", "phi4"),
        (r"olmo-?2(?!\d)", "olmo2"),
        (r"gemma-?2(?!\d)", "gemma2"),
        (r"gemma-?3(?![\dn])", "gemma3"),
        # google/genai/_local_tokenizer_loader.py of google-genai (read 2026-11-21)
        (r"gemini-(2\.[05]-(pro|flash)|3-pro-preview)", "gemma3"),
    )
)


def vocabulary_of(model: str) -> str | None:
    """Its own vocabulary; None where it is unknown or not to be had."""
    name = model.lower().removeprefix("ft:").rsplit("/", 1)[-1]
    return next((vocabulary for family, vocabulary in _FAMILIES if family.match(name)), None)


@cache
def counter(vocabulary: str) -> Callable[[str], int] | None:
    """What counts in this vocabulary; None where the package is missing, or lacks it."""
    try:
        from splintr import Tokenizer

        encode = Tokenizer.from_pretrained(vocabulary).encode_ordinary
    except (ImportError, ValueError):
        return None

    def count(text: str) -> int:
        return len(encode(text))

    return count
