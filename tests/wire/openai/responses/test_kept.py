"""What is kept of conversations, and how it is listed and said again."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types.conversations import ConversationItem
from openai.types.responses import ResponseInputItemParam, ResponseItem
from pydantic import TypeAdapter

from rhetor.core.errors import BadRequest, Code
from rhetor.wire.openai.responses.kept import (
    beside,
    checked_items,
    input_items,
    metadata_of,
    owner_of_item,
    page_of,
    reference_of,
    said_again,
    text_of,
    to_be_kept,
)

ITEMS: list[Any] = [
    {"role": "user", "content": "hi"},
    {"role": "assistant", "content": "hello"},
    {"role": "user", "content": [{"type": "input_image", "image_url": "https://x/y.png"}]},
    {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c", "output": "42"},
    {"type": "reasoning", "id": "rs_theirs", "summary": []},
]


@pytest.mark.parametrize("union", [ResponseItem, ConversationItem], ids=["response", "conversation"])
def test_the_official_client_reads_what_is_listed(union: Any) -> None:
    for item in to_be_kept(ITEMS, "0a1b"):
        TypeAdapter(union).validate_python(item, strict=True)


def test_who_has_no_id_gets_one() -> None:
    ids = [item["id"] for item in to_be_kept(ITEMS, "0a1b")]
    assert ids[0] == "msg_0a1b_in0"
    assert ids[3:] == ["fc_0a1b_in3", "item_0a1b_in4", "rs_theirs"]
    assert {owner_of_item(str(id)) for id in ids[:5]} == {"resp_0a1b"}


@pytest.mark.parametrize("id", ["", "msg", "msg_", "msg_68f1", "x_y_z", "msg__0"])
def test_ids_of_others_have_no_owner(id: str) -> None:
    assert owner_of_item(id) is None


def test_what_is_said_again_says_nothing_of_where_it_was_kept() -> None:
    kept = to_be_kept(ITEMS, "0a1b")
    again = said_again(kept)
    assert len(again) == len(kept) - 1, "a thought without proof is left out"
    assert not any(item.keys() & {"id", "status"} for item in again)
    proved = {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "x"}
    assert said_again([proved]) == [{"type": "reasoning", "summary": [], "encrypted_content": "x"}]


HOSTED: list[Any] = [
    {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}},
    {"type": "file_search_call", "id": "fs_1", "status": "completed", "queries": ["q"]},
    {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "aGk="},
    {
        "type": "code_interpreter_call",
        "id": "ci_1",
        "status": "completed",
        "code": "1",
        "container_id": "c",
        "outputs": [],
    },
    {"type": "mcp_list_tools", "id": "mcpl_1", "server_label": "s", "tools": []},
    {"type": "mcp_call", "id": "mcp_1", "server_label": "s", "name": "f", "arguments": "{}"},
    {"type": "mcp_approval_request", "id": "mcpr_1", "server_label": "s", "name": "f", "arguments": "{}"},
    {
        "type": "local_shell_call",
        "id": "lsh_1",
        "status": "completed",
        "call_id": "c",
        "action": {"type": "exec", "command": ["ls"], "env": {}},
    },
]


def test_calls_of_the_providers_tools_are_said_again_whole() -> None:
    assert said_again(to_be_kept(HOSTED, "0a1b")) == HOSTED


@pytest.mark.parametrize(
    "item",
    [it for it in (*ITEMS, *HOSTED) if it.get("type") != "reasoning" and it.get("role") != "assistant"],
)
def test_the_official_client_takes_what_is_said_again(item: Any) -> None:
    """But for answers, which its types want with the ids that they had, and the API without."""
    (again,) = said_again(to_be_kept([item], "0a1b"))
    TypeAdapter(ResponseInputItemParam).validate_python(again)


def test_an_id_that_we_gave_is_not_said() -> None:
    """Providers look at how an id begins."""
    call = {"type": "shell_call", "call_id": "c", "action": {"commands": ["ls"]}, "status": "completed"}
    kept = to_be_kept([call], "0a1b")
    assert kept[0]["id"] == "item_0a1b_in0"
    assert said_again(kept) == [call]


@pytest.mark.parametrize("reference", [{"id": "msg_1"}, {"type": "item_reference", "id": "msg_1"}])
def test_a_reference_stays_one(reference: Any) -> None:
    kept = to_be_kept([reference], "0a1b")
    assert said_again(kept) == kept == [{"type": "item_reference", "id": "msg_1"}]


def test_no_two_items_have_the_same_id() -> None:
    twice = [{"role": "user", "content": text, "id": "msg_same"} for text in ("a", "b", "b")]
    kept = to_be_kept([*twice, HOSTED[0], HOSTED[0]], "0a1b")
    assert [it["id"] for it in kept] == ["msg_same", "msg_0a1b_in1", "msg_0a1b_in2", "ws_1", "ws_0a1b_in4"]


def test_what_is_added_takes_nobodys_id() -> None:
    one, other = to_be_kept([{"role": "user", "content": text, "id": "msg_1"} for text in "ab"], "x")
    other = {**other, "id": "msg_1"}
    assert beside([one], [one], "0a1b") == [one]
    assert beside([one], [other], "0a1b") == [{**other, "id": "msg_0a1b_in0"}]
    assert beside([], [one, other], "0a1b") == [one, {**other, "id": "msg_0a1b_in1"}]


def test_a_text_is_an_item() -> None:
    assert input_items({"input": "hi"}) == [{"type": "message", "role": "user", "content": "hi"}]
    assert input_items({"input": ""}) == input_items({}) == []
    with pytest.raises(BadRequest, match=r"input\[1\]: expected an object"):
        input_items({"input": [{}, 7]})


def test_references() -> None:
    assert reference_of({"type": "item_reference", "id": "a"}) == reference_of({"id": "a"}) == "a"
    assert reference_of({"type": "message", "id": "a"}) is None


def test_texts_that_are_searched() -> None:
    assert [text_of(item) for item in to_be_kept(ITEMS[:5], "x")] == ["hi", "hello", "", "{}", "42"]


LISTED: list[Any] = [{"id": str(n)} for n in range(5)]


@pytest.mark.parametrize(
    ("query", "ids", "more"),
    [
        ({}, "43210", False),
        ({"order": "asc"}, "01234", False),
        ({"limit": "2"}, "43", True),
        ({"limit": "2", "after": "3"}, "21", True),
        ({"order": "asc", "after": "3"}, "4", False),
        ({"after": "0"}, "", False),
    ],
)
def test_pages(query: dict[str, str], ids: str, more: bool) -> None:
    page: Any = page_of(LISTED, query)
    assert "".join(item["id"] for item in page["data"]) == ids
    assert page["has_more"] is more
    assert (page["first_id"], page["last_id"]) == ((ids[0], ids[-1]) if ids else (None, None))


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"order": "up"}, Code.INVALID_REQUEST),
        ({"limit": "0"}, Code.INVALID_REQUEST),
        ({"limit": "101"}, Code.INVALID_REQUEST),
        ({"limit": "²"}, Code.INVALID_REQUEST),
        ({"limit": "9" * 5000}, Code.INVALID_REQUEST),
        ({"after": "nobody"}, Code.NOT_FOUND),
    ],
)
def test_a_page_that_is_none(query: dict[str, str], code: Code) -> None:
    with pytest.raises(BadRequest) as caught:
        page_of(LISTED, query)
    assert caught.value.code is code
    assert caught.value.param == next(iter(query))


@pytest.mark.parametrize(
    "metadata", [7, {"a": 1}, {"a" * 65: "b"}, {"a": "b" * 513}, {str(n): "x" for n in range(17)}]
)
def test_metadata_that_is_none(metadata: Any) -> None:
    with pytest.raises(BadRequest, match="metadata"):
        metadata_of({"metadata": metadata})


@pytest.mark.parametrize(
    ("items", "param"),
    [
        ([], "items"),
        (None, "items"),
        ([{"type": "function_call"}], "items[0].call_id"),
        ([{"role": "user", "content": "a", "id": "m"}, {"id": "m"}], "items[1].id"),
    ],
)
def test_items_that_are_none(items: Any, param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        checked_items({"items": items})
    assert caught.value.param == param
