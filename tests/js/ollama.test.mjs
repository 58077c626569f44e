/** The `ollama` package at the Ollama door. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Ollama } from "ollama";

import { FORECAST, GATEWAY_URL, GREETING, PIXEL, SEEN, USAGE, WEATHER, model } from "./conversation.mjs";

const client = new Ollama({ host: GATEWAY_URL });
const ask = [{ role: "user", content: "Hello" }];
const tools = [
  {
    type: "function",
    function: {
      name: "weather",
      description: "The weather of a city",
      parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
    },
  },
];

test("chat", async () => {
  const reply = await client.chat({ model: model("chat"), messages: ask });

  assert.equal(reply.message.role, "assistant");
  assert.equal(reply.message.content, GREETING);
  assert.equal(reply.done_reason, "stop");
  assert.equal(reply.prompt_eval_count, USAGE.input);
  assert.equal(reply.eval_count, USAGE.output);
});

test("stream", async () => {
  const parts = [];
  for await (const part of await client.chat({ model: model("chat"), messages: ask, stream: true })) parts.push(part);

  assert.equal(parts.map((part) => part.message.content).join(""), GREETING);
  assert.equal(parts.at(-1).done, true);
  assert.equal(parts.at(-1).eval_count, USAGE.output);
});

test("a prompt", async () => {
  const reply = await client.generate({ model: model("chat"), prompt: "Hello" });
  assert.equal(reply.response, GREETING);

  let text = "";
  for await (const part of await client.generate({ model: model("chat"), prompt: "Hello", stream: true }))
    text += part.response;
  assert.equal(text, GREETING);
});

test("tools", async () => {
  const { message } = await client.chat({ model: model("tools"), messages: ask, tools });
  const cities = message.tool_calls.map((call) => call.function.arguments.city);
  assert.deepEqual(cities, Object.keys(WEATHER));

  const results = message.tool_calls.map((call) => ({
    role: "tool",
    tool_name: call.function.name,
    content: WEATHER[call.function.arguments.city],
  }));
  const reply = await client.chat({ model: model("tools"), messages: [...ask, message, ...results], tools });
  assert.equal(reply.message.content, FORECAST);
});

test("a picture", async () => {
  const messages = [{ role: "user", content: "What is it?", images: [PIXEL] }];
  const reply = await client.chat({ model: model("image"), messages });
  assert.equal(reply.message.content, SEEN);
});

test("models", async () => {
  const { models } = await client.list();
  assert.ok(models.some(({ name }) => name === "offline/echo"));
  const shown = await client.show({ model: "offline/echo" });
  assert.ok(shown.capabilities.includes("completion"));
});

test("errors", async () => {
  await assert.rejects(client.chat({ model: model("broken"), messages: ask }), /it broke/);
  await assert.rejects(client.chat({ model: model("broken"), messages: ask, stream: true }), /it broke/);
  await assert.rejects(client.chat({ model: "klingon", messages: ask }), { status_code: 404 });
});
