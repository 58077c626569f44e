/** Media through a real gateway, with the provider behind it. */

import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import {
  MediaCapability,
  MigrationValidator,
  ProviderHealthMonitor,
  ProviderLoadBalancer,
  ProviderRegistry,
  ProviderType,
  SmartProviderSelector,
} from "../src/media.js";
import { skip as missing, startRhetor } from "./house.js";
import { PNG, WAV, startStudio } from "./studio.js";

const real = { skip: missing, timeout: 60_000 };
const ABLE = ["text-to-text", "image-to-text", "text-to-image", "image-to-image", "text-to-audio", "audio-to-text"];

/** A gateway with a studio behind it: as `lab`, which can do it all, and as others that can do less. */
async function house(t, { token, ...options } = {}) {
  t.mock.method(console, "warn", () => {});
  const studio = await startStudio(t);
  const row = { wire: "openai", base_url: studio.url, key: "env:LAB_SECRET" };
  const gateway = await startRhetor(t, studio, {
    token,
    plugins: { allow_add: true },
    providers: {
      lab: { ...row, models: ["small", "brush"], default_model: "small", default_models: { "text-to-image": "brush" }, capabilities: ABLE },
      draws: { ...row, models: ["brush"], capabilities: ["text-to-image"] },
      writes: { ...row, models: ["small"], tags: ["eu"] },
      replicate: { base_url: studio.origin, key: "env:LAB_SECRET" },
    },
  });
  const registry = new ProviderRegistry({ rhetorUrl: gateway.url, componentId: "comp", ...options });
  return { gateway, registry, studio };
}

test("MediaConduit's first sample: a provider, a model, a text with what it was made of", real, async (t) => { // promise: M04, M05, M06, M23
  const { registry, studio } = await house(t);
  const provider = await registry.getProvider("lab");
  assert.deepEqual([provider.name, provider.type, provider.defaultModel], ["lab", ProviderType.REMOTE, "small"]);
  await provider.configure({ apiKey: "sk-of-somebody", baseUrl: undefined });
  await provider.configure({ apiKey: "sk-of-somebody" });
  assert.equal(console.warn.mock.callCount(), 1);
  assert.match(console.warn.mock.calls[0].arguments[0], /apiKey not used: the gateway has the keys/);

  const model = await provider.getModel("small");
  assert.deepEqual([model.getId(), model.getProvider(), model.getInputTypes()[0]], ["small", "lab", "text/plain"]);
  const result = await model.transform("Write a haiku about AI", { temperature: 0.5, maxOutputTokens: 9, topK: undefined });

  assert.equal(result.content, "a red fox in the snow");
  const { input, modelId, provider: by, options, transformationType } = result.metadata.generation_prompt;
  assert.deepEqual([input, modelId, by, transformationType], ["Write a haiku about AI", "small", "lab", "text-to-text"]);
  assert.deepEqual(options, { temperature: 0.5, maxOutputTokens: 9 });
  assert.deepEqual([result.metadata.attempts[0].target, result.metadata.model], ["lab/small", "small"]);
  const { body } = studio.asked.find(({ path }) => path === "/v1/chat/completions");
  assert.deepEqual([body.temperature, body.max_completion_tokens], [0.5, 9]);
  assert.ok(studio.asked.every(({ headers }) => !JSON.stringify(headers).includes("sk-of-somebody")));
});

test("a chain of transforms keeps its whole lineage", real, async (t) => { // promise: M07
  const { registry, studio } = await house(t);
  const provider = await registry.getProvider("lab");
  const idea = await provider.getModel("small").transform("an animal");
  const picture = await provider.getModel("brush").transform(idea, { capability: MediaCapability.TEXT_TO_IMAGE, size: "64x64" });
  const caption = await provider.getModel("small").transform([picture, "what is it?"]);

  assert.deepEqual(Buffer.from(await (await picture.blob()).arrayBuffer()), PNG);
  assert.deepEqual([picture.asset.mediaType, picture.asset.bytes, picture.content], ["image/png", PNG.length, picture.url]);
  assert.equal(caption.content, "a caption");
  const seen = studio.asked.at(-1).body.messages[0].content;
  assert.deepEqual([seen[0].text, seen[1].image_url.url], ["what is it?", `data:image/png;base64,${PNG.toString("base64")}`]);
  assert.equal(studio.asked.find(({ path }) => path === "/v1/images/generations").body.prompt, "a red fox in the snow");

  const { generation_chain: chain, complete } = await caption.lineage();
  assert.deepEqual(chain.map(({ asset_type: type, generation_id: id }) => [type, id]), [["text", idea.id], ["image", picture.id], ["text", caption.id]]);
  assert.equal(complete, true);
  const deep = caption.metadata.generation_prompt.input.sources[0].metadata.generation_prompt.input.sources[0];
  assert.equal(deep.metadata.generation_prompt.input, "an animal");
  await picture.asset.remove();
  await assert.rejects(picture.blob(), { code: "not_found" });
});

test("files go in as they are, and speech comes out", real, async (t) => {
  const { registry, studio } = await house(t);
  const model = await (await registry.getProvider("lab")).getModel("small");
  assert.equal((await model.transform(new Blob([WAV], { type: "audio/wav" }))).content, "what was heard");
  assert.ok(studio.asked.at(-1).body.includes(WAV));
  assert.equal((await model.transform(new Uint8Array(PNG))).content, "a caption"); // it looks like one
  const kept = await registry.upload(PNG, { name: "fox.png" });
  assert.equal((await model.transform({ prompt: "what is it?", image: kept })).content, "a caption");
  const spoken = await model.transform("Hello", { capability: "text-to-audio", voice: "alloy" });
  assert.equal(await (await spoken.blob()).text(), "ID3spoken");
  assert.equal((await model.transform(spoken)).capability, "audio-to-text");
});

test("a text is told as it comes, and who leaves ends it at the provider", real, async (t) => {
  const { registry, studio } = await house(t);
  const model = await (await registry.getProvider("lab")).getModel();
  const told = [];
  const { content } = await model.transform("q", { onText: (text) => told.push(text) });
  assert.deepEqual([told.join(""), told.length > 1], [content, true]);

  studio.holds = true;
  for await (const text of model.stream("q")) {
    assert.equal(text, "a red fox");
    break;
  }
  await studio.left;
  const giveUp = new AbortController();
  studio.left = new Promise((resolve) => (studio.onLeft = resolve));
  const ended = model.transform("q", { signal: giveUp.signal, onText: () => giveUp.abort(new Error("enough")) });
  await assert.rejects(ended, /enough/);
  await studio.left;
});

test("a job says how far it is, is found again, and ends with who wanted it", real, async (t) => {
  const { registry, studio } = await house(t);
  const provider = await registry.getProvider("replicate");
  const { id } = provider.getModelsForCapability("text-to-image")[0];
  const job = await provider.getModel(id).submit("a fox");
  const told = [];
  const result = await registry.getJob(job.id).result({
    onProgress: (progress) => {
      told.push(progress.fraction);
      studio.done ||= progress.fraction > 0;
    },
  });
  assert.deepEqual([told.includes(0.3), result.assets.length, (await job.status()).status], [true, 1, "completed"]);

  studio.done = false;
  const giveUp = new AbortController();
  const onProgress = ({ fraction }) => fraction && giveUp.abort(new Error("enough"));
  await assert.rejects(provider.getModel(id).transform("a fox", { job: true, signal: giveUp.signal, onProgress }), /enough/);
  await studio.cancelled;
});

test("a plugin is a provider: added where the gateway lets one, and used at once", real, async (t) => { // promise: M01, M03, M10, M18, M20
  const { gateway, registry, studio } = await house(t);
  const folder = join(gateway.folder, "cow");
  mkdirSync(folder);
  const row = `{wire: openai, base_url: "${studio.url}", auth: {required: false}, local: true, models: [small]}`;
  writeFileSync(join(folder, "rhetor-plugin.yaml"), `plugin: 1\nid: cow\nversion: 1.0.0\nproviders:\n  cow: ${row}\n`);
  const provider = await registry.getProvider(`file://${folder}`);
  assert.deepEqual([provider.id, provider.type, await provider.isAvailable()], ["cow", ProviderType.LOCAL, true]);
  assert.equal((await provider.getModel("small").transform("moo")).content, "a red fox in the snow");
  assert.equal((await registry.getProvider("cow")).id, "cow");
  const elsewhere = new ProviderRegistry({ rhetorUrl: gateway.url });
  assert.equal((await elsewhere.getProvider(folder)).id, "cow"); // it is there already

  const known = await registry.getProvider("https://github.com/MediaConduit/together-provider");
  assert.deepEqual([known.id, await known.isAvailable()], ["together", false]);
  await assert.rejects(known.configure({}), { name: "ProviderCreationError", message: /TOGETHER_API_KEY/ });
  await assert.rejects(registry.getProvider("github:somebody/thing"), { name: "ProviderCreationError", message: /says no ref/ });
  await assert.rejects(registry.getProvider("nobody"), { name: "ProviderNotFoundError", message: /there are .*lab/ });
});

test("who is asked is chosen by what is wanted, and shared out", real, async (t) => { // promise: M31, M32
  const { registry } = await house(t);
  const text = MediaCapability.TEXT_TO_TEXT;
  assert.deepEqual((await registry.getProvidersByCapability("image-to-text")).map(({ id }) => id), ["lab", "replicate", "offline"]);
  const best = await registry.findBestProvider(text);
  const other = await registry.findBestProvider(text, { excludeProviders: [best.id] });
  assert.notEqual(other.id, best.id);
  assert.equal(await registry.findBestProvider("rerank", { preferLocal: true }), undefined);
  const chosen = await new SmartProviderSelector(registry).getBestTextProvider({ speed: "fast" });
  assert.ok(chosen.bestModel && chosen.capabilities.includes(text));
  await assert.rejects(new SmartProviderSelector(registry).getBestTextProvider({ cost: "premium" }), { name: "ProviderNotFoundError" });

  const balancer = new ProviderLoadBalancer(registry);
  const turns = [];
  for (let n = 0; n < 6; n++) turns.push((await balancer.getProvider("text-to-image")).id);
  assert.deepEqual([...turns.slice(0, 3)].sort(), ["draws", "lab", "replicate"]);
  assert.deepEqual(turns.slice(3), turns.slice(0, 3));
  const cheapest = await new ProviderLoadBalancer(registry, "cost").getProvider("text-to-image");
  assert.equal(cheapest.bestModel.pricing.imageCost, 0.003); // the others' prices nobody knows
  const { totalProviders, availableProviders } = await registry.getStats();
  assert.ok(totalProviders > availableProviders && availableProviders >= 4);
});

test("how all are doing, and whether a provider works here", real, async (t) => { // promise: M30, M33
  const { registry } = await house(t);
  const reports = await new ProviderHealthMonitor(registry).checkAllProviders();
  const statusOf = (id) => reports.find(({ provider }) => provider === id);
  assert.deepEqual([statusOf("lab").status, statusOf("openai").status], ["healthy", "off"]);
  assert.ok(statusOf("lab").latencyMs > 0);
  const health = await (await registry.getProvider("lab")).getHealth();
  assert.deepEqual([health.status, health.queuedJobs, health.uptime > 0], ["healthy", 0, true]);

  const validator = new MigrationValidator(registry);
  const report = await validator.validateProvider("lab");
  assert.deepEqual(report.checks.map(({ name, ok }) => [name, ok]), ["loading", "available", "models", "generation", "errors"].map((name) => [name, true]));
  assert.deepEqual([report.valid, report.provider], [true, "lab"]);
  const off = await validator.validateProvider("openai", { generate: false });
  assert.deepEqual([off.valid, off.checks.map(({ ok }) => ok)], [false, [true, false, off.checks[2].ok]]);
  assert.match(off.errors[0], /OPENAI_API_KEY/);
  assert.equal((await validator.validateProvider("nobody")).checks.length, 1);
});

test("with a token, and without the right one", real, async (t) => {
  const { gateway, registry } = await house(t, { token: "t0ken-of-a-page", authToken: "t0ken-of-a-page" });
  const picture = await (await registry.getProvider("draws")).getModel("brush").transform("a fox");
  assert.equal((await picture.blob()).size, PNG.length);
  assert.ok(!picture.url.includes("t0ken"));
  const stranger = new ProviderRegistry({ rhetorUrl: gateway.url, authToken: "wrong" });
  await assert.rejects(stranger.getProvider("draws"), { code: "unauthenticated", status: 401 });
});
