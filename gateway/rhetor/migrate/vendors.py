"""What gives a vendor away in any file: hosts, names of variables, names of models, and keys."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from urllib.parse import urlsplit

from rhetor.providers.builtin import load_builtin

_MORE_HOSTS = {
    "api.cohere.com": "cohere",
    "api.cohere.ai": "cohere",
    "api-inference.huggingface.co": "huggingface",
    "localhost:11434": "ollama",
    "127.0.0.1:11434": "ollama",
    "0.0.0.0:11434": "ollama",
    "ollama:11434": "ollama",
    "host.docker.internal:11434": "ollama",
    # Tekton's LLMAdapter, which the gateway takes the place of.
    "localhost:8300": "llm-adapter",
    "localhost:8301": "llm-adapter",
    "127.0.0.1:8300": "llm-adapter",
    "127.0.0.1:8301": "llm-adapter",
}
_HOST_ENDINGS = {
    ".openai.azure.com": "azure",
    ".services.ai.azure.com": "azure",
    ".api.cognitive.microsoft.com": "azure",
    "-aiplatform.googleapis.com": "google",
}
_MORE_VARIABLES = {
    "AZURE_OPENAI_API_KEY": "azure",
    "AZURE_OPENAI_KEY": "azure",
    "ANTHROPIC_AUTH_TOKEN": "anthropic",
    "CLAUDE_API_KEY": "anthropic",
    "OPENAI_KEY": "openai",
    "GOOGLE_GENAI_API_KEY": "gemini",
}
_NOT_FOR_MODELS = frozenset({"HF_TOKEN", "SCW_SECRET_KEY", "META_API_KEY"})
"""Variables that mean more than models; whoever reads them may do something else."""

_MODEL = re.compile(
    r"""(?:(?:openai|anthropic|google|gemini|groq|mistral|ollama|ollama_chat|cohere|azure|vertex_ai|bedrock|xai
        |deepseek|openrouter|together_ai|fireworks_ai|meta-llama|mistralai)/)*
    (?: (?:chat)?gpt-[3-9][\w.:-]*
      | o[1-9](?:-(?:mini|preview|pro))?(?:-\d{4}-\d\d-\d\d)?
      | text-embedding-(?:3|ada)[\w.-]*
      | (?:text-)?davinci-\d{3} | whisper-1 | tts-1(?:-hd)? | dall-e-[23]
      | claude-(?:\d|instant|opus|sonnet|haiku)[\w.:@-]*
      | (?:models/)?gemini-\d[\w.-]*
      | (?:meta-)?llama-?\d[\w.:-]* | codellama[\w.:-]*
      | (?:open-)?mi[sx]tral-[\w.:-]+ | codestral-[\w.-]+
      | command-(?:r|a|light|nightly)(?:[-+][\w.+-]*)?
      | deepseek-(?:chat|coder|reasoner|r1|v\d)[\w.:-]* | grok-\d[\w.-]* | qwen-?\d[\w.:-]*
    )""",
    re.VERBOSE,
)
_SECRET = re.compile(
    r"(?<![\w-])(?:sk-ant-[\w-]{16,}|sk-(?:proj|svcacct|or|lf)-[\w-]{16,}|sk-[A-Za-z0-9]{20,}|gsk_\w{20,}|xai-\w{20,}"
    r"|AIza[\w-]{30,}|pplx-\w{20,}|csk-\w{20,}|nvapi-[\w-]{20,}|hf_[A-Za-z]{20,}|r8_\w{20,})"
)
_ADDRESS = re.compile(r"(?:https?|wss?)://(?P<host>[\w.-]+(?::\d+)?)(?=[/?#…]|$)", re.IGNORECASE)

HIDDEN = "•••"
_LITERAL = (
    r"""[rbuf]{0,2}(?:\"{3}.*?\"{3}|'{3}.*?'{3}|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`)"""
)
_NAMED = re.compile(
    r"""((?:api[_-]?key|token|authorization|password|secret)["']?\s{0,40}(?::[\w\s.\[\]|]{0,60})?"""
    rf"""[=:]{{1,3}}\s{{0,40}}\(?\s{{0,40}})({_LITERAL}(?:\s*{_LITERAL})*)""",
    re.IGNORECASE | re.DOTALL,
)
"""A text, or several in a row, that gets a telling name; between them may stand a type."""
_BEARER = re.compile(r"""\b(Bearer\s+)(?![{$<])[^\s"'`\\]+""", re.IGNORECASE)
_USER = re.compile(r"""(?<=://)[^\s/?\#"'`]{1,300}@""")
_QUERY = re.compile(r"""(?<=://)([^\s?\#"'`]{1,300})\?([^\s\#"'`]{1,2000})""")
_LINE = re.compile(r"[^\r\n]+")


@dataclass(frozen=True, slots=True)
class _Known:
    hosts: Mapping[str, str]
    regions: Sequence[tuple[re.Pattern[str], str]]
    """Hosts with a place in their name, which is anybody's."""
    variables: Mapping[str, str]


@cache
def _known() -> _Known:
    """What the gateway's own table of providers says, and a little more. Built once: it never changes."""
    hosts, variables = dict(_MORE_HOSTS), dict(_MORE_VARIABLES)
    regions: list[tuple[re.Pattern[str], str]] = []
    for id, row in load_builtin().items():
        host = urlsplit(row.base_url).hostname or ""
        if not host.startswith("127."):
            if "{" in host:
                fixed = (re.escape(part) for part in re.split(r"{\w+}", host))
                regions.append((re.compile(r"[\w-]+".join(fixed)), id))
            else:
                hosts.setdefault(host, id)
            variables |= {name: id for name in row.key_env if name not in _NOT_FOR_MODELS}
    return _Known(MappingProxyType(hosts), tuple(regions), MappingProxyType(variables))


def vendor_of_variable(name: str) -> str | None:
    """Whose key a variable holds; frameworks put words before it (`VITE_OPENAI_API_KEY`)."""
    variables = _known().variables
    bare = re.sub(r"^(?:VITE|NEXT_PUBLIC|REACT_APP|PUBLIC|NUXT_PUBLIC|EXPO_PUBLIC)_", "", name)
    return variables.get(bare)


def vendor_of_address(text: str) -> str | None:
    """Whose API a URL belongs to, if anybody's."""
    match = _ADDRESS.match(text)
    if match is None:
        return None
    host = match["host"].lower()
    bare = host.partition(":")[0]
    hosts = _known().hosts
    somewhere = next((vendor for pattern, vendor in _known().regions if pattern.fullmatch(bare)), None)
    ending = next((vendor for end, vendor in _HOST_ENDINGS.items() if bare.endswith(end)), None)
    return hosts.get(host) or hosts.get(bare) or somewhere or ending


def is_model(text: str) -> bool:
    """Whether a text is the name of a model, and nothing else."""
    return 1 < len(text) < 100 and _MODEL.fullmatch(text) is not None


def has_secret(text: str) -> bool:
    return _SECRET.search(text) is not None


def without_secrets(text: str) -> str:
    """The same text for other eyes, line by line.

    Hidden is what looks like a vendor's key, what a name says is secret
    (`token = "…"`), what comes after `Bearer`, and of addresses who asks
    (`user:password@`) and the values of the query.
    """
    text = _NAMED.sub(lambda match: match[1] + hidden(match[2]), _SECRET.sub(HIDDEN, text))
    text = _USER.sub(f"{HIDDEN}@", _BEARER.sub(rf"\1{HIDDEN}", text))
    return _QUERY.sub(lambda match: f"{match[1]}?{re.sub('=[^&]*', f'={HIDDEN}', match[2])}", text)


def hidden(text: str) -> str:
    """Nothing of a text but its lines."""
    return _LINE.sub(HIDDEN, text)


def without_asides(text: str) -> str:
    """Of addresses only where they lead: not who asks, and not what for."""
    return _QUERY.sub(r"\1", _USER.sub("", text))


_WORDS = (
    *(
        "anthropic",
        "openai",
        "genai",
        "generativeai",
        "generative-ai",
        "vertexai",
        "ollama",
        "litellm",
        "cohere",
    ),
    *("mistral", "groq", "ai-sdk", "@langchain/", "langchain_community", "langchain_google", "langchain_aws"),
    *(
        "langchain.chat_models",
        "langchain.llms",
        "langchain.embeddings",
        "langchain/chat_models",
        "langchain/llms",
    ),
    *('"ai"', "'ai'", "generatetext", "streamtext", "llmadapter", "websocket", "ws_connect", "connect_ws"),
    *("tekton_llm_client", "tekton-llm-client", ":8300", ":8301", ":11434"),
    *("gpt-", "claude-", "gemini-", "llama", "davinci", "whisper-1", "tts-1", "dall-e", "text-embedding-"),
    *(
        "mixtral",
        "codestral",
        "command-r",
        "deepseek",
        "grok-",
        "qwen",
        *(f"{q}o{n}" for q in "\"'" for n in "134"),
    ),
    *("sk-ant-", "sk-proj-", "aiza", "gsk_", "xai-", "pplx-", "nvapi-", "csk-", "azure.com", "aiplatform"),
)
_BARE_KEY = re.compile(r"sk-[A-Za-z0-9]{20}")


@cache
def _words() -> tuple[str, ...]:
    """As few as will do: whatever holds OPENAI_API_KEY holds openai too."""
    words = {word.lower() for word in (*_WORDS, *_known().hosts, *_known().variables)}
    return tuple(sorted(w for w in words if not any(other in w for other in words if other != w)))


def may_matter(text: str) -> bool:
    """False for a text that cannot hold a finding, which most files are: they need no parser.

    A search for each word takes a tenth of the time of one pattern of all of them.
    """
    lower = text.lower()
    return any(word in lower for word in _words()) or _BARE_KEY.search(text) is not None
