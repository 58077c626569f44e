/** openai-node at the OpenAI door. */

import assert from "node:assert/strict";
import { test } from "node:test";

import OpenAI from "openai";

import { FORECAST, GATEWAY_URL, GREETING, PIXEL, SEEN, USAGE, WEATHER, counted, model } from "./conversation.mjs";

const client = new OpenAI({ baseURL: `${GATEWAY_URL}/v1`, apiKey: "any", maxRetries: 0 });
const ask = [{ role: "user", content: "Hello" }];
const usage = { prompt_tokens: USAGE.input, completion_tokens: USAGE.output, total_tokens: USAGE.input + USAGE.output };
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

const answers = (message) =>
  message.tool_calls.map((call) => ({
    role: "tool",
    tool_call_id: call.id,
    content: WEATHER[JSON.parse(call.function.arguments).city],
  }));

test("chat", async () => {
  const reply = await client.chat.completions.create({ model: model("chat"), messages: ask });

  assert.equal(reply.object, "chat.completion");
  assert.equal(reply.choices[0].message.content, GREETING);
  assert.equal(reply.choices[0].finish_reason, "stop");
  assert.deepEqual({ ...usage, ...reply.usage }, reply.usage);
});

test("stream", async () => {
  const stream = await client.chat.completions.create({
    model: model("chat"),
    messages: ask,
    stream: true,
    stream_options: { include_usage: true },
  });

  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);

  assert.equal(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join(""), GREETING);
  assert.ok(chunks.filter((chunk) => chunk.choices[0]?.delta.content).length > 1, "it comes in pieces");
  assert.equal(chunks.at(-1).usage.total_tokens, usage.total_tokens);
});

test("tools: call, result, answer", async () => {
  const messages = [{ role: "user", content: "How is the weather in Paris and Oslo?" }];

  const call = await client.chat.completions.create({ model: model("tools"), messages, tools });
  const { message, finish_reason } = call.choices[0];
  const answer = await client.chat.completions.create({
    model: model("tools"),
    messages: [...messages, message, ...answers(message)],
    tools,
  });

  assert.equal(finish_reason, "tool_calls");
  assert.deepEqual(message.tool_calls.map((one) => JSON.parse(one.function.arguments).city), ["Paris", "Oslo"]);
  assert.equal(answer.choices[0].message.content, FORECAST);
});

test("tools, streamed by the SDK's own runner", async () => {
  const asked = [];
  const weather = ({ city }) => {
    asked.push(city);
    return WEATHER[city];
  };
  const runner = client.chat.completions.runTools({
    model: model("tools"),
    messages: [{ role: "user", content: "How is the weather in Paris and Oslo?" }],
    stream: true,
    tools: [{ type: "function", function: { ...tools[0].function, function: weather, parse: JSON.parse } }],
  });

  assert.equal(await runner.finalContent(), FORECAST);
  assert.deepEqual(asked, ["Paris", "Oslo"]);
});

test("image", async () => {
  const content = [
    { type: "text", text: "What is this?" },
    { type: "image_url", image_url: { url: `data:image/png;base64,${PIXEL}` } },
  ];

  const reply = await client.chat.completions.create({ model: model("image"), messages: [{ role: "user", content }] });

  assert.equal(reply.choices[0].message.content, SEEN);
});

test("a model that is not there", async () => {
  const refused = client.chat.completions.create({ model: model("absent"), messages: ask });

  await assert.rejects(refused, (error) => {
    assert.ok(error instanceof OpenAI.NotFoundError, error);
    assert.equal(error.code, "model_not_found");
    assert.equal(error.type, "invalid_request_error");
    assert.match(error.message, /absent/);
    return true;
  });
});

for (const stream of [false, true]) {
  test(`a provider that is broken is asked twice by the gateway, and not again by the SDK, stream: ${stream}`, async () => {
    const { asked, fetch } = counted();
    const patient = client.withOptions({ maxRetries: 2, fetch });

    await assert.rejects(patient.chat.completions.create({ model: model("broken"), messages: ask, stream }), (error) => {
      assert.ok(error instanceof OpenAI.InternalServerError, error);
      assert.equal(error.headers.get("x-should-retry"), "false");
      assert.equal(error.headers.get("x-rhetor-attempts").split(model("broken")).length - 1, 2);
      return true;
    });

    assert.equal(asked.length, 1);
  });
}

test("a provider that limits, asked for a stream", async () => {
  const refused = client.chat.completions.create({ model: model("busy"), messages: ask, stream: true });

  await assert.rejects(refused, (error) => {
    assert.ok(error instanceof OpenAI.RateLimitError, error);
    assert.match(error.message, /take a break/);
    return true;
  });
});
