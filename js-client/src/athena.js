/** The client in the shape that Athena's pages know, and a few others copied. */

import { TektonLLMClient } from "./client.js";
import { TektonLLMError } from "./errors.js";

/** @import {CompletionResponse, Message, RequestOptions} from "./protocol.js" */

/**
 * @typedef {object} AthenaOptions
 * @property {string} [baseUrl] where the gateway is; window.ENV.LLM_API_URL, or where our other shape looks
 * @property {string} [wsBaseUrl] where its WebSocket is, without "/ws"; window.ENV.LLM_WS_URL
 * @property {string | null} [provider] unless said, the gateway chooses
 * @property {string | null} [model]
 * @property {number} [temperature]
 * @property {string | null} [authToken]
 * @property {boolean} [debug]
 */

/** @typedef {Omit<RequestOptions, "modelId" | "providerId"> & {provider?: string | null, model?: string | null}} AthenaRequest */
/** @typedef {{content: string, done: boolean}} AthenaChunk */

const MAX_TOKENS = 1000; // of what is not streamed, unless said

/** What the pages call providers, in the gateway's words. */
const PROVIDERS = /** @type {Record<string, string | null>} */ ({ claude: "anthropic", gpt4: "openai", local: "ollama" });

export class AthenaClient {
  #client;

  /**
   * @param {string} [componentId]
   * @param {AthenaOptions} [options]
   */
  constructor(componentId = "unknown-component", options = {}) {
    const { ENV: env = {} } = /** @type {{ENV?: Record<string, string>}} */ (globalThis);
    const { wsBaseUrl = env.LLM_WS_URL, authToken, debug } = options;
    const rhetorUrl = options.baseUrl ?? env.LLM_API_URL;
    const rhetorWsUrl = wsBaseUrl && `${wsBaseUrl}/ws`;
    this.#client = new TektonLLMClient({ componentId, rhetorUrl, rhetorWsUrl, authToken, debug });
    this.componentId = componentId;
    this.baseUrl = this.#client.rhetorUrl;
    this.provider = options.provider ?? null;
    this.model = options.model ?? null;
    this.temperature = options.temperature ?? 0.7;
  }

  /** @param {string | null} provider */
  setProvider(provider) {
    this.provider = provider;
  }

  /** @param {string | null} model */
  setModel(model) {
    this.model = model;
  }

  /** @param {number} temperature */
  setTemperature(temperature) {
    this.temperature = temperature;
  }

  /** Whether the gateway can be asked. */
  async checkAvailability() {
    try {
      return Object.values((await this.#client.getProviders()).providers).some(({ available }) => available);
    } catch {
      return false;
    }
  }

  /**
   * @param {string} prompt
   * @param {AthenaRequest} [options]
   * @returns {Promise<CompletionResponse>}
   */
  async generateText(prompt, options = {}) {
    return this.#client.generateText(prompt, { maxTokens: MAX_TOKENS, ...this.#options(options) });
  }

  /**
   * @param {Message[]} messages
   * @param {AthenaRequest} [options]
   * @returns {Promise<CompletionResponse>}
   */
  async generateChatResponse(messages, options = {}) {
    return this.#client.generateChatResponse(messages, { maxTokens: MAX_TOKENS, ...this.#options(options) });
  }

  /**
   * Resolves when the reply is complete; what goes wrong rejects, whenever it does.
   *
   * @param {string} prompt
   * @param {(chunk: AthenaChunk) => void} onChunk
   * @param {AthenaRequest} [options]
   */
  async streamText(prompt, onChunk, options = {}) {
    await this.#stream(prompt, onChunk, options);
  }

  /**
   * @param {Message[]} messages
   * @param {(chunk: AthenaChunk) => void} onChunk
   * @param {AthenaRequest} [options]
   */
  async streamChatResponse(messages, onChunk, options = {}) {
    await this.#stream(messages, onChunk, options);
  }

  /**
   * @param {string | Message[]} prompt
   * @param {(chunk: AthenaChunk) => void} onChunk
   * @param {AthenaRequest} options
   */
  async #stream(prompt, onChunk, options) {
    for await (const chunk of this.#client.stream(prompt, this.#options(options))) {
      if (chunk.error !== null) throw new TektonLLMError(chunk.error, chunk);
      if (chunk.chunk) onChunk({ content: chunk.chunk, done: false });
    }
    onChunk({ content: "", done: true });
  }

  /**
   * @param {AthenaRequest} options
   * @returns {RequestOptions}
   */
  #options({ provider = this.provider, model = this.model, temperature = this.temperature, ...others }) {
    const providerId = provider && provider in PROVIDERS ? PROVIDERS[provider] : provider;
    return { ...others, providerId, modelId: model, temperature };
  }
}

export { AthenaClient as TektonLLMClient, TektonLLMError };
