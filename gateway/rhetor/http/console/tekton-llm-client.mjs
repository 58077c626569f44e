// tekton-llm-client: written by js-client/build.js from js-client/src; change it there.
/** Where the gateway is. */

function defaultUrl() {
  if (typeof window !== "undefined") return "/api/llm";
  return globalThis.process?.env.RHETOR_URL || "http://localhost:8003";
}

/** @typedef {{target: string, outcome: string, ms: number, how?: string}} Attempt whom the gateway asked, and how it went */

/**
 * What the gateway, or the way to it, refused. `message` is for people, in the gateway's own words where
 * it answered; `code` is stable: the gateway's, or one of "unreachable", "timeout", "protocol_error",
 * "generation_gone" and "not_json".
 */
class TektonLLMError extends Error {
  /**
   * @param {string} message
   * @param {{code?: string | null, status?: number | null, provider?: string | null, state?: string | null,
   *   requestId?: string | null, attempts?: Attempt[], retryAfterS?: number | null, cause?: unknown}} [about]
   */
  constructor(message, about = {}) {
    const { code, status, provider, state, requestId, attempts, retryAfterS, cause } = about;
    super(message, { cause });
    this.name = "TektonLLMError";
    this.code = code ?? null;
    /** The HTTP status; null when there was no answer, or none over HTTP. */
    this.status = status ?? null;
    /** Who failed, where it was not the gateway itself: a provider, or a session's backend. */
    this.provider = provider ?? null;
    /** The state of a session, which did not allow what was asked. */
    this.state = state ?? null;
    /** Under what name the gateway's log knows the request. */
    this.requestId = requestId ?? null;
    /** Whom the gateway asked before it gave up. */
    this.attempts = attempts ?? [];
    /** When it may be worth to ask again, where the gateway says so. */
    this.retryAfterS = retryAfterS ?? null;
  }
}

/** The connection is gone; whoever knows where the reply was may come back. */
class Lost extends TektonLLMError {
  /** @param {string} [message] @param {unknown} [cause] */
  constructor(message = "the gateway cannot be reached, or went away", cause) {
    super(message, { code: "unreachable", cause });
  }
}

/** What the gateway says when it refuses: read, and thrown. */


/** @import {Attempt} from "./errors.js" */

/**
 * The exception for an error reply.
 *
 * @param {number} status
 * @param {Headers} headers
 * @param {string} text
 */
function refusal(status, headers, text) {
  const reply = parsed(text) ?? {};
  // Where nothing is served, another dialect answers: its `error` is an object.
  const said = [reply.error, reply.error?.message, reply.detail, text.slice(0, 200)];
  const message = said.find((one) => typeof one === "string" && one !== "");
  const code = reply.code ?? reply.error?.code;
  return new TektonLLMError(message ?? `HTTP ${status} without a message`, {
    status,
    code: typeof code === "string" ? code : null,
    provider: reply.provider ?? null,
    state: reply.state ?? null,
    requestId: headers.get("x-request-id") ?? reply.request_id ?? null,
    attempts: attemptsOf(headers.get("x-rhetor-attempts") ?? ""),
    retryAfterS: Number(headers.get("retry-after")) || null,
  });
}

/**
 * @param {string} header such as "lab/small;connect_failed;2ms, offline/echo;ok;1ms"
 * @returns {Attempt[]}
 */
function attemptsOf(header) {
  const asked = header.split(", ").filter(Boolean);
  return asked.map((one) => {
    const [target, outcome, ms, how] = one.split(";");
    return { target, outcome, ms: parseInt(ms), ...(how && { how }) };
  });
}

/**
 * @param {string} text
 * @returns {any} an object, or null if the text is anything else
 */
function parsed(text) {
  try {
    const value = JSON.parse(text);
    return typeof value === "object" && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

/** Waiting that has an end. */


const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 4_000;

/**
 * How long to wait before a connection is made again that was lost so often.
 *
 * @param {number} losses
 */
function pauseMs(losses) {
  return Math.min(FIRST_PAUSE_MS * 2 ** (losses - 1), LONGEST_PAUSE_MS);
}

/** How long to wait for the next sign of life, and who else may end the waiting. */
class Patience {
  /**
   * @param {number} silenceS
   * @param {AbortSignal | undefined} caller
   */
  constructor(silenceS, caller) {
    this.silenceS = silenceS;
    this.caller = caller;
  }

  /**
   * Waits for one sign of life.
   *
   * @template T
   * @param {Promise<T>} sign
   * @param {number} [silenceS] Infinity: however long it takes
   * @returns {Promise<T>}
   * @throws {TektonLLMError} there was none; if the caller gave up, the caller's reason is thrown as it is
   */
  async during(sign, silenceS = this.silenceS) {
    const { caller } = this;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    let onAbort = () => {};
    const end = new Promise((_, reject) => {
      const message = `the gateway said nothing for ${silenceS} s`;
      const giveUp = () => reject(new TektonLLMError(message, { code: "timeout" }));
      if (silenceS < Infinity) timer = setTimeout(giveUp, silenceS * 1000);
      onAbort = () => reject(caller?.reason);
      if (caller?.aborted) onAbort();
      caller?.addEventListener("abort", onAbort);
    });
    try {
      return await Promise.race([sign, /** @type {Promise<never>} */ (end)]);
    } finally {
      clearTimeout(timer);
      caller?.removeEventListener("abort", onAbort);
    }
  }

  /**
   * Waits for so long, or until the network is back; a caller that gives up ends it.
   *
   * @param {number} ms
   */
  async pause(ms) {
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    let wake = () => {};
    const over = new Promise((resolve) => {
      wake = () => resolve(undefined);
      timer = setTimeout(wake, ms);
      globalThis.addEventListener?.("online", wake);
    });
    try {
      await this.during(over, Infinity); // nobody is asked, so nobody is silent
    } finally {
      clearTimeout(timer);
      globalThis.removeEventListener?.("online", wake);
    }
  }
}

/** Server-sent events: text in any pieces → what was sent. */


/** @import {Patience} from "./patience.js" */

/** @typedef {{id: string, name: string, data: string}} ServerEvent */

/** The gateway writes one line of data for each event, as its last; comments and other fields say nothing to us. */
class EventReader {
  #rest = "";
  #id = "";
  #name = "";

  /**
   * @param {string} text
   * @returns {ServerEvent[]}
   */
  feed(text) {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    /** @type {ServerEvent[]} */
    const events = [];
    for (const line of lines) {
      if (line.startsWith("id:")) this.#id = line.slice(3).trim();
      else if (line.startsWith("event:")) this.#name = line.slice(6).trim();
      else if (line.startsWith("data:")) {
        events.push({ id: this.#id, name: this.#name, data: line.slice(5).trim() });
        this.#name = "";
      }
    }
    return events;
  }
}

/** The events of a reply. Its body is read when one is asked for, so a reader that is slow makes the gateway wait. */
class EventStream {
  #reader = new EventReader();
  #utf8 = new TextDecoder();
  /** @type {ServerEvent[]} */
  #events = [];
  #body;

  /** @param {Response} response */
  constructor(response) {
    this.#body = response.body?.getReader();
  }

  /**
   * @param {Patience} patience whatever is read is a sign of life
   * @returns {Promise<ServerEvent>}
   * @throws {Lost} there are no more
   */
  async next(patience) {
    for (;;) {
      const event = this.#events.shift();
      if (event) return event;
      const read = await patience.during(this.#read());
      if (read.done) throw new Lost("the gateway closed the connection in the middle of its reply");
      this.#events = this.#reader.feed(this.#utf8.decode(read.value, { stream: true }));
    }
  }

  /** @returns {Promise<{done: boolean, value?: Uint8Array<ArrayBuffer>}>} */
  async #read() {
    if (!this.#body) return { done: true };
    return this.#body.read().catch((error) => {
      throw new Lost(undefined, error);
    });
  }
}

/** Calls of the gateway over HTTP. */


/** @import {Patience} from "./patience.js" */

/**
 * @typedef {object} Call
 * @property {string} [method] GET, or POST where there is a body, unless said
 * @property {unknown} [body] sent as JSON
 * @property {Blob} [data] sent as it is, instead of a body
 * @property {Record<string, string>} [headers]
 */

class Calls {
  /**
   * @param {string} url
   * @param {() => string | null} token
   */
  constructor(url, token) {
    this.url = url;
    this.token = token;
  }

  /**
   * The text of an answer.
   *
   * @param {string} path
   * @param {Patience} patience
   * @param {Call} [call]
   * @throws {TektonLLMError} refused, or not reached; then what was asked is given up
   */
  async ask(path, patience, call) {
    const giveUp = new AbortController();
    try {
      const response = await patience.during(this.send(path, giveUp.signal, call));
      return await patience.during(textOf(response));
    } finally {
      giveUp.abort();
    }
  }

  /**
   * An answer of which nothing was read yet.
   *
   * @param {string} path
   * @param {AbortSignal} signal
   * @param {Call} [call]
   * @throws {TektonLLMError} refused, or not reached
   */
  async send(path, signal, { body, data, method = body === undefined && !data ? "GET" : "POST", headers } = {}) {
    const json = body !== undefined && { "content-type": "application/json" };
    const init = { method, signal, headers: { ...this.headers(), ...json, ...headers }, body: json ? JSON.stringify(body) : data };
    const response = await fetch(this.url + path, init).catch((error) => {
      throw new Lost(undefined, error);
    });
    if (response.ok) return response;
    throw refusal(response.status, response.headers, await textOf(response));
  }

  /** @returns {Record<string, string>} */
  headers() {
    const token = this.token();
    return token ? { authorization: `Bearer ${token}` } : {};
  }
}

/** @param {Response} response */
function textOf(response) {
  return response.text().catch((error) => {
    throw new Lost(undefined, error);
  });
}

/** What it takes to open a WebSocket to the gateway. */


/** @import {Calls} from "./calls.js" */
/** @import {Patience} from "./patience.js" */

const TICKET_PATH = "/api/v1/ws-ticket";

/** @param {string} url */
function socketUrl(url) {
  return new URL(url, globalThis.location?.href).href.replace(/^http/, "ws");
}

/**
 * What a WebSocket says who it is with: a page cannot send headers there, and a URL is no place for a secret.
 *
 * @param {Calls} calls
 * @param {Patience} patience
 * @returns {Promise<string[] | undefined>}
 * @throws {TektonLLMError} there are no tickets here
 */
async function ticketOf(calls, patience) {
  if (!calls.token()) return undefined;
  const ticket = JSON.parse(await calls.ask(TICKET_PATH, patience, { body: {} }));
  if (!Array.isArray(ticket.protocols)) throw new Lost("this gateway has no tickets for WebSockets");
  return ticket.protocols;
}

/** What client and gateway say to each other, without any I/O. */


/** @import {Attempt} from "./errors.js" */

/**
 * A message; tools and images are said as OpenAI's chat completions say them.
 *
 * @typedef {object} Message
 * @property {"system" | "user" | "assistant" | "tool"} role
 * @property {string | null | Record<string, unknown>[]} [content]
 * @property {ToolCall[]} [tool_calls]
 * @property {string} [tool_call_id]
 */

/** @typedef {{id: string, type: "function", function: {name: string, arguments: string}}} ToolCall */

/**
 * @typedef {object} RequestOptions
 * @property {string} [systemPrompt]
 * @property {string | null} [providerId]
 * @property {string | null} [modelId]
 * @property {string} [contextId] a tag for the gateway's books; the component's name if absent
 * @property {number} [temperature]
 * @property {number} [maxTokens]
 * @property {string[]} [stopSequences]
 * @property {number} [topP]
 * @property {number} [topK]
 * @property {number} [presencePenalty]
 * @property {number} [frequencyPenalty]
 * @property {number} [seed]
 * @property {string} [fallbackProvider]
 * @property {string} [fallbackModel]
 * @property {Record<string, unknown>[]} [tools] functions that the model may call, as OpenAI describes them
 * @property {string | Record<string, unknown>} [toolChoice]
 * @property {boolean} [parallelToolCalls]
 * @property {Record<string, unknown>} [responseFormat]
 * @property {string} [reasoningEffort]
 * @property {string} [task] what it is about; the gateway's rules may choose the model by it
 * @property {Record<string, unknown>} [requirements] what the model must be able to do, and may cost
 * @property {number} [timeout] seconds of silence after which the gateway counts as stuck
 * @property {number} [resumeS] for so many seconds a streamed reply waits for us when the connection is lost;
 *   0: it does not
 * @property {AbortSignal} [signal] stops the request, at the gateway and at its provider, too
 */

/**
 * Both spellings, since callers of both are about.
 *
 * @typedef {{prompt_tokens: number, completion_tokens: number, total_tokens: number,
 *   promptTokens: number, completionTokens: number, totalTokens: number}} Usage
 */

/**
 * What is said of a reply beside its text.
 *
 * @typedef {object} About
 * @property {string} contextId
 * @property {string} model
 * @property {string} provider
 * @property {string} timestamp
 * @property {string | null} thinking
 * @property {ToolCall[]} toolCalls
 * @property {string | null} finishReason
 * @property {Usage | null} usage
 * @property {boolean} fallback whether another one answered than was to be asked first
 * @property {Attempt[]} attempts
 * @property {number | null} costMicros millionths of a dollar, where the price is known
 * @property {string | null} generationId
 * @property {Record<string, unknown> | null} meta all that the gateway says of it, in its own words
 */

/** @typedef {About & {content: string}} CompletionResponse */

/**
 * A piece of a reply. The last one has `done` set, and either `error` or what else only the end can tell.
 *
 * @typedef {About & {chunk: string, done: boolean, error: string | null, code: string | null}} Chunk
 */

/**
 * @typedef {object} AvailableProviders
 * @property {Record<string, {name: string, available: boolean, default_model?: string,
 *   models: {id: string, name: string, context_length?: number, capabilities?: string[]}[]}>} providers
 * @property {string} default_provider
 * @property {string} default_model
 */

/** @typedef {{componentId: string, providerId: string | null, modelId: string | null}} Caller */

const CHAT_PATH = "/api/v1/chat";
const STREAM_PATH = "/api/v1/chat/stream";
const PROVIDERS_PATH = "/api/v1/providers";
const GENERATIONS_PATH = "/v1/generations/";
const ID_HEADER = "x-rhetor-generation-id";

const DEFAULT_TEMPERATURE = 0.7;

/** How our options are called on the way, those that stand under `options` there; the others are about the call. */
const SETTINGS = /** @type {const} */ ({
  temperature: "temperature",
  maxTokens: "max_tokens",
  stopSequences: "stop",
  topP: "top_p",
  topK: "top_k",
  presencePenalty: "presence_penalty",
  frequencyPenalty: "frequency_penalty",
  seed: "seed",
  fallbackProvider: "fallback_provider",
  fallbackModel: "fallback_model",
});

/** And those that stand beside the messages. */
const BESIDE = /** @type {const} */ ({
  systemPrompt: "system_prompt",
  tools: "tools",
  toolChoice: "tool_choice",
  parallelToolCalls: "parallel_tool_calls",
  responseFormat: "response_format",
  reasoningEffort: "reasoning_effort",
  task: "task",
  requirements: "requirements",
});

/**
 * The body of a request. What is undefined or null is left out; 0 is not.
 *
 * @param {Caller} caller
 * @param {string | Message[]} prompt
 * @param {RequestOptions} options
 * @param {boolean} streaming
 * @returns {Record<string, unknown>}
 */
function chatBody(caller, prompt, options, streaming) {
  return {
    messages: typeof prompt === "string" ? [{ role: "user", content: prompt }] : prompt,
    component_id: caller.componentId,
    context_id: options.contextId ?? caller.componentId,
    provider_id: options.providerId ?? caller.providerId ?? undefined,
    model_id: options.modelId ?? caller.modelId ?? undefined,
    ...said(options, BESIDE),
    streaming,
    options: { temperature: DEFAULT_TEMPERATURE, ...said(options, SETTINGS) },
  };
}

/**
 * @param {RequestOptions} options
 * @param {Record<string, string>} names
 */
function said(options, names) {
  const values = /** @type {Record<string, unknown>} */ (options);
  const pairs = Object.entries(names).map(([ours, theirs]) => [theirs, values[ours]]);
  return Object.fromEntries(pairs.filter(([, value]) => value != null));
}

/**
 * @param {string} text
 * @returns {CompletionResponse}
 * @throws {TektonLLMError} the text is not a reply
 */
function readReply(text) {
  const reply = parsed(text);
  if (typeof reply?.content !== "string") {
    throw new TektonLLMError("the gateway's answer is not a reply", { code: "protocol_error" });
  }
  return { content: reply.content, ...about(reply) };
}

/**
 * @param {string} text
 * @returns {AvailableProviders}
 * @throws {TektonLLMError} the text is not a list of providers
 */
function readProviders(text) {
  const list = parsed(text);
  if (typeof list?.providers !== "object") {
    throw new TektonLLMError("the gateway's answer is not a list of providers", { code: "protocol_error" });
  }
  return list;
}

/** A streamed reply's frames → chunks; exactly one of them, the last, has `done` set. */
class ChunkReader {
  #last = readChunk({});
  /** @type {ToolCall[]} */
  #calls = [];
  ended = false;
  begun = false;

  /**
   * @param {any} frame
   * @returns {Chunk}
   */
  read(frame) {
    const chunk = readChunk(frame);
    this.#collect(chunk.toolCalls);
    chunk.toolCalls = chunk.done ? this.#calls : [];
    this.#last = chunk;
    this.begun = true;
    this.ended = chunk.done;
    return chunk;
  }

  /**
   * The reply's end when nothing more can come, for this reason.
   *
   * @param {Error & {code?: string | null, attempts?: Attempt[]}} reason
   * @returns {Chunk}
   */
  breakOff({ message, code = null, attempts = [] }) {
    this.ended = true;
    return { ...this.#last, chunk: "", thinking: null, done: true, error: message, code, attempts };
  }

  /**
   * Large calls come in pieces before the last chunk: pieces of one call share its index.
   *
   * @param {(ToolCall & {index?: number})[]} calls
   */
  #collect(calls) {
    for (const { index = this.#calls.length, ...call } of calls) {
      const begun = this.#calls[index];
      if (begun) begun.function.arguments += call.function.arguments;
      else this.#calls[index] = call;
    }
  }
}

/**
 * @param {any} frame
 * @returns {Chunk}
 */
function readChunk(frame) {
  const error = frame.error ?? null;
  const done = frame.done === true || error !== null;
  return { chunk: frame.chunk ?? "", ...about(frame), done, error, code: frame.code ?? null };
}

/**
 * @param {any} reply a whole one, or a frame of one
 * @returns {About}
 */
function about(reply) {
  const meta = reply.meta ?? null;
  return {
    contextId: reply.context_id ?? "",
    model: reply.model ?? "",
    provider: reply.provider ?? "",
    timestamp: reply.timestamp ?? "",
    thinking: reply.thinking ?? null,
    toolCalls: reply.tool_calls ?? [],
    finishReason: reply.finish_reason ?? null,
    usage: reply.usage ? usageOf(reply.usage) : null,
    fallback: reply.fallback === true,
    attempts: meta?.attempts ?? [],
    costMicros: meta?.cost_micros ?? null,
    generationId: meta?.generation_id ?? reply.generation_id ?? null,
    meta,
  };
}

/** @param {{prompt_tokens: number, completion_tokens: number, total_tokens: number}} usage */
function usageOf(usage) {
  const { prompt_tokens: promptTokens, completion_tokens: completionTokens, total_tokens: totalTokens } = usage;
  return { ...usage, promptTokens, completionTokens, totalTokens };
}

/** The way over WebSocket: one connection for all requests of a client, opened when it is needed. */


/** @import {Frame, Line, Place} from "./generation.js" */
/** @import {Patience} from "./patience.js" */

const OPEN_WITHIN_MS = 3_000; // a proxy may swallow the upgrade; over HTTP we would have an answer by then
const LOOK_MS = 10_000; // a connection that says nothing for so long is asked whether it is still there
// What may wait for a slow reader, in characters. Longer than nearly all replies, and little for a page.
const MOST_WAITING = 1 << 20;
// In Node an open connection keeps the process alive, so there it ends with its last request.
const IDLE_MS = typeof document === "undefined" ? 0 : 30_000;

/** The connection could not be opened: over HTTP it may go. */
class CannotOpen extends Lost {}

class Socket {
  /** @type {Map<string, FrameLine>} */
  #lines = new Map();
  /** @type {Promise<WebSocket> | null} */
  #opening = null;
  /** @type {WebSocket | null} */
  #socket = null;
  #requests = 0;
  #pinged = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #idle;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #looking;
  #make;
  #protocols;
  #componentId;
  #lookMs;

  /**
   * @param {(protocols: string[] | undefined) => WebSocket} make
   * @param {() => Promise<string[] | undefined>} protocols asked for anew for each connection
   * @param {string} componentId
   * @param {number} [lookMs]
   */
  constructor(make, protocols, componentId, lookMs = LOOK_MS) {
    this.#make = make;
    this.#protocols = protocols;
    this.#componentId = componentId;
    this.#lookMs = lookMs;
  }

  /**
   * Begins a streamed reply, or goes on after a place in one.
   *
   * @param {Record<string, unknown>} body
   * @param {Place | null} place
   * @param {Patience} patience
   * @returns {Promise<Line>}
   * @throws {CannotOpen}
   */
  async open(body, place, patience) {
    const socket = await patience.during(this.#connected());
    const requestId = `${this.#componentId}_${++this.#requests}`;
    const line = new FrameLine((cancelled) => this.#leave(socket, requestId, cancelled));
    this.#lines.set(requestId, line);
    clearTimeout(this.#idle);
    this.#looking ??= setInterval(() => this.#look(socket), this.#lookMs);
    const resume = place && { generation_id: place.generationId, last_event_id: place.eventId };
    socket.send(
      JSON.stringify({ type: resume ? "RESUME" : "CHAT_STREAM", request_id: requestId, ...(resume ?? body) }),
    );
    return line;
  }

  close() {
    const socket = this.#socket;
    if (socket) this.#lose(socket);
    socket?.close();
  }

  #connected() {
    this.#opening ??= this.#dial();
    return this.#opening;
  }

  async #dial() {
    try {
      const protocols = await this.#protocols();
      return await new Promise((resolve, reject) => {
        const socket = this.#make(protocols);
        const onEnd = () => {
          clearTimeout(timer);
          reject(new CannotOpen());
          this.#lose(socket);
        };
        const timer = setTimeout(() => {
          onEnd();
          socket.close();
        }, OPEN_WITHIN_MS);
        socket.onopen = () => {
          clearTimeout(timer);
          socket.send(JSON.stringify({ type: "REGISTER", component_id: this.#componentId, capabilities: ["chat", "stream"] }));
          this.#socket = socket;
          resolve(socket);
        };
        socket.onmessage = ({ data }) => this.#hear(data);
        socket.onerror = socket.onclose = onEnd; // Node 20 tells of a refused upgrade by an error only
      });
    } catch (error) {
      this.#opening = null;
      throw error instanceof CannotOpen ? error : new CannotOpen(undefined, error);
    }
  }

  /** @param {string} data */
  #hear(data) {
    this.#pinged = false;
    const said = parsed(data);
    if (said?.type === "PING") this.#socket?.send('{"type":"PONG"}');
    this.#lines.get(said?.request_id)?.put(said, data.length);
  }

  /**
   * A network that is cut says nothing, so we ask. Timers of hidden pages are late: only what was asked and not
   * answered counts.
   *
   * @param {WebSocket} socket
   */
  #look(socket) {
    if (this.#pinged) {
      this.#lose(socket);
      socket.close();
    } else {
      this.#pinged = true;
      socket.send('{"type":"PING"}');
    }
  }

  /** @param {WebSocket} socket */
  #lose(socket) {
    if (this.#socket !== socket) return;
    this.#socket = this.#opening = null;
    this.#rest();
    const lost = [...this.#lines.values()];
    this.#lines.clear();
    for (const line of lost) line.lose();
  }

  /**
   * @param {WebSocket} socket
   * @param {string} requestId
   * @param {boolean} cancelled
   * @returns {boolean} whether the gateway is told so
   */
  #leave(socket, requestId, cancelled) {
    const told = cancelled && this.#socket === socket;
    if (told) socket.send(JSON.stringify({ type: "CANCEL", request_id: requestId }));
    if (this.#lines.delete(requestId) && !this.#lines.size) {
      this.#rest();
      this.#idle = setTimeout(() => this.close(), IDLE_MS);
    }
    return told;
  }

  #rest() {
    clearTimeout(this.#idle);
    clearInterval(this.#looking);
    this.#looking = undefined;
    this.#pinged = false;
  }
}

/**
 * The frames of one reply. A WebSocket cannot be made to wait; so when too much waits here, what comes then is
 * left to the gateway's recording, and the line counts as lost once the rest is read.
 *
 * @implements {Line}
 */
class FrameLine {
  /** @type {{said: any, size: number}[]} */
  #waiting = [];
  #size = 0;
  #over = false;
  #wake = () => {};
  #leave;

  /** @type {Place | null} */
  place = null;

  /** @param {(cancelled: boolean) => boolean} leave */
  constructor(leave) {
    this.#leave = leave;
  }

  /** @param {any} said @param {number} size */
  put(said, size) {
    if (this.#over) return;
    this.#waiting.push({ said, size });
    this.#size += size;
    if (this.#size > MOST_WAITING) this.lose();
    this.#wake();
  }

  lose() {
    this.#over = true;
    this.#wake();
  }

  /**
   * @param {Patience} patience
   * @returns {Promise<Frame>}
   */
  async take(patience) {
    while (!this.#waiting.length) {
      if (this.#over) throw new Lost();
      await patience.during(new Promise((resolve) => (this.#wake = () => resolve(undefined))));
    }
    const { said, size } = /** @type {{said: any, size: number}} */ (this.#waiting.shift());
    this.#size -= size;
    if (said.type === "ERROR") throw new TektonLLMError(said.error, { code: said.code });
    return { said, place: placeOf(said) };
  }

  drop() {
    this.#leave(false);
  }

  cancel() {
    return this.#leave(true);
  }
}

/**
 * @param {any} said
 * @returns {Place | null}
 */
function placeOf({ generation_id: generationId, event_id: eventId }) {
  return eventId ? { way: "websocket", generationId, eventId } : null;
}

/** A streamed reply that survives the network: where it was, and how to come back there. */


/** @import {Http} from "./http.js" */
/** @import {Patience} from "./patience.js" */
/** @import {Chunk} from "./protocol.js" */
/** @import {Socket} from "./socket.js" */

/** @typedef {"websocket" | "sse"} Way */
/** @typedef {{way: Way, generationId: string, eventId: string}} Place after which event of which generation; ids count on one way only */
/** @typedef {{said: any, place: Place | null}} Frame */

/**
 * A reply as it comes, over one connection.
 *
 * @typedef {object} Line
 * @property {Place | null} place where it begins, if that is known before any frame
 * @property {(patience: Patience) => Promise<Frame>} take the next frame; Lost when there will be none
 * @property {() => void} drop hear no more of it, without telling anybody
 * @property {() => boolean} cancel hear no more of it; whether that ends the generation
 */

const LARGEST_FRAME = 1 << 18; // characters; the gateway takes 1 MiB unless its operator says otherwise
const TRIES = 3; // for a reply of which nothing was heard: somebody waits to be told that there is no gateway

/** The ways to the gateway, and which of them works here. */
class Ways {
  /**
   * @param {Http} http
   * @param {Socket | null} socket
   * @param {boolean} only the socket, and nothing else
   * @param {(...said: unknown[]) => void} note
   */
  constructor(http, socket, only, note) {
    this.http = http;
    this.socket = socket;
    this.only = only;
    this.note = note;
  }

  /**
   * WebSocket first. Where that cannot be opened while the same goes over HTTP, it is not tried again.
   *
   * @param {Record<string, unknown>} body
   * @param {Place | null} place
   * @param {Patience} patience
   * @returns {Promise<Line>}
   */
  async open(body, place, patience) {
    const large = !place && JSON.stringify(body).length > LARGEST_FRAME;
    const socket = large || place?.way === "sse" ? null : this.socket;
    if (socket) {
      try {
        return await socket.open(body, place, patience);
      } catch (error) {
        if (place || this.only || !(error instanceof CannotOpen)) throw error;
      }
    }
    const line = await this.http.open(body, place, patience);
    if (socket) {
      this.note("no WebSocket here, using server-sent events");
      this.socket = null;
    }
    return line;
  }
}

/**
 * The chunks of a reply. What goes wrong before the first is thrown, afterwards it is the last chunk. Whoever
 * leaves early ends the generation.
 *
 * @param {Ways} ways
 * @param {Record<string, unknown>} body
 * @param {Patience} patience
 * @returns {AsyncGenerator<Chunk, void, void>}
 */
async function* generation(ways, body, patience) {
  const reader = new ChunkReader();
  const connection = new Connection(ways, body, patience);
  try {
    while (!reader.ended) yield await next(reader, connection, patience);
  } finally {
    connection.close(reader.ended);
  }
}

/**
 * @param {ChunkReader} reader
 * @param {Connection} connection
 * @param {Patience} patience
 */
async function next(reader, connection, patience) {
  const begun = reader.begun;
  try {
    const chunk = reader.read(await connection.take(begun));
    if (begun || chunk.error === null) return chunk;
    throw new TektonLLMError(chunk.error, chunk);
  } catch (error) {
    if (!begun || patience.caller?.aborted || !(error instanceof TektonLLMError)) throw error;
    return reader.breakOff(error);
  }
}

/** One generation's line to the gateway, made anew when it is lost. */
class Connection {
  /** @type {Line | null} */
  #line = null;
  /** @type {Place | null} */
  #place = null;
  #lostAt = 0;
  #losses = 0;
  #ways;
  #body;
  #patience;

  /**
   * @param {Ways} ways
   * @param {Record<string, unknown>} body
   * @param {Patience} patience
   */
  constructor(ways, body, patience) {
    this.#ways = ways;
    this.#body = body;
    this.#patience = patience;
  }

  /**
   * The next frame, however often the connection has to be made for it.
   *
   * @param {boolean} begun whether anything was heard
   */
  async take(begun) {
    for (;;) {
      try {
        this.#line ??= await this.#open();
        const { said, place } = await this.#line.take(this.#patience);
        this.#place = place ?? this.#place;
        this.#losses = 0;
        return said;
      } catch (error) {
        await this.#comeBack(/** @type {TektonLLMError} */ (error), begun);
      }
    }
  }

  /** @param {boolean} ended whether the reply has come to its end */
  close(ended) {
    if (ended) this.#line?.drop();
    else if (!this.#line?.cancel() && this.#place) this.#ways.http.end(this.#place.generationId);
  }

  async #open() {
    const line = await this.#ways.open(this.#body, this.#place, this.#patience);
    this.#place ??= line.place;
    return line;
  }

  /**
   * Waits a little, if what was lost can be found again.
   *
   * @param {TektonLLMError} error
   * @param {boolean} begun
   * @throws {TektonLLMError} it cannot
   */
  async #comeBack(error, begun) {
    const stopping = !begun && error?.code === "shutting_down"; // somebody else may listen there soon
    if (!(error instanceof Lost || stopping)) throw this.#losses && this.#place ? gone(error) : error;
    this.#line?.drop();
    this.#line = null;
    if (!this.#losses++) this.#lostAt = Date.now();
    const resumeS = Number(this.#body.resume_s ?? 0);
    const hopeless = this.#place
      ? Date.now() - this.#lostAt > resumeS * 1000 // the gateway has given it up by now
      : begun || this.#losses > TRIES;
    if (hopeless) throw error;
    this.#ways.note("connection lost, coming back", this.#place ?? "to ask again");
    await this.#patience.pause(pauseMs(this.#losses));
  }
}

/** @param {TektonLLMError} error */
function gone(error) {
  if (error.code !== "not_found" && error.status !== 404) return error;
  const message = "the connection was lost, and the gateway does not have this generation any more";
  return new TektonLLMError(message, { code: "generation_gone", status: error.status, cause: error });
}

/** The way over HTTP: requests, and streamed replies as server-sent events that can be left and found again. */


/** @import {Frame, Line, Place} from "./generation.js" */
/** @import {Patience} from "./patience.js" */

// A caller that stops before the gateway has answered waits so long for the id of what is to be stopped. The
// gateway says something at least every 10 s unless its operator says otherwise.
const ID_WITHIN_MS = 15_000;

class Http extends Calls {
  /**
   * Begins a streamed reply, or goes on after a place in one.
   *
   * @param {Record<string, unknown>} body
   * @param {Place | null} place
   * @param {Patience} patience
   * @returns {Promise<Line>}
   */
  async open(body, place, patience) {
    const giveUp = new AbortController();
    const asked = place
      ? this.send(`${GENERATIONS_PATH}${place.generationId}/events?dialect=tekton`, giveUp.signal, {
          headers: place.eventId ? { "last-event-id": place.eventId } : {},
        })
      : this.send(STREAM_PATH, giveUp.signal, { body });
    try {
      const response = await patience.during(asked);
      return new EventLine(response, giveUp, Boolean(body.resume_s));
    } catch (error) {
      if (patience.caller?.aborted && !place && body.resume_s) this.#endWhenKnown(asked, giveUp);
      else giveUp.abort();
      throw error;
    }
  }

  /**
   * Ends a generation that nobody wants any more, and its call to the provider.
   *
   * @param {string} generationId
   */
  end(generationId) {
    const init = { method: "DELETE", headers: this.headers(), keepalive: true };
    fetch(this.url + GENERATIONS_PATH + generationId, init).catch(() => {}); // it ends by itself soon
  }

  /**
   * @param {Promise<Response>} asked
   * @param {AbortController} giveUp
   */
  async #endWhenKnown(asked, giveUp) {
    const timer = setTimeout(() => giveUp.abort(), ID_WITHIN_MS);
    try {
      const id = (await asked).headers.get(ID_HEADER);
      if (id) this.end(id);
    } catch {
      // It was refused, or never answered: there is nothing to be ended.
    } finally {
      clearTimeout(timer);
      giveUp.abort();
    }
  }
}

/**
 * The frames of a reply as server-sent events.
 *
 * @implements {Line}
 */
class EventLine {
  #events;
  #giveUp;
  #place;

  /**
   * @param {Response} response
   * @param {AbortController} giveUp
   * @param {boolean} recorded
   */
  constructor(response, giveUp, recorded) {
    this.#events = new EventStream(response);
    this.#giveUp = giveUp;
    const generationId = response.headers.get(ID_HEADER);
    /** @type {Place | null} */
    this.#place = recorded && generationId ? { way: "sse", generationId, eventId: "" } : null;
  }

  /** Where it begins. */
  get place() {
    return this.#place;
  }

  /**
   * @param {Patience} patience
   * @returns {Promise<Frame>}
   */
  async take(patience) {
    return this.#frame(await this.#events.next(patience));
  }

  drop() {
    this.#giveUp.abort();
  }

  /** It is not the connection that ends a recorded generation. */
  cancel() {
    this.#giveUp.abort();
    return this.#place === null;
  }

  /**
   * @param {{id: string, data: string}} event
   * @returns {Frame}
   */
  #frame({ id, data }) {
    const said = data === "[DONE]" ? { done: true } : parsed(data);
    if (said === null) throw new TektonLLMError("the gateway's chunk cannot be read", { code: "protocol_error" });
    return { said, place: this.#place && id ? { ...this.#place, eventId: id } : this.#place };
  }
}

/** The client: one object for each component. */


/** @import {AvailableProviders, Chunk, CompletionResponse, Message, RequestOptions} from "./protocol.js" */

/**
 * @typedef {object} ClientOptions
 * @property {string} [componentId] who asks; a name for the gateway's books, and the default `contextId`
 * @property {string} [rhetorUrl] where the gateway is, a path prefix included; in a page "/api/llm", in Node
 *   RHETOR_URL or http://localhost:8003
 * @property {string} [rhetorWsUrl] where its WebSocket is; `rhetorUrl` with "/ws" unless said
 * @property {string | null} [providerId] who shall answer; else the gateway chooses
 * @property {string | null} [modelId]
 * @property {number} [timeout] seconds of silence after which the gateway counts as stuck; a streamed reply
 *   may take as long as it keeps coming
 * @property {string | null} [authToken] for a gateway that wants one
 * @property {"auto" | "websocket" | "sse"} [transport] how replies stream; "auto" is WebSocket where there is one
 *   and it can be opened, else server-sent events
 * @property {new (url: string, protocols?: string[]) => WebSocket} [WebSocket] for a Node without its own
 * @property {boolean} [debug] tell the console how the gateway is reached
 */

/**
 * @typedef {object} Callbacks
 * @property {(text: string) => void} [onComplete] told the whole text once the reply is complete
 * @property {(error: Error) => void} [onError] told what went wrong before the first chunk; without it the
 *   failure is told as a chunk with `error`
 */

// A long answer in one piece is silent until it is complete.
const DEFAULT_SILENCE_S = 120;
const DEFAULT_RESUME_S = 30;

class TektonLLMClient {
  /** @type {Map<string, AbortController>} */
  #running = new Map();
  #requests = 0;
  #http;
  #socket;
  #ways;

  /** @param {ClientOptions} [options] */
  constructor({
    componentId = "browser-client",
    rhetorUrl = defaultUrl(),
    rhetorWsUrl,
    providerId = null,
    modelId = null,
    timeout = DEFAULT_SILENCE_S,
    authToken = null,
    transport = "auto",
    WebSocket = globalThis.WebSocket,
    debug = false,
  } = {}) {
    this.componentId = componentId;
    this.rhetorUrl = rhetorUrl.replace(/\/+$/, "");
    this.providerId = providerId;
    this.modelId = modelId;
    this.timeout = timeout;
    this.authToken = authToken;
    if (transport === "websocket" && !WebSocket) throw new TypeError("no WebSocket here: pass one in the options");
    this.#http = new Http(this.rhetorUrl, () => this.authToken);
    /** @param {string[] | undefined} protocols */
    const make = (protocols) => new WebSocket(rhetorWsUrl ?? socketUrl(`${this.rhetorUrl}/ws`), protocols);
    const wanted = WebSocket && transport !== "sse";
    this.#socket = wanted ? new Socket(make, () => ticketOf(this.#http, this.#patience({})), componentId) : null;
    const note = debug ? (/** @type {unknown[]} */ ...said) => console.debug("rhetor:", ...said) : () => {};
    this.#ways = new Ways(this.#http, this.#socket, transport === "websocket", note);
  }

  /**
   * A reply to one prompt.
   *
   * @param {string} prompt
   * @param {RequestOptions} [options]
   * @returns {Promise<CompletionResponse>}
   * @throws {TektonLLMError} with message, code, status and attempts
   */
  async generateText(prompt, options = {}) {
    return this.#complete(prompt, options);
  }

  /**
   * The next turn of a conversation.
   *
   * @param {Message[]} messages
   * @param {RequestOptions} [options]
   * @returns {Promise<CompletionResponse>}
   * @throws {TektonLLMError} with message, code, status and attempts
   */
  async generateChatResponse(messages, options = {}) {
    return this.#complete(messages, options);
  }

  /**
   * A value that a JSON Schema describes. The model is held to the schema where it can be; its answer is parsed
   * here, not validated.
   *
   * @template T
   * @param {string | Message[]} prompt
   * @param {Record<string, unknown>} jsonSchema
   * @param {RequestOptions} [options]
   * @returns {Promise<T>}
   * @throws {TektonLLMError} also when the answer is no JSON: "not_json", with the answer in the message
   */
  async generateObject(prompt, jsonSchema, options = {}) {
    const name = String(jsonSchema.title ?? "answer").replace(/[^\w-]/g, "_");
    const responseFormat = { type: "json_schema", json_schema: { name, schema: jsonSchema, strict: true } };
    const { content } = await this.#complete(prompt, { responseFormat, ...options });
    try {
      return JSON.parse(content.replace(/^\s*```(?:json)?|```\s*$/g, ""));
    } catch (cause) {
      const message = `the answer is not JSON: ${content.slice(0, 200)}`;
      throw new TektonLLMError(message, { code: "not_json", cause });
    }
  }

  /**
   * The reply to a prompt or a conversation, as it arrives:
   *
   *     for await (const { chunk, error } of client.stream("Hello")) …
   *
   * What goes wrong before the first chunk is thrown; after it, the last chunk says so in `error`. Leaving
   * the loop stops the request. A lost connection is made again, and the reply goes on where it was.
   *
   * @param {string | Message[]} prompt
   * @param {RequestOptions} [options]
   * @returns {AsyncGenerator<Chunk, void, void>}
   */
  stream(prompt, options = {}) {
    const resumeS = options.resumeS ?? DEFAULT_RESUME_S;
    const body = { ...chatBody(this, prompt, options, true), ...(resumeS > 0 && { resume_s: resumeS }) };
    return generation(this.#ways, body, this.#patience(options));
  }

  /**
   * Streams the reply to a prompt into a callback.
   *
   * @param {string} prompt
   * @param {(chunk: Chunk) => void} onChunk
   * @param {RequestOptions & Callbacks} [options]
   * @returns {string} a name for `cancelRequest`
   */
  streamText(prompt, onChunk, options = {}) {
    return this.#start(prompt, onChunk, options);
  }

  /**
   * Streams the next turn of a conversation into a callback.
   *
   * @param {Message[]} messages
   * @param {(chunk: Chunk) => void} onChunk
   * @param {RequestOptions & Callbacks} [options]
   * @returns {string} a name for `cancelRequest`
   */
  streamChatResponse(messages, onChunk, options = {}) {
    return this.#start(messages, onChunk, options);
  }

  /**
   * Stops a request that `streamText` or `streamChatResponse` began; nothing is called back any more.
   *
   * @param {string} requestId
   * @returns {boolean} whether it was still running
   */
  cancelRequest(requestId) {
    const controller = this.#running.get(requestId);
    controller?.abort();
    return this.#running.delete(requestId);
  }

  /**
   * Who can be asked for what, as the gateway sees it now.
   *
   * @returns {Promise<AvailableProviders>}
   * @throws {TektonLLMError} with message, code and status
   */
  async getProviders() {
    return readProviders(await this.#http.ask(PROVIDERS_PATH, this.#patience({})));
  }

  /** Stops what `streamText` and `streamChatResponse` began, and closes the connection. The next request opens it again. */
  close() {
    for (const requestId of [...this.#running.keys()]) this.cancelRequest(requestId);
    // After those that were just stopped have told the gateway so.
    setTimeout(() => this.#socket?.close());
  }

  /**
   * @param {string | Message[]} prompt
   * @param {RequestOptions} options
   */
  async #complete(prompt, options) {
    const body = chatBody(this, prompt, options, false);
    return readReply(await this.#http.ask(CHAT_PATH, this.#patience(options), { body }));
  }

  /** @param {RequestOptions} options */
  #patience(options) {
    return new Patience(options.timeout ?? this.timeout, options.signal);
  }

  /**
   * @param {string | Message[]} prompt
   * @param {(chunk: Chunk) => void} onChunk
   * @param {RequestOptions & Callbacks} options
   */
  #start(prompt, onChunk, options) {
    const requestId = `${this.componentId}_${++this.#requests}`;
    const controller = new AbortController();
    this.#running.set(requestId, controller);
    const signal = options.signal ? AbortSignal.any([options.signal, controller.signal]) : controller.signal;
    void this.#run(prompt, onChunk, { ...options, signal }).finally(() => this.#running.delete(requestId));
    return requestId;
  }

  /**
   * @param {string | Message[]} prompt
   * @param {(chunk: Chunk) => void} onChunk
   * @param {RequestOptions & Callbacks & {signal: AbortSignal}} options
   */
  async #run(prompt, onChunk, options) {
    const reply = this.stream(prompt, options);
    let text = "";
    try {
      for (;;) {
        const next = await reply.next().catch((error) => {
          if (!options.signal.aborted) fail(error, onChunk, options.onError);
        });
        if (!next || options.signal.aborted) return;
        if (next.done) break;
        text += next.value.chunk;
        onChunk(next.value);
        if (next.value.error !== null) return;
      }
    } finally {
      await reply.return();
    }
    options.onComplete?.(text);
  }
}

/**
 * @param {Error} error
 * @param {(chunk: Chunk) => void} onChunk
 * @param {((error: Error) => void) | undefined} onError
 */
function fail(error, onChunk, onError) {
  if (onError) onError(error);
  else onChunk(new ChunkReader().breakOff(error));
}

export { TektonLLMClient, TektonLLMError };
