/** @anthropic-ai/sdk at the Anthropic door. */

import assert from "node:assert/strict";
import { test } from "node:test";

import Anthropic from "@anthropic-ai/sdk";

import { FORECAST, GATEWAY_URL, GREETING, PIXEL, SEEN, USAGE, WEATHER, counted, model } from "./conversation.mjs";

const client = new Anthropic({ baseURL: GATEWAY_URL, apiKey: "any", maxRetries: 0 });
const messages = [{ role: "user", content: "Hello" }];
const max_tokens = 100;
const weather = {
  name: "weather",
  description: "The weather of a city",
  input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};

const textOf = (message) => message.content.map((block) => (block.type === "text" ? block.text : "")).join("");
const callsOf = (message) => message.content.filter((block) => block.type === "tool_use");
const answers = (message) => ({
  role: "user",
  content: callsOf(message).map((call) => ({
    type: "tool_result",
    tool_use_id: call.id,
    content: WEATHER[call.input.city],
  })),
});

test("chat", async () => {
  const reply = await client.messages.create({ model: model("chat"), max_tokens, system: "Be brief.", messages });

  assert.equal(reply.type, "message");
  assert.equal(textOf(reply), GREETING);
  assert.equal(reply.stop_reason, "end_turn");
  assert.deepEqual([reply.usage.input_tokens, reply.usage.output_tokens], [USAGE.input, USAGE.output]);
});

test("stream", async () => {
  const pieces = [];
  const stream = client.messages.stream({ model: model("chat"), max_tokens, messages });
  stream.on("text", (piece) => pieces.push(piece));

  const reply = await stream.finalMessage();

  assert.ok(pieces.length > 1, "it comes in pieces");
  assert.equal(pieces.join(""), GREETING);
  assert.equal(textOf(reply), GREETING);
  assert.equal(reply.usage.output_tokens, USAGE.output);
});

for (const how of ["whole", "streamed"]) {
  test(`tools: call, result, answer, ${how}`, async () => {
    const ask = (messages) => {
      const request = { model: model("tools"), max_tokens, messages, tools: [weather] };
      return how === "whole" ? client.messages.create(request) : client.messages.stream(request).finalMessage();
    };
    const question = { role: "user", content: "How is the weather in Paris and Oslo?" };

    const call = await ask([question]);
    const answer = await ask([question, { role: "assistant", content: call.content }, answers(call)]);

    assert.equal(call.stop_reason, "tool_use");
    assert.deepEqual(callsOf(call).map((one) => one.input.city), ["Paris", "Oslo"]);
    assert.equal(textOf(answer), FORECAST);
  });
}

test("image", async () => {
  const content = [
    { type: "image", source: { type: "base64", media_type: "image/png", data: PIXEL } },
    { type: "text", text: "What is this?" },
  ];

  const reply = await client.messages.create({ model: model("image"), max_tokens, messages: [{ role: "user", content }] });

  assert.equal(textOf(reply), SEEN);
});

test("a model that is not there", async () => {
  await assert.rejects(client.messages.create({ model: model("absent"), max_tokens, messages }), (error) => {
    assert.ok(error instanceof Anthropic.NotFoundError, error);
    assert.equal(error.error.error.type, "not_found_error");
    assert.match(error.error.error.message, /absent/);
    return true;
  });
});

for (const stream of [false, true]) {
  test(`a provider that is broken is asked twice by the gateway, and not again by the SDK, stream: ${stream}`, async () => {
    const { asked, fetch } = counted();
    const patient = client.withOptions({ maxRetries: 2, fetch });

    await assert.rejects(patient.messages.create({ model: model("broken"), max_tokens, messages, stream }), (error) => {
      assert.ok(error instanceof Anthropic.InternalServerError, error);
      assert.equal(error.headers.get("x-should-retry"), "false");
      assert.equal(error.headers.get("x-rhetor-attempts").split(model("broken")).length - 1, 2);
      return true;
    });

    assert.equal(asked.length, 1);
  });
}

test("a provider that limits, asked for a stream", async () => {
  const refused = client.messages.create({ model: model("busy"), max_tokens, messages, stream: true });

  await assert.rejects(refused, (error) => {
    assert.ok(error instanceof Anthropic.RateLimitError, error);
    assert.equal(error.error.error.type, "rate_limit_error");
    assert.match(error.error.error.message, /take a break/);
    return true;
  });
});
