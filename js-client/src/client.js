/** The client: one object for each component. */

import { defaultUrl } from "./address.js";
import { TektonLLMError } from "./errors.js";
import { Ways, generation } from "./generation.js";
import { Http } from "./http.js";
import { Patience } from "./patience.js";
import { CHAT_PATH, ChunkReader, PROVIDERS_PATH, chatBody, readProviders, readReply } from "./protocol.js";
import { Socket } from "./socket.js";
import { socketUrl, ticketOf } from "./ticket.js";

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

export class TektonLLMClient {
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
