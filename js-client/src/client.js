/** The client: one object for each component. */

import { TektonLLMError } from "./errors.js";
import {
  CHAT_PATH,
  ChunkReader,
  PROVIDERS_PATH,
  STREAM_PATH,
  chatBody,
  readProviders,
  readReply,
  refusal,
} from "./protocol.js";

/** @import {AvailableProviders, Chunk, CompletionResponse, Message, RequestOptions} from "./protocol.js" */

/**
 * @typedef {object} ClientOptions
 * @property {string} [componentId] who asks; a name for the gateway's books, and the default `contextId`
 * @property {string} [rhetorUrl] where the gateway is, a path prefix included; in a page "/api/llm", in Node
 *   RHETOR_URL or http://localhost:8003
 * @property {string | null} [providerId] who shall answer; else the gateway chooses
 * @property {string | null} [modelId]
 * @property {number} [timeout] seconds of silence after which the gateway counts as stuck; a streamed reply
 *   may take as long as it keeps coming
 * @property {string | null} [authToken] for a gateway that wants one
 */

/**
 * @typedef {object} Callbacks
 * @property {(text: string) => void} [onComplete] told the whole text once the reply is complete
 * @property {(error: Error) => void} [onError] told what went wrong before the first chunk; without it the
 *   failure is told as a chunk with `error`
 */

// A long answer in one piece is silent until it is complete.
const DEFAULT_SILENCE_S = 120;

export class TektonLLMClient {
  /** @type {Map<string, AbortController>} */
  #running = new Map();
  #requests = 0;

  /** @param {ClientOptions} [options] */
  constructor({
    componentId = "browser-client",
    rhetorUrl = defaultUrl(),
    providerId = null,
    modelId = null,
    timeout = DEFAULT_SILENCE_S,
    authToken = null,
  } = {}) {
    this.componentId = componentId;
    this.rhetorUrl = rhetorUrl.replace(/\/+$/, "");
    this.providerId = providerId;
    this.modelId = modelId;
    this.timeout = timeout;
    this.authToken = authToken;
  }

  /**
   * A reply to one prompt.
   *
   * @param {string} prompt
   * @param {RequestOptions} [options]
   * @returns {Promise<CompletionResponse>}
   * @throws {TektonLLMError} with message, code and status
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
   * @throws {TektonLLMError} with message, code and status
   */
  async generateChatResponse(messages, options = {}) {
    return this.#complete(messages, options);
  }

  /**
   * The reply to a prompt or a conversation, as it arrives:
   *
   *     for await (const { chunk, error } of client.stream("Hello")) …
   *
   * What goes wrong before the first chunk is thrown; after it, the last chunk says so in `error`. Leaving
   * the loop stops the request.
   *
   * @param {string | Message[]} prompt
   * @param {RequestOptions} [options]
   * @returns {AsyncGenerator<Chunk, void, void>}
   */
  async *stream(prompt, options = {}) {
    const patience = new Patience(options.timeout ?? this.timeout, options.signal);
    try {
      const response = await this.#send(STREAM_PATH, chatBody(this, prompt, options, true), patience);
      yield* chunks(response, patience);
    } finally {
      patience.end();
    }
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
    return readProviders(await this.#ask(PROVIDERS_PATH, undefined, {}));
  }

  /**
   * @param {string | Message[]} prompt
   * @param {RequestOptions} options
   */
  async #complete(prompt, options) {
    return readReply(await this.#ask(CHAT_PATH, chatBody(this, prompt, options, false), options));
  }

  /**
   * @param {string} path
   * @param {string | undefined} body
   * @param {RequestOptions} options
   */
  async #ask(path, body, options) {
    const patience = new Patience(options.timeout ?? this.timeout, options.signal);
    try {
      const response = await this.#send(path, body, patience);
      return await patience.during(response.text());
    } finally {
      patience.end();
    }
  }

  /**
   * @param {string} path
   * @param {string | undefined} body
   * @param {Patience} patience
   */
  async #send(path, body, patience) {
    /** @type {Record<string, string>} */
    const headers = { "content-type": "application/json" };
    if (this.authToken) headers.authorization = `Bearer ${this.authToken}`;
    const method = body === undefined ? "GET" : "POST";
    const response = await patience.during(
      fetch(this.rhetorUrl + path, { method, headers, body, signal: patience.signal }),
    );
    if (response.ok) return response;
    throw refusal(response.status, response.headers, await patience.during(response.text()));
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

/** How long to wait for the next sign of life, and who else may end the waiting. */
class Patience {
  #controller = new AbortController();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #silenceS;
  #caller;

  /**
   * @param {number} silenceS
   * @param {AbortSignal | undefined} caller
   */
  constructor(silenceS, caller) {
    this.#silenceS = silenceS;
    this.#caller = caller;
    this.signal = caller ? AbortSignal.any([caller, this.#controller.signal]) : this.#controller.signal;
  }

  /**
   * Waits for one sign of life.
   *
   * @template T
   * @param {Promise<T>} sign
   * @returns {Promise<T>}
   * @throws {TektonLLMError} there was none; if the caller gave up, the caller's reason is thrown as it is
   */
  async during(sign) {
    this.#timer = setTimeout(() => {
      const message = `the gateway said nothing for ${this.#silenceS} s`;
      this.#controller.abort(new TektonLLMError(message, { code: "timeout" }));
    }, this.#silenceS * 1000);
    try {
      return await sign;
    } catch (error) {
      this.#caller?.throwIfAborted();
      this.#controller.signal.throwIfAborted();
      throw new TektonLLMError("the gateway cannot be reached, or went away", { code: "unreachable", cause: error });
    } finally {
      clearTimeout(this.#timer);
    }
  }

  /** Stops whatever is still under way. */
  end() {
    this.#controller.abort();
  }
}

/**
 * @param {Response} response
 * @param {Patience} patience
 * @returns {AsyncGenerator<Chunk, void, void>}
 */
async function* chunks(response, patience) {
  const reader = new ChunkReader();
  const utf8 = new TextDecoder();
  const body = /** @type {ReadableStream<Uint8Array<ArrayBuffer>>} */ (response.body).getReader();
  for (;;) {
    let read;
    try {
      read = await patience.during(body.read());
    } catch (error) {
      if (!(error instanceof TektonLLMError)) throw error;
      yield* reader.breakOff(error.message);
      return;
    }
    if (read.done) break;
    yield* reader.feed(utf8.decode(read.value, { stream: true }));
  }
  yield* reader.breakOff("the gateway closed the connection in the middle of its reply");
}

/**
 * @param {Error} error
 * @param {(chunk: Chunk) => void} onChunk
 * @param {((error: Error) => void) | undefined} onError
 */
function fail(error, onChunk, onError) {
  if (onError) onError(error);
  else for (const chunk of new ChunkReader().breakOff(error.message)) onChunk(chunk);
}

function defaultUrl() {
  if (typeof window !== "undefined") return "/api/llm";
  return globalThis.process?.env.RHETOR_URL || "http://localhost:8003";
}
