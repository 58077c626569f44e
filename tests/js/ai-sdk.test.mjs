/** Vercel's AI SDK, at the doors of OpenAI, both of them, and of Anthropic. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

import { FORECAST, GATEWAY_URL, GREETING, PIXEL, SEEN, USAGE, WEATHER, model } from "./conversation.mjs";

const baseURL = `${GATEWAY_URL}/v1`;
const doors = {
  "@ai-sdk/openai-compatible": createOpenAICompatible({ name: "gateway", baseURL, apiKey: "any", includeUsage: true }),
  "@ai-sdk/anthropic": createAnthropic({ baseURL, apiKey: "any" }),
  "@ai-sdk/openai": createOpenAI({ baseURL, apiKey: "any" }), // its models speak Responses
};
const prompt = "Hello";
const once = { maxRetries: 0 };

function weather() {
  const asked = [];
  const execute = async ({ city }) => {
    asked.push(city);
    return WEATHER[city];
  };
  const inputSchema = z.object({ city: z.string() });
  return { asked, tools: { weather: tool({ description: "The weather of a city", inputSchema, execute }) } };
}

for (const [name, door] of Object.entries(doors)) {
  test(`${name}: chat`, async () => {
    const reply = await generateText({ model: door(model("chat")), prompt, system: "Be brief.", ...once });

    assert.equal(reply.text, GREETING);
    assert.equal(reply.finishReason, "stop");
    assert.deepEqual([reply.usage.inputTokens, reply.usage.outputTokens], [USAGE.input, USAGE.output]);
  });

  test(`${name}: stream`, async () => {
    const stream = streamText({ model: door(model("chat")), prompt, ...once });

    const pieces = [];
    for await (const piece of stream.textStream) pieces.push(piece);

    assert.ok(pieces.length > 1, "it comes in pieces");
    assert.equal(pieces.join(""), GREETING);
    assert.equal((await stream.usage).outputTokens, USAGE.output);
  });

  for (const [how, run] of Object.entries({ whole: generateText, streamed: streamText })) {
    test(`${name}: tools, ${how}: call, result, answer`, async () => {
      const { asked, tools } = weather();

      const reply = await run({ model: door(model("tools")), prompt, tools, stopWhen: stepCountIs(3), ...once });

      assert.equal(await reply.text, FORECAST);
      assert.deepEqual(asked, ["Paris", "Oslo"]);
      assert.equal((await reply.steps).length, 2);
    });
  }

  test(`${name}: image`, async () => {
    const content = [
      { type: "text", text: "What is this?" },
      { type: "image", image: PIXEL, mediaType: "image/png" },
    ];

    const reply = await generateText({ model: door(model("image")), messages: [{ role: "user", content }], ...once });

    assert.equal(reply.text, SEEN);
  });

  test(`${name}: a model that is not there`, async () => {
    const refused = generateText({ model: door(model("absent")), prompt, ...once });
    await assert.rejects(refused, { name: "AI_APICallError", statusCode: 404, message: /absent/, isRetryable: false });
  });

  test(`${name}: a provider that limits, asked for a stream`, async () => {
    const errors = [];
    const busy = door(model(`busy/${name}`)); // one for each door: nobody is asked again before its window has ended
    const stream = streamText({ model: busy, prompt, ...once, onError: ({ error }) => errors.push(error) });

    await stream.consumeStream();

    assert.equal(errors[0].statusCode, 429);
    assert.match(errors[0].message, /take a break/);
  });
}
