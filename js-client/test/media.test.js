/** What the client makes of inputs and answers, with a gateway that says what a test wants it to say. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { MediaCapability, MediaResult, ProviderRegistry, Text, getProviderRegistry } from "../src/media.js";
import { capabilityFor, kindOf, sniffed, typesOf } from "../src/media-shape.js";
import { startGateway } from "./gateway.js";

const VOICE = { id: "lab/v", owned_by: "lab", name: "V", capabilities: ["text-to-audio"], tags: ["voice"] };
const MODELS = [
  { id: "lab/small:free", owned_by: "lab", name: "Small", capabilities: ["text-to-text"], features: ["tools"], max_input_tokens: 8, free: true,
    pricing: { input_micros_per_million: 0, output_micros_per_million: 0 } },
  { id: "lab/large", owned_by: "lab", capabilities: ["image-to-text", "text-to-text", "mind-reading"], free: false,
    pricing: { input_micros_per_million: 2_000_000, output_micros_per_million: 8_500_000 } },
  { ...VOICE, id: "lab/me", tags: ["cloned", "voice"] },
  { ...VOICE, id: "lab/ann", tags: ["professional", "voice"] },
  { id: "fast", owned_by: "rhetor", targets: ["lab/large"], capabilities: ["text-to-text"] },
];
const PROVIDERS = {
  providers: {
    rhetor: { name: "Rhetor", available: true, models: [] },
    lab: { name: "Lab", available: true, default_model: "large", models: [] },
    off: { name: "Off", available: false, models: [{ id: "m", name: "M", capabilities: ["chat", "tools"] }] },
  },
  status: { off: { success: false, error: "no key: set OFF_KEY" } },
  providerTypes: { lab: "docker", off: "remote" },
};
const finished = (more) => ({ id: "gen_1", capability: "text-to-text", model: "large", provider: "lab", usage: {}, cost_micros: 7, ...more });
const event = (name, said) => `event: ${name}\ndata: ${JSON.stringify(said)}\n\n`;

/** The gateway above; `replies` are what generations answer, one after the other. */
async function gatewayOf(t, ...replies) {
  const gateway = await startGateway(t, ({ method, path }, response) => {
    if (path === "/v1/generate") {
      response.writeHead(200, { "content-type": "text/event-stream" });
      return response.end((replies.length > 1 ? replies.shift() : replies[0]) ?? event("finished", finished()));
    }
    const [status, said] = answerTo(method, path);
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(said));
  });
  const registry = new ProviderRegistry({ rhetorUrl: `${gateway.url}/`, componentId: "comp" });
  const asked = () => gateway.requests.filter(({ path }) => path === "/v1/generate").map(({ body }) => body);
  return { ...gateway, asked, registry };
}

function answerTo(method, path) {
  if (path === "/api/v1/providers") return [200, PROVIDERS];
  if (path === "/api/v1/capabilities") return [200, { success: true, data: { capabilities: [{ id: "text-to-video", providers: ["lab"] }] } }];
  if (path.startsWith("/v1/models")) return [200, { data: path.includes("strength") ? [] : MODELS }];
  if (method === "POST") return [409, { error: "there is one", code: "conflict" }];
  return [200, { data: [] }];
}

test("what goes in decides what is made of it, and a text comes of it where it may", () => {
  const both = ["image-to-text", "image-to-image", "text-to-image"];
  for (const [kind, able, expected] of [
    ["text", [["text-to-text", "text-to-image"]], "text-to-text"],
    ["image", [both], "image-to-text"],
    ["text", [both], "text-to-image"],
    ["text", [["embeddings"]], "embeddings"],
    ["ranking", [["rerank"]], "rerank"],
    ["text", [["audio-to-text"]], "audio-to-text"], // where the sound is
    ["audio", [[], ["text-to-text", "audio-to-text"]], "audio-to-text"], // nobody has listed the model
    ["text", [[], []], "text-to-text"],
    ["image", [[], []], "image-to-text"],
    ["", [["audio-to-text"]], "audio-to-text"],
  ]) assert.equal(capabilityFor(kind, able), expected, `${kind} ${able}`);
  assert.deepEqual(typesOf(["text-to-text", "image-to-3d", "embeddings"], 0), ["text/plain", "image/*"]);
  assert.equal(Object.keys(MediaCapability).length, 16);
  assert.deepEqual([MediaCapability.TEXT_TO_3D, MediaCapability.IMAGE_TO_TEXT], ["text-to-3d", "image-to-text"]);
});

test("bytes are known by how they begin", () => {
  const of = (text) => sniffed(Buffer.from(text, "latin1"));
  assert.deepEqual([of("\x89PNG"), of("RIFF0000WAVE"), of("ID3"), of("0000ftyp"), of("what")], [
    "image/png", "audio/wav", "audio/mpeg", "video/mp4", "application/octet-stream",
  ]);
  assert.deepEqual([kindOf("audio/mpeg"), kindOf("application/pdf"), kindOf("imagery")], ["audio", "", ""]);
});

test("providers and models are told as MediaConduit's callers read them", async (t) => { // promise: M09, M20, M25
  const { registry } = await gatewayOf(t);
  const lab = await registry.getProvider("lab");
  assert.deepEqual([lab.name, lab.type, lab.defaultModel], ["Lab", "docker", "large"]);
  assert.deepEqual(lab.capabilities, ["text-to-text", "image-to-text", "text-to-audio", "text-to-video"]);
  const [small, large] = lab.models;
  assert.deepEqual([small.id, small.name, large.name, large.capabilities], ["small:free", "Small", "large", ["text-to-text", "image-to-text"]]);
  assert.deepEqual([small.limits.maxInputSize, small.parameters.features], [8, ["tools"]]);
  assert.deepEqual([large.pricing.inputCost, large.pricing.outputCost, large.pricing.currency], [2, 8.5, "USD"]);
  assert.deepEqual(lab.getModelsForCapability("text-to-audio").map(({ id }) => id), ["me", "ann"]);
  assert.deepEqual(lab.getFreeModels().map(({ id }) => id), ["small:free"]);
  assert.deepEqual([lab.getClonedVoices()[0].id, lab.getProfessionalVoices()[0].id], ["me", "ann"]);
  assert.equal((await lab.getFastestModel()).id, "small:free"); // nobody is called fast, so who was first
  assert.equal((await lab.getLatestModel("text-to-text")).id, "small:free");
  assert.equal(await registry.hasProvider("nobody"), false);
  assert.equal(await registry.getProvider("lab"), lab);

  const off = await registry.getProvider("off");
  assert.deepEqual([off.capabilities, off.getAvailableModels()], [["text-to-text"], ["m"]]);
  await assert.rejects(off.configure(), { name: "ProviderCreationError", message: /set OFF_KEY/, code: "unavailable" });
  assert.deepEqual(await registry.getAvailableProviders(), ["rhetor", "lab"]);
});

test("inputs of every kind are said as the gateway takes them", async (t) => {
  const told = event("text", { text: "a fox" }) + event("finished", finished({ generation_prompt: { input: "q" }, meta: { dropped: ["options.x"] } }));
  const { asked, registry, requests } = await gatewayOf(t, told);
  const lab = await registry.getProvider("lab");
  const earlier = await lab.getModel().transform(Text.fromString("q"), { seed: 1, fallbacks: ["a/b"], timeoutS: 9 });
  assert.ok(earlier instanceof MediaResult);
  assert.deepEqual([`${earlier}`, earlier.metadata.costMicros, earlier.metadata.dropped], ["a fox", 7, ["options.x"]]);
  assert.deepEqual(asked().at(-1), {
    options: { seed: 1 }, fallbacks: ["a/b"], timeout_s: 9, capability: "text-to-text", input: "q", model: "lab/large", component: "comp", stream: true,
  });
  const say = async (input, options, id = "large") => {
    await lab.getModel(id).transform(input, options);
    const { capability, input: said, parents, model } = asked().at(-1);
    return [capability, said, parents, model];
  };
  assert.deepEqual(await say(earlier), ["text-to-text", "a fox", ["gen_1"], "lab/large"]);
  assert.deepEqual(await say(["one", earlier]), ["text-to-text", "one\n\na fox", ["gen_1"], "lab/large"]);
  assert.deepEqual(await say(["one", "two"], { capability: "embeddings" }, "vectors"), ["embeddings", ["one", "two"], undefined, "lab/vectors"]);
  assert.deepEqual(await say({ query: "q", documents: ["a", earlier] }), ["rerank", { query: "q", documents: ["a", "a fox"] }, ["gen_1"], "lab/large"]);
  const input = { prompt: "what?", image: { url: "https://x.example/y.png" }, n: 2 };
  assert.deepEqual(await say(input), ["image-to-text", input, undefined, "lab/large"]);
  const route = await registry.getProvider("rhetor");
  await route.getModel("fast").transform("q");
  assert.equal(asked().at(-1).model, "fast");
  assert.ok(requests.every(({ headers }) => headers.authorization === undefined));
});

test("an error in the middle is thrown, and so is an end without one", async (t) => {
  const { registry } = await gatewayOf(t, event("failed", { error: "it broke", code: "upstream_error", provider: "lab" }), event("text", { text: "a" }));
  const model = (await registry.getProvider("lab")).getModel();
  await assert.rejects(model.transform("q"), { name: "TektonLLMError", message: "it broke", code: "upstream_error", provider: "lab" });
  await assert.rejects(model.transform("q"), { code: "unreachable" });
  await assert.rejects(model.transform("q", { job: true }), { code: "conflict", status: 409 });
});

test("there is one registry for each gateway", (t) => {
  assert.equal(getProviderRegistry(), getProviderRegistry());
  assert.notEqual(getProviderRegistry({ rhetorUrl: "http://x" }), getProviderRegistry());
  process.env.RHETOR_URL = "http://elsewhere:1/";
  t.after(() => delete process.env.RHETOR_URL);
  assert.equal(new ProviderRegistry().gateway.url, "http://elsewhere:1");
});
