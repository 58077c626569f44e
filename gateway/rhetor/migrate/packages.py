"""Which libraries reach models, how code uses them, and what takes their place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

TEKTON = "tekton_llm_client"
TEKTON_NPM = "tekton-llm-client"
DEFAULT_URL = "http://localhost:8003"


@dataclass(frozen=True, slots=True)
class Pointing:
    """How an official client is told where to go: arguments of its constructor."""

    base_url: str
    suffix: str
    """What its requests' paths do not say themselves."""
    key: str
    classes: frozenset[str]
    """Those that it works for without a look at what surrounds them."""
    doubtful: frozenset[str] = frozenset()
    """Arguments that also say where to go or who asks: whoever set them meant something."""


@dataclass(frozen=True, slots=True)
class Package:
    """A library, in one programming language."""

    name: str
    vendor: str
    modules: tuple[str, ...]
    """What is imported; the modules below belong to it too."""
    distributions: tuple[str, ...]
    """What is installed."""
    clients: frozenset[str] = frozenset()
    """Whatever makes an object that reaches a model."""
    calls: frozenset[str] = frozenset()
    """What asks a model, as it is written after a client or the module."""
    streams: frozenset[str] = frozenset()
    keeps: frozenset[str] = frozenset()
    """Methods of a client whose result is a client again."""
    elsewhere: Mapping[str, str] | None = None
    """What the gateway does not serve, by its first words, and why it takes a hand."""
    pointing: Pointing | None = None
    instead: str = "TektonLLMClient"

    def owns(self, module: str) -> bool:
        return any(module == own or module.startswith(f"{own}.") for own in self.modules)


def words(text: str) -> frozenset[str]:
    """A list that is too long to have each word in quotes."""
    return frozenset(text.split())


ADAPTER_NAMES = ("Adapter", "Client", "Provider", "Wrapper", "Gateway", "Connector", "Backend", "LLM", "Llm")
"""Words in the names of classes that are made to stand between a program and a model."""
FRAMES = words("GENERATE STREAM CHAT CHAT_STREAM LLM_REQUEST CHAT_REQUEST generate chat")
"""Types of WebSocket messages that ask for text, of all who ever spoke to Rhetor or to an LLMAdapter."""
FRAME_FIELDS = words("prompt messages message data payload")

_OPENAI_CALLS = words(
    "chat.completions.create chat.completions.parse responses.create responses.parse embeddings.create "
    "models.list"
)
_OPENAI_STREAMS = words("chat.completions.stream responses.stream")
_OPENAI_ELSEWHERE: Mapping[str, str] = {
    "files.": "files are kept by the vendor",
    "batches.": "batches are kept by the vendor",
    "fine_tuning.": "fine-tuning happens at the vendor",
    "vector_stores.": "vector stores are kept by the vendor",
    "threads.": "assistants are kept by the vendor",
    "assistants.": "assistants are kept by the vendor",
    "realtime.": "the gateway has no realtime door",
    "completions.": "it is the older API for completions: say it as a chat",
    "moderations.": "the gateway has no door for moderation",
    "images.": "check that the gateway serves images",
    "audio.": "check that the gateway serves audio",
    "uploads.": "files are kept by the vendor",
}
_ANTHROPIC_ELSEWHERE: Mapping[str, str] = {
    "messages.batches.": "batches are kept by the vendor",
    "files.": "files are kept by the vendor",
    "completions.": "it is the older API for completions: say it as messages",
}
_LANGCHAIN_CALLS = words(
    "invoke ainvoke batch abatch generate agenerate predict apredict call_as_llm __call__ "
    "embed_query embed_documents aembed_query aembed_documents"
)
_LANGCHAIN_STREAMS = words("stream astream astream_events stream_events")
_LANGCHAIN_KEEPS = words("bind bind_tools with_structured_output with_config with_retry with_fallbacks pipe")

_OPENAI_POINTING = Pointing(
    "base_url", "/v1", "api_key", words("OpenAI AsyncOpenAI"), words("http_client websocket_base_url")
)
_ANTHROPIC_POINTING = Pointing(
    "base_url", "", "api_key", words("Anthropic AsyncAnthropic"), words("http_client auth_token")
)

PYTHON: tuple[Package, ...] = (
    Package(
        "anthropic", "anthropic", ("anthropic",), ("anthropic",),
        clients=words(
            "Anthropic AsyncAnthropic Client AsyncClient AnthropicBedrock AsyncAnthropicBedrock "
            "AnthropicVertex AsyncAnthropicVertex AnthropicFoundry AsyncAnthropicFoundry"
        ),
        calls=words("messages.create messages.parse messages.count_tokens models.list"),
        streams=words("messages.stream"),
        keeps=words("with_options copy"),
        elsewhere=_ANTHROPIC_ELSEWHERE,
        pointing=_ANTHROPIC_POINTING,
        instead="the same client with base_url=RHETOR_URL, or TektonLLMClient",
    ),
    Package(
        "openai", "openai", ("openai",), ("openai",),
        clients=words("OpenAI AsyncOpenAI Client AsyncClient AzureOpenAI AsyncAzureOpenAI"),
        calls=_OPENAI_CALLS | words(
            "ChatCompletion.create ChatCompletion.acreate Completion.create Completion.acreate "
            "Embedding.create Embedding.acreate"
        ),
        streams=_OPENAI_STREAMS,
        keeps=words("with_options copy"),
        elsewhere=_OPENAI_ELSEWHERE,
        pointing=_OPENAI_POINTING,
        instead="the same client with base_url=RHETOR_URL/v1, or TektonLLMClient",
    ),
    Package(
        "google-generativeai", "google", ("google.generativeai",), ("google-generativeai",),
        clients=words("GenerativeModel configure ImageGenerationModel"),
        calls=words(
            "generate_content generate_content_async send_message send_message_async embed_content "
            "embed_content_async count_tokens count_tokens_async list_models"
        ),
        keeps=words("start_chat"),
    ),
    Package(
        "google-genai", "google", ("google.genai",), ("google-genai",),
        clients=words("Client"),
        calls=words(
            "models.generate_content models.embed_content models.count_tokens models.list "
            "models.generate_images send_message"
        ),
        streams=words("models.generate_content_stream send_message_stream"),
        keeps=words("chats.create"),
        elsewhere={"files.": "files are kept by the vendor", "live.": "the gateway has no realtime door",
                   "batches.": "batches are kept by the vendor", "caches.": "caches are kept by the vendor",
                   "tunings.": "tuning happens at the vendor"},
    ),
    Package(
        "ollama", "ollama", ("ollama",), ("ollama",),
        clients=words("Client AsyncClient"),
        calls=words("chat generate embed embeddings list show"),
        elsewhere={"pull": "models are managed at Ollama itself",
        "push": "models are managed at Ollama itself",
                   "create": "models are managed at Ollama itself",
                   "copy": "models are managed at Ollama itself",
                   "delete": "models are managed at Ollama itself"},
        instead="ollama.Client(host=RHETOR_URL), or TektonLLMClient",
    ),
    Package(
        "litellm", "litellm", ("litellm",), ("litellm",),
        clients=words("Router"),
        calls=words(
            "completion acompletion text_completion atext_completion embedding aembedding responses "
            "aresponses "
            "completion_with_retries acompletion_with_retries batch_completion image_generation "
            "aimage_generation transcription atranscription speech aspeech"
        ),
        instead="TektonLLMClient, or the OpenAI client with base_url=RHETOR_URL/v1; routes replace its "
        "Router",
    ),
    Package(
        "langchain", "langchain",
        ("langchain_openai", "langchain_anthropic", "langchain_ollama", "langchain_google_genai",
         "langchain_google_vertexai", "langchain_mistralai", "langchain_groq", "langchain_cohere",
         "langchain_aws", "langchain_litellm", "langchain.chat_models", "langchain.llms",
         "langchain.embeddings",
         "langchain_community.chat_models", "langchain_community.llms", "langchain_community.embeddings"),
        ("langchain-openai", "langchain-anthropic", "langchain-ollama", "langchain-google-genai",
         "langchain-google-vertexai", "langchain-mistralai", "langchain-groq", "langchain-cohere",
         "langchain-aws", "langchain-litellm"),
        clients=words(
            "ChatOpenAI OpenAI AzureChatOpenAI OpenAIEmbeddings AzureOpenAIEmbeddings ChatAnthropic "
            "AnthropicLLM "
            "Anthropic ChatOllama OllamaLLM Ollama OllamaEmbeddings ChatGoogleGenerativeAI "
            "GoogleGenerativeAI "
            "GoogleGenerativeAIEmbeddings ChatVertexAI VertexAI ChatMistralAI MistralAIEmbeddings ChatGroq "
            "ChatCohere CohereEmbeddings ChatBedrock ChatBedrockConverse ChatLiteLLM init_chat_model "
            "init_embeddings"
        ),
        calls=_LANGCHAIN_CALLS, streams=_LANGCHAIN_STREAMS, keeps=_LANGCHAIN_KEEPS,
        pointing=Pointing(
            "base_url", "/v1", "api_key", words("ChatOpenAI"),
            words("openai_api_base http_client http_async_client root_client root_async_client client "
            "async_client "
                   "openai_proxy"),
        ),
        instead="ChatOpenAI with base_url=RHETOR_URL/v1, or TektonLLMClient",
    ),
    Package(
        "cohere", "cohere", ("cohere",), ("cohere",),
        clients=words("Client AsyncClient ClientV2 AsyncClientV2"),
        calls=words("chat generate embed rerank classify summarize"),
        streams=words("chat_stream generate_stream"),
    ),
    Package(
        "mistralai", "mistral", ("mistralai",), ("mistralai",),
        clients=words("Mistral MistralClient MistralAsyncClient"),
        calls=words(
            "chat chat.complete chat.complete_async chat.parse chat.parse_async embeddings embeddings.create "
            "embeddings.create_async fim.complete fim.complete_async"
        ),
        streams=words("chat.stream chat.stream_async chat_stream fim.stream fim.stream_async"),
    ),
    Package(
        "groq", "groq", ("groq",), ("groq",),
        clients=words("Groq AsyncGroq Client AsyncClient"),
        calls=words("chat.completions.create embeddings.create models.list"),
        keeps=words("with_options copy"),
        elsewhere={"audio.": "check that the gateway serves audio",
        "batches.": "batches are kept by the vendor"},
        instead="the OpenAI client with base_url=RHETOR_URL/v1, or TektonLLMClient",
    ),
)  # fmt: skip

JAVASCRIPT: tuple[Package, ...] = (
    Package(
        "openai", "openai", ("openai",), ("openai",),
        clients=words("default OpenAI AzureOpenAI"),
        calls=_OPENAI_CALLS,
        streams=_OPENAI_STREAMS,
        elsewhere={**_OPENAI_ELSEWHERE, "fineTuning.": "fine-tuning happens at the vendor",
                   "vectorStores.": "vector stores are kept by the vendor"},
        pointing=Pointing(
            "baseURL", "/v1", "apiKey", words("default OpenAI"),
            words("dangerouslyAllowBrowser fetch httpAgent fetchOptions"),
        ),
        instead="the same client with baseURL: RHETOR_URL/v1, or tekton-llm-client",
    ),
    Package(
        "@anthropic-ai/sdk", "anthropic", ("@anthropic-ai/sdk", "@anthropic-ai/bedrock-sdk",
        "@anthropic-ai/vertex-sdk"),
        ("@anthropic-ai/sdk", "@anthropic-ai/bedrock-sdk", "@anthropic-ai/vertex-sdk"),
        clients=words("default Anthropic AnthropicBedrock AnthropicVertex"),
        calls=words("messages.create messages.parse messages.countTokens models.list"),
        streams=words("messages.stream"),
        elsewhere=_ANTHROPIC_ELSEWHERE,
        pointing=Pointing(
            "baseURL", "", "apiKey", words("default Anthropic"),
            words("dangerouslyAllowBrowser authToken fetch httpAgent fetchOptions"),
        ),
        instead="the same client with baseURL: RHETOR_URL, or tekton-llm-client",
    ),
    Package(
        "@google/genai", "google", ("@google/genai", "@google/generative-ai", "@google-cloud/vertexai"),
        ("@google/genai", "@google/generative-ai", "@google-cloud/vertexai"),
        clients=words("GoogleGenAI GoogleGenerativeAI VertexAI"),
        calls=words("models.generateContent models.embedContent models.countTokens generateContent "
        "embedContent "
                     "sendMessage"),
        streams=words("models.generateContentStream generateContentStream sendMessageStream"),
        keeps=words("getGenerativeModel startChat chats.create"),
        instead="tekton-llm-client",
    ),
    Package(
        "ollama", "ollama", ("ollama", "ollama/browser"), ("ollama",),
        clients=words("Ollama"),
        calls=words("chat generate embed embeddings list show"),
        instead="new Ollama({ host: RHETOR_URL }), or tekton-llm-client",
    ),
    Package(
        "langchain", "langchain",
        ("@langchain/openai", "@langchain/anthropic", "@langchain/ollama", "@langchain/google-genai",
         "@langchain/mistralai", "@langchain/groq", "@langchain/cohere", "langchain/chat_models",
         "langchain/llms",
         "@langchain/community/chat_models", "@langchain/community/llms"),
        ("@langchain/openai", "@langchain/anthropic", "@langchain/ollama", "@langchain/google-genai",
         "@langchain/mistralai", "@langchain/groq", "@langchain/cohere"),
        clients=words(
            "ChatOpenAI OpenAI AzureChatOpenAI OpenAIEmbeddings ChatAnthropic ChatOllama Ollama "
            "ChatGoogleGenerativeAI ChatMistralAI ChatGroq ChatCohere initChatModel"
        ),
        calls=words("invoke batch call predict embedQuery embedDocuments"),
        streams=words("stream streamEvents"),
        keeps=words("bind bindTools withStructuredOutput withConfig withRetry withFallbacks pipe"),
        instead="ChatOpenAI with configuration: { baseURL: RHETOR_URL/v1 }, or tekton-llm-client",
    ),
    Package(
        "ai-sdk", "ai-sdk",
        ("ai", "@ai-sdk/openai", "@ai-sdk/anthropic", "@ai-sdk/google", "@ai-sdk/mistral", "@ai-sdk/groq",
         "@ai-sdk/cohere", "@ai-sdk/xai", "@ai-sdk/openai-compatible"),
        ("ai", "@ai-sdk/openai", "@ai-sdk/anthropic", "@ai-sdk/google", "@ai-sdk/mistral", "@ai-sdk/groq",
         "@ai-sdk/cohere", "@ai-sdk/xai", "@ai-sdk/openai-compatible"),
        clients=words(
            "createOpenAI createAnthropic createGoogleGenerativeAI createMistral createGroq createCohere "
            "createXai "
            "createOpenAICompatible"
        ),
        calls=words("generateText generateObject embed embedMany generateImage"),
        streams=words("streamText streamObject"),
        instead="createOpenAICompatible({ baseURL: RHETOR_URL/v1 }) as the model",
    ),
    Package(
        "groq-sdk", "groq", ("groq-sdk",), ("groq-sdk",),
        clients=words("default Groq"),
        calls=words("chat.completions.create models.list"),
        instead="the OpenAI client with baseURL: RHETOR_URL/v1, or tekton-llm-client",
    ),
    Package(
        "@mistralai/mistralai", "mistral", ("@mistralai/mistralai",), ("@mistralai/mistralai",),
        clients=words("Mistral default"),
        calls=words("chat.complete chat embeddings.create"),
        streams=words("chat.stream chatStream"),
        instead="tekton-llm-client",
    ),
    Package(
        "cohere-ai", "cohere", ("cohere-ai",), ("cohere-ai",),
        clients=words("CohereClient CohereClientV2"),
        calls=words("chat generate embed rerank"),
        streams=words("chatStream generateStream"),
        instead="tekton-llm-client",
    ),
)  # fmt: skip
