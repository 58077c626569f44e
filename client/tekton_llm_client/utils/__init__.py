"""What components need around a conversation: streams put together, tokens counted, calls made again."""

from tekton_llm_client.utils.retries import RetryConfig, retry_async
from tekton_llm_client.utils.streaming import StreamBuffer, StreamProcessor
from tekton_llm_client.utils.token_counter import (
    TokenCount,
    count_message_tokens,
    count_tokens,
    optimize_messages_for_token_limit,
    token_count,
    truncate_text_to_token_limit,
)

__all__ = [
    "RetryConfig",
    "StreamBuffer",
    "StreamProcessor",
    "TokenCount",
    "count_message_tokens",
    "count_tokens",
    "optimize_messages_for_token_limit",
    "retry_async",
    "token_count",
    "truncate_text_to_token_limit",
]
