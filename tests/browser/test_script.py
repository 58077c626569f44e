"""The scripts that pages load, in a real browser, through the real gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Page, expect

from rhetor.testing import Gate, Upstream, cuts, fails, hangs, says
from tests.browser.network import Network, network
from tests.browser.pages import SCRIPT, show
from tests.conftest import Gateway, MakeGateway, MakeProcess, settings

TOKEN = "t0ken-of-a-page"
WORDS = "one two three four five six seven eight"
TRANSPORTS = pytest.mark.parametrize("transport", ["websocket", "sse"])
UPGRADE = "upgrade: websocket"

READ = """
async ({ transport, token: authToken, stopAfter }) => {
  const client = window.client ?? new TektonLLMClient({ modelId: "oai/small", transport, authToken });
  let text = "", last = null, chunks = 0;
  for await (const chunk of client.stream("q")) {
    text += chunk.chunk;
    last = chunk;
    if (++chunks === 1 && window.begun) await window.begun();
    if (chunks === stopAfter) break;
  }
  return { text, ...last };
}
"""


@pytest.fixture
async def gateway(make_gateway: MakeGateway, upstream: Upstream) -> Gateway:
    upstream.says(WORDS)
    return await make_gateway(settings(upstream, routes={"default": {"targets": ["oai/small"]}}))


@pytest.fixture
async def way(gateway: Gateway) -> AsyncIterator[Network]:
    async with network(gateway.url) as way:
        yield way


async def read(page: Page, **how: Any) -> dict[str, Any]:
    told: dict[str, Any] = await page.evaluate(READ, how)
    return told


async def test_the_page_of_the_guide(page: Page, way: Network, upstream: Upstream) -> None:
    """A script tag, `rhetorUrl: '/api/llm'`, a whole answer, a streamed one, and an error that is shown."""
    await show(page, way, f'{SCRIPT}<textarea id="prompt">q</textarea><p id="response"></p>')
    await page.evaluate("""async () => {
      const client = new TektonLLMClient({ componentId: 'my-ui-component', rhetorUrl: '/api/llm' });
      const responseEl = document.getElementById('response');
      const prompt = document.getElementById('prompt').value;
      window.generateResponse = async (options) => {
        try {
          responseEl.textContent = (await client.generateText(prompt, options)).content;
        } catch (error) {
          responseEl.textContent = "Error: " + error.message;
        }
      };
      window.streamResponse = () => {
        responseEl.textContent = '';
        client.streamText(prompt, (chunk) => { responseEl.textContent += chunk.chunk; });
      };
    }""")
    response = page.locator("#response")
    await page.evaluate("generateResponse()")
    await expect(response).to_have_text(WORDS)
    await page.evaluate("streamResponse()")
    await expect(response).to_have_text(WORDS)
    upstream.next(fails(400, "not today"))
    await page.evaluate("generateResponse()")
    await expect(response).to_contain_text("Error: ")
    await expect(response).to_contain_text("not today")


@TRANSPORTS
async def test_a_reply_streams_while_it_is_made(
    page: Page, way: Network, upstream: Upstream, transport: str
) -> None:
    gate = Gate()
    upstream.next(says(WORDS).but(hangs(gate, after=2)))
    await show(page, way, SCRIPT)
    await page.expose_function("begun", gate.open)
    told = await read(page, transport=transport)
    assert told["text"] == WORDS
    assert (told["done"], told["error"], told["provider"]) == (True, None, "oai")
    assert told["usage"]["completionTokens"] == told["usage"]["completion_tokens"] > 0
    assert way.upgrades == (transport == "websocket")


@TRANSPORTS
async def test_leaving_reaches_the_provider(
    page: Page, way: Network, upstream: Upstream, transport: str
) -> None:
    upstream.next(says(WORDS).but(hangs(after=3)))
    await show(page, way, SCRIPT)
    await read(page, transport=transport, stopAfter=2)
    await upstream.requests[0].aborted()


@TRANSPORTS
async def test_cancelling_reaches_the_provider(
    page: Page, way: Network, upstream: Upstream, transport: str
) -> None:
    upstream.next(says(WORDS).but(hangs(after=1)))
    await show(page, way, SCRIPT)
    cancelled = await page.evaluate(
        """async (transport) => {
          const client = new TektonLLMClient({ modelId: "oai/small", transport });
          let request;
          await new Promise((onChunk) => { request = client.streamText("q", onChunk); });
          return [client.cancelRequest(request), client.cancelRequest(request)];
        }""",
        transport,
    )
    assert cancelled == [True, False]
    await upstream.requests[0].aborted()


@TRANSPORTS
async def test_a_cut_network_costs_nothing(
    page: Page, way: Network, upstream: Upstream, transport: str
) -> None:
    """The reply goes on where it was: no word twice, none lost, and nobody is asked again."""
    gate = Gate()
    upstream.next(says(WORDS).but(hangs(gate, after=3)))
    await show(page, way, SCRIPT)

    async def cut() -> None:
        way.cut()
        gate.open()

    await page.expose_function("begun", cut)
    told = await read(page, transport=transport)
    assert (told["text"], told["error"]) == (WORDS, None)
    assert len(upstream.requests) == 1


@TRANSPORTS
async def test_being_offline_for_a_while_costs_nothing(
    page: Page, way: Network, upstream: Upstream, transport: str
) -> None:
    gate = Gate()
    upstream.next(says(WORDS).but(hangs(gate, after=3)))
    await show(page, way, SCRIPT)
    is_offline = asyncio.Event()

    async def leave() -> None:
        await page.context.set_offline(True)
        way.cut()
        gate.open()
        is_offline.set()

    await page.expose_function("begun", leave)
    reading = asyncio.create_task(read(page, transport=transport))  # noqa: TID251  # awaited below
    await is_offline.wait()
    await page.context.set_offline(False)
    told = await reading
    assert (told["text"], told["error"]) == (WORDS, None)


@TRANSPORTS
async def test_a_gateway_that_restarts_is_told_and_found_again(
    page: Page, gateway_process: MakeProcess, upstream: Upstream, transport: str
) -> None:
    """The generation has gone with it, which the end says; the next one goes well with the same client."""
    upstream.says(WORDS)
    upstream.next(says(WORDS).but(hangs(after=3)))
    first = await gateway_process(settings(upstream))
    async with network(first.url) as way:
        await show(page, way, SCRIPT)

        async def restart() -> None:
            first.process.kill()
            await first.process.wait()
            way.to = (await gateway_process(settings(upstream))).url

        await page.expose_function("begun", restart)
        await page.evaluate(
            "(transport) => { window.client = new TektonLLMClient({ modelId: 'oai/small', transport }) }",
            transport,
        )
        told = await read(page)
        assert told["text"] == WORDS[: len(told["text"])] != ""
        assert (told["done"], told["code"]) == (True, "generation_gone")
        await page.evaluate("delete window.begun")
        assert (await read(page))["text"] == WORDS


@TRANSPORTS
async def test_what_breaks_off_says_so(page: Page, way: Network, upstream: Upstream, transport: str) -> None:
    upstream.next(says(WORDS).but(cuts(after=2)))
    await show(page, way, SCRIPT)
    told = await read(page, transport=transport)
    assert "lost" in told["error"]
    assert (told["text"], told["code"]) == ("one two", "connection_lost")


@TRANSPORTS
async def test_a_token(page: Page, make_gateway: MakeGateway, upstream: Upstream, transport: str) -> None:
    """It is in no URL; and where it is wrong, the gateway's words are the error."""
    tokens = {"server": {"tokens": {"page": "env:PAGE_TOKEN"}}}
    gateway = await make_gateway(settings(upstream, **tokens), {"PAGE_TOKEN": TOKEN})
    upstream.says(WORDS)
    async with network(gateway.url) as way:
        await show(page, way, SCRIPT)
        assert (await read(page, transport=transport, token=TOKEN))["text"] == WORDS
        assert all(TOKEN not in head.partition("\r\n")[0] for head in way.heads)
        wrong = await page.evaluate(f"({READ})({{ token: 'wrong' }}).catch((error) => error.code)")
        assert wrong == "unauthenticated"


async def test_a_proxy_without_websockets_is_no_obstacle(page: Page, way: Network) -> None:
    """One try, and then what works is remembered."""
    way.refuses = UPGRADE
    await show(page, way, SCRIPT)
    await page.evaluate("window.client = new TektonLLMClient({ modelId: 'oai/small' })")
    assert (await read(page))["text"] == WORDS
    assert (await read(page))["text"] == WORDS
    assert way.upgrades == 1


async def test_many_replies_share_one_connection(page: Page, way: Network) -> None:
    await show(page, way, SCRIPT)
    await page.evaluate("window.client = new TektonLLMClient({ modelId: 'oai/small' })")
    told = await page.evaluate(f"Promise.all([1, 2, 3, 4, 5, 6].map(() => ({READ})({{}})))")
    assert [each["text"] for each in told] == [WORDS] * 6
    assert way.upgrades == 1


async def test_the_module(page: Page, way: Network) -> None:
    await show(page, way, "")
    text = await page.evaluate("""async () => {
      const { TektonLLMClient, TektonLLMError } = await import("/static/js/tekton-llm-client.mjs");
      const client = new TektonLLMClient({ modelId: "oai/small" });
      const refused = await client.generateText("q", { modelId: "nobody/m" }).catch((error) => error);
      return [(await client.generateText("q")).content, refused instanceof TektonLLMError, refused.status];
    }""")
    assert text == [WORDS, True, 404]
