"""The Responses door: what is said, what is kept of it, and what only some providers can do."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types.responses import ResponseItem, ResponseStreamEvent
from pydantic import TypeAdapter

from rhetor.core.content import Text, Thinking
from rhetor.core.request import Message, Role
from rhetor.testing import Upstream, calls, cuts, error_in_200, fails, hangs, says
from tests.conftest import Gateway, MakeGateway, settings
from tests.http.doors import ERROR_AFTER_A_WORD, OPENAI_RESPONSES, openai_wrong
from tests.http.following import asked, frames, generation_of, id_of, told
from tests.sdk.conversation import chat

RESPONSES = "/v1/responses"
EVENT: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)


@pytest.fixture
async def gateway(make_gateway: MakeGateway, upstream: Upstream) -> Gateway:
    """The upstream as `oai` and `ant`, and as `both`, which speaks OpenAI chat and Responses."""
    both = {"wire": "openai", "also": ["responses"], "base_url": f"{upstream.base_url}/v1"}
    routes = {
        "mixed": {"targets": ["oai/m", "both/m"]},
        "two": {"targets": ["both/m", "oai/m"]},
    }
    return await make_gateway(settings(upstream, providers={"both": both}, routes=routes))


async def ask(gateway: Gateway, **said: Any) -> Any:
    """The reply to a request that goes well."""
    status, body = await gateway.post(RESPONSES, {"model": "oai/m", "input": "hello", **said})
    assert status == 200, body
    return body


async def refused(gateway: Gateway, **said: Any) -> tuple[int, Any]:
    status, body = await gateway.post(RESPONSES, {"model": "oai/m", "input": "hello", **said})
    assert openai_wrong(body).message
    return status, body["error"]


async def streamed(gateway: Gateway, **said: Any) -> list[Any]:
    """The events of a stream, each as the official client reads it."""
    wanted = {"model": "oai/m", "input": "hello", "stream": True, **said}
    async with gateway.session.post(gateway.url + RESPONSES, json=wanted) as reply:
        assert reply.status == 200, await reply.text()
        assert reply.content_type == "text/event-stream"
        return [event_of(frame) for frame in await frames(reply)]


def event_of(frame: bytes) -> Any:
    """What a frame says, as the official client reads it."""
    return EVENT.validate_json(frame.split(b"\ndata: ")[1])


# What is said.


@pytest.mark.parametrize("model", ["oai/m", "ant/m", "both/m"])
async def test_a_reply_whole_and_streamed_is_the_same(
    gateway: Gateway, upstream: Upstream, model: str
) -> None:
    upstream.says(Thinking("well", "proof" if model != "oai/m" else None), "hello world")
    whole = await ask(gateway, model=model, metadata={"a": "b"})
    events = await streamed(gateway, model=model, metadata={"a": "b"})

    assert [item["type"] for item in whole["output"]] == ["reasoning", "message"]
    assert whole["output"][1]["content"][0]["text"] == "hello world"
    assert whole["usage"]["output_tokens_details"] == {"reasoning_tokens": 0}
    ending = events[-1].response.to_dict()
    assert [item["type"] for item in ending["output"]] == ["reasoning", "message"]
    for response in (whole, ending):  # what is another one's every time
        del response["id"], response["created_at"], response["output"]
    assert ending == whole


async def test_what_is_asked_arrives(gateway: Gateway, upstream: Upstream) -> None:
    call = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
    items = [
        {"role": "user", "content": "hello"},
        call,
        {"type": "function_call_output", "call_id": "c1", "output": "42"},
    ]
    await ask(gateway, model="ant/m", input=items, instructions="Be brief.", max_output_tokens=9)

    heard = chat(upstream.requests[0])
    assert heard.messages[0] == Message(Role.SYSTEM, (Text("Be brief."),))
    assert [message.role for message in heard.messages] == [Role.SYSTEM, Role.USER, Role.ASSISTANT, Role.TOOL]
    assert heard.max_tokens == 9


async def test_a_provider_of_the_same_language_gets_the_body_as_it_is(
    gateway: Gateway, upstream: Upstream
) -> None:
    """Fields that nobody knows survive, and tools that only the provider can run."""
    said = {"input": "hello", "tools": [{"type": "web_search"}], "x_new": {"deep": [1]}}
    await ask(gateway, model="both/m", **said)

    assert upstream.requests[0].path == "/v1/responses"
    assert upstream.requests[0].json == {"model": "m", **said}


async def test_callers_of_the_first_language_are_passed_through_in_it(
    gateway: Gateway, upstream: Upstream
) -> None:
    said = {"messages": [{"role": "user", "content": "hello"}], "x_new": 1}
    status, _ = await gateway.post("/v1/chat/completions", {"model": "both/m", **said})
    assert status == 200
    assert upstream.requests[0].path == "/v1/chat/completions"
    assert upstream.requests[0].json == {"model": "m", **said}


async def test_what_another_language_cannot_say_is_named(gateway: Gateway) -> None:
    async with asked(
        gateway, OPENAI_RESPONSES, {}, tools=[{"type": "web_search"}], truncation="auto"
    ) as reply:
        assert reply.headers["x-rhetor-dropped"] == "tools[0]: web_search, truncation"


async def test_a_provider_that_breaks_off_is_told_in_the_stream(gateway: Gateway, upstream: Upstream) -> None:
    upstream.says("one two three")
    upstream.always(cuts(after=1))
    *_, error, failed = await streamed(gateway)
    assert (error.type, failed.type) == ("error", "response.failed")
    assert failed.response.error.message
    assert failed.response.status == "failed"


async def test_a_failure_in_the_providers_own_stream(gateway: Gateway, upstream: Upstream) -> None:
    upstream.always(ERROR_AFTER_A_WORD)
    assert (await streamed(gateway, model="both/m"))[-1].type in ("error", "response.failed")


async def test_a_failure_before_the_first_word_has_a_status(gateway: Gateway, upstream: Upstream) -> None:
    upstream.always(error_in_200())
    status, error = await refused(gateway, model="both/m", stream=True)
    assert (status, error["type"]) == (502, "server_error")


async def test_a_text_that_broke_off_is_finished_by_another_target(
    gateway: Gateway, upstream: Upstream
) -> None:
    """The client sees one response: one id, one message, numbers without a gap."""
    upstream.says("one two three four")
    upstream.next(cuts(after=2))
    events = await streamed(gateway, model="mixed")
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == "one two three four"
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert len(events[-1].response.output) == 1


async def test_nobody_goes_on_in_frames_whose_ids_are_the_providers(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.says("one two three four")
    upstream.next(cuts(after=2))
    events = await streamed(gateway, model="two")
    assert events[-1].type == "response.failed"
    assert len(upstream.requests) == 1


async def test_who_leaves_ends_the_call_to_the_provider(gateway: Gateway, upstream: Upstream) -> None:
    upstream.next(hangs(after=1))
    async with asked(gateway, OPENAI_RESPONSES, {}, stream=True) as reply:
        await frames(reply, most=3)
    await upstream.requests[0].aborted()


# What is kept.


@pytest.mark.parametrize("model", ["oai/m", "ant/m", "both/m"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_response_is_found_as_soon_as_it_has_ended(
    gateway: Gateway, model: str, stream: bool
) -> None:
    said = {"model": model, "instructions": "Be brief.", "metadata": {"a": "b"}}
    if stream:
        told = (await streamed(gateway, **said))[-1].response.to_dict()
    else:
        told = await ask(gateway, **said)
    status, found = await gateway.get(f"{RESPONSES}/{told['id']}")
    assert status == 200
    if model == "both/m":  # items are named by the provider in its reply, and by us in what is kept
        assert found["output"][0]["content"] == told["output"][0]["content"]
    else:
        assert found == told


@pytest.mark.parametrize("model", ["oai/m", "ant/m", "both/m"])
async def test_a_conversation_goes_on_by_the_id_of_its_last_response(
    gateway: Gateway, upstream: Upstream, model: str
) -> None:
    first = await ask(gateway, model="oai/m", input="one", instructions="Be brief.")
    second = await ask(gateway, model="ant/m", input="two", previous_response_id=first["id"])
    third = await ask(gateway, model=model, input="three", previous_response_id=second["id"])

    said = [(message.role, message.parts[0]) for message in chat(upstream.requests[-1]).messages]
    assert said == [
        (Role.USER, Text("one")),
        (Role.ASSISTANT, Text("hello world")),
        (Role.USER, Text("two")),
        (Role.ASSISTANT, Text("hello world")),
        (Role.USER, Text("three")),
    ], "instructions are those of each request"
    assert b"previous_response_id" not in upstream.requests[-1].body
    if model != "both/m":
        assert third["previous_response_id"] == second["id"]


async def test_tools_are_answered_by_the_id_alone(gateway: Gateway, upstream: Upstream) -> None:
    upstream.next(calls(("weather", {"city": "Paris"})))
    first = await ask(
        gateway, model="ant/m", tools=[{"type": "function", "name": "weather", "parameters": {}}]
    )
    (call,) = first["output"]
    result = {"type": "function_call_output", "call_id": call["call_id"], "output": "sunny"}
    await ask(gateway, model="ant/m", input=[result], previous_response_id=first["id"])

    roles = [message.role for message in chat(upstream.requests[-1]).messages]
    assert roles == [Role.USER, Role.ASSISTANT, Role.TOOL]


async def test_items_may_be_said_by_reference(gateway: Gateway, upstream: Upstream) -> None:
    """As the AI SDK says what the provider has."""
    first = await ask(gateway, input="one")
    (message,) = first["output"]
    items = [
        {"role": "user", "content": "one"},
        {"type": "item_reference", "id": message["id"]},
        {"role": "user", "content": "two", "x_new": 1},
    ]
    await ask(gateway, model="ant/m", input=items)
    texts = [part for message in chat(upstream.requests[-1]).messages for part in message.parts]
    assert texts == [Text("one"), Text("hello world"), Text("two")]
    await ask(gateway, model="both/m", input=items)
    assert upstream.requests[-1].json["input"][2] == items[2], "what nobody knows survives"


async def test_what_was_asked_is_listed(gateway: Gateway) -> None:
    items = [
        {"role": "user", "content": "one"},
        {"role": "user", "content": [{"type": "input_text", "text": "two"}]},
    ]
    response = await ask(gateway, input=items)
    path = f"{RESPONSES}/{response['id']}/input_items"

    _, page = await gateway.get(path + "?limit=1")
    assert page["has_more"]
    assert page["data"][0]["content"] == [{"type": "input_text", "text": "two"}]
    _, rest = await gateway.get(f"{path}?after={page['last_id']}")
    assert rest["data"][0]["content"] == [{"type": "input_text", "text": "one"}]
    for item in (*page["data"], *rest["data"]):
        TypeAdapter(ResponseItem).validate_python(item)
    status, body = await gateway.get(path + "?limit=all")
    assert (status, openai_wrong(body).param) == (400, "limit")


async def test_nothing_is_kept_of_who_wants_that(gateway: Gateway) -> None:
    response = await ask(gateway, store=False)
    assert response["store"] is False
    assert (await gateway.get(f"{RESPONSES}/{response['id']}"))[0] == 404
    status, error = await refused(gateway, previous_response_id=response["id"])
    assert (status, error["code"], error["param"]) == (
        400,
        "previous_response_not_found",
        "previous_response_id",
    )


async def test_what_is_deleted_is_gone(gateway: Gateway) -> None:
    response = await ask(gateway)
    path = f"{RESPONSES}/{response['id']}"
    async with gateway.session.delete(gateway.url + path) as reply:
        assert await reply.json() == {"id": response["id"], "object": "response", "deleted": True}
    for gone in (path, path + "/input_items"):
        status, body = await gateway.get(gone)
        assert status == 404
        assert openai_wrong(body).message == f"Response with id '{response['id']}' not found."
    assert (await refused(gateway, previous_response_id=response["id"]))[0] == 400


async def test_a_stored_response_is_nobody_elses(make_gateway: MakeGateway, upstream: Upstream) -> None:
    tokens = {"anna": "env:ANNA", "bob": "env:BOB"}
    environ = {"ANNA": "token-of-anna", "BOB": "token-of-bob"}
    gateway = await make_gateway(settings(upstream, server={"tokens": tokens}), environ)
    anna, bob = ({"Authorization": f"Bearer {token}"} for token in environ.values())
    wanted = {"model": "oai/m", "input": "hello"}
    _, response = await gateway.post(RESPONSES, wanted, headers=anna)

    path = f"{RESPONSES}/{response['id']}"
    assert (await gateway.get(path, headers=anna))[0] == 200
    assert (await gateway.get(path, headers=bob))[0] == 404
    theirs = {**wanted, "previous_response_id": response["id"]}
    assert (await gateway.post(RESPONSES, theirs, headers=bob))[0] == 400


async def test_a_reply_that_failed_in_its_middle_is_kept_as_what_it_is(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.says("one two three")
    upstream.always(cuts(after=2))
    failed = (await streamed(gateway))[-1].response
    _, found = await gateway.get(f"{RESPONSES}/{failed.id}")
    assert (found["status"], found["output"][0]["content"][0]["text"]) == ("failed", "one two")


# What only some can do.


async def test_what_nobody_here_knows_is_left_to_a_provider_that_may(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.next(says("I know"))
    said = {"previous_response_id": "resp_theirs", "model": "mixed"}
    response = await ask(gateway, **said)
    assert [seen.json["previous_response_id"] for seen in upstream.requests] == ["resp_theirs"]
    assert response["output"][0]["content"][0]["text"] == "I know"

    # What was said before is not here: the whole of the conversation is the provider's affair.
    await ask(gateway, model="both/m", previous_response_id=response["id"])
    assert upstream.requests[-1].json["previous_response_id"] == response["id"]


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"prompt": {"id": "pmpt_1"}}, 400),
        ({"tool_choice": {"type": "web_search"}}, 400),
        ({"conversation": "conv_theirs"}, 400),
        ({"input": [{"type": "item_reference", "id": "msg_theirs"}]}, 404),
        ({"input": [{"type": "compaction", "encrypted_content": "x"}]}, 400),
    ],
)
async def test_what_others_would_answer_wrongly_is_refused(
    gateway: Gateway, upstream: Upstream, said: Any, status: int
) -> None:
    assert (await refused(gateway, **said))[0] == status
    assert upstream.requests == []
    await ask(gateway, model="both/m", **said)


async def test_the_background_is_not_offered(gateway: Gateway) -> None:
    status, error = await refused(gateway, background=True)
    assert (status, error["param"]) == (400, "background")
    response = await ask(gateway)
    status, body = await gateway.post(f"{RESPONSES}/{response['id']}/cancel", None)
    assert (status, openai_wrong(body).message[:25]) == (400, "only background responses")
    assert (await gateway.post(f"{RESPONSES}/resp_nobody/cancel", None))[0] == 404
    assert (await gateway.get(f"{RESPONSES}/{response['id']}?stream=true"))[0] == 400


async def test_a_refusal_of_the_provider_keeps_its_words(gateway: Gateway, upstream: Upstream) -> None:
    body = b'{"error": {"message": "no such tool", "type": "invalid_request_error", "code": "tool_unknown"}}'
    upstream.always(fails(400, body=body))
    status, error = await refused(gateway, model="both/m")
    assert (status, error["message"], error["code"]) == (400, "no such tool", "tool_unknown")


async def test_a_stream_is_taken_up_again_where_it_was_cut_off(gateway: Gateway) -> None:
    async with asked(gateway, OPENAI_RESPONSES, {"x-rhetor-resume": "30"}, stream=True) as reply:
        everything = await frames(reply)
        id = generation_of(reply)
    rest = await told(gateway, id, after=id_of(everything[3]))
    assert len(rest) == len(everything) - 4
    assert [event_of(frame) for frame in rest[:-1]] == [event_of(frame) for frame in everything[4:-1]]
    assert event_of(rest[-1]).response.output == event_of(everything[-1]).response.output
