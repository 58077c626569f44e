import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { runInNewContext } from "node:vm";
import { gzipSync } from "node:zlib";

import { script } from "../build.js";

const built = script();

test("the script sets window.TektonLLMClient, with its error class", () => {
  const window = {};
  runInNewContext(built, { self: window });
  assert.equal(new window.TektonLLMClient({ rhetorUrl: "" }).componentId, "browser-client");
  assert.equal(window.TektonLLMClient.TektonLLMError.name, "TektonLLMError");
});

test("the script is also a CommonJS and an AMD module", () => {
  const module = { exports: {} };
  runInNewContext(built, { module });
  assert.equal(module.exports.name, "TektonLLMClient");

  let defined;
  const define = Object.assign((_names, factory) => (defined = factory()), { amd: {} });
  runInNewContext(built, { define });
  assert.equal(defined.name, "TektonLLMClient");
});

test("the script stays under 8 kB on the way", () => {
  assert.ok(gzipSync(built).length < 8_000);
});

test("the script that the gateway serves is the newest: npm run build", () => {
  const served = new URL("../../gateway/rhetor/http/console/tekton-llm-client.js", import.meta.url);
  assert.equal(readFileSync(served, "utf8"), built);
});
