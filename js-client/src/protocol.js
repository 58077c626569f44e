/** What client and gateway say to each other, without any I/O. */

import { TektonLLMError } from "./errors.js";
import { parsed } from "./refusal.js";

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

export const CHAT_PATH = "/api/v1/chat";
export const STREAM_PATH = "/api/v1/chat/stream";
export const PROVIDERS_PATH = "/api/v1/providers";
export const GENERATIONS_PATH = "/v1/generations/";
export const ID_HEADER = "x-rhetor-generation-id";

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
export function chatBody(caller, prompt, options, streaming) {
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
export function readReply(text) {
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
export function readProviders(text) {
  const list = parsed(text);
  if (typeof list?.providers !== "object") {
    throw new TektonLLMError("the gateway's answer is not a list of providers", { code: "protocol_error" });
  }
  return list;
}

/** A streamed reply's frames → chunks; exactly one of them, the last, has `done` set. */
export class ChunkReader {
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
