"""A provider: from a request to the one call that says it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import orjson
import pytest

from rhetor.core.call import Call
from rhetor.core.capability import Capability
from rhetor.core.content import Text
from rhetor.core.errors import BadRequest, Code, UpstreamError
from rhetor.core.request import Chat, Embed, Message, Request, Role
from rhetor.providers.provider import USER_AGENT, Provider, quirks_of
from rhetor.providers.spec import AuthSpec, ProviderRow, QuirkSpec, Source
from rhetor.transport.base import Progress, Response
from rhetor.wire.anthropic import ANTHROPIC
from rhetor.wire.base import PLAIN, Quirks, Wire
from rhetor.wire.languages import WIRES
from rhetor.wire.ollama import OLLAMA
from rhetor.wire.openai import OPENAI
from rhetor.wire.openai.responses import RESPONSES

KEY = "sk-canary-0123456789"


class NoTransport:
    """Nothing is sent here."""

    async def open(self, call: Call, progress: Progress) -> Response:
        raise AssertionError("a provider prepares calls, it does not send them")

    async def close(self) -> None:
        pass


def provider(wire: Wire = OPENAI, key: str | None = KEY, **row: Any) -> Provider:
    said = {"base_url": "https://lab.example/v1", "docs": Source(url="x", read="2026-01-01"), **row}
    made = ProviderRow(id="lab", name="The Lab", wire=wire.name, **said)
    return Provider(made, wire, NoTransport(), key)


def chat(**said: Any) -> Request:
    input = Chat(messages=(Message(Role.USER, (Text("hi"),)),), **said)
    return Request(id="", capability=Capability.CHAT, model="fast", input=input)


def parsed(wire: Wire, **said: Any) -> Request:
    body = {"model": "fast", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}], **said}
    if "input" in said:
        del body["messages"], body["max_tokens"]
    return wire.doors[Capability.CHAT].parse(orjson.dumps(body), {})


def body_of(call: Call) -> Any:
    assert call.body is not None
    return orjson.loads(call.body)


class TestKeys:
    ROW = ProviderRow(id="lab", name="The Lab", wire="openai", base_url="https://lab.example/v1")

    def test_each_attempt_travels_with_the_key_that_was_chosen(self) -> None:
        made = Provider(self.ROW, OPENAI, NoTransport(), "first-key", "second-key")
        sent = [made.prepare(chat(), "small", key).call.headers["authorization"] for key in (0, 1)]
        assert sent == ["Bearer first-key", "Bearer second-key"]

    def test_none_of_them_is_quoted_back(self) -> None:
        made = Provider(self.ROW, OPENAI, NoTransport(), "first-key", "second-key")
        body = b'{"error": {"message": "bad keys first-key and second-key"}}'
        assert made.refusal(400, {}, body).message == "bad keys [redacted] and [redacted]"


class TestFetching:
    """Who may stand in our networks is handed no address inside them; the rule itself is in `fetching`."""

    LOCAL = "http://127.0.0.1:9000/v1"

    @pytest.mark.parametrize(
        ("row", "allowed", "fetched"),
        [
            ({}, (), True),  # a vendor at home
            ({"base_url": LOCAL}, (), False),
            ({"base_url": "http://vision.service.internal/v1"}, (), False),
            ({"base_url": "guest://seer", "status": "plugin"}, (), False),
            ({"status": "configured"}, (), False),
            ({"base_url": LOCAL}, ("169.254.169.254",), True),
            ({"base_url": LOCAL}, ("*",), True),
            ({"id": "openai", "base_url": "https://api.openai.com/v1"}, (), True),
            ({"id": "openai", "base_url": "https://vllm.corp.example.com/v1"}, (), False),
            ({"id": "vllm", "base_url": "https://vllm.corp.example.com/v1"}, (), False),
            ({"id": "azure", "base_url": "https://mine.openai.azure.com/openai/v1"}, (), True),
            ({"id": "azure", "base_url": "https://openai.azure.com.example.com/v1"}, (), False),
            ({"id": "vertex", "base_url": "https://aiplatform.eu.rep.googleapis.com/v1"}, (), True),
            ({"id": "bfl", "base_url": "https://api.us1.bfl.ai"}, (), True),
        ],
    )
    @pytest.mark.parametrize("verbatim", [False, True])
    def test_who_may_stand_inside(
        self, row: dict[str, Any], allowed: tuple[str, ...], fetched: bool, verbatim: bool
    ) -> None:
        made = ProviderRow(**{**TestKeys.ROW.model_dump(), **row})
        asked = Provider(made, OPENAI, NoTransport(), KEY, allowed_hosts=allowed)
        shown = {"type": "image_url", "image_url": {"url": "http://169.254.169.254/latest"}}
        request = parsed(OPENAI, messages=[{"role": "user", "content": [shown]}])
        if not verbatim:
            request = replace(request, original=None)
        if fetched:
            assert b"169.254" in (asked.prepare(request, "small").call.body or b"")
        else:
            with pytest.raises(BadRequest, match=rf"169\.254\.169\.254.*providers\.{made.id}\.allowed_hosts"):
                asked.prepare(request, "small")


class TestCall:
    @pytest.mark.parametrize(
        ("component", "principal", "caller"),
        [
            ("budget", "someone", "someone"),
            (None, "someone", "someone"),
            ("budget", None, "budget"),
            (None, None, ""),
        ],
    )
    def test_it_says_for_whom(self, component: str | None, principal: str | None, caller: str) -> None:
        """A component is whatever a caller writes: who makes up many must not get as many turns."""
        request = chat()
        request.component, request.principal = component, principal
        assert provider().prepare(request, "small").call.caller == caller

    def test_it_goes_to_the_wires_path_behind_the_rows_address(self) -> None:
        call = provider(base_url="https://lab.example/v1/").prepare(chat(), "small").call
        assert (call.method, call.url) == ("POST", "https://lab.example/v1/chat/completions")

    def test_the_key_travels_in_a_header_and_nowhere_else(self) -> None:
        call = provider().prepare(chat(), "small").call
        assert call.headers["authorization"] == f"Bearer {KEY}"
        assert KEY not in call.url
        assert KEY.encode() not in (call.body or b"")

    def test_the_row_says_in_which_header(self) -> None:
        made = provider(ANTHROPIC, auth=AuthSpec(header="X-Api-Key", prefix=""))
        headers = made.prepare(chat(), "small").call.headers
        assert headers["x-api-key"] == KEY
        assert "authorization" not in headers

    def test_the_rows_headers_go_with_every_call(self) -> None:
        made = provider(headers={"Anthropic-Version": "2023-06-01"})
        listing = made.models_call()
        assert listing is not None
        for call in (made.prepare(chat(), "small").call, listing):
            assert call.headers["anthropic-version"] == "2023-06-01"
            assert call.headers["user-agent"] == USER_AGENT

    @pytest.mark.parametrize("name", ["User-Agent", "user-agent", "USER-AGENT"])
    def test_no_header_is_sent_twice(self, name: str) -> None:
        """Names mean the same in any case."""
        headers = provider(headers={name: "other"}).prepare(chat(), "small").call.headers
        assert [value for key, value in headers.items() if key.lower() == "user-agent"] == ["other"]

    def test_one_call_does_not_change_the_next(self) -> None:
        made = provider()
        first = made.prepare(chat(), "small").call
        second = made.prepare(chat(), "large").call
        assert dict(first.headers) == dict(second.headers)
        assert (body_of(first)["model"], body_of(second)["model"]) == ("small", "large")

    def test_the_repr_of_a_provider_holds_no_secret(self) -> None:
        assert repr(provider()) == "Provider(lab)"


class TestLanes:
    def test_speakers_of_the_same_language_understand_each_other_word_by_word(self) -> None:
        prepared = provider().prepare(parsed(OPENAI, new_field={"a": 1}, stream=True), "small")
        assert prepared.verbatim
        assert body_of(prepared.call)["new_field"] == {"a": 1}
        assert body_of(prepared.call)["model"] == "small"
        assert prepared.stream
        assert prepared.outgoing.dropped == ()

    def test_others_get_a_translation_and_are_told_what_was_lost(self) -> None:
        prepared = provider(ANTHROPIC).prepare(parsed(OPENAI, new_field=1, seed=7), "small")
        assert not prepared.verbatim
        assert "new_field" not in body_of(prepared.call)
        assert set(prepared.outgoing.dropped) >= {"new_field", "seed"}

    def test_a_request_without_an_original_is_translated(self) -> None:
        prepared = provider().prepare(chat(temperature=0.5), "small")
        assert not prepared.verbatim
        assert body_of(prepared.call)["temperature"] == 0.5

    def test_a_decoder_is_new_for_every_reply(self) -> None:
        prepared = provider().prepare(chat(), "small")
        assert prepared.decoder() is not prepared.decoder()


class TestSeveralLanguages:
    """One address, two languages: a chat in the first one unless the caller speaks the other."""

    def both(self, **row: Any) -> Provider:
        made = ProviderRow(id="lab", name="The Lab", wire="openai", base_url="https://lab.example/v1", **row)
        return Provider(made, OPENAI, NoTransport(), KEY, also=[RESPONSES])

    @pytest.mark.parametrize(
        ("request_", "path", "verbatim"),
        [
            (parsed(OPENAI), "chat/completions", True),
            (parsed(RESPONSES, input="hi"), "responses", True),
            (parsed(ANTHROPIC), "chat/completions", False),
            (chat(), "chat/completions", False),
        ],
    )
    def test_callers_are_spoken_to_in_their_own(self, request_: Request, path: str, verbatim: bool) -> None:
        prepared = self.both().prepare(request_, "small")
        assert prepared.call.url == f"https://lab.example/v1/{path}"
        assert prepared.verbatim is verbatim

    def test_what_only_one_of_them_has_a_word_for_is_said_in_that(self) -> None:
        capabilities = frozenset({Capability.EMBEDDINGS})
        made = ProviderRow(
            id="lab",
            name="Lab",
            wire="responses",
            base_url="https://lab.example/v1",
            capabilities=capabilities,
        )
        lab = Provider(made, RESPONSES, NoTransport(), KEY, also=[OPENAI])
        request = Request(id="", capability=Capability.EMBEDDINGS, model="m", input=Embed(inputs=("hi",)))
        assert lab.speaks(Capability.EMBEDDINGS)
        assert lab.prepare(request, "small").call.url == "https://lab.example/v1/embeddings"

    def test_a_refusal_is_read_in_the_language_that_was_asked_in(self) -> None:
        body = b'{"type": "error", "error": {"type": "overloaded_error", "message": "later"}}'
        assert self.both().refusal(400, {}, body, ANTHROPIC).code is Code.OVERLOADED

    def test_an_answer_may_be_begun_for_callers_of_another_language(self) -> None:
        """What the caller sent itself is not what is sent on, so it need not say how it begins."""
        request = parsed(RESPONSES, input="hi")
        quirks = QuirkSpec(prefill="plain")
        assert self.both(quirks=quirks).prefilled(request, "Once", "m") is None
        begun = provider(quirks=quirks).prefilled(request, "Once", "m")
        assert begun is not None
        messages = body_of(provider(quirks=quirks).prepare(begun, "small").call)["messages"]
        assert messages[-1] == {"role": "assistant", "content": "Once"}

    def test_a_request_that_is_bound_to_its_language_is_prepared_in_no_other(self) -> None:
        request = parsed(RESPONSES, input="hi", previous_response_id="resp_x")
        assert self.both().prepare(request, "small").verbatim
        with pytest.raises(BadRequest, match="Previous response") as caught:
            provider().prepare(request, "small")
        assert caught.value.code is Code.UNSUPPORTED
        assert caught.value is not request.bound, "whoever passes it on may add to it"


class TestRefusing:
    @pytest.mark.parametrize(
        ("key_env", "names"),
        [
            (("LAB_KEY",), "set LAB_KEY, or"),
            (("LAB_KEY", "OTHER_KEY"), "set LAB_KEY or OTHER_KEY, or"),
            ((), "set providers.lab.key, or"),
        ],
    )
    def test_without_a_key_it_says_what_the_key_is_called(self, key_env: tuple[str, ...], names: str) -> None:
        with pytest.raises(UpstreamError, match=names) as caught:
            provider(key=None, key_env=key_env).prepare(chat(), "small")
        assert (caught.value.code, caught.value.origin) == (Code.NO_KEY, "lab")

    def test_who_needs_no_key_is_asked_without(self) -> None:
        made = provider(key=None, auth=AuthSpec(required=False))
        assert "authorization" not in made.prepare(chat(), "small").call.headers
        assert not made.keyless

    def test_who_needs_no_key_may_have_one(self) -> None:
        headers = provider(auth=AuthSpec(required=False)).prepare(chat(), "small").call.headers
        assert headers["authorization"] == f"Bearer {KEY}"

    def test_what_the_row_does_not_offer(self) -> None:
        request = chat()
        request.capability = Capability.EMBEDDINGS
        with pytest.raises(BadRequest, match="The Lab does not offer embeddings") as caught:
            provider().prepare(request, "small")
        assert caught.value.code is Code.UNSUPPORTED

    @pytest.mark.parametrize("wire", ["anthropic", "ollama"])
    def test_several_choices_are_only_for_speakers_of_the_same_language(self, wire: str) -> None:
        request = chat()
        request.input = Chat(messages=(), choices=2)
        with pytest.raises(BadRequest, match="same language") as caught:
            provider(WIRES[wire]).prepare(request, "small")
        assert (caught.value.code, caught.value.param) == (Code.UNSUPPORTED, "n")

    def test_what_the_wire_has_no_words_for(self) -> None:
        """Whatever a row claims."""
        request = chat()
        request.capability = Capability.TEXT_TO_3D
        made = provider(capabilities=frozenset({Capability.TEXT_TO_3D}))
        assert not made.speaks(Capability.TEXT_TO_3D)
        with pytest.raises(BadRequest, match="does not offer text-to-3d"):
            made.prepare(request, "small")

    def test_a_refusal_names_the_provider(self) -> None:
        error = provider().refusal(429, {"retry-after": "3"}, b'{"error": {"message": "slow down"}}')
        assert (error.code, error.origin, error.retry_after_s) == (Code.RATE_LIMITED, "lab", 3.0)


class TestModels:
    @pytest.mark.parametrize(
        ("wire", "url"),
        [
            (OPENAI, "https://lab.example/v1/models"),
            (ANTHROPIC, "https://lab.example/v1/v1/models"),
            (OLLAMA, "https://lab.example/v1/api/tags"),
        ],
        ids=["openai", "anthropic", "ollama"],
    )
    def test_where_they_are_listed(self, wire: Wire, url: str) -> None:
        call = provider(wire).models_call()
        assert call is not None
        assert (call.method, call.body) == ("GET", None)
        assert call.url.partition("?")[0] == url

    def test_who_has_no_list_is_not_asked(self) -> None:
        assert provider(models_listed=False).models_call() is None


class TestQuirks:
    def test_a_row_without_any_speaks_the_language(self) -> None:
        assert quirks_of(QuirkSpec()) == PLAIN

    def test_what_the_row_says_counts(self) -> None:
        said = QuirkSpec(
            max_tokens_field="max_tokens", usage_in_stream=False, drop_fields=frozenset({"seed"})
        )
        assert quirks_of(said) == Quirks(
            max_tokens_field="max_tokens", usage_in_stream=False, drop_fields=frozenset({"seed"})
        )

    def test_every_quirk_can_be_said_in_a_row(self) -> None:
        assert set(Quirks.__dataclass_fields__) == set(QuirkSpec.model_fields) - {"sources"}


class TestDialects:
    """What is different where a provider speaks one of its further languages."""

    DIALECTS: ClassVar = {
        "anthropic": {
            "path": "/claude",
            "auth": {"header": "x-api-key", "prefix": ""},
            "features": ["streaming", "tools"],
        }
    }

    def made(self) -> Provider:
        row = ProviderRow.model_validate(
            {
                "id": "lab",
                "name": "The Lab",
                "wire": "openai",
                "also": ["anthropic"],
                "base_url": "https://lab.example/v1",
                "dialects": self.DIALECTS,
            }
        )
        return Provider(row, OPENAI, NoTransport(), KEY, also=[ANTHROPIC])

    def test_it_has_its_own_path_and_its_own_header(self) -> None:
        call = self.made().prepare(parsed(ANTHROPIC), "small").call
        assert call.url == "https://lab.example/v1/claude/v1/messages"
        assert call.headers["x-api-key"] == KEY
        assert "authorization" not in call.headers

    def test_others_are_asked_as_ever(self) -> None:
        call = self.made().prepare(parsed(OPENAI), "small").call
        assert call.url == "https://lab.example/v1/chat/completions"
        assert call.headers["authorization"] == f"Bearer {KEY}"
        assert "x-api-key" not in call.headers

    def test_who_needs_more_than_it_can_say_is_spoken_for_in_the_first(self) -> None:
        image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw=="}}
        asked = parsed(ANTHROPIC, messages=[{"role": "user", "content": [image]}])
        prepared = self.made().prepare(asked, "small")
        assert prepared.call.url == "https://lab.example/v1/chat/completions"
        assert not prepared.verbatim
        assert prepared.wire is OPENAI
