// tekton-llm-client: written by js-client/build.js from js-client/src; change it there.
(function (root, factory) {
  if (typeof module === "object" && module.exports) module.exports = factory();
  else if (typeof define === "function" && define.amd) define([], factory);
  else root.TektonLLMClient = factory();
})(typeof self === "undefined" ? this : self, function () {
"use strict";
/**
 * What the gateway, or the way to it, refused. `message` is for people, in the gateway's own words where
 * it answered; `code` is stable: the gateway's, or one of "unreachable", "timeout" and "protocol_error".
 */
class TektonLLMError extends Error {
  /**
   * @param {string} message
   * @param {{code?: string | null, status?: number | null, requestId?: string | null, cause?: unknown}} [about]
   */
  constructor(message, { code = null, status = null, requestId = null, cause } = {}) {
    super(message, { cause });
    this.name = "TektonLLMError";
    this.code = code;
    /** The HTTP status; null when there was no answer. */
    this.status = status;
    /** Under what name the gateway's log knows the request. */
    this.requestId = requestId;
  }
}

/** What client and gateway say to each other, without any I/O. */


/**
 * @typedef {object} Message
 * @property {"system" | "user" | "assistant"} role
 * @property {string} content
 */

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
 * @property {string} [fallbackProvider]
 * @property {string} [fallbackModel]
 * @property {number} [timeout] seconds of silence after which the gateway counts as stuck
 * @property {AbortSignal} [signal] stops the request, at the gateway and at its provider, too
 */

/** @typedef {{prompt_tokens: number, completion_tokens: number, total_tokens: number}} Usage */

/**
 * @typedef {object} CompletionResponse
 * @property {string} content
 * @property {string} model
 * @property {string} provider
 * @property {string | null} finishReason
 * @property {Usage | null} usage
 * @property {string} contextId
 * @property {string} timestamp
 */

/**
 * A piece of a reply. The last one has `done` set, and either `error` or what else only the end can tell.
 *
 * @typedef {object} Chunk
 * @property {string} chunk
 * @property {string} contextId
 * @property {string} model
 * @property {string} provider
 * @property {string} timestamp
 * @property {boolean} done
 * @property {string | null} finishReason
 * @property {Usage | null} usage
 * @property {string | null} error
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

const DEFAULT_TEMPERATURE = 0.7;

/** How our options are called on the way; the others are about the call and not sent as options. */
const SENT_AS = /** @type {const} */ ({
  temperature: "temperature",
  maxTokens: "max_tokens",
  stopSequences: "stop",
  topP: "top_p",
  topK: "top_k",
  presencePenalty: "presence_penalty",
  frequencyPenalty: "frequency_penalty",
  fallbackProvider: "fallback_provider",
  fallbackModel: "fallback_model",
});

/**
 * The body of a request. What is undefined or null is left out; 0 is not.
 *
 * @param {Caller} caller
 * @param {string | Message[]} prompt
 * @param {RequestOptions} options
 * @param {boolean} streaming
 */
function chatBody(caller, prompt, options, streaming) {
  /** @type {Record<string, unknown>} */
  const sent = { temperature: DEFAULT_TEMPERATURE };
  for (const [name, wireName] of Object.entries(SENT_AS)) {
    const value = options[/** @type {keyof typeof SENT_AS} */ (name)];
    if (value != null) sent[wireName] = value;
  }
  return JSON.stringify({
    messages: typeof prompt === "string" ? [{ role: "user", content: prompt }] : prompt,
    component_id: caller.componentId,
    context_id: options.contextId ?? caller.componentId,
    provider_id: options.providerId ?? caller.providerId ?? undefined,
    model_id: options.modelId ?? caller.modelId ?? undefined,
    system_prompt: options.systemPrompt,
    streaming,
    options: sent,
  });
}

/**
 * @param {string} text
 * @returns {CompletionResponse}
 * @throws {TektonLLMError} the text is not a reply
 */
function readReply(text) {
  const said = parsed(text);
  if (typeof said?.content !== "string") {
    throw new TektonLLMError("the gateway's answer is not a reply", { code: "protocol_error" });
  }
  return {
    content: said.content,
    model: said.model ?? "",
    provider: said.provider ?? "",
    finishReason: said.finish_reason ?? null,
    usage: said.usage ?? null,
    contextId: said.context_id ?? "",
    timestamp: said.timestamp ?? "",
  };
}

/**
 * @param {string} text
 * @returns {AvailableProviders}
 * @throws {TektonLLMError} the text is not a list of providers
 */
function readProviders(text) {
  const said = parsed(text);
  if (typeof said?.providers !== "object") {
    throw new TektonLLMError("the gateway's answer is not a list of providers", { code: "protocol_error" });
  }
  return said;
}

/** A streamed reply's text → chunks; exactly one of them, the last, has `done` set. */
class ChunkReader {
  #rest = "";
  #last = readChunk({});
  ended = false;

  /**
   * @param {string} text
   * @returns {Chunk[]}
   */
  feed(text) {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    return lines.map((line) => this.#read(line)).filter((chunk) => chunk !== null);
  }

  /**
   * The reply's end, when the connection has ended for this reason; nothing if the reply was complete.
   *
   * @param {string} reason
   * @returns {Chunk[]}
   */
  breakOff(reason) {
    return this.ended ? [] : [this.#end(reason)];
  }

  /** @param {string} line */
  #read(line) {
    if (this.ended || !line.startsWith("data:")) return null;
    const data = line.slice("data:".length).trim();
    if (data === "[DONE]") return this.#end(null);
    const said = parsed(data);
    if (said === null) return this.#end("the gateway's chunk cannot be read");
    this.#last = readChunk(said);
    this.ended = this.#last.done;
    return this.#last;
  }

  /** @param {string | null} error */
  #end(error) {
    this.ended = true;
    return { ...this.#last, chunk: "", done: true, error };
  }
}

/**
 * @param {any} said
 * @returns {Chunk}
 */
function readChunk(said) {
  return {
    chunk: said.chunk ?? "",
    contextId: said.context_id ?? "",
    model: said.model ?? "",
    provider: said.provider ?? "",
    timestamp: said.timestamp ?? "",
    done: said.done === true || said.error != null,
    finishReason: said.finish_reason ?? null,
    usage: said.usage ?? null,
    error: said.error ?? null,
  };
}

/**
 * The exception for an error reply.
 *
 * @param {number} status
 * @param {Headers} headers
 * @param {string} text
 */
function refusal(status, headers, text) {
  const said = parsed(text) ?? {};
  const message = [said.error, said.detail, text.slice(0, 200)].find((one) => typeof one === "string" && one !== "");
  return new TektonLLMError(message ?? `HTTP ${status} without a message`, {
    status,
    code: typeof said.code === "string" ? said.code : null,
    requestId: headers.get("x-request-id") ?? said.request_id ?? null,
  });
}

/**
 * @param {string} text
 * @returns {any} an object, or null if the text is anything else
 */
function parsed(text) {
  try {
    const said = JSON.parse(text);
    return typeof said === "object" && !Array.isArray(said) ? said : null;
  } catch {
    return null;
  }
}

/** The client: one object for each component. */


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

class TektonLLMClient {
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

TektonLLMClient.TektonLLMError = TektonLLMError;
return TektonLLMClient;
});
