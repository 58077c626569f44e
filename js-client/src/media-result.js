/** What came of a generation. */

import { camelCased } from "./media-shape.js";

/** @import {MediaGateway} from "./media-gateway.js" */
/** @import {MediaCapability} from "./media-shape.js" */

/**
 * How a result came about.
 *
 * @typedef {object} MediaMetadata
 * @property {Record<string, any>} [generation_prompt] what was asked, with how that was made itself
 * @property {Record<string, any>} [generation] the same as a step that names its parents
 * @property {string} generationId
 * @property {string} model
 * @property {string} provider
 * @property {number} processingTime milliseconds
 * @property {Record<string, any>} usage
 * @property {number | null} costMicros millionths of a dollar, where the price is known
 * @property {Record<string, any>[]} attempts whom the gateway asked, and how it went
 * @property {string[]} dropped what could not be said to whoever answered
 */

/** Something that the gateway keeps: what was made, or uploaded. */
export class MediaAsset {
  #gateway;

  /** @param {MediaGateway} gateway @param {any} said */
  constructor(gateway, said) {
    const { id = null, url, mediaType = "", bytes = null, generation = null } = camelCased(said);
    this.#gateway = gateway;
    /** @type {string | null} null of what lies elsewhere */
    this.id = id;
    /** @type {string} */
    this.url = url.startsWith("/") ? gateway.url + url : url;
    /** @type {string} */
    this.mediaType = mediaType ?? "";
    /** @type {number | null} */
    this.bytes = bytes;
    /** @type {string | null} what made it */
    this.generation = generation;
  }

  /**
   * Its content.
   *
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<Blob>}
   */
  async blob(options) {
    return this.#gateway.fetch(this, options);
  }

  /** Has the gateway forget it. */
  async remove() {
    await this.#gateway.ask(`/v1/assets/${this.id}`, { method: "DELETE" });
  }

  toString() {
    return this.url;
  }
}

/** What a model made: the input of the next one, as it is. */
export class MediaResult {
  #gateway;

  /**
   * @param {MediaGateway} gateway
   * @param {any} said
   * @param {string} text
   * @param {number} processingTime
   */
  constructor(gateway, said, text, processingTime) {
    this.#gateway = gateway;
    /** @type {string} */
    this.id = said.id;
    /** @type {MediaCapability} */
    this.capability = said.capability;
    this.text = text;
    /** @type {MediaAsset[]} */
    this.assets = (said.assets ?? []).map((/** @type {any} */ one) => new MediaAsset(gateway, one));
    /** @type {number[][]} */
    this.embeddings = (said.embeddings ?? []).map((/** @type {any} */ one) => one.embedding);
    /** @type {{index: number, score: number, document?: string}[]} the most relevant first */
    this.ranked = said.ranked ?? [];
    /** @type {string | null} */
    this.language = said.language ?? null;
    /** @type {{text: string, start_s: number, end_s: number, speaker?: string}[]} */
    this.segments = said.segments ?? [];
    /** @type {MediaMetadata} */
    this.metadata = {
      attempts: [],
      dropped: [],
      ...said.meta,
      generation_prompt: said.generation_prompt,
      generation: said.generation,
      generationId: said.id,
      model: said.model,
      provider: said.provider,
      processingTime,
      usage: said.usage ?? {},
      costMicros: said.cost_micros ?? null,
    };
  }

  /** A text; of media the address of the first. */
  get content() {
    return this.text || (this.asset?.url ?? "");
  }

  /** The first medium, where one was made. */
  get asset() {
    return /** @type {MediaAsset | undefined} */ (this.assets[0]);
  }

  get sourceAsset() {
    return this.asset;
  }

  /** The address of the first medium. */
  get url() {
    return this.asset?.url;
  }

  /**
   * The content of the first medium, or the text.
   *
   * @param {{signal?: AbortSignal}} [options]
   */
  async blob(options) {
    return this.asset ? this.asset.blob(options) : new Blob([this.text], { type: "text/plain" });
  }

  /**
   * What it was made of: whole generations, the oldest first, and `generation_chain`, the same as short steps.
   *
   * @param {number} [depth] so many steps back, 20 at most
   * @returns {Promise<{generations: any[], generation_chain: any[], generation_prompt: any, complete: boolean}>}
   */
  async lineage(depth = 20) {
    return this.#gateway.ask(`/v1/generations/${this.id}/lineage?depth=${depth}`);
  }

  toString() {
    return this.content;
  }
}

/** A text, where MediaConduit's callers make one of a string. */
export class Text {
  /** @param {string} content @param {string} [language] */
  constructor(content, language = "auto") {
    this.content = content;
    this.language = language;
  }

  /** @param {string} content @param {string} [language] */
  static fromString(content, language) {
    return new Text(content, language);
  }

  toString() {
    return this.content;
  }
}
