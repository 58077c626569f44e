import assert from "node:assert/strict";
import { test } from "node:test";

import { ChunkReader } from "../src/protocol.js";
import { frame, golden } from "./gateway.js";

test("any split of a stream means the same", () => {
  const text = `: ping\n\nevent: message\n${frame('\n"ü"')}${golden("stream_tools.sse")}`;
  const whole = new ChunkReader().feed(text);
  assert.equal(whole.map((chunk) => chunk.chunk).join(""), '\n"ü"Let me see.');
  for (let at = 0; at <= text.length; at++) {
    const reader = new ChunkReader();
    assert.deepEqual([...reader.feed(text.slice(0, at)), ...reader.feed(text.slice(at))], whole);
  }
});

test("[DONE] alone ends a stream, and nothing comes after the end", () => {
  const chunks = new ChunkReader().feed(frame("Hello") + "data: [DONE]\n\n" + frame("more"));
  assert.deepEqual(chunks.map((chunk) => [chunk.chunk, chunk.done]), [["Hello", false], ["", true]]);
});

test("a chunk that is no JSON ends the stream with an error", () => {
  const [chunk] = new ChunkReader().feed("data: {oops\n\n");
  assert.equal(chunk.done, true);
  assert.match(chunk.error, /cannot be read/);
});

test("a minimal chunk is enough", () => {
  const [chunk] = new ChunkReader().feed('data: {"chunk":"z"}\n\n');
  assert.deepEqual([chunk.chunk, chunk.done, chunk.error], ["z", false, null]);
});
