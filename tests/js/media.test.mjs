/** openai-node draws, speaks and listens at the OpenAI door. */

import assert from "node:assert/strict";
import { test } from "node:test";

import OpenAI, { toFile } from "openai";

import { GATEWAY_URL, PIXEL, model } from "./conversation.mjs";

const client = new OpenAI({ baseURL: `${GATEWAY_URL}/v1`, apiKey: "any", maxRetries: 0 });
const SENTENCE = "The quick brown fox jumps over the lazy dog.";
const pixel = Buffer.from(PIXEL, "base64");
const sound = () => toFile(Buffer.from("RIFF"), "a.wav", { type: "audio/wav" });
const say = { model: model("voice"), voice: "coral", input: "hello" };

test("pictures", async () => {
  const reply = await client.images.generate({ model: model("brush"), prompt: "a cat", n: 2 });

  assert.deepEqual(reply.data.map((picture) => picture.b64_json), [PIXEL, PIXEL]);
});

test("pictures as they grow", async () => {
  const stream = await client.images.generate({ model: model("brush"), prompt: "a cat", stream: true });

  const events = [];
  for await (const event of stream) events.push(event);

  assert.equal(events.at(-1).type, "image_generation.completed");
  assert.equal(events.at(-1).b64_json, PIXEL);
});

test("edits", async () => {
  const image = await toFile(pixel, "cat.png", { type: "image/png" });

  const reply = await client.images.edit({ model: model("brush"), image: [image, image], prompt: "a hat" });

  assert.equal(reply.data[0].b64_json, PIXEL);
});

test("speech, whole and as it comes", async () => {
  const whole = Buffer.from(await (await client.audio.speech.create(say)).arrayBuffer());
  assert.equal(whole.subarray(0, 4).toString(), "RIFF");

  const pieces = [];
  for await (const piece of (await client.audio.speech.create(say)).body) pieces.push(Buffer.from(piece));
  assert.deepEqual(Buffer.concat(pieces), whole);
});

test("half a speech is noticed", async () => {
  await assert.rejects(async () => (await client.audio.speech.create({ ...say, model: model("hoarse") })).arrayBuffer());
});

test("transcripts", async () => {
  const json = await client.audio.transcriptions.create({ model: model("ears"), file: await sound() });
  assert.equal(json.text, SENTENCE);

  const verbose = await client.audio.transcriptions.create({
    model: model("ears"),
    file: await sound(),
    response_format: "verbose_json",
    timestamp_granularities: ["word", "segment"],
  });
  assert.equal(verbose.segments[0].text, SENTENCE);
  assert.equal(verbose.words.length, 9);

  const translated = await client.audio.translations.create({ model: model("ears"), file: await sound() });
  assert.equal(translated.text, SENTENCE);
});

test("transcripts as they come", async () => {
  const stream = await client.audio.transcriptions.create({ model: model("ears"), file: await sound(), stream: true });

  let text = "";
  for await (const event of stream) if (event.type === "transcript.text.delta") text += event.delta;

  assert.equal(text, SENTENCE);
});

test("a model that is not there", async () => {
  await assert.rejects(client.audio.speech.create({ ...say, model: "nobody/knows" }), (error) => {
    assert.ok(error instanceof OpenAI.NotFoundError, error);
    assert.equal(error.code, "model_not_found");
    return true;
  });
});
