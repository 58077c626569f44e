"""Data out of replies, and text out of streams."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from tekton_llm_client.exceptions import (
    FormatError,
    JSONParsingError,
    ServiceUnavailableError,
    TektonLLMError,
)
from tekton_llm_client.models import StreamingChunk
from tekton_llm_client.response_handlers import (
    JSONParser,
    OutputFormat,
    StreamHandler,
    StructuredOutputParser,
    collect_stream,
    extract_json,
    parse_json,
    stream_to_string,
)

data = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
containers = data.filter(lambda said: isinstance(said, dict | list) and bool(said))

# JSON.


@given(data)
def test_what_is_json_is_read_as_it_is(said: Any) -> None:
    assert parse_json(json.dumps(said)) == said
    assert parse_json(json.dumps(said, ensure_ascii=False, indent=2)) == said


@given(
    containers,
    st.sampled_from(["Here it is: {}", "{} – that is all", "```json\n{}\n```", "Sure!\n```\n{}\n```\nBye"]),
)
def test_json_is_found_wherever_it_stands(said: Any, around: str) -> None:
    written = json.dumps(said)
    text = around.replace("{}", written, 1)
    assert parse_json(text) == JSONParser.parse(text) == said
    assert extract_json(text) == JSONParser.extract_json(text) == written


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1, 2]", [1, 2]),
        ("the answer is [1, 2], I think", [1, 2]),
        ('as [1] says: {"a": [1]}', {"a": [1]}),
        ('see [1] and [2]: [{"a": 1}, {"a": 2}]', [{"a": 1}, {"a": 2}]),
        ('first {"a": 1}, then {"b": 2}', {"a": 1}),
        ('```\n{"a": 1}\n```\n```\n{"a": 1, "b": 2}\n```', {"a": 1, "b": 2}),
        ('```python\nprint({"a": "much longer than the other"}[0])\n```\n```json\n{"a": 1}\n```', {"a": 1}),
        ('use {braces} like this: {"a": 1}', {"a": 1}),
        ('fill in the {}: {"a": 1}', {"a": 1}),
        ("fill in the {}: [1]", [1]),
        ("there is nothing: {}", {}),
        ('an { open one, and {"a": 1}', {"a": 1}),
        ('a [ and } crossed, then {"a": 1}', {"a": 1}),
        ('{braces with a " quote. Then {"a": 1}', {"a": 1}),
        ('{"a": "}{][\\"", "b": "```"}', {"a": '}{]["', "b": "```"}),
        ('x {"a": "}{][\\"", "b": "{"} y', {"a": '}{]["', "b": "{"}),
        ('```json\n{"a": 1}', {"a": 1}),
        ('{"a": 1} and a fence ```', {"a": 1}),
        ('{"a": "two\nlines"}', {"a": "two\nlines"}),
        ("true", True),
        ("  42  ", 42),
    ],
)  # fmt: skip
def test_the_json_that_is_meant_is_found(text: str, said: Any) -> None:
    assert parse_json(text) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1,}', {"a": 1}),
        ("[1, 2, ]", [1, 2]),
        ('{"a": [1, 2,\n], }', {"a": [1, 2]}),
        ("{a: 1, b_c: 2, d-e: 3, $f: 4, ü: 5}", {"a": 1, "b_c": 2, "d-e": 3, "$f": 4, "ü": 5}),
        ("{'a': 'b'}", {"a": "b"}),
        ("{'a': 'it\\'s \"so\"', 'c': 'd\\\\'}", {"a": 'it\'s "so"', "c": "d\\"}),
        ("{'a': True, 'b': False, 'c': None}", {"a": True, "b": False, "c": None}),
        ('{"a": True, None: 1}', {"a": True, "None": 1}),
        ('{"a": 1, // the first\n "b": 2 /* the second */}', {"a": 1, "b": 2}),
        ("Sure: {answer: 'yes',} – good luck!", {"answer": "yes"}),
        ("```json\n{'a': [1,],}\n```", {"a": [1]}),
        ("[True, 'x',]", [True, "x"]),
        ("as in [1], {a: 1}", {"a": 1}),
        ("{a/* b */: 1}", {"a": 1}),
    ],
)
def test_small_slips_are_mended(text: str, said: Any) -> None:
    assert parse_json(text) == said
    assert json.loads(extract_json(text)) == said


@given(st.dictionaries(st.text(max_size=30), st.text(max_size=30), min_size=1, max_size=4))
def test_mending_never_changes_what_stands_in_strings(said: dict[str, str]) -> None:
    written = json.dumps(said, ensure_ascii=False)
    assert JSONParser.fix_common_issues(written) == written
    assert parse_json(f"{written[:-1]},}}") == said
    assert parse_json(f"/* mended */ x: {written[:-1]}, /* , */ }}") == said


@pytest.mark.parametrize(
    "text",
    [
        "",
        "This is not JSON",
        "{",
        "}",
        "{a",
        '{"a": }',
        "[1, 2",
        '{"a" 1}',
        "{'a: 1}",
        "null and void",
        "{x}",
        "[1/* */2]",
    ],
)
def test_what_is_not_json_is_an_error_with_the_text(text: str) -> None:
    for read in (parse_json, extract_json):
        with pytest.raises(JSONParsingError, match="no JSON in the text") as caught:
            read(text)
        assert caught.value.content == text
        assert caught.value.partial_data is None


HOSTILE = [
    "{" * 1_000_000,
    "[" * 500_000 + "]" * 500_000,
    '{"a":' * 200_000,
    "[{" * 500_000,
    "{x}" * 330_000,
    "{]" * 500_000,
    '"\\' * 500_000,
    '{"\\' * 330_000,
    '{"' + '\\"' * 300_000 + "\\",
    "{'" + "\\'" * 300_000 + "\\",
    "{'\\" * 330_000,
    "{/*" * 330_000,
    "{a:" * 330_000,
    "```\n" * 250_000,
    "`" * 1_000_000,
    "{" + " " * 1_000_000,
    "1" * 1_000_000,
    "{" + "a" * 1_000_000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:6])
def test_a_hostile_megabyte_takes_seconds_at_most(text: str) -> None:
    began_s = time.process_time()
    with pytest.raises(JSONParsingError):
        parse_json(text)
    assert time.process_time() - began_s < 10  # what is not linear takes hours


class Person(BaseModel):
    name: str
    age: int


def test_json_can_be_read_as_a_model() -> None:
    assert JSONParser.parse_as_model('He is {"name": "Al", "age": 7}.', Person) == Person(name="Al", age=7)
    text = '{"name": "Al", "age": "old"}'
    with pytest.raises(JSONParsingError, match="not a Person: age: ") as caught:
        JSONParser().parse_as_model(text, Person)
    assert caught.value.content == text
    assert caught.value.partial_data == {"name": "Al", "age": "old"}
    with pytest.raises(JSONParsingError, match="no JSON"):
        JSONParser.parse_as_model("sorry", Person)


# Formats.


@pytest.mark.parametrize(
    ("text", "items"),
    [
        (
            "Here are some items:\n        1. First item\n        2. Second item\n\n",
            ["First item", "Second item"],
        ),
        ("- a\n- b", ["a", "b"]),
        ("* a\n+ b\n• c\n4) d", ["a", "b", "c", "d"]),
        ("- a long one\n  goes on\n- b\n\nHope that helps!", ["a long one goes on", "b"]),
        ('```json\n["a", "b"]\n```', ["a", "b"]),
        ("- 3.5 is a number\n- 10", ["3.5 is a number", "10"]),
    ],
)
def test_lists_are_read(text: str, items: list[str]) -> None:
    assert StructuredOutputParser(format=OutputFormat.LIST).parse(text) == items


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("\n        Name: John Doe\n        Age: 42\n", {"Name": "John Doe", "Age": "42"}),
        ("- **Name:** Al\n- **Link**: http://x/y?z:1", {"Name": "Al", "Link": "http://x/y?z:1"}),
        ("Here are the facts:\nName: Al\nlives at http://x", {"Name": "Al"}),
        ("Why: because\n  it is so\nWhen: 10:30", {"Why": "because it is so", "When": "10:30"}),
        ("_id: 5", {"_id": "5"}),
        ('{"Name": "Al", "Age": 42}', {"Name": "Al", "Age": 42}),
        ('```json\n{\n  "Name": "Al"\n}\n```', {"Name": "Al"}),
    ],
)
def test_pairs_are_read(text: str, pairs: dict[str, Any]) -> None:
    assert StructuredOutputParser("key_value").parse(text) == pairs


def test_markdown_is_taken_apart() -> None:
    text = (
        "Before.\n# Title\nSome text.\n## Part ##\n```python\n# no heading\nprint()\n```\nAfter.\n"
        "# Title\nMore.\n```\nunclosed"
    )
    said = StructuredOutputParser(format=OutputFormat.MARKDOWN).parse(text)
    assert list(said["sections"]) == ["", "Title", "Part"]
    assert said["sections"][""] == "Before."
    assert said["sections"]["Title"] == "Some text.\nMore.\n```\nunclosed"
    assert said["sections"]["Part"].startswith("```python\n# no heading")
    assert said["code_blocks"] == [
        {"language": "python", "code": "# no heading\nprint()"},
        {"language": "", "code": "unclosed"},
    ]
    assert StructuredOutputParser("markdown").parse("") == {"sections": {}, "code_blocks": []}


@pytest.mark.parametrize("text", ["a: 1\nb: [x, y]", "Sure:\n```yaml\na: 1\nb: [x, y]\n```\nBye"])
def test_yaml_is_read(text: str) -> None:
    assert StructuredOutputParser(OutputFormat.YAML).parse(text) == {"a": 1, "b": ["x", "y"]}


def test_json_and_text_are_formats_too() -> None:
    assert StructuredOutputParser().parse('so {"a": 1}') == {"a": 1}
    assert StructuredOutputParser(OutputFormat.TEXT).parse(" as it is\n") == " as it is\n"


@pytest.mark.parametrize(
    ("format", "text"),
    [
        ("json", "sorry"),
        ("list", "I cannot do that."),
        ("list", '{"a": 1}'),
        ("key_value", "I cannot do that."),
        ("key_value", "[1]"),
        ("yaml", "I cannot do that."),
        ("yaml", "a: [b"),
        ("yaml", "!!python/object/apply:os.system ['true']"),
        ("yaml", "[" * 5000),
    ],
)
def test_another_format_is_an_error(format: str, text: str) -> None:
    with pytest.raises(FormatError):
        StructuredOutputParser(format).parse(text)


def test_data_may_have_to_fit_a_model() -> None:
    pairs = StructuredOutputParser(OutputFormat.KEY_VALUE, model=Person)
    assert pairs.parse("name: Al\nage: 7") == Person(name="Al", age=7)
    with pytest.raises(FormatError, match="not a Person"):
        pairs.parse("name: Al")


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(ValueError, match="xml"):
        StructuredOutputParser("xml")


def test_without_yaml_the_error_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(ImportError, match=r"tekton-llm-client\[yaml\]"):
        StructuredOutputParser("yaml").parse("a: 1")


@pytest.mark.parametrize("format", [format for format in OutputFormat if format != OutputFormat.YAML])
@pytest.mark.parametrize(
    "text", ["# " * 300_000 + "x", "**" * 300_000, "- " * 300_000, "a:" * 300_000, "`" * 600_000]
)
def test_hostile_text_takes_seconds_at_most(format: OutputFormat, text: str) -> None:
    began_s = time.process_time()
    with suppress(FormatError):
        StructuredOutputParser(format).parse(text)
    assert time.process_time() - began_s < 10


# Streams.

texts = st.lists(st.text(alphabet="ab|\n ", max_size=5))


def chunk(text: str, error: str | None = None) -> StreamingChunk:
    return StreamingChunk(chunk=text, error=error)


async def stream(pieces: list[str], error: str | None = None) -> AsyncIterator[StreamingChunk]:
    for piece in pieces:
        yield chunk(piece)
    yield StreamingChunk(done=True, error=error)


@given(texts)
async def test_any_split_of_a_stream_is_the_same_text(pieces: list[str]) -> None:
    heard: list[str] = []
    handler = StreamHandler(callback=heard.append)
    assert await handler.process_stream(stream(pieces)) == "".join(pieces) == "".join(heard) == handler.buffer
    assert handler.done
    assert await collect_stream(stream(pieces)) == "".join(pieces)
    assert await stream_to_string(stream(pieces), heard.append) == "".join(pieces)


@given(texts, st.sampled_from(["|", "\n", "| ", "ab"]), st.booleans())
async def test_any_split_of_a_stream_has_the_same_segments(
    pieces: list[str], delimiter: str, include_delimiter: bool
) -> None:
    handler = StreamHandler()
    segments = [
        segment
        async for segment in handler.collect_stream_segments(stream(pieces), delimiter, include_delimiter)
    ]
    *complete, rest = "".join(pieces).split(delimiter)
    expected = [segment + delimiter * include_delimiter for segment in complete] + [rest] * bool(rest)
    assert segments == expected


async def test_streams_may_be_of_texts_of_dicts_and_not_yet_opened() -> None:
    async def opened() -> AsyncIterator[StreamingChunk]:
        return stream(["a", "b"])

    async def mixed() -> AsyncIterator[object]:
        yield "a"
        yield {"chunk": "b"}
        yield {"content": "c"}
        yield {"done": True}

    assert await collect_stream(opened()) == "ab"
    assert await collect_stream(mixed()) == "abc"


async def test_callbacks_may_be_of_any_kind() -> None:
    heard: list[str] = []

    def plain(text: str) -> None:
        heard.append(text)

    async def awaited(text: str) -> None:
        heard.append(text)

    async def yielding(text: str) -> AsyncIterator[str]:
        heard.append(text)
        yield text

    callbacks: tuple[Callable[[str], Any], ...] = (plain, awaited, yielding)
    for callback in callbacks:
        assert await StreamHandler(callback_fn=callback).process_stream(stream(["a", "b"])) == "ab"
    assert heard == ["a", "b"] * 3
    with pytest.raises(TypeError, match="same thing"):
        StreamHandler(plain, callback_fn=plain)


async def test_a_transform_changes_what_everybody_gets() -> None:
    async def louder(text: str) -> str:
        return text.upper()

    heard: list[str] = []
    for transform in (str.upper, louder):
        assert await StreamHandler(heard.append).process_stream(stream(["a", "b"]), transform) == "AB"
    assert heard == ["A", "B"] * 2


async def test_a_stream_that_breaks_off_is_never_a_whole_text() -> None:
    handler = StreamHandler()
    with pytest.raises(TektonLLMError, match="gone"):
        await handler.process_stream(stream(["Hel"], "gone"))
    assert (handler.buffer, handler.done, handler.error) == ("Hel", False, "gone")
    for parts in (
        handler.collect_stream_segments(stream(["a|b"], "gone"), "|"),
        handler.buffer_until(stream(["a", "b"], "gone"), lambda held: held == "a"),
    ):
        assert await anext(parts) == "a"
        with pytest.raises(TektonLLMError, match="gone"):
            await collect_stream(parts)


async def test_the_error_of_a_stream_has_its_class_and_all_that_is_known() -> None:
    async def breaks_off() -> AsyncIterator[StreamingChunk]:
        meta = {"generation_id": "gen_1", "attempts": [{"target": "a/b", "outcome": "overloaded", "ms": 1}]}
        yield StreamingChunk(done=True, error="busy", code="overloaded", meta=meta)

    with pytest.raises(ServiceUnavailableError, match="busy") as refused:
        await stream_to_string(breaks_off())
    assert (refused.value.code, refused.value.request_id) == ("overloaded", "gen_1")
    assert [attempt.target for attempt in refused.value.attempts] == ["a/b"]


async def test_each_piece_can_come_with_its_context() -> None:
    handler = StreamHandler()
    context = {"context_id": "c", "done": "mine"}
    told = [piece async for piece in handler.process_stream_with_context(stream(["a", "b"]), context=context)]
    assert [piece["content"] for piece in told] == ["a", "b", ""]
    assert all(piece["context_id"] == "c" and piece["timestamp"] for piece in told)
    assert [piece["done"] for piece in told] == [False, False, True]
    assert (told[-1]["done"], told[-1]["complete_text"], told[-1]["error"]) == (True, "ab", None)

    told = [piece async for piece in handler.process_stream_with_context(stream(["a"], "gone"), str.upper)]
    assert (told[-1]["done"], told[-1]["complete_text"], told[-1]["error"]) == (True, "A", "gone")


async def test_text_is_held_back_until_it_is_liked_or_too_much() -> None:
    handler = StreamHandler()
    sentences = handler.buffer_until(stream(["One", ". T", "wo.", " Rest"]), lambda held: held.endswith("."))
    assert [held async for held in sentences] == ["One. Two.", " Rest"]
    held = handler.buffer_until(stream(list("abcde")), lambda _: False, max_buffer_size=2)
    assert [part async for part in held] == ["ab", "cd", "e"]


async def test_who_stops_early_leaves_nothing_open() -> None:
    closed = []

    async def endless() -> AsyncIterator[str]:
        try:
            while True:
                yield "a|"
        finally:
            closed.append(True)

    source = endless()
    async with aclosing(source), aclosing(StreamHandler().collect_stream_segments(source, "|")) as segments:
        async for segment in segments:
            assert segment == "a"
            break
    assert closed == [True]


async def test_a_delimiter_says_something() -> None:
    with pytest.raises(ValueError, match="delimiter"):
        await anext(StreamHandler().collect_stream_segments(stream([]), ""))
