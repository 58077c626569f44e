/** A gateway that says what a test wants it to say. */

import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";

/**
 * Starts a server that gives every request to `answer(request, response, body)`, remembers them, and is closed
 * with the test.
 */
export async function startGateway(test, answer) {
  const requests = [];
  const server = createServer(async (request, response) => {
    const pieces = [];
    for await (const piece of request) pieces.push(piece);
    const text = Buffer.concat(pieces).toString();
    const seen = { method: request.method, path: request.url, headers: request.headers, body: text && JSON.parse(text) };
    seen.left = once(response, "close");
    requests.push(seen);
    await answer(seen, response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  test.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${server.address().port}`, requests };
}

/** Answers with JSON. */
export function says(status, body, headers = {}) {
  return (_request, response) => {
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(JSON.stringify(body));
  };
}

/** Answers with a stream of these texts, each written on its own; `end: false` leaves it open. */
export function streams(texts, { end = true } = {}) {
  return (_request, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    for (const text of texts) response.write(text);
    if (end) response.end();
  };
}

/** What the gateway's own tests hold it to, to the byte. */
export function golden(name) {
  return readFileSync(new URL(`../../tests/golden/tekton/${name}`, import.meta.url), "utf8");
}

export const REPLY = JSON.parse(golden("chat_reply.json"));

/** One frame of a stream. */
export function frame(chunk, more = {}) {
  const said = { chunk, context_id: "comp", model: "m-def", provider: "anthropic", timestamp: REPLY.timestamp, done: false };
  return `data: ${JSON.stringify({ ...said, ...more })}\n\n`;
}

export const DONE = frame("", { done: true }) + "data: [DONE]\n\n";
