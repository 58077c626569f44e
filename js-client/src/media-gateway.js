/** What the gateway is asked about media: generations, jobs, and files. */

import { defaultUrl } from "./address.js";
import { Calls } from "./calls.js";
import { Lost, TektonLLMError } from "./errors.js";
import { MediaAsset, MediaResult } from "./media-result.js";
import { camelCased, kindOf, queryOf, sniffed } from "./media-shape.js";
import { Patience, pauseMs } from "./patience.js";
import { parsed } from "./refusal.js";
import { EventStream } from "./sse.js";

/** @import {Text} from "./media-result.js" */
/** @import {CallSettings, MediaProgress} from "./media-shape.js" */

/**
 * @typedef {object} MediaOptions
 * @property {string} [rhetorUrl] where the gateway's own paths begin; in a page where that is from, in Node RHETOR_URL or
 *   http://localhost:8003
 * @property {string | null} [authToken] for a gateway that wants one; in Node RHETOR_AUTH_TOKEN
 * @property {string} [componentId] who asks; a name for the gateway's books
 * @property {number} [timeout] seconds of silence after which the gateway counts as stuck
 */

/** @typedef {string | Text | MediaResult | MediaAsset | Blob | ArrayBuffer | ArrayBufferView | Record<string, any>} MediaInput */
/** @typedef {{kind: string, said: any, text?: string, parents: string[]}} Given */

const SILENCE_S = 120; // a text may take so long before its first word; media say how far they are
const FAREWELL_S = 2;
const SLOWEST = 100_000; // bytes in a second of an upload
const ASKED = 3; // times, what happens once however often it is asked
const RETURNS = 16; // times, for about a minute: a gateway may be started again meanwhile
const LOOK_MS = 2_000;
const MEDIA_KEYS = /^(image|audio|video)s?$/;

export class MediaGateway {
  #calls;

  /** @param {MediaOptions} [options] */
  constructor({ rhetorUrl = typeof window === "undefined" ? defaultUrl() : "", authToken, componentId, timeout = SILENCE_S } = {}) {
    this.url = rhetorUrl.replace(/\/+$/, "");
    this.componentId = componentId;
    this.timeout = timeout;
    const token = authToken === undefined ? globalThis.process?.env?.RHETOR_AUTH_TOKEN || null : authToken;
    this.#calls = new Calls(this.url, () => token);
  }

  /**
   * @param {string} path
   * @param {import("./calls.js").Call} [call]
   * @param {{signal?: AbortSignal, timeout?: number}} [options]
   * @param {number} [tries] for what happens once, however often it is asked
   * @returns {Promise<any>}
   * @throws {TektonLLMError}
   */
  async ask(path, call, { signal, timeout = this.timeout } = {}, tries = 1) {
    const patience = new Patience(timeout, signal);
    for (let losses = 1; ; losses++) {
      try {
        return JSON.parse(await this.#calls.ask(path, patience, call));
      } catch (error) {
        if (error instanceof SyntaxError) throw new TektonLLMError("the gateway's answer cannot be read", { code: "protocol_error" });
        if (!(error instanceof Lost) || losses >= tries) throw error;
      }
      await patience.pause(pauseMs(losses));
    }
  }

  /**
   * The content of an asset. What lies elsewhere is fetched without our token.
   *
   * @param {MediaAsset} asset
   * @param {{signal?: AbortSignal}} [options]
   */
  async fetch({ id, url }, { signal } = {}) {
    const patience = new Patience(this.timeout, signal);
    const giveUp = new AbortController();
    try {
      const calls = id ? this.#calls : new Calls("", () => null);
      const response = await patience.during(calls.send(id ? `/v1/assets/${id}` : url, giveUp.signal));
      const reader = /** @type {ReadableStream<Uint8Array<ArrayBuffer>>} */ (response.body).getReader();
      const pieces = [];
      for (let read = await patience.during(reader.read()); !read.done; read = await patience.during(reader.read())) pieces.push(read.value);
      return new Blob(pieces, { type: response.headers.get("content-type") ?? "" });
    } finally {
      giveUp.abort();
    }
  }

  /**
   * Has the gateway keep a file.
   *
   * @param {Blob | ArrayBuffer | ArrayBufferView} data
   * @param {{name?: string, mediaType?: string, signal?: AbortSignal}} [options]
   */
  async upload(data, { name = /** @type {any} */ (data).name, mediaType, signal } = {}) {
    const blob = data instanceof Blob ? data : new Blob([/** @type {ArrayBuffer} */ (data)]);
    const type = mediaType ?? (blob.type || sniffed(new Uint8Array(await blob.slice(0, 12).arrayBuffer())));
    const headers = { "content-type": type };
    const timeout = this.timeout + blob.size / SLOWEST; // nothing is said before all of it is there
    return new MediaAsset(this, await this.ask(`/v1/assets${queryOf({ name })}`, { data: blob, headers }, { signal, timeout }));
  }

  /**
   * An input as the gateway takes it, whatever it was; files are uploaded.
   *
   * @param {MediaInput | MediaInput[]} input
   * @param {{signal?: AbortSignal}} options
   * @returns {Promise<Given[]>}
   */
  async given(input, options) {
    return Promise.all((Array.isArray(input) ? input : [input]).map((one) => this.#one(one, options)));
  }

  /**
   * Generates, and tells a text as it comes.
   *
   * @param {Record<string, unknown>} body
   * @param {CallSettings} options
   * @returns {AsyncGenerator<string, MediaResult, void>}
   */
  async *generate(body, options) {
    const began = Date.now();
    const patience = new Patience(this.timeout, options.signal);
    const giveUp = new AbortController();
    let text = "";
    try {
      const call = { body: { ...body, component: this.componentId, stream: true } };
      const events = new EventStream(await patience.during(this.#calls.send("/v1/generate", giveUp.signal, call)));
      for (;;) {
        const { name, data } = await events.next(patience);
        const said = parsed(data) ?? {};
        if (name === "progress") options.onProgress?.(said);
        if (name === "text") {
          text += said.text;
          yield said.text;
        }
        if (name === "failed") throw new TektonLLMError(said.error ?? "the generation failed", camelCased(said));
        if (name === "finished") return new MediaResult(this, said, text, Date.now() - began);
      }
    } finally {
      giveUp.abort();
    }
  }

  /**
   * Begins a generation that goes on by itself. Where the connection is lost meanwhile it is asked again, and one job
   * comes of it.
   *
   * @param {Record<string, unknown>} body
   * @param {CallSettings} options
   */
  async begin(body, { signal }) {
    const headers = { "idempotency-key": crypto.getRandomValues(new Uint32Array(4)).join("-") };
    const { id } = await this.ask("/v1/jobs", { body: { ...body, component: this.componentId }, headers }, { signal }, ASKED);
    return new MediaJob(this, id);
  }

  /**
   * @param {any} input
   * @param {{signal?: AbortSignal}} options
   * @returns {Promise<Given>}
   */
  async #one(input, options) {
    if (typeof input === "string") return { kind: "text", said: input, text: input, parents: [] };
    if (typeof input !== "object" || !input) return { kind: "", said: input, parents: [] };
    if (input instanceof Blob || input instanceof ArrayBuffer || ArrayBuffer.isView(input)) input = await this.upload(input, options);
    if (input instanceof MediaResult && input.asset) input = input.asset;
    if (input instanceof MediaAsset) return { kind: kindOf(input.mediaType), said: input.id ? { asset: input.id } : { url: input.url }, parents: [] };
    if (typeof input.content === "string") {
      // What was not noted cannot be anybody's parent.
      const parents = input.metadata?.generation_prompt && input.id ? [input.id] : [];
      return { kind: "text", said: input.content, text: input.content, parents };
    }
    return this.#fields(input, options);
  }

  /**
   * An input in the gateway's own fields, such as `{prompt, image}` or `{query, documents}`.
   *
   * @param {Record<string, any>} input
   * @param {{signal?: AbortSignal}} options
   * @returns {Promise<Given>}
   */
  async #fields(input, options) {
    /** @type {Given} */
    const told = { kind: "", said: {}, parents: [] };
    for (const [name, value] of Object.entries(input)) {
      const parts = await Promise.all([value].flat().map((one) => this.#one(one, options)));
      told.said[name] = Array.isArray(value) ? parts.map(({ said }) => said) : parts[0].said;
      told.parents.push(...parts.flatMap(({ parents }) => parents));
      told.kind ||= MEDIA_KEYS.exec(name)?.[1] ?? (name === "documents" ? "ranking" : "");
    }
    if (!told.kind && ("text" in told.said || "prompt" in told.said)) told.kind = "text";
    return told;
  }
}

/** A generation that goes on by itself, and can be asked for from anywhere. */
export class MediaJob {
  #gateway;

  /** @param {MediaGateway} gateway @param {string} id */
  constructor(gateway, id) {
    this.#gateway = gateway;
    this.id = id;
  }

  get #path() {
    return `/v1/jobs/${encodeURIComponent(this.id)}`;
  }

  /**
   * How it is.
   *
   * @returns {Promise<{status: "pending" | "running" | "completed" | "failed" | "cancelled", progress: MediaProgress, error?: string}>}
   */
  async status() {
    return this.#gateway.ask(this.#path);
  }

  /**
   * What came of it, when it has ended. A gateway that cannot be reached meanwhile is tried again.
   *
   * @param {CallSettings} [options] `signal` ends the waiting; the job goes on
   * @returns {Promise<MediaResult>}
   * @throws {TektonLLMError}
   */
  async result({ signal, onProgress } = {}) {
    const began = Date.now();
    const patience = new Patience(this.#gateway.timeout, signal);
    for (let asked = 1; ; asked++) {
      const { status, progress } = await this.#gateway.ask(this.#path, undefined, { signal }, RETURNS);
      onProgress?.(progress);
      if (status !== "pending" && status !== "running") break;
      await patience.pause(Math.min(pauseMs(asked), LOOK_MS));
    }
    const said = await this.#gateway.ask(`${this.#path}/result`, undefined, { signal }, RETURNS);
    return new MediaResult(this.#gateway, said, said.text ?? "", Date.now() - began);
  }

  /** Ends it, at the provider too; one that has ended is forgotten. */
  async cancel() {
    await this.#gateway.ask(this.#path, { method: "DELETE" }, { timeout: FAREWELL_S });
  }
}

