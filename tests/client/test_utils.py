"""What stands around a conversation: streams, tries and tokens."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tekton_llm_client.exceptions import (
    AuthenticationError,
    ConnectionError,
    RateLimitError,
    ServiceUnavailableError,
    TektonLLMError,
    TimeoutError,
)
from tekton_llm_client.models import Message, StreamingChunk, ToolCall
from tekton_llm_client.utils import (
    RetryConfig,
    StreamBuffer,
    StreamProcessor,
    count_message_tokens,
    count_tokens,
    optimize_messages_for_token_limit,
    retry_async,
    token_count,
    truncate_text_to_token_limit,
    vocabularies,
)

MODELS = ["gpt-4", "gpt-4o", "llama-3.1-8b", "claude-sonnet-4-5", "nobody-knows"]
texts = st.text(max_size=60)


def chunks_of(pieces: list[str], error: str | None = None) -> list[StreamingChunk]:
    return [*(StreamingChunk(chunk=piece) for piece in pieces), StreamingChunk(done=True, error=error)]


async def stream_of(chunks: list[StreamingChunk]) -> AsyncIterator[StreamingChunk]:
    for chunk in chunks:
        yield chunk


# Streams.


@given(st.lists(texts))
def test_any_split_of_a_stream_is_the_same_text(pieces: list[str]) -> None:
    processor = StreamProcessor()
    for chunk in chunks_of(pieces):
        processor.process_chunk(chunk)
    assert processor.get_result() == processor.buffer == "".join(pieces)
    assert (processor.is_complete, processor.has_error, processor.error) == (True, False, None)
    assert len(processor.get_chunks()) == len(pieces) + 1


def test_the_callback_hears_each_chunk() -> None:
    heard: list[StreamingChunk] = []
    processor = StreamProcessor(heard.append)
    processor.process_chunk(StreamingChunk(chunk="a"))
    assert [chunk.chunk for chunk in heard] == ["a"]
    assert not processor.is_complete


async def test_a_stream_is_processed_to_its_end_and_no_further() -> None:
    heard: list[str] = []

    async def hear(chunk: StreamingChunk) -> None:
        heard.append(chunk.chunk)

    processor = StreamProcessor(hear)
    again = [*chunks_of(["Hel", "lo"]), StreamingChunk(chunk="and on", done=True)]
    assert await processor.process_stream(stream_of(again)) == "Hello"
    assert heard == ["Hel", "lo", ""]


async def test_an_error_in_a_stream_is_kept_beside_the_text() -> None:
    processor = StreamProcessor()
    assert await processor.process_stream(stream_of(chunks_of(["Hel"], "gone"))) == "Hel"
    assert (processor.is_complete, processor.has_error, processor.error) == (True, True, "gone")


def test_an_async_callback_is_never_forgotten() -> None:
    async def hear(_chunk: StreamingChunk) -> None: ...

    with pytest.raises(TypeError, match="use process_stream"):
        StreamProcessor(hear).process_chunk(StreamingChunk())


@given(st.lists(texts, max_size=12), st.integers(1, 3))
async def test_every_reader_of_a_buffer_gets_everything(pieces: list[str], capacity: int) -> None:
    buffer = StreamBuffer(capacity)
    chunks = chunks_of(pieces)

    async def read(start: int) -> list[StreamingChunk]:
        return [chunk async for chunk in buffer.get_chunks(start)]

    async def write() -> None:
        for chunk in chunks:
            await buffer.add_chunk(chunk)

    async with asyncio.TaskGroup() as group:
        first, second = group.create_task(read(0)), group.create_task(read(1))
        group.create_task(write())
    assert first.result() == chunks
    assert second.result() == chunks[1:]
    assert await read(0) == chunks == buffer.get_all_chunks()
    assert buffer.get_combined_text() == "".join(pieces)
    assert buffer.is_done()


async def test_a_buffer_waits_for_its_slowest_reader_but_not_for_one_that_left() -> None:
    buffer = StreamBuffer(capacity=2)
    reader = buffer.get_chunks()
    await buffer.add_chunk(StreamingChunk(chunk="a"))
    assert (await anext(reader)).chunk == "a"
    for piece in "bc":
        await buffer.add_chunk(StreamingChunk(chunk=piece))
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(buffer.add_chunk(StreamingChunk(chunk="d")))
        await asyncio.wait([waiting], timeout=0)
        assert not waiting.done()
        await reader.aclose()
    assert buffer.get_combined_text() == "abcd"


async def test_a_buffer_ends_with_the_first_last_chunk() -> None:
    buffer = StreamBuffer()
    assert not buffer.is_done()
    for chunk in (*chunks_of(["a"], "gone"), StreamingChunk(done=True)):
        await buffer.add_chunk(chunk)
    assert len(buffer.get_all_chunks()) == 2
    assert (buffer.has_error(), buffer.get_error()) == (True, "gone")


def test_a_buffer_has_room() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        StreamBuffer(0)


# Tries.


class Clock:
    """Notes how long somebody wanted to sleep, and lets them go on at once."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def sleep(self, pause_s: float) -> None:
        self.slept.append(pause_s)


class Failing:
    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


@pytest.mark.parametrize("error", [ConnectionError, TimeoutError, ServiceUnavailableError])
async def test_what_may_pass_is_tried_again(error: type[TektonLLMError]) -> None:
    clock, operation = Clock(), Failing(error("no"), error("no"))
    config = RetryConfig(base_delay=100, jitter=False)
    assert await retry_async(operation, config, sleep=clock.sleep) == "done"
    assert operation.calls == 3
    assert clock.slept == [0.1, 0.2]


async def test_retries_are_counted_and_the_last_error_is_told() -> None:
    clock = Clock()
    operation = Failing(*(ConnectionError(str(n)) for n in range(9)))
    with pytest.raises(ConnectionError, match="2"):
        await retry_async(operation, RetryConfig(max_retries=2), sleep=clock.sleep)
    assert (operation.calls, len(clock.slept)) == (3, 2)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("bad"),
        AuthenticationError("who?"),
        ServiceUnavailableError("never", retry=False),
        RateLimitError("come back tomorrow", retry_after_s=86_400),
    ],
)
async def test_what_will_not_pass_is_told_at_once(error: Exception) -> None:
    operation = Failing(error)
    with pytest.raises(type(error)):
        await retry_async(operation, sleep=Clock().sleep)
    assert operation.calls == 1


async def test_the_caller_says_what_is_worth_another_try() -> None:
    operation = Failing(KeyError("x"))
    assert await retry_async(operation, RetryConfig(retry_on=[KeyError]), sleep=Clock().sleep) == "done"


def test_pauses_double_vary_a_little_and_have_an_end() -> None:
    config = RetryConfig(base_delay=100, max_delay=1000)
    for _ in range(50):
        for attempt, expected_s in enumerate((0.1, 0.2, 0.4, 0.8)):
            assert 0.85 * expected_s <= config.get_delay(attempt) <= 1.15 * expected_s
        assert config.get_delay(5_000) <= 1


def test_a_limit_is_left_alone_for_as_long_as_it_asks() -> None:
    config = RetryConfig()
    assert config.get_delay(0, RateLimitError("slow down")) >= 5
    assert config.get_delay(0, RateLimitError("slow down", retry_after_s=0.5)) == 0.5
    assert config.get_delay(0, ServiceUnavailableError("starting", retry_after_s=7)) == 7


def test_attempts_are_bounded() -> None:
    config = RetryConfig(max_retries=3)
    assert [config.should_retry(ConnectionError("no"), n) for n in range(5)] == [True] * 3 + [False] * 2


# Tokens.


@pytest.mark.parametrize(
    ("model", "vocabulary"),
    [
        ("gpt-4", "cl100k_base"),
        ("gpt-4-0613", "cl100k_base"),
        ("gpt-3.5-turbo", "cl100k_base"),
        ("text-embedding-3-small", "cl100k_base"),
        ("gpt-4o-mini", "o200k_base"),
        ("gpt-4.1", "o200k_base"),
        ("gpt-5.1-codex", "o200k_base"),
        ("openai/o3-mini", "o200k_base"),
        ("ft:gpt-4o-2024-08-06:me", "o200k_base"),
        ("gpt-oss-120b", "gpt-oss"),
        ("meta-llama/Llama-3.3-70B-Instruct", "llama3"),
        ("llama3", "llama3"),
        ("llama-3-8b", "llama3"),
        ("llama-4-scout", None),
        ("deepseek-v3.1", "deepseek_v3"),
        ("deepseek-r1-distill-llama-70b", None),
        ("deepseek-chat", None),
        ("qwen2.5-coder:7b", "qwen3"),
        ("qwen3-32b", "qwen3"),
        ("qwen3.5-plus", None),
        ("mistral-large-latest", None),
        ("mistral-large-2411", "mistral_v3"),
        ("gemma-3-27b-it", "gemma3"),
        ("gemma-3n-e4b", None),
        ("gemini-2.5-flash", "gemma3"),
        ("claude-sonnet-4-5", None),
        ("o1ympus", None),
        ("", None),
    ],
)
def test_a_model_is_counted_in_its_own_vocabulary(model: str, vocabulary: str | None) -> None:
    count = token_count("Hello, world!", model)
    assert (count.exact, count.vocabulary) == (vocabulary is not None, vocabulary or "o200k_base")


@pytest.mark.parametrize(
    ("text", "model", "tokens"),
    [
        # As OpenAI's own tokenizer counts.
        ("", "gpt-4", 0),
        ("tiktoken is great!", "gpt-4", 6),
        ("antidisestablishmentarianism", "gpt-4", 6),
        ("お誕生日おめでとう", "gpt-4", 9),
        ("お誕生日おめでとう", "gpt-4o", 8),
        ("2 + 2 = 4", "gpt-4", 7),
        ("<|endoftext|>", "gpt-4", 7),
    ],
)
def test_exact_counts_are_exact(text: str, model: str, tokens: int) -> None:
    assert token_count(text, model) == (tokens, True, token_count("x", model).vocabulary)


def test_without_the_package_the_count_is_an_estimate_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "splintr", None)
    vocabularies.counter.cache_clear()
    try:
        assert token_count("x" * 400, "gpt-4") == (100, False, None)
        assert count_tokens("", "gpt-4") == 0
        assert count_tokens("你" * 100) == 75
    finally:
        vocabularies.counter.cache_clear()


def test_counting_needs_no_network() -> None:
    code = """
import socket
def refuse(*_): raise AssertionError("a socket was opened")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from tekton_llm_client.utils import token_count
print(token_count("Hello, world!", "gpt-4o"))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert "exact=True" in ran.stdout


def test_hostile_text_is_counted_in_no_time() -> None:
    for text in ("a" * 300_000, " " * 300_000, "<|endoftext|>" * 20_000, "\ud800" * 1000):
        assert count_tokens(text) > 0


@given(texts, st.integers(-1, 30), st.sampled_from(MODELS))
def test_a_cut_text_is_a_beginning_that_fits(text: str, max_tokens: int, model: str) -> None:
    cut = truncate_text_to_token_limit(text, max_tokens, model)
    assert text.startswith(cut)
    assert count_tokens(cut, model) <= max(max_tokens, 0)
    if count_tokens(text, model) <= max_tokens:
        assert cut == text


def test_as_much_is_kept_as_fits() -> None:
    cut = truncate_text_to_token_limit("word " * 1000, 100)
    assert count_tokens(cut) >= 99


SYSTEM = {"role": "system", "content": "You are a helpful assistant."}


def test_a_conversation_counts_more_than_its_texts() -> None:
    assert count_message_tokens([]) == {"prompt_tokens": 3, "total_tokens": 3}
    tokens = count_tokens(SYSTEM["content"]) + 4 + 3
    assert count_message_tokens([SYSTEM])["prompt_tokens"] == tokens
    assert count_message_tokens([Message(**SYSTEM)])["prompt_tokens"] == tokens
    parts = {"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "image_url"}]}
    assert count_message_tokens([parts])["total_tokens"] == count_tokens("Hi") + 7


def test_a_lone_long_message_is_cut_to_fit() -> None:
    text = "Long document to analyze... " * 500
    messages = [SYSTEM, {"role": "user", "content": text}]
    kept = optimize_messages_for_token_limit(
        messages=messages, max_tokens=100, model="claude-3-sonnet-20240229", keep_system_prompt=True
    )
    assert kept[0] == SYSTEM
    assert kept[1]["role"] == "user"
    assert text.startswith(kept[1]["content"])
    assert 90 <= count_message_tokens(kept, "claude-3-sonnet-20240229")["total_tokens"] <= 100
    assert messages[1]["content"] == text


def test_the_newest_messages_are_kept() -> None:
    messages = [SYSTEM, *({"role": "user", "content": f"Question number {n}"} for n in range(10))]
    kept = optimize_messages_for_token_limit(messages, 40)
    assert kept[0] == SYSTEM
    assert kept[1:] == messages[-len(kept) + 1 :]
    assert len(kept) > 2


def test_messages_may_be_objects() -> None:
    messages = [Message(**SYSTEM), Message(role="user", content="word " * 100)]
    kept = optimize_messages_for_token_limit(messages, 50)
    assert kept[0] is messages[0]
    assert isinstance(kept[1], Message)
    assert count_message_tokens(kept)["total_tokens"] <= 50


def test_without_the_system_prompt_it_is_a_message_like_others() -> None:
    messages = [SYSTEM, {"role": "user", "content": "Hi"}]
    assert optimize_messages_for_token_limit(messages, 10, keep_system_prompt=False) == messages[1:]


def test_a_result_is_not_kept_without_its_call() -> None:
    call = ToolCall.model_validate({"id": "c1", "function": {"name": "search", "arguments": '{"q": "x"}'}})
    messages = [
        Message(role="user", content="look it up " * 50),
        Message(role="assistant", tool_calls=[call]),
        Message(role="tool", tool_call_id="c1", content="found"),
        Message(role="user", content="and now?"),
    ]
    room = count_message_tokens(messages[2:])["total_tokens"]
    assert optimize_messages_for_token_limit(messages, room + 1) == messages[3:]
    assert optimize_messages_for_token_limit(messages, room + 40) == messages[1:]


conversations = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["system", "user", "assistant"]), "content": texts}),
    max_size=6,
)


@given(conversations, st.integers(0, 120), st.booleans())
def test_what_is_kept_always_fits(
    messages: list[dict[str, str]], max_tokens: int, keep_system_prompt: bool
) -> None:
    kept = optimize_messages_for_token_limit(messages, max_tokens, keep_system_prompt=keep_system_prompt)
    assert not kept or count_message_tokens(kept)["total_tokens"] <= max_tokens
    if count_message_tokens(messages)["total_tokens"] <= max_tokens:
        assert kept == messages
