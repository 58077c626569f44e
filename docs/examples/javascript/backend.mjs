// A page's own server streams answers to it, and keeps the token to itself. When the page leaves, the provider stops.

import { createServer } from "node:http";
import { TektonLLMClient } from "tekton-llm-client";

const MOST_BYTES = 100_000; // of a question
const client = new TektonLLMClient({ componentId: "examples", authToken: process.env.RHETOR_AUTH_TOKEN });

const server = createServer(async (request, response) => {
  const left = new AbortController();
  response.once("close", () => left.abort());
  try {
    const question = await textOf(request);
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    for await (const { chunk, error } of client.stream(question, { signal: left.signal })) {
      const fits = response.write(`data: ${JSON.stringify({ chunk, error })}\n\n`);
      if (!fits) await drained(response, left.signal);
    }
    response.end();
  } catch (error) {
    if (left.signal.aborted) return;
    if (!response.headersSent) response.writeHead(error.status ?? 502, { "content-type": "text/event-stream" });
    response.end(`data: ${JSON.stringify({ chunk: "", error: error.message })}\n\n`);
  }
});

async function textOf(request) {
  const parts = [];
  let bytes = 0;
  for await (const part of request) {
    bytes += part.length;
    if (bytes > MOST_BYTES) throw Object.assign(new Error("the question is too long"), { status: 413 });
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
}

/** The page reads slowly, so the gateway is read slowly, too. */
function drained(response, signal) {
  return new Promise((resolve) => {
    response.once("drain", resolve);
    signal.addEventListener("abort", resolve, { once: true });
  });
}

await new Promise((ready) => server.listen(0, "127.0.0.1", ready));

// What the page would do:
const reply = await fetch(`http://127.0.0.1:${server.address().port}/`, { method: "POST", body: "Hello!" });
console.log(await reply.text());

server.close();
client.close();

// data: {"chunk":"This","error":null}
// data: {"chunk":" Hello!","error":null}
