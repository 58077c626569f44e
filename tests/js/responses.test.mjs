/** openai-node at the Responses door. */

import assert from "node:assert/strict";
import { test } from "node:test";

import OpenAI from "openai";

import { FORECAST, GATEWAY_URL, GREETING, PIXEL, SEEN, USAGE, WEATHER, counted, model } from "./conversation.mjs";

const client = new OpenAI({ baseURL: `${GATEWAY_URL}/v1`, apiKey: "any", maxRetries: 0 });
const input = "Hello";
const tools = [
  {
    type: "function",
    name: "weather",
    description: "The weather of a city",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
    strict: false,
  },
];

const answers = (output) =>
  output
    .filter((item) => item.type === "function_call")
    .map((call) => ({
      type: "function_call_output",
      call_id: call.call_id,
      output: WEATHER[JSON.parse(call.arguments).city],
    }));

test("a text", async () => {
  const reply = await client.responses.create({ model: model("chat"), input, instructions: "Be brief." });

  assert.equal(reply.output_text, GREETING);
  assert.equal(reply.status, "completed");
  assert.equal(reply.usage.input_tokens, USAGE.input);
  assert.equal(reply.usage.output_tokens, USAGE.output);
});

test("stream", async () => {
  const stream = await client.responses.create({ model: model("chat"), input, stream: true });

  const events = [];
  for await (const event of stream) events.push(event);

  const pieces = events.filter((event) => event.type === "response.output_text.delta");
  assert.ok(pieces.length > 1, "it comes in pieces");
  assert.equal(pieces.map((event) => event.delta).join(""), GREETING);
  assert.deepEqual(events.map((event) => event.sequence_number), [...events.keys()]);
  assert.equal(events.at(-1).response.output_text ?? GREETING, GREETING);
});

test("stream, collected by the SDK", async () => {
  const reply = await client.responses.stream({ model: model("chat"), input }).finalResponse();

  assert.equal(reply.output_text, GREETING);
});

for (const streamed of [false, true]) {
  const ask = (asked) =>
    streamed ? client.responses.stream(asked).finalResponse() : client.responses.create(asked);

  test(`tools: call, result, answer, streamed: ${streamed}`, async () => {
    const said = [{ role: "user", content: "How is the weather in Paris and Oslo?" }];

    const call = await ask({ model: model("tools"), input: said, tools });
    const answer = await ask({
      model: model("tools"),
      input: [...said, ...call.output, ...answers(call.output)],
      tools,
    });

    assert.equal(answer.output_text, FORECAST);
  });

  test(`tools, by the id of the response, streamed: ${streamed}`, async () => {
    const call = await ask({ model: model("tools"), input: "How is the weather in Paris and Oslo?", tools });
    const answer = await ask({
      model: model("tools"),
      input: answers(call.output),
      previous_response_id: call.id,
      tools,
    });

    assert.equal(answer.output_text, FORECAST);
  });
}

test("image", async () => {
  const content = [
    { type: "input_text", text: "What is this?" },
    { type: "input_image", image_url: `data:image/png;base64,${PIXEL}`, detail: "auto" },
  ];

  const reply = await client.responses.create({ model: model("image"), input: [{ role: "user", content }] });

  assert.equal(reply.output_text, SEEN);
});

test("a response is come back to, and forgotten", async () => {
  const reply = await client.responses.create({ model: model("chat"), input });

  assert.equal((await client.responses.retrieve(reply.id)).output_text, GREETING);
  const items = [];
  for await (const item of client.responses.inputItems.list(reply.id)) items.push(item);
  assert.equal(items[0].content[0].text, input);
  await client.responses.delete(reply.id);
  await assert.rejects(client.responses.retrieve(reply.id), OpenAI.NotFoundError);
});

test("a conversation", async () => {
  const conversation = await client.conversations.create({ items: [{ role: "user", content: "Be brief." }] });

  await client.responses.create({ model: model("chat"), input, conversation: conversation.id });

  const items = [];
  for await (const item of client.conversations.items.list(conversation.id, { order: "asc" })) items.push(item);
  assert.deepEqual(items.map((item) => item.content[0].text), ["Be brief.", input, GREETING]);
});

test("a model that is not there", async () => {
  await assert.rejects(client.responses.create({ model: model("absent"), input }), (error) => {
    assert.ok(error instanceof OpenAI.NotFoundError, error);
    assert.equal(error.code, "model_not_found");
    assert.match(error.message, /absent/);
    return true;
  });
});

test("a provider that is broken is not asked again by the SDK", async () => {
  const { asked, fetch } = counted();
  const patient = client.withOptions({ maxRetries: 2, fetch });

  await assert.rejects(patient.responses.create({ model: model("broken"), input }), OpenAI.InternalServerError);

  assert.equal(asked.length, 1);
});

test("a response that nobody has", async () => {
  const refused = client.responses.create({ model: "oai/chat", input, previous_response_id: "resp_nobody" });

  await assert.rejects(refused, (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError, error);
    assert.equal(error.code, "previous_response_not_found");
    return true;
  });
});
