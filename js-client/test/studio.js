/** A provider that writes, draws, speaks and listens, and whose predictions take a while. */

import { createServer } from "node:http";

import { listening } from "./house.js";

// A picture of one pixel.
export const PNG = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
  "base64",
);
export const WAV = Buffer.from("RIFF$\0\0\0WAVEfmt ");

/**
 * OpenAI's endpoints below `/v1`, Replicate's predictions beside them: one prediction, which works until `done`.
 * `asked` has every request; while `holds` is set a text stops after its first word, and `left` happens when its
 * caller goes then.
 */
export async function startStudio(test) {
  const studio = { asked: [], holds: false, done: false };
  studio.left = new Promise((resolve) => (studio.onLeft = resolve));
  studio.cancelled = new Promise((resolve) => (studio.onCancelled = resolve));
  const server = createServer(async (request, response) => {
    const pieces = [];
    for await (const piece of request) pieces.push(piece);
    const body = Buffer.concat(pieces);
    const isJson = body.length && request.headers["content-type"]?.startsWith("application/json");
    const seen = { method: request.method, path: request.url, headers: request.headers, body: isJson ? JSON.parse(body) : body };
    studio.asked.push(seen);
    const [, answer] = ANSWERS.find(([path]) => path.test(request.url));
    answer(studio, seen, response);
  });
  const port = await listening(test, server);
  test.after(() => server.closeAllConnections());
  studio.origin = `http://127.0.0.1:${port}`;
  studio.url = `${studio.origin}/v1`;
  return studio;
}

const ANSWERS = [
  [/^\/v1\/chat\/completions$/, write],
  // https://platform.openai.com/docs/api-reference/images/object (read 2026-11-21)
  [/^\/v1\/images\//, (_studio, _seen, response) => json(response, { created: 1713833628, data: [{ b64_json: PNG.toString("base64") }], output_format: "png" })],
  [/^\/v1\/audio\/speech$/, (_studio, _seen, response) => response.writeHead(200, { "content-type": "audio/mpeg" }).end("ID3spoken")],
  [/^\/v1\/audio\/transcriptions$/, (_studio, _seen, response) => json(response, { text: "what was heard" })],
  [/^\/v1\/models$/, (_studio, _seen, response) => json(response, { object: "list", data: [{ id: "small", object: "model" }] })],
  [/^\/v1\/predictions\/p1\/file\.png$/, (_studio, _seen, response) => response.writeHead(200, { "content-type": "image/png" }).end(PNG)],
  [/predictions/, predict],
  [/./, (_studio, _seen, response) => json(response, {}, 404)],
];

function json(response, body, status = 200) {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

function write(studio, { body }, response) {
  const said = { id: "1", object: "chat.completion.chunk", created: 1, model: "small" };
  response.writeHead(200, { "content-type": "text/event-stream" });
  const tell = (delta, finish = null) => response.write(`data: ${JSON.stringify({ ...said, choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`);
  const words = body.messages.at(-1).content instanceof Array ? ["a caption"] : ["a red fox", " in the snow"];
  tell({ content: words[0] });
  if (studio.holds) return response.on("close", studio.onLeft);
  words.slice(1).forEach((content) => tell({ content }));
  tell({}, "stop");
  response.end("data: [DONE]\n\n");
}

/** As https://replicate.com/docs/reference/http tells it (read 2026-11-21). */
function predict(studio, { method, path }, response) {
  if (path.endsWith("/cancel")) studio.onCancelled();
  const place = `${studio.url}/predictions/p1`;
  const status = path.endsWith("/cancel") ? "canceled" : method === "POST" ? "starting" : studio.done ? "succeeded" : "processing";
  const logs = status === "processing" ? " 30%|###       | 3/10" : "";
  const output = status === "succeeded" ? [`${place}/file.png`] : null;
  json(response, { id: "p1", status, logs, output, urls: { get: place, cancel: `${place}/cancel` } }, method === "POST" ? 201 : 200);
}
