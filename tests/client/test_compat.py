"""Components that were written for a client which never existed, against the real gateway.

Each test calls what its component calls, in the way that it does, without any change.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from rhetor.testing import Upstream, calls, cuts, fails, hangs, says
from tests.conftest import Gateway, MakeGateway, settings

ANSWER = "Hello from the model."
SONNET = "claude-3-sonnet-20240229"
HAIKU = "claude-3-haiku-20240307"


@pytest.fixture
async def gateway(make_gateway: MakeGateway, upstream: Upstream) -> Gateway:
    """With the providers and models that the components name."""
    upstream.says(ANSWER)
    anthropic = {
        "wire": "anthropic",
        "base_url": upstream.base_url,
        "key": "env:TEST_KEY",
        "auth": {"header": "x-api-key", "prefix": ""},
        "models": [SONNET, HAIKU, "claude-3-opus-20240229"],
    }
    openai = {
        "wire": "openai",
        "base_url": f"{upstream.base_url}/v1",
        "key": "env:TEST_KEY",
        "models": ["gpt-4", "gpt-3.5-turbo"],
    }
    return await make_gateway(settings(providers={"anthropic": anthropic, "openai": openai}))


def asked(upstream: Upstream, nth: int = -1) -> Any:
    """What reached the provider."""
    return json.loads(upstream.requests[nth].body)


# Terma, Telos and others: settings as objects, templates with gaps, streams with callbacks.


async def test_terma(gateway: Gateway, upstream: Upstream, tmp_path: Path) -> None:
    from tekton_llm_client import (
        ClientSettings,
        LLMSettings,
        OutputFormat,
        PromptTemplate,
        PromptTemplateRegistry,
        StreamHandler,
        TektonLLMClient,
        get_env,
    )

    assert get_env("TEKTON_LLM_PROVIDER", "anthropic") == "anthropic"
    client_settings = ClientSettings(
        component_id="terma.terminal",
        base_url=gateway.url,
        provider_id="anthropic",
        model_id=HAIKU,
        timeout=30,
        max_retries=2,
        use_fallback=True,
    )
    llm_settings = LLMSettings(temperature=0.7, max_tokens=500, top_p=0.95)
    client_settings.model_id = SONNET  # the user chose another one
    registry = PromptTemplateRegistry()
    folder = tmp_path / "prompt_templates"
    folder.mkdir()
    (folder / "more.json").write_text('{"more": {"template": "More on {command}"}}')
    registry.load_templates_from_directory(str(folder))
    registry.register_template(
        "command_analysis",
        PromptTemplate(
            template="Please explain this command concisely: {command}", output_format=OutputFormat.TEXT
        ),
    )
    heard: list[str] = []

    async def callback(text: str) -> None:
        heard.append(text)

    client = TektonLLMClient(settings=client_settings, llm_settings=llm_settings)
    assert await client.initialize()
    template = registry.get_template("command_analysis")
    assert template is not None
    prompt = template.format(command='echo "{x}"')
    response = await client.generate_text(prompt=prompt, system_prompt="You are a terminal assistant.")
    assert response.content == ANSWER
    said = asked(upstream)
    assert (said["model"], said["max_tokens"], said["temperature"]) == (SONNET, 500, 0.7)
    assert 'concisely: echo \\"{x}\\"' in json.dumps(said["messages"])

    response_stream = await client.generate_text(
        prompt=prompt, system_prompt="You are a terminal assistant.", streaming=True
    )
    collected = await StreamHandler(callback_fn=callback).process_stream(response_stream)
    assert collected == "".join(heard) == ANSWER
    assert len(heard) > 1

    providers = (await client.get_providers()).providers
    assert "anthropic" in providers
    await client.shutdown()


async def test_hermes(gateway: Gateway, upstream: Upstream, tmp_path: Path) -> None:
    from tekton_llm_client import (
        ClientSettings,
        LLMSettings,
        PromptTemplateRegistry,
        TektonLLMClient,
        get_env,
        load_template,
    )

    url = get_env("LLM_ADAPTER_URL", gateway.url)
    template_file = tmp_path / "summary.yaml"
    template_file.write_text("name: summary\ntemplate: 'Summarize {topic}'\n")
    registry = PromptTemplateRegistry()
    registry.register(load_template(str(template_file)))
    template = registry.get_template("summary")
    assert template is not None
    assert template.format(topic="tea") == "Summarize tea"

    client = TektonLLMClient(
        settings=ClientSettings(
            component_id="hermes.core", base_url=url, provider_id="anthropic", model_id=HAIKU
        ),
        llm_settings=LLMSettings(temperature=0.7, max_tokens=1500, top_p=0.95),
    )
    await client.initialize()
    messages = [{"role": "user", "content": "Hi"}]
    custom = LLMSettings(temperature=0.2, max_tokens=9, provider="anthropic", model=SONNET)

    response = await client.generate_chat(messages=messages, system_prompt="Be brief.", settings=custom)
    assert response.content == ANSWER
    said = asked(upstream)
    assert (said["model"], said["max_tokens"], said["temperature"]) == (SONNET, 9, 0.2)
    assert "Be brief." in json.dumps(said["system"])

    text = ""
    async for chunk in client.generate_chat(
        messages=messages, system_prompt="Be brief.", settings=custom, streaming=True
    ):
        text += chunk.chunk if hasattr(chunk, "chunk") else chunk
    assert text == ANSWER

    result = {}
    info = await client.get_providers()
    for provider_id, provider in info.providers.items():
        result[provider_id] = {id: model["name"] for id, model in provider["models"].items()}
    assert HAIKU in result["anthropic"]
    assert "gpt-4" in result["openai"]
    await client.shutdown()


async def test_engram(gateway: Gateway, tmp_path: Path) -> None:
    from tekton_llm_client import ClientSettings, LLMSettings, TektonLLMClient, load_template

    template_file = tmp_path / "memory.yml"
    template_file.write_text("memory:\n  template: |-\n    Recall {{ query }}\n")
    assert load_template(str(template_file)).render(query="tea") == "Recall tea"

    client = TektonLLMClient(
        settings=ClientSettings(
            component_id="engram.memory", base_url=gateway.url, provider_id="anthropic", model_id=HAIKU
        ),
        llm_settings=LLMSettings(temperature=0.7, max_tokens=1500),
    )
    await client.initialize()
    stream = await client.generate_text(
        prompt="Hi", system_prompt="Remember.", settings=LLMSettings(temperature=0.5), streaming=True
    )
    assert "".join([chunk.chunk async for chunk in stream]) == ANSWER

    result = {}
    for provider in await client.get_providers():
        models = [(model.get("id", ""), model.get("name", "")) for model in provider.get("models", [])]
        result[provider.get("id")] = models
    assert HAIKU in dict(result["anthropic"])
    await client.shutdown()


async def test_telos(gateway: Gateway, upstream: Upstream) -> None:
    from tekton_llm_client import (
        ClientSettings,
        LLMSettings,
        PromptTemplateRegistry,
        TektonLLMClient,
        get_env,
    )

    assert get_env("RHETOR_PORT", "8003") == "8003"
    registry = PromptTemplateRegistry(load_defaults=False)
    registry.register(
        {
            "name": "requirement_analysis",
            "template": "Analyze:\n{{ requirement_text }}\n{% if context %}\n{{ context }}\n{% endif %}\n",
            "description": "Template for requirement analysis",
        }
    )
    registry.register({"name": "system_requirement_analysis", "template": "You are an analyst."})
    template = registry.get_template("requirement_analysis")
    system_template = registry.get_template("system_requirement_analysis")
    assert template is not None
    assert system_template is not None
    prompt = template.format(requirement_text="It works.", context=None)
    assert prompt == "Analyze:\nIt works.\n"

    client = TektonLLMClient(
        settings=ClientSettings(
            component_id="telos.requirements",
            base_url=gateway.url,
            provider_id="anthropic",
            model_id=HAIKU,
            timeout=120,
            max_retries=3,
            use_fallback=True,
        ),
        llm_settings=LLMSettings(temperature=0.7, max_tokens=1500, top_p=0.95),
    )
    await client.initialize()
    response = await client.generate_text(
        prompt=prompt, system_prompt=system_template.format(), settings=None
    )
    assert (response.content, response.provider) == (ANSWER, "anthropic")
    await client.generate_text(
        prompt=prompt, settings=LLMSettings(model=SONNET, temperature=0.3, max_tokens=2000)
    )
    assert (asked(upstream)["model"], asked(upstream)["temperature"]) == (SONNET, 0.3)

    async def generate_stream() -> AsyncIterator[str]:
        response_stream = await client.generate_text(
            prompt=prompt, settings=LLMSettings(temperature=0.3), streaming=True
        )
        async for chunk in response_stream:
            if hasattr(chunk, "chunk") and chunk.chunk:
                yield chunk.chunk

    assert "".join([text async for text in generate_stream()]) == ANSWER

    result = {}
    info = await client.get_providers()
    for provider_id, provider_info in info.providers.items():
        result[provider_id] = [
            {
                "id": model_id,
                "name": model_info.get("name", model_id),
                "context_length": model_info.get("context_length", 8192),
                "capabilities": model_info.get("capabilities", []),
            }
            for model_id, model_info in provider_info.get("models", {}).items()
        ]
    assert HAIKU in [model["id"] for model in result["anthropic"]]
    await client.shutdown()


@pytest.mark.parametrize("component", ["ergon.agents", "harmonia.workflow", "prometheus.planning"])
async def test_ergon_harmonia_and_prometheus(gateway: Gateway, component: str, tmp_path: Path) -> None:
    from tekton_llm_client import (
        ClientSettings,
        LLMSettings,
        PromptTemplate,
        PromptTemplateRegistry,
        StructuredOutputParser,
        TektonLLMClient,
    )

    registry = PromptTemplateRegistry()
    folder = tmp_path / "templates"
    folder.mkdir()
    (folder / "plan.json").write_text('{"name": "plan", "template": "Plan {{ goal }}"}')
    registry.load_from_directory(str(folder))
    registry.register_template("step", PromptTemplate(name="step", template="Do {step}"))
    client = TektonLLMClient(
        settings=ClientSettings(
            component_id=component, base_url=gateway.url, provider_id="anthropic", model_id=SONNET
        ),
        llm_settings=LLMSettings(temperature=0.7, max_tokens=1500),
    )
    await client.initialize()
    plan = registry.get_template("plan")
    assert plan is not None
    response = await client.generate_text(
        prompt=plan.format(goal="lunch"), settings=LLMSettings(temperature=0.1, max_tokens=100)
    )
    assert response.content == ANSWER
    assert StructuredOutputParser(format="key_value").parse("Step: cook") == {"Step": "cook"}
    assert (await gateway.booked())[0]["component"] == component
    await client.shutdown()


async def test_sophia_utils(gateway: Gateway) -> None:
    from tekton_llm_client import Client as TektonLLMClient
    from tekton_llm_client import StreamHandler
    from tekton_llm_client.adapters import FallbackAdapter
    from tekton_llm_client.models import ChatCompletionOptions, ChatMessage, StreamingChunk

    assert all((FallbackAdapter, ChatCompletionOptions, ChatMessage, StreamingChunk))
    heard: list[str] = []
    client = TektonLLMClient(
        component_id="sophia-analysis",
        rhetor_url=gateway.url,
        provider_id="anthropic",
        model_id=SONNET,
        timeout=60,
        max_retries=3,
        use_fallback=True,
    )
    await client.initialize()
    response = await client.generate_text(
        prompt="Analyze", system_prompt="You are Sophia.", options={"temperature": 0.2, "max_tokens": 2000}
    )
    assert (response.content, response.model, response.provider) == (ANSWER, SONNET, "anthropic")
    stream = await client.generate_text(prompt="Explain", system_prompt="You are Sophia.", streaming=True)
    await StreamHandler(callback_fn=heard.append).process_stream(stream)
    assert "".join(heard) == ANSWER
    await client.shutdown()


async def test_sophia_core(gateway: Gateway, upstream: Upstream) -> None:
    from tekton_llm_client import Client
    from tekton_llm_client.adapters import FallbackAdapter
    from tekton_llm_client.models import ChatCompletionOptions, ChatMessage

    client = Client(
        base_url=gateway.url,
        default_model="claude-3-opus-20240229",
        adapter=FallbackAdapter(fallback_models=[HAIKU, "mistral-7b-instruct"], max_retries=2),
        timeout=60,
    )
    messages = [
        ChatMessage(role="system", content="You are Sophia."),
        ChatMessage(role="user", content="Analyze."),
    ]
    options = ChatCompletionOptions(temperature=0.2, max_tokens=2000, stream=False)
    response = await client.chat_completion(messages=messages, options=options)
    assert response.choices[0].message.content == ANSWER
    said = asked(upstream)
    assert (said["model"], said["temperature"], said["max_tokens"]) == ("claude-3-opus-20240229", 0.2, 2000)
    assert (client.timeout, client.max_retries) == (60, 2)

    text = ""
    options = ChatCompletionOptions(temperature=0.3, max_tokens=2000, stream=True)
    async for chunk in client.stream_chat_completion(messages=messages, options=options):
        content = chunk.choices[0].delta.content
        if content:
            text += content
    assert text == ANSWER
    assert chunk.choices[0].finish_reason == "stop"

    upstream.always(lambda seen: fails(503) if "opus" in seen.body.decode() else says("The other one."))
    response = await client.chat_completion(messages=messages, options=options)
    assert response.choices[0].message.content == "The other one."
    assert response.model == HAIKU
    await client.shutdown()


async def test_synthesis(gateway: Gateway) -> None:
    from tekton_llm_client import Client
    from tekton_llm_client.models import ChatCompletionOptions, ChatMessage, ChatRole

    client = Client(base_url=gateway.url, default_model=SONNET, timeout=60)
    messages = [
        ChatMessage(role=ChatRole.SYSTEM, content="Be brief."),
        ChatMessage(role=ChatRole.USER, content="Context information:\n{}"),
        ChatMessage(role=ChatRole.USER, content="Hi"),
    ]
    options = ChatCompletionOptions(temperature=0.7, max_tokens=1000, stream=True)
    full_response = ""
    async for chunk in client.stream_chat_completion(messages=messages, options=options):
        full_response += chunk.choices[0].delta.content or ""
    assert full_response == ANSWER

    response = await client.chat_completion(messages=messages, options=options)
    assert response.choices[0].message.content == ANSWER
    assert response.model == SONNET
    usage = response.usage._asdict() if response.usage else None
    assert usage == {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    await client.shutdown()


async def test_budget(gateway: Gateway, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    from tekton_llm_client import Client as TektonClient

    monkeypatch.setenv("TEKTON_LLM_SERVER", gateway.url)
    client = TektonClient(os.environ.get("TEKTON_LLM_SERVER", "http://localhost:8000"))
    models = await client.list_models()
    assert f"anthropic/{SONNET}" in [model["id"] for model in models]

    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    params = {"temperature": 0.5, "max_tokens": 100, "stop": ["END"]}
    response = await client.chat(model="gpt-4", messages=messages, **params)
    assert response["choices"][0]["message"]["content"] == ANSWER
    assert response["choices"][0]["finish_reason"] == "stop"
    assert response.get("usage", {})["total_tokens"] == 18
    said = asked(upstream)
    assert (said["model"], said["temperature"], said["stop"]) == ("gpt-4", 0.5, ["END"])
    for model in models:
        assert (await client.chat(model=model["id"], messages=messages)).provider == model.provider
    await client.shutdown()
    assert TektonClient().rhetor_url == gateway.url


async def test_athena(gateway: Gateway) -> None:
    from tekton_llm_client import LLMSettings, PromptTemplate, StreamHandler, TektonLLMClient

    template = PromptTemplate(name="query", template="Answer {question} from {knowledge}")
    prompt = template.render(question="what", knowledge="this")
    assert prompt == "Answer what from this"
    heard: list[str] = []

    async def handle_stream_chunk(chunk: str) -> AsyncIterator[str]:
        heard.append(chunk)
        yield json.dumps({"content": chunk})

    client = TektonLLMClient(
        component_id="athena.knowledge", rhetor_url=gateway.url, provider_id="anthropic", model_id=SONNET
    )
    stream = await client.generate_text(
        prompt=prompt,
        system_prompt="Know.",
        settings=LLMSettings(temperature=0.7, max_tokens=1000, model=HAIKU, provider="anthropic"),
        streaming=True,
    )
    await StreamHandler(callback_fn=handle_stream_chunk).process_stream(stream)
    assert "".join(heard) == ANSWER
    await client.shutdown()


async def test_metis(gateway: Gateway, tmp_path: Path) -> None:
    from tekton_llm_client import TektonLLMClient, load_template

    template_file = tmp_path / "decompose.yaml"
    template_file.write_text("name: decompose\ntemplate: Decompose {{ task }}\n")
    client = TektonLLMClient(
        component_id="metis", rhetor_url=gateway.url, provider_id="anthropic", model_id=SONNET
    )
    prompt = load_template(str(template_file)).render(task="lunch")
    response = await client.generate_text(prompt=prompt, options={"temperature": 0.1, "max_tokens": 50})
    assert (response.content, response.fallback) == (ANSWER, False)
    await client.shutdown()


def test_rhetor_itself(tmp_path: Path) -> None:
    from tekton_llm_client import PromptTemplateRegistry

    assert hasattr(PromptTemplateRegistry, "load_from_directory")
    (tmp_path / "two.json").write_text('[{"name": "a", "content": "A"}, {"name": "b", "template": "B"}]')
    assert PromptTemplateRegistry().load_from_directory(str(tmp_path)) == 2


# What all of them may rely on.


async def test_errors_are_errors_in_this_shape_too(gateway: Gateway, upstream: Upstream) -> None:
    from tekton_llm_client import Client, InvalidRequestError, TektonLLMError

    messages = [{"role": "user", "content": "Hi"}]
    async with Client(gateway.url, default_model="gpt-4", max_retries=0) as client:
        upstream.next(fails(400, "the prompt is no good"))
        with pytest.raises(InvalidRequestError, match="the prompt is no good"):
            await client.chat_completion(messages)
        upstream.next(says("one two three").but(cuts(after=2)))
        got = []
        with pytest.raises(TektonLLMError) as broken:
            got.extend([chunk async for chunk in client.stream_chat_completion(messages)])
        assert [attempt.outcome for attempt in broken.value.attempts] == [broken.value.code]
        upstream.next(fails(400, "still no good"))
        with pytest.raises(InvalidRequestError, match="still no good"):
            await client.stream_chat_completion(messages)
        with pytest.raises(InvalidRequestError):
            await client.chat(model="no-such-model", messages=messages)


async def test_who_leaves_a_stream_stops_it(gateway: Gateway, upstream: Upstream) -> None:
    from tekton_llm_client import Client

    upstream.next(says("one two three").but(hangs(after=1)))
    async with Client(base_url=gateway.url, default_model="openai/gpt-4") as client:
        stream = await client.stream_chat_completion([{"role": "user", "content": "Hi"}])
        assert (await anext(stream)).choices[0].delta.content == "one"
        await stream.aclose()
    await upstream.requests[-1].aborted(within_s=5)


async def test_tool_calls_and_a_system_message_travel(gateway: Gateway, upstream: Upstream) -> None:
    from tekton_llm_client import Client
    from tekton_llm_client.models import ChatCompletionOptions

    weather = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    upstream.next(calls(("weather", {"city": "Paris"})))
    options = ChatCompletionOptions(
        messages=[{"role": "user", "content": "Hi"}], system_message="Use tools.", tools=[weather]
    )
    async with Client(gateway.url, default_model="gpt-4") as client:
        choice = (await client.chat_completion(options=options)).choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls is not None
    assert choice.message.tool_calls[0].parse() == {"city": "Paris"}
    said = asked(upstream)
    assert [message["role"] for message in said["messages"]] == ["system", "user"]
    assert said["tools"][0]["function"]["name"] == "weather"


async def test_without_a_model_the_gateway_chooses(
    make_gateway: MakeGateway, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tekton_llm_client import Client

    messages = [{"role": "user", "content": "Hi"}]
    routes = {"default": {"targets": ["oai/small"]}, "fast": {"targets": ["ant/small"]}}
    gateway = await make_gateway(settings(upstream, routes=routes))
    async with Client(base_url=gateway.url, default_model="default") as client:
        assert (await client.chat_completion(messages)).provider == "oai"
        assert {"default", "fast"} <= {model.id for model in await client.list_models()}
        assert (await client.chat(messages, model="fast")).provider == "ant"
        *_, last = [chunk async for chunk in await client.chat(messages, model="fast", stream=True)]
        assert (last.provider, last.choices[0].finish_reason) == ("ant", "stop")
        monkeypatch.setenv("RHETOR_DEFAULT_PROVIDER", "ant")
    async with Client(base_url=gateway.url, default_model="oai/small") as client:
        assert (await client.chat_completion(messages)).provider == "oai"


def test_the_address_is_the_one_that_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    from tekton_llm_client import Client, ClientSettings

    assert Client().rhetor_url == "http://localhost:8003"
    monkeypatch.setenv("TEKTON_LLM_SERVER", "http://old:8000")
    assert Client().rhetor_url == "http://old:8000"
    monkeypatch.setenv("RHETOR_URL", "http://hub:8003")
    assert Client().rhetor_url == "http://hub:8003"
    assert Client("http://given").rhetor_url == "http://given"
    assert Client(base_url="http://given").rhetor_url == "http://given"
    assert Client("comp", "http://given").component_id == "comp"
    assert Client(settings=ClientSettings(component_id="c", base_url="http://set")).rhetor_url == "http://set"


def test_providers_can_be_read_in_every_old_way() -> None:
    from tekton_llm_client.models import AvailableProviders

    said = {
        "providers": {"p": {"name": "P", "available": True, "models": [{"id": "m", "name": "M"}]}},
        "default_provider": "p",
        "default_model": "m",
    }
    offered = AvailableProviders.model_validate(said)
    provider = offered.providers["p"]
    assert provider.models[0].id == provider["models"][0]["id"] == provider["models"]["m"].id == "m"
    assert [(id, model["name"]) for id, model in provider["models"].items()] == [("m", "M")]
    assert (list(provider["models"].keys()), len(provider["models"].values())) == (["m"], 1)
    assert "m" in provider["models"]
    assert provider["models"].get("none") is None
    assert provider["models"]["m"].get("context_length", 8192) is None
    assert provider.get("nothing", "d") == "d"
    assert "name" in provider
    assert dict(provider)["name"] == dict(provider.items())["name"] == "P"
    with pytest.raises(KeyError):
        provider["nothing"]
    assert [(entry["id"], entry["models"][0]["id"]) for entry in offered] == [("p", "m")]
    assert len(offered) == 1
    assert AvailableProviders.model_validate(offered.model_dump()) == offered
