import assert from "node:assert/strict";
import { test } from "node:test";

import { ChunkReader, chatBody } from "../src/protocol.js";
import { refusal } from "../src/refusal.js";
import { EventReader } from "../src/sse.js";
import { frame, golden } from "./gateway.js";

const NOBODY = { componentId: "c", providerId: null, modelId: null };
const call = (index, more) => ({ tool_calls: [{ index, ...more }] });

test("any split of a stream means the same", () => {
  const text = `: ping\n\nid: tekton:1.1\nevent: message\n${frame('\n"ü"')}${golden("stream_tools.sse")}`;
  const whole = new EventReader().feed(text);
  assert.equal(whole[0].id, "tekton:1.1");
  assert.equal(JSON.parse(whole[0].data).chunk, '\n"ü"');
  assert.equal(whole.at(-1).data, "[DONE]");
  for (let at = 0; at <= text.length; at++) {
    const reader = new EventReader();
    assert.deepEqual([...reader.feed(text.slice(0, at)), ...reader.feed(text.slice(at))], whole);
  }
});

test("a minimal chunk is enough", () => {
  const chunk = new ChunkReader().read({ chunk: "z" });
  assert.deepEqual([chunk.chunk, chunk.done, chunk.error, chunk.toolCalls], ["z", false, null, []]);
});

test("a reply that breaks off ends in an error that keeps who said it", () => {
  const reader = new ChunkReader();
  reader.read({ chunk: "Hel", provider: "lab" });
  const last = reader.breakOff(Object.assign(new Error("cut"), { code: "unreachable" }));
  assert.deepEqual([last.chunk, last.done, last.error, last.code, last.provider], ["", true, "cut", "unreachable", "lab"]);
  assert.equal(reader.ended, true);
});

test("tool calls in pieces are whole in the last chunk", () => {
  const reader = new ChunkReader();
  reader.read(call(0, { id: "a", type: "function", function: { name: "f", arguments: '{"x":' } }));
  reader.read(call(0, { function: { arguments: "1}" } }));
  reader.read(call(1, { id: "b", type: "function", function: { name: "g", arguments: "{}" } }));
  const { toolCalls } = reader.read({ chunk: "", done: true });
  assert.deepEqual(toolCalls, [
    { id: "a", type: "function", function: { name: "f", arguments: '{"x":1}' } },
    { id: "b", type: "function", function: { name: "g", arguments: "{}" } },
  ]);
});

test("tools and what else is said beside the messages pass as they are", () => {
  const tools = [{ type: "function", function: { name: "f" } }];
  const body = chatBody(NOBODY, "q", { tools, toolChoice: "auto", reasoningEffort: "low", seed: 0 }, true);
  assert.deepEqual([body.tools, body.tool_choice, body.reasoning_effort], [tools, "auto", "low"]);
  assert.equal(body.options.seed, 0);
});

test("a refusal tells who was asked, and when to come again", () => {
  const headers = new Headers({
    "x-rhetor-attempts": "lab/small;connect_failed;2ms, ant/large;overloaded;31ms;hedged",
    "retry-after": "7",
  });
  const error = refusal(503, headers, '{"error":"nobody","code":"overloaded"}');
  assert.deepEqual(error.attempts, [
    { target: "lab/small", outcome: "connect_failed", ms: 2 },
    { target: "ant/large", outcome: "overloaded", ms: 31, how: "hedged" },
  ]);
  assert.equal(error.retryAfterS, 7);
});
