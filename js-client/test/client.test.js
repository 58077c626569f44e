import assert from "node:assert/strict";
import { test } from "node:test";

import { TektonLLMClient, TektonLLMError } from "../src/index.js";
import { DONE, REPLY, frame, golden, says, startGateway, streams } from "./gateway.js";

const collect = async (stream) => {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
};
/** Over HTTP; what goes over WebSocket, and is recorded, is in rhetor.test.js. */
const clientOf = (options) => new TektonLLMClient({ transport: "sse", ...options });
const textOf = (chunks) => chunks.map((chunk) => chunk.chunk).join("");

test("generateText tells the reply in camelCase, with the gateway's usage", async (t) => {
  const gateway = await startGateway(t, says(200, REPLY));
  const client = clientOf({ componentId: "comp", rhetorUrl: gateway.url });

  const reply = await client.generateText("q");

  assert.equal(reply.content, "Hello");
  assert.equal(reply.finishReason, "stop");
  assert.equal(reply.contextId, "comp");
  const { prompt_tokens, completion_tokens, total_tokens } = REPLY.usage;
  const twins = { promptTokens: prompt_tokens, completionTokens: completion_tokens, totalTokens: total_tokens };
  assert.deepEqual(reply.usage, { ...REPLY.usage, ...twins });
});

test("a request says what was asked for, leaves out what was not, and keeps zero", async (t) => {
  const gateway = await startGateway(t, says(200, REPLY));
  const client = clientOf({ componentId: "comp", rhetorUrl: gateway.url, modelId: "m", authToken: "s3cret" });

  await client.generateText("q", { systemPrompt: "s", temperature: 0, maxTokens: 9, stopSequences: ["x"] });

  const [request] = gateway.requests;
  assert.equal(request.path, "/api/v1/chat");
  assert.equal(request.headers.authorization, "Bearer s3cret");
  assert.deepEqual(request.body, {
    messages: [{ role: "user", content: "q" }],
    component_id: "comp",
    context_id: "comp",
    model_id: "m",
    system_prompt: "s",
    streaming: false,
    options: { temperature: 0, max_tokens: 9, stop: ["x"] },
  });
});

test("a path prefix of the gateway's URL is kept", async (t) => {
  const gateway = await startGateway(t, says(200, REPLY));
  const client = clientOf({ rhetorUrl: `${gateway.url}/api/llm/` });

  await client.generateChatResponse([{ role: "user", content: "q" }]);

  assert.equal(gateway.requests[0].path, "/api/llm/api/v1/chat");
});

test("a refusal is an error with the gateway's message, code, status and request id", async (t) => {
  const gateway = await startGateway(t, says(400, JSON.parse(golden("error_bad_request.json"))));
  const client = clientOf({ rhetorUrl: gateway.url });

  await assert.rejects(client.generateText("q"), (error) => {
    assert.ok(error instanceof TektonLLMError);
    assert.equal(error.message, "messages: expected at least one message");
    assert.equal(error.code, "invalid_request");
    assert.equal(error.status, 400);
    assert.equal(error.requestId, "req_1");
    return true;
  });
});

test("a gateway that is not there is 'unreachable'", async (t) => {
  const client = clientOf({ rhetorUrl: "http://127.0.0.1:1" });
  await assert.rejects(client.generateText("q"), { name: "TektonLLMError", code: "unreachable", status: null });
});

test("an answer that is no reply is an error, never an empty reply", async (t) => {
  const gateway = await startGateway(t, says(200, { message: "hi" }));
  const client = clientOf({ rhetorUrl: gateway.url });
  await assert.rejects(client.generateText("q"), { code: "protocol_error" });
});

test("a silent gateway is a timeout", async (t) => {
  const gateway = await startGateway(t, () => {});
  const client = clientOf({ rhetorUrl: gateway.url, timeout: 0.05 });
  await assert.rejects(client.generateText("q"), { code: "timeout" });
});

test("a stream is its chunks, the last one done, with what only the end can tell", async (t) => {
  const gateway = await startGateway(t, streams([": ping\n\n", golden("stream.sse")]));
  const client = clientOf({ rhetorUrl: gateway.url });

  const chunks = await collect(client.stream("q"));

  assert.equal(textOf(chunks), "Hello");
  assert.deepEqual(chunks.map((chunk) => chunk.done), [false, false, true]);
  assert.deepEqual([chunks[2].finishReason, chunks[2].usage.total_tokens], ["stop", REPLY.usage.total_tokens]);
  assert.equal(chunks[0].provider, "anthropic");
  assert.equal(gateway.requests[0].path, "/api/v1/chat/stream");
});

test("a stream that the gateway refuses throws before any chunk", async (t) => {
  const gateway = await startGateway(t, says(429, { error: "slow down" }));
  const client = clientOf({ rhetorUrl: gateway.url });
  await assert.rejects(collect(client.stream("q")), { message: "slow down", status: 429 });
});

test("an error inside a stream is its last chunk", async (t) => {
  const gateway = await startGateway(t, streams([golden("stream_failed.sse")]));
  const client = clientOf({ rhetorUrl: gateway.url });

  const last = (await collect(client.stream("q"))).at(-1);

  assert.equal(last.done, true);
  assert.match(last.error, /the provider hung up/);
});

test("a stream that just ends is not mistaken for a complete one", async (t) => {
  const gateway = await startGateway(t, streams([frame("Hel")]));
  const client = clientOf({ rhetorUrl: gateway.url });

  const chunks = await collect(client.stream("q", { resumeS: 0 }));

  assert.equal(textOf(chunks), "Hel");
  assert.match(chunks.at(-1).error, /in the middle/);
});

test("a stream that falls silent ends in an error", async (t) => {
  const gateway = await startGateway(t, streams([frame("Hel")], { end: false }));
  const client = clientOf({ rhetorUrl: gateway.url, timeout: 0.5 });

  const last = (await collect(client.stream("q"))).at(-1);

  assert.match(last.error, /said nothing for 0.5 s/);
});

test("leaving the loop stops the request at the gateway", async (t) => {
  const gateway = await startGateway(t, streams([frame("Hel")], { end: false }));
  const client = clientOf({ rhetorUrl: gateway.url });

  for await (const chunk of client.stream("q")) if (chunk.chunk) break;

  await gateway.requests[0].left;
});

test("an AbortSignal stops a request with its own reason", async (t) => {
  const gateway = await startGateway(t, streams([frame("Hel")], { end: false }));
  const client = clientOf({ rhetorUrl: gateway.url });
  const controller = new AbortController();
  const stream = client.stream("q", { signal: controller.signal });
  await stream.next();

  controller.abort(new Error("enough"));

  await assert.rejects(stream.next(), { message: "enough" });
  await gateway.requests[0].left;
});

test("streamText calls back with every chunk, then with the whole text", async (t) => {
  const gateway = await startGateway(t, streams([frame("Hel"), frame("lo"), DONE]));
  const client = clientOf({ rhetorUrl: gateway.url });
  const chunks = [];

  const text = await new Promise((onComplete) => {
    client.streamText("q", (chunk) => chunks.push(chunk), { onComplete });
  });

  assert.equal(text, "Hello");
  assert.equal(textOf(chunks), "Hello");
});

test("streamText tells onError why there is no reply", async (t) => {
  const gateway = await startGateway(t, says(503, { error: "nobody there" }));
  const client = clientOf({ rhetorUrl: gateway.url });

  const error = await new Promise((onError) => {
    client.streamText("q", assert.fail, { onError });
  });

  assert.deepEqual([error.message, error.status], ["nobody there", 503]);
});

test("without onError the failure is a chunk, never silence", async (t) => {
  const gateway = await startGateway(t, says(503, { error: "nobody there" }));
  const client = clientOf({ rhetorUrl: gateway.url });

  const chunk = await new Promise((onChunk) => {
    client.streamChatResponse([{ role: "user", content: "q" }], onChunk);
  });

  assert.deepEqual([chunk.error, chunk.done], ["nobody there", true]);
});

test("cancelRequest stops a running request, once", async (t) => {
  const gateway = await startGateway(t, streams([frame("Hel")], { end: false }));
  const client = clientOf({ rhetorUrl: gateway.url });
  let request;
  await new Promise((onChunk) => {
    request = client.streamText("q", onChunk, { onError: assert.fail, onComplete: assert.fail });
  });

  assert.equal(client.cancelRequest(request), true);
  assert.equal(client.cancelRequest(request), false);
  await gateway.requests[0].left;
});

test("getProviders tells the gateway's list as it is", async (t) => {
  const offered = JSON.parse(golden("providers.json"));
  const gateway = await startGateway(t, says(200, offered));
  const client = clientOf({ rhetorUrl: gateway.url });

  assert.deepEqual(await client.getProviders(), offered);
  assert.deepEqual([gateway.requests[0].method, gateway.requests[0].path], ["GET", "/api/v1/providers"]);
});
