import assert from "node:assert/strict";
import { test } from "node:test";

import { TektonLLMClient as AthenaClient } from "../src/athena.js";
import { TektonLLMClient } from "../src/index.js";
import { Patience } from "../src/patience.js";
import { Socket } from "../src/socket.js";
import { skip as missing, startNetwork, startProvider, startRhetor } from "./house.js";

const TOKEN = "t0ken-of-a-page";
const real = { skip: missing, timeout: 60_000 };
const WORDS = ["one", " two", " three", " four", " five"];
const UPGRADES = /^upgrade: websocket/im;

/** A client of a gateway with a provider behind it, and the network between the two. */
async function house(t, options = {}, { token, refuses } = {}) {
  const provider = await startProvider(t);
  const gateway = await startRhetor(t, provider, { token });
  const network = await startNetwork(t, gateway.url, { refuses });
  const client = new TektonLLMClient({ componentId: "comp", rhetorUrl: network.url, modelId: "lab/small", ...options });
  t.after(() => client.close());
  return { client, gateway, network, provider };
}

async function rest(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

const textOf = (chunks) => chunks.map(({ chunk }) => chunk).join("");
const upgrades = ({ heads }) => heads.filter((head) => UPGRADES.test(head)).length;

for (const transport of ["websocket", "sse"]) {
  const over = (name, options, body) =>
    test(`${name}, over ${transport}`, real, async (t) => body(t, await house(t, { transport, ...options })));

  over("a reply streams while it is made, and its end tells who answered", {}, async (t, { client, provider }) => {
    const play = provider.next(WORDS, 1);
    const stream = client.stream("q");
    assert.equal((await stream.next()).value.chunk, "one");
    play.go();
    const chunks = await rest(stream);
    assert.equal(textOf(chunks), " two three four five");
    const last = chunks.at(-1);
    assert.equal(last.attempts[0].target, "lab/small");
    assert.deepEqual([last.done, last.finishReason, last.provider, last.fallback], [true, "stop", "lab", false]);
    assert.match(last.generationId, /./);
    assert.equal((await play.asked).messages[0].content, "q");
  });

  over("a refusal before the first chunk is thrown", {}, async (t, { client }) => {
    await assert.rejects(rest(client.stream("q", { modelId: "nobody/m" })), { name: "TektonLLMError", code: "model_not_found" });
  });

  over("after a cut the reply goes on: no chunk twice, none lost", {}, async (t, { client, network, provider }) => {
    const play = provider.next(WORDS, 2);
    const stream = client.stream("q");
    const begun = [(await stream.next()).value, (await stream.next()).value];
    network.cut();
    play.go();
    assert.equal(textOf([...begun, ...(await rest(stream))]), WORDS.join(""));
  });

  over("cuts again and again change nothing", {}, async (t, { client, network, provider }) => {
    const words = Array.from({ length: 20 }, (_, n) => `${n} `);
    provider.next(words);
    let text = "";
    for await (const { chunk, error } of client.stream("q")) {
      assert.equal(error, null);
      text += chunk;
      if (text.length % 3 === 0) network.cut();
    }
    assert.equal(text, words.join(""));
  });

  over("a gateway that was killed and is back does not have the generation: the end says so", {}, async (t, { client, gateway, provider }) => {
    const play = provider.next(WORDS, 1);
    const stream = client.stream("q");
    await stream.next();
    await gateway.stop();
    await play.left;
    await gateway.start();
    const chunks = await rest(stream);
    assert.deepEqual([chunks.at(-1).code, chunks.at(-1).done], ["generation_gone", true]);
    assert.equal(textOf(await rest(client.stream("again"))), "hello world");
  });

  over("leaving the loop ends the provider's call", {}, async (t, { client, provider }) => {
    const play = provider.next(WORDS, 1);
    for await (const { chunk } of client.stream("q")) if (chunk) break;
    await play.left;
  });

  over("an AbortSignal ends it with its own reason", {}, async (t, { client, provider }) => {
    const play = provider.next(WORDS, 1);
    const controller = new AbortController();
    const stream = client.stream("q", { signal: controller.signal });
    await stream.next();
    const next = stream.next();
    controller.abort(new Error("enough"));
    await assert.rejects(next, { message: "enough" });
    await play.left;
  });

  over("cancelRequest ends it, whatever was heard", {}, async (t, { client, provider }) => {
    const play = provider.next(WORDS, 1);
    let request;
    await new Promise((onChunk) => {
      request = client.streamText("q", onChunk, { onError: assert.fail, onComplete: assert.fail });
    });
    assert.equal(client.cancelRequest(request), true);
    assert.equal(client.cancelRequest(request), false);
    await play.left;
  });

  over("a reply that nobody could follow does without being recorded", {}, async (t, { client, provider }) => {
    const play = provider.next(WORDS, 1);
    const stream = client.stream("q", { resumeS: 0 });
    await stream.next();
    await stream.return();
    await play.left;
  });
}

test("many requests share one WebSocket", real, async (t) => {
  const { client, network, provider } = await house(t, { transport: "websocket" });
  const plays = Array.from({ length: 8 }, () => provider.next(WORDS, 1));
  const streams = plays.map(() => client.stream("q"));
  for (const stream of streams) assert.equal((await stream.next()).value.chunk, "one");
  plays.forEach((play) => play.go());
  for (const stream of streams) assert.equal(textOf(await rest(stream)), " two three four five");
  assert.equal(network.connections, 1);
});

test("a request is cancelled before its first chunk, over websocket", real, async (t) => {
  const { client, provider } = await house(t, { transport: "websocket" });
  const play = provider.next(WORDS, 0);
  const request = client.streamText("q", assert.fail);
  await play.asked;
  client.cancelRequest(request);
  await play.left;
});

test("a request that is cancelled before its first chunk ends with it at the latest, over sse", real, async (t) => {
  const { client, provider } = await house(t, { transport: "sse" });
  const play = provider.next(WORDS, 0, 1);
  const controller = new AbortController();
  const next = client.stream("q", { signal: controller.signal }).next();
  await play.asked;
  controller.abort(new Error("enough"));
  await assert.rejects(next, { message: "enough" });
  play.go();
  await play.left;
});

test("where the upgrade is refused, server-sent events do, and it is not tried again", real, async (t) => {
  const { client, network } = await house(t, {}, { refuses: UPGRADES });
  assert.equal(textOf(await rest(client.stream("q"))), "hello world");
  assert.equal(upgrades(network), 1);
  assert.equal(textOf(await rest(client.stream("q"))), "hello world");
  assert.equal(upgrades(network), 1);
});

test("a connection over which nothing comes back any more is lost, however open it looks", real, async (t) => {
  const { network, provider } = await house(t);
  const play = provider.next(WORDS, 1);
  const socket = new Socket((protocols) => new WebSocket(`${network.url.replace("http", "ws")}/ws`, protocols), async () => undefined, "c", 20);
  const patience = new Patience(30, undefined);
  const body = { messages: [{ role: "user", content: "q" }], model_id: "lab/small" };
  const line = await socket.open(body, null, patience);
  assert.equal((await line.take(patience)).said.chunk, "one");
  network.mute();
  await assert.rejects(line.take(patience), { code: "unreachable" });
  line.cancel();
  play.go();
});

test("a token goes into a ticket for the WebSocket, and into no URL", real, async (t) => {
  const { client, network } = await house(t, { transport: "websocket", authToken: TOKEN }, { token: TOKEN });
  assert.equal(textOf(await rest(client.stream("q"))), "hello world");
  assert.match(network.heads[0], /^POST \/api\/v1\/ws-ticket /);
  assert.equal(upgrades(network), 1);
  for (const head of network.heads) assert.doesNotMatch(head.split("\r\n")[0], new RegExp(TOKEN));
});

test("a token lost on the way back is no obstacle: each connection has a ticket of its own", real, async (t) => {
  const { client, network, provider } = await house(t, { transport: "websocket", authToken: TOKEN }, { token: TOKEN });
  const play = provider.next(WORDS, 1);
  const stream = client.stream("q");
  await stream.next();
  network.cut();
  play.go();
  assert.equal(textOf(await rest(stream)), " two three four five");
});

test("a wrong token is refused in the gateway's words", real, async (t) => {
  const { client } = await house(t, { authToken: "wrong" }, { token: TOKEN });
  await assert.rejects(rest(client.stream("q")), { code: "unauthenticated", status: 401 });
});

test("a gateway without tickets is reached by server-sent events", real, async (t) => {
  const { client, network } = await house(t, { authToken: TOKEN }, { token: TOKEN, refuses: /ws-ticket/ });
  assert.equal(textOf(await rest(client.stream("q"))), "hello world");
  assert.equal(upgrades(network), 0);
});

test("a gateway that is not there is unreachable, after a few tries", async () => {
  for (const transport of ["websocket", "sse"]) {
    const client = new TektonLLMClient({ rhetorUrl: "http://127.0.0.1:1", transport });
    await assert.rejects(rest(client.stream("q")), { code: "unreachable" });
  }
});

test("a request that is too large for a frame goes over HTTP, and WebSocket is not given up for it", real, async (t) => {
  const { client, network } = await house(t);
  assert.equal(textOf(await rest(client.stream("q".repeat(300_000)))), "hello world");
  assert.equal(upgrades(network), 0);
  assert.equal(textOf(await rest(client.stream("q"))), "hello world");
  assert.equal(upgrades(network), 1);
});

for (const transport of ["websocket", "sse"]) {
  test(`a reader that does not read does not fill the memory, and loses nothing, over ${transport}`, real, async (t) => {
    const { client, provider } = await house(t, { transport });
    const words = Array.from({ length: 600 }, (_, n) => `${n} ${"x".repeat(20_000)}\n`); // 12 MB
    const play = provider.next(words, words.length);
    const stream = client.stream("q");
    const begun = [(await stream.next()).value];
    play.go();
    await new Promise((resolve) => setTimeout(resolve, 300)); // to be read while nobody asks for it
    const text = textOf([...begun, ...(await rest(stream))]);
    assert.equal(text.length, words.join("").length);
    assert.equal(text, words.join(""));
  });
}

test("an object comes parsed; what is no JSON is an error with the text", real, async (t) => {
  const { client, provider } = await house(t);
  const play = provider.next(['```json\n{"city": "Oslo"}\n```']);
  const schema = { title: "A place", type: "object", properties: { city: { type: "string" } } };
  assert.deepEqual(await client.generateObject("where?", schema), { city: "Oslo" });
  await play.asked;
  provider.next(["no idea"]);
  await assert.rejects(client.generateObject("where?", schema), { code: "not_json", message: /no idea/ });
});

test("Athena's shape answers as its pages expect", real, async (t) => {
  const { network, provider } = await house(t);
  const athena = new AthenaClient("pages", { baseUrl: network.url, provider: "lab", model: "small" });
  assert.equal(await athena.checkAvailability(), true);
  assert.equal((await athena.generateText("q")).content, "hello world");
  const play = provider.next(["hi"]);
  const chunks = [];
  await athena.streamChatResponse([{ role: "user", content: "q" }], (chunk) => chunks.push(chunk), { systemPrompt: "s" });
  assert.deepEqual(chunks, [{ content: "hi", done: false }, { content: "", done: true }]);
  assert.deepEqual((await play.asked).messages[0], { role: "system", content: "s" });
  athena.setModel(null);
  athena.setProvider("nobody");
  await assert.rejects(athena.streamText("q", () => {}), { code: "model_not_found" });
});
