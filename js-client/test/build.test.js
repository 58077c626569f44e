import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { runInNewContext } from "node:vm";
import { gzipSync } from "node:zlib";

import { FILES, element, mediaModule, mediaScript, module, script, sessionsModule, sessionsScript, shrunk } from "../build.js";

const sizeOf = async (text) => gzipSync(await shrunk(text), { level: 9 }).length;

test("the script sets window.TektonLLMClient, with its error class", () => {
  const window = {};
  runInNewContext(script(), { self: window });
  assert.equal(new window.TektonLLMClient({ rhetorUrl: "" }).componentId, "browser-client");
  assert.equal(window.TektonLLMClient.TektonLLMError.name, "TektonLLMError");
});

test("the script is also a CommonJS and an AMD module", () => {
  const module = { exports: {} };
  runInNewContext(script(), { module });
  assert.equal(module.exports.name, "TektonLLMClient");
  assert.equal(module.exports.TektonLLMClient, module.exports);

  let defined;
  const define = Object.assign((_names, factory) => (defined = factory()), { amd: {} });
  runInNewContext(script(), { define });
  assert.equal(defined.name, "TektonLLMClient");
});

test("the script of sessions sets window.SessionsClient, and is a module likewise", () => {
  const window = {};
  runInNewContext(sessionsScript(), { self: window });
  assert.equal(new window.SessionsClient({ rhetorUrl: "http://x/" }).rhetorUrl, "http://x");
  assert.equal(window.SessionsClient.TektonLLMError.name, "TektonLLMError");

  const module = { exports: {} };
  runInNewContext(sessionsScript(), { module });
  assert.equal(module.exports.SessionsClient, module.exports);
});

test("the script of media sets window.TektonMedia, and is a module likewise", () => {
  const window = {};
  runInNewContext(mediaScript(), { self: window });
  assert.equal(window.TektonMedia.MediaCapability.TEXT_TO_IMAGE, "text-to-image");
  assert.equal(new window.TektonMedia.ProviderRegistry({ rhetorUrl: "http://x/", authToken: null }).gateway.url, "http://x");

  const module = { exports: {} };
  runInNewContext(mediaScript(), { module });
  assert.equal(typeof module.exports.getProviderRegistry, "function");
});

for (const joined of [element, sessionsScript, mediaScript]) {
  test(`no two modules call different things by one name, which joining them would mix up: ${joined.name}`, () => {
    const names = [...joined().matchAll(/^(?:const|class|function|async function\*?) +(\w+)/gm)].map(([, name]) => name);
    assert.deepEqual(names.filter((name, at) => names.indexOf(name) !== at), []);
  });
}

test("the client and media stay under 8 kB on the way, sessions under 6, the element with the client in it under 12", async (t) => {
  const sizes = { client: await sizeOf(script()), module: await sizeOf(module()), element: await sizeOf(element()) };
  const sessions = { script: await sizeOf(sessionsScript()), module: await sizeOf(sessionsModule()) };
  const media = { script: await sizeOf(mediaScript()), module: await sizeOf(mediaModule()) };
  t.diagnostic(JSON.stringify({ ...sizes, sessions, media }));
  assert.ok(media.script < 8_000 && media.module < 8_000);
  assert.ok(sizes.client < 8_000 && sizes.module < 8_000);
  assert.ok(sessions.script < 6_000 && sessions.module < 6_000);
  assert.ok(sizes.element < 12_000);
});

for (const [path, text] of Object.entries(FILES)) {
  test(`what the gateway serves is the newest: ${path.split("/").at(-1)} (npm run build)`, () => {
    assert.equal(readFileSync(new URL(path, new URL("../", import.meta.url)), "utf8"), text());
  });
}
