// Write a provider for the gateway in JavaScript: this one file is all that it needs.
//
//     import { Provider } from "rhetor-provider";
//
//     export default class Cow extends Provider {
//       async *stream(request) {
//         for (const word of request.text.split(" ")) yield `moo ${word} `;
//       }
//     }
//
// It runs in a process of its own and talks to the gateway over its standard input and output, as
// `provider-protocol.md` describes. What it prints goes to its log. Node.js 18 or newer, no dependencies.
// Types are in `rhetor-provider.d.mts`.

import { writeSync } from "node:fs";
import https from "node:https";
import net from "node:net";
import path from "node:path";
import tls from "node:tls";
import { fileURLToPath, pathToFileURL } from "node:url";

export const PROTOCOL = 1;
export const SDK = "rhetor-provider-javascript/1.0";
const METHODS = ["generate", "stream", "test_connection", "models"];
const PIECE_BYTES = 256 * 1024;
const PIECES = /[^]{1,100000}/gu; // of a text in one line, however they are written

// What a provider says. Texts may also be yielded as plain strings.

export const text = (said) => ({ event: "text", text: said });
export const thinking = (said, signature) => ({ event: "thinking", text: said, signature });
export const refusal = (said) => ({ event: "refusal", text: said });
/** The caller shall run one of its tools; `args` is an object, or JSON text. */
export const toolUse = (name, args = {}, id) => ({ event: "tool_use", name, arguments: args, id });
/** A picture, a recording, a film begins; more of it may follow as `data`. */
export const medium = (mediaType, bytes, prompt) => ({ event: "medium", media_type: mediaType, data: bytes, prompt });
/** More of the medium that was begun last. */
export const data = (bytes) => ({ event: "data", data: bytes });
export const link = (url, mediaType, prompt) => ({ event: "link", url, media_type: mediaType, prompt });
/** When something of a transcript was said; options: kind (`segment` or `word`), speaker, confidence. */
export const timed = (said, startS, endS, options = {}) => ({
  event: "timed", kind: "segment", text: said, start_s: startS, end_s: endS, ...options,
});
export const spoken = (language, durationS) => ({ event: "spoken", language, duration_s: durationS });
export const ranked = (index, score) => ({ event: "ranked", index, score });
/** The embedding of the next input. */
export const vector = (values) => ({ event: "vector", values: Array.from(values) });
export const progress = (fraction, note = "") => ({ event: "progress", fraction, note });
export const usage = (counts) => ({ event: "usage", ...counts });
export const finished = (reason = "stop") => ({ event: "finished", reason });

/** Thrown by a provider that cannot answer; the codes are those of `provider-protocol.md`. */
export class Failure extends Error {
  constructor(message, code = "upstream_error", retryAfterS) {
    super(message);
    this.code = code;
    this.retryAfterS = retryAfterS;
  }
}

/** Extend it, and write `stream`, `generate`, or both: each stands in for the other. */
export class Provider {
  /** Once, before the first question: load what takes long here. */
  async start() {}
  /** Say what works; throw a `Failure` if nothing does. */
  async testConnection() {
    return "loaded";
  }
  /** The models, as objects with an `id`, or ids; none where the manifest names them. */
  async models() {
    return [];
  }
}

// What a provider is asked.

export class Request {
  constructor(asked, streams, attached, signal) {
    this.id = asked.id;
    this.capability = asked.capability;
    this.model = asked.model;
    this.stream = streams;
    /** Aborted when nobody waits for the answer any more. */
    this.signal = signal;
    let at = 0;
    /** All content that came with it: `{mediaType, data, name}`. */
    this.media = (asked.attachments ?? []).map((entry) => {
      const bytes = attached.subarray(at, (at += entry.bytes));
      return { mediaType: entry.media_type, data: bytes, name: entry.name };
    });
    /** All that was said, by the names of provider-protocol.md; media where there is content. */
    this.input = this.#opened(asked.input);
  }

  #opened(value) {
    if (Array.isArray(value)) return value.map((each) => this.#opened(each));
    if (value === null || typeof value !== "object") return value;
    const keys = Object.keys(value);
    if (keys.length === 1 && keys[0] === "attachment") return this.media[value.attachment];
    if (keys.length === 1 && keys[0] === "url") return { url: value.url };
    const plain = (key) => key === "schema" || key === "extra";
    return Object.fromEntries(keys.map((key) => [key, plain(key) ? value[key] : this.#opened(value[key])]));
  }

  get messages() {
    return (this.input.messages ?? []).map((message) => ({
      ...message,
      text: message.parts.filter((part) => part.type === "text").map((part) => part.text).join(""),
    }));
  }

  /** What it is about: what the user said last, the prompt, the text to speak, or the query. */
  get text() {
    if (this.input.messages) return this.messages.filter((it) => it.role === "user").at(-1)?.text ?? "";
    const said = this.input.prompt ?? this.input.text ?? this.input.query;
    return said ?? (this.input.inputs ?? []).filter((it) => typeof it === "string").join("\n");
  }

  /** What was said under this name, also among what only some models understand. */
  option(name, otherwise) {
    return this.input[name] ?? this.input.extra?.[name] ?? otherwise;
  }
}

/** Serve the gateway until it hangs up; for a main file that is started by itself. */
export async function run(provider) {
  takeStdout();
  await serve(provider);
}

// From here on: the protocol.

const calls = new Map();
let windowBytes = 0;

class Call {
  constructor(number) {
    this.number = number;
    this.credit = windowBytes;
    this.abort = new AbortController();
    this.tools = 0;
    this.media = -1;
    this.vectors = 0;
    this.wake = () => {};
    this.aborted = new Promise((resolve) => this.abort.signal.addEventListener("abort", () => resolve(GONE)));
  }

  async send(said, bytes) {
    while (this.credit <= 0 && !this.abort.signal.aborted) await new Promise((resolve) => (this.wake = resolve));
    if (this.abort.signal.aborted) throw GONE;
    this.credit -= write({ call: this.number, ...said }, bytes);
  }
}

const GONE = Symbol("nobody waits for this call any more");

function write(said, bytes) {
  const head = bytes === undefined ? said : { ...said, bytes: bytes.length };
  // Half a character, as it is cut off at the end of a piece, is escaped, and is no text for anybody else.
  const json = JSON.stringify(head).replace(/\\\\|\\ud[89a-f][0-9a-f]{2}/g, (it) => (it === "\\\\" ? it : "\ufffd"));
  const line = Buffer.from(json + "\n");
  const whole = bytes === undefined ? line : Buffer.concat([line, bytes]);
  for (let at = 0; at < whole.length; ) {
    try {
      at += writeSync(1, whole, at);
    } catch (error) {
      if (error.code === "EPIPE") process.exit(0);
      if (error.code !== "EAGAIN") throw error;
    }
  }
  return whole.length;
}

async function serve(provider) {
  try {
    await tunnel();
    await provider.start?.();
  } catch (error) {
    broken("it does not start", error);
  }
  process.stdin.on("data", reader((said, attached) => hear(provider, said, attached)));
  process.stdin.on("end", leave);
  process.on("SIGTERM", leave);
}

function leave() {
  for (const call of calls.values()) call.abort.abort();
  setTimeout(() => process.exit(0), calls.size ? 1000 : 0);
}

function broken(what, error) {
  console.error(error);
  write({ event: "broken", message: `${what}: ${words(error)}` });
  process.exit(1);
}

/** Bytes in any pieces become frames. */
function reader(onFrame) {
  let pieces = [];
  let size = 0;
  let wanted = 0;
  return (piece) => {
    pieces.push(piece);
    size += piece.length;
    if (size < wanted || (!wanted && !piece.includes(10))) return;
    let held = pieces.length === 1 ? pieces[0] : Buffer.concat(pieces);
    for (;;) {
      const end = held.indexOf(10);
      if (end < 0) break;
      const said = JSON.parse(held.toString("utf8", 0, end));
      wanted = end + 1 + (said.bytes ?? 0);
      if (held.length < wanted) break;
      onFrame(said, held.subarray(end + 1, wanted));
      held = held.subarray(wanted);
      wanted = 0;
    }
    pieces = held.length ? [held] : [];
    size = held.length;
  };
}

function hear(provider, said, attached) {
  const call = calls.get(said.call);
  if (said.do === "hello") {
    windowBytes = said.window;
    write({ event: "hello", protocol: PROTOCOL, sdk: SDK, name: provider.constructor.name, methods: METHODS });
  } else if (said.do === "call") {
    answer(provider, new Call(said.call), said, attached);
  } else if (said.do === "more" && call) {
    call.credit += said.credit;
    call.wake();
  } else if (said.do === "cancel" && call) {
    call.abort.abort();
    call.wake();
  }
}

async function answer(provider, call, said, attached) {
  calls.set(call.number, call);
  let ending;
  try {
    ending = await answered(provider, call, said, attached);
  } catch (error) {
    ending = call.abort.signal.aborted ? { event: "cancelled" } : failed(error);
  }
  calls.delete(call.number);
  try {
    write({ call: call.number, ...ending });
  } catch (error) {
    write({ call: call.number, ...failed(error) });
  }
}

async function answered(provider, call, said, attached) {
  if (said.method === "test_connection") {
    const test = provider.testConnection ?? provider.test_connection;
    const message = await Promise.race([test.call(provider), call.aborted]);
    return { event: "result", value: { message: String(message ?? "it works") } };
  }
  if (said.method === "models") {
    const listed = await Promise.race([provider.models(), call.aborted]);
    const models = listed.map((model) => (typeof model === "string" ? { id: model } : model));
    return { event: "result", value: { models } };
  }
  const request = new Request(said.request, said.method === "stream", attached, call.abort.signal);
  const streams = provider.stream && (request.stream || !provider.generate);
  const method = streams ? provider.stream : provider.generate;
  if (!method) throw new Failure("the provider does not do this", "unsupported");
  return await tell(call, method.call(provider, request));
}

async function tell(call, told) {
  const result = await Promise.race([told, call.aborted]);
  if (result === GONE) throw GONE;
  const events = each(result);
  let ending = { event: "finished" };
  for (;;) {
    const next = await Promise.race([events.next(), call.aborted]);
    if (next === GONE) {
      Promise.resolve(events.return?.()).catch(() => {}); // once it comes to a place where it can be ended
      throw GONE;
    }
    if (next.done) return ending;
    for (const [said, bytes] of frames(call, next.value)) {
      if (said.event === "finished") ending = said;
      else await call.send(said, bytes);
    }
  }
}

function each(result) {
  if (result === undefined || result === null) return [].values();
  if (typeof result !== "string" && result[Symbol.asyncIterator]) return result[Symbol.asyncIterator]();
  if (typeof result !== "string" && result[Symbol.iterator]) return result[Symbol.iterator]();
  return [result].values();
}

/** An event as frames: what each says, and its bytes. */
function* frames(call, event) {
  if (typeof event === "string" || event?.event === "text") {
    const whole = typeof event === "string" ? event : String(event.text);
    for (const piece of whole.match(PIECES) ?? [""]) yield [{ event: "text", text: piece }];
  } else if (event?.event === "data") {
    for (let at = 0; at < event.data.length; at += PIECE_BYTES) {
      yield [{ event: "medium_delta", index: call.media }, Buffer.from(event.data.subarray(at, at + PIECE_BYTES))];
    }
  } else if (event?.event === "medium" || event?.event === "link") {
    call.media += 1;
    const { data: bytes, ...said } = event;
    yield [{ ...said, index: call.media }];
    if (bytes) yield* frames(call, data(bytes));
  } else if (event?.event === "tool_use") {
    const args = typeof event.arguments === "string" ? event.arguments : JSON.stringify(event.arguments);
    yield [{ ...event, index: call.tools, id: event.id ?? `call_${call.number}_${call.tools}`, arguments: args }];
    call.tools += 1;
  } else if (event?.event === "vector") {
    yield [{ ...event, index: call.vectors }];
    call.vectors += 1;
  } else if (typeof event?.event === "string") {
    yield [event];
  } else {
    throw new TypeError(`a provider tells events, not ${typeof event}`);
  }
}

function failed(error) {
  if (!(error instanceof Failure)) console.error(error);
  const code = error instanceof Failure ? error.code : "upstream_error";
  const message = error instanceof Failure ? error.message : words(error);
  return { event: "failed", message, code, retry_after_s: error?.retryAfterS };
}

const words = (error) => `${error?.name ?? "Error"}: ${error?.message ?? error}`.slice(0, 500);

/** Whatever is printed goes to the log; the protocol alone writes to standard output. */
function takeStdout() {
  Object.defineProperty(process, "stdout", { value: process.stderr, configurable: true });
  globalThis.console = new console.Console(process.stderr, process.stderr);
}

/** `https` and `fetch` go through the gateway's proxy, which newer versions of Node.js do by themselves. */
async function tunnel() {
  const proxy = process.env.HTTPS_PROXY && new URL(process.env.HTTPS_PROXY);
  if (!proxy || Number(process.versions.node.split(".")[0]) >= 24) return;
  const connect = (options, callback) => {
    const host = options.hostname ?? options.host;
    const socket = net.connect(Number(proxy.port), proxy.hostname);
    let head = "";
    const onData = (piece) => {
      head += piece.toString("latin1");
      if (!head.includes("\r\n\r\n")) return;
      socket.off("data", onData);
      if (!head.startsWith("HTTP/1.1 200")) {
        socket.destroy();
        callback(new Error(`the gateway refuses ${host}: ${head.split("\r\n\r\n")[1] || head.split("\r\n")[0]}`));
        return;
      }
      const servername = options.servername || (net.isIP(host) ? undefined : host);
      const secure = tls.connect({ ...options, socket, servername, ALPNProtocols: ["http/1.1"] });
      secure.once("secureConnect", () => callback(null, secure));
      secure.once("error", callback);
    };
    socket.on("data", onData);
    socket.once("error", callback);
    const place = `${host.includes(":") ? `[${host}]` : host}:${options.port || 443}`;
    socket.write(`CONNECT ${place} HTTP/1.1\r\nhost: ${place}\r\n\r\n`);
  };
  https.globalAgent.createConnection = (options, callback) => void connect(options, callback);
  const key = Symbol.for("undici.globalDispatcher.1");
  await fetch("data:,"); // makes the dispatcher
  const Agent = globalThis[key]?.constructor;
  if (Agent) globalThis[key] = new Agent({ connect });
}

async function main(file) {
  takeStdout();
  let provider;
  try {
    const module = await import(pathToFileURL(path.resolve(file)).href);
    const found = module.default ?? module.provider;
    if (found === undefined) throw new Failure("it has no default export");
    provider = typeof found === "function" ? new found() : found;
  } catch (error) {
    broken("its main file does not load", error);
  }
  await serve(provider);
}

if (process.argv[1] && path.resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  main(process.argv[2]); // not awaited: the main file imports this module
}
