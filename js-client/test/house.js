/** A real gateway in a process of its own, the provider behind it, and a network between it and us that can be cut. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const PYTHON = process.env.RHETOR_PYTHON ?? fileURLToPath(new URL("../../.venv/bin/python", import.meta.url));

/** Why the tests with a gateway cannot run here; false when they can. */
export const skip = !existsSync(PYTHON) && `there is no ${PYTHON}; make test installs it`;

/** Waits for a server to listen, and closes it with the test. */
export async function listening(test, server) {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  test.after(() => server.close());
  return server.address().port;
}

/**
 * A provider that speaks OpenAI's chat completions. `next(words, …holds)` is what the next request is told; after
 * so many words of it as each hold says it waits until `go()`. `asked` becomes the request, `left` happens when its
 * caller has gone before the end.
 */
export async function startProvider(test) {
  const plays = [];
  const server = createHttpServer(async (request, response) => {
    const pieces = [];
    for await (const piece of request) pieces.push(piece);
    const play = plays.shift() ?? playOf(["hello", " world"]);
    response.on("close", () => response.writableFinished || play.onLeft());
    const asked = JSON.parse(Buffer.concat(pieces));
    play.onAsked(asked);
    if (!asked.stream) {
      const message = { role: "assistant", content: play.words.join("") };
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify({ id: "1", created: 1, model: "small", choices: [{ index: 0, message, finish_reason: "stop" }] }));
      return;
    }
    response.writeHead(200, { "content-type": "text/event-stream" });
    const write = (delta, finish = null) => {
      const said = { id: "1", object: "chat.completion.chunk", created: 1, model: "small" };
      response.write(`data: ${JSON.stringify({ ...said, choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`);
    };
    response.flushHeaders();
    for (const [at, content] of play.words.entries()) {
      await play.held(at);
      write({ content });
    }
    await play.held(play.words.length);
    write({}, "stop");
    response.end("data: [DONE]\n\n");
  });
  const port = await listening(test, server);
  test.after(() => server.closeAllConnections());
  const next = (words, ...holds) => {
    const play = playOf(words, holds);
    plays.push(play);
    return play;
  };
  return { url: `http://127.0.0.1:${port}/v1`, next };
}

function playOf(words, holds = []) {
  const play = { words };
  const gates = holds.map((at) => {
    const gate = { at };
    gate.opened = new Promise((resolve) => (gate.open = resolve));
    return gate;
  });
  play.held = (at) => gates.find((gate) => gate.at === at)?.opened;
  play.go = () => holds.length && gates[gates.length - holds.length].open(holds.shift());
  play.asked = new Promise((resolve) => (play.onAsked = resolve));
  play.left = new Promise((resolve) => (play.onLeft = resolve));
  return play;
}

/**
 * `rhetor serve` with this provider as `lab`, and with further sections as they are given; `stop()` kills it, `start()`
 * starts it again at the same place.
 */
export async function startRhetor(test, provider, { token, ...sections } = {}) {
  const folder = mkdtempSync(join(tmpdir(), "rhetor-"));
  const gateway = {};
  test.after(async () => {
    await gateway.stop();
    rmSync(folder, { recursive: true });
  });
  const port = await freePort();
  const config = {
    server: { port, shutdown_grace_s: 1, ...(token && { tokens: { page: "env:PAGE_SECRET" } }) },
    discovery: { enabled: false, local: false },
    logs: { level: "warning" },
    store: { folder: join(folder, "state") },
    providers: { lab: { wire: "openai", base_url: provider.url, key: "env:LAB_SECRET" } },
    ...sections,
  };
  const path = join(folder, "rhetor.yaml");
  writeFileSync(path, JSON.stringify(config));
  gateway.folder = folder;
  gateway.url = `http://127.0.0.1:${port}`;
  gateway.start = async () => {
    const env = { PATH: "/usr/bin:/bin", LAB_SECRET: "s3cret", PAGE_SECRET: token ?? "" };
    const log = join(folder, "log"); // not our own output: the test runner reads that, and two must not share it
    const out = openSync(log, "a");
    const process = spawn(PYTHON, ["-m", "rhetor", "serve", "--config", path], { env, stdio: ["ignore", out, out] });
    closeSync(out);
    gateway.process = process;
    while (!(await fetch(`${gateway.url}/ready`).catch(() => null))?.ok) {
      if (process.exitCode !== null) throw new Error(`the gateway did not start: ${readFileSync(log, "utf8")}`);
      await new Promise((resolve) => setTimeout(resolve, 20)); // nothing tells us when another process listens
    }
  };
  gateway.stop = async () => {
    const { process } = gateway;
    if (process.exitCode !== null || process.signalCode !== null) return;
    process.kill("SIGKILL");
    await once(process, "exit");
  };
  await gateway.start();
  return gateway;
}

async function freePort() {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address();
  probe.close();
  await once(probe, "close");
  return port;
}

/**
 * A network on the way to this address. `cut()` ends every connection, `mute()` leaves them open and lets nothing
 * back; a connection whose first head matches `refuses` is answered with 403.
 */
export async function startNetwork(test, address, { refuses } = {}) {
  const { hostname, port } = new URL(address);
  const here = new Map();
  const heads = [];
  const network = { connections: 0, heads };
  const server = createServer((near) => {
    network.connections++;
    const far = connect(port, hostname);
    here.set(near, far);
    near.once("data", (first) => {
      const head = first.toString("latin1").split("\r\n\r\n")[0];
      heads.push(head);
      if (refuses?.test(head)) {
        near.end("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        far.destroy();
        return;
      }
      far.write(first);
      near.pipe(far);
      far.pipe(near);
    });
    for (const [one, other] of [[near, far], [far, near]]) {
      one.on("error", () => other.destroy());
      one.on("close", () => {
        here.delete(one);
        other.destroy();
      });
    }
  });
  network.url = `http://127.0.0.1:${await listening(test, server)}`;
  // A reset would be truer, but Node 20 spins at its exit over a socket that was reset while it wrote.
  network.cut = () => here.forEach((_, near) => near.destroy());
  network.mute = () => here.forEach((far, near) => far.unpipe(near));
  test.after(network.cut);
  return network;
}
