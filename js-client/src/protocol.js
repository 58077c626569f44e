/** What client and gateway say to each other, without any I/O. */

import { TektonLLMError } from "./errors.js";

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

export const CHAT_PATH = "/api/v1/chat";
export const STREAM_PATH = "/api/v1/chat/stream";
export const PROVIDERS_PATH = "/api/v1/providers";

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
export function chatBody(caller, prompt, options, streaming) {
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
export function readReply(text) {
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
export function readProviders(text) {
  const said = parsed(text);
  if (typeof said?.providers !== "object") {
    throw new TektonLLMError("the gateway's answer is not a list of providers", { code: "protocol_error" });
  }
  return said;
}

/** A streamed reply's text → chunks; exactly one of them, the last, has `done` set. */
export class ChunkReader {
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
export function refusal(status, headers, text) {
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
