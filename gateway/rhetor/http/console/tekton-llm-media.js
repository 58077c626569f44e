// tekton-llm-client: written by js-client/build.js from js-client/src; change it there.
(function (root, factory) {
  if (typeof module === "object" && module.exports) module.exports = factory();
  else if (typeof define === "function" && define.amd) define([], factory);
  else root.TektonMedia = factory();
})(typeof self === "undefined" ? this : self, function () {
"use strict";
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

/** What media and those who make them are called, without any I/O. */


/** @typedef {"text-to-text" | "image-to-text" | "audio-to-text" | "text-to-image" | "image-to-image" | "text-to-audio" | "audio-to-audio" | "text-to-video" | "image-to-video" | "video-to-video" | "video-to-image" | "video-to-audio" | "text-to-3d" | "image-to-3d" | "embeddings" | "rerank"} MediaCapability */

const ABLE = /** @type {MediaCapability[]} */ (
  "text-to-text image-to-text audio-to-text text-to-image image-to-image text-to-audio audio-to-audio text-to-video image-to-video video-to-video video-to-image video-to-audio text-to-3d image-to-3d embeddings rerank".split(" ")
);

/**
 * What is made of what.
 *
 * @type {{TEXT_TO_TEXT: "text-to-text", IMAGE_TO_TEXT: "image-to-text", AUDIO_TO_TEXT: "audio-to-text", TEXT_TO_IMAGE: "text-to-image",
 *   IMAGE_TO_IMAGE: "image-to-image", TEXT_TO_AUDIO: "text-to-audio", AUDIO_TO_AUDIO: "audio-to-audio", TEXT_TO_VIDEO: "text-to-video",
 *   IMAGE_TO_VIDEO: "image-to-video", VIDEO_TO_VIDEO: "video-to-video", VIDEO_TO_IMAGE: "video-to-image", VIDEO_TO_AUDIO: "video-to-audio",
 *   TEXT_TO_3D: "text-to-3d", IMAGE_TO_3D: "image-to-3d", EMBEDDINGS: "embeddings", RERANK: "rerank"}}
 */
const MediaCapability = /** @type {any} */ (Object.fromEntries(ABLE.map((word) => [word.toUpperCase().replace(/-/g, "_"), word])));

/** Where a provider runs: on the gateway's machine, elsewhere, or in a container that the gateway starts. */
const ProviderType = /** @type {const} */ ({ LOCAL: "local", REMOTE: "remote", DOCKER: "docker" });

/** @typedef {(typeof ProviderType)[keyof typeof ProviderType]} ProviderType */

/**
 * @typedef {object} ProviderModel
 * @property {string} id as the provider calls it
 * @property {string} provider
 * @property {string} name
 * @property {string} description
 * @property {MediaCapability[]} capabilities
 * @property {{features: string[], maxTokens?: number | null}} parameters what else is known of it
 * @property {{inputCost: number, outputCost: number, imageCost: number, currency: string}} [pricing] for a million tokens,
 *   and for one picture, where it is known
 * @property {{maxInputSize?: number | null, maxOutputSize?: number | null}} limits in tokens, where they are known
 * @property {boolean} [free] whether it costs nothing, where that is known
 * @property {string[]} tags what else tells it from others, such as `cloned` or `professional` of a voice
 */

/**
 * What is known of a provider.
 *
 * @typedef {object} ProviderFacts
 * @property {string} id
 * @property {string} name
 * @property {ProviderType} type
 * @property {boolean} available
 * @property {string} [reason] why it is not
 * @property {string} [defaultModel]
 * @property {MediaCapability[]} capabilities
 * @property {ProviderModel[]} models
 */

/** @typedef {{fraction: number | null, note: string}} MediaProgress from 0 to 1 where the provider tells, in its words */

/**
 * Settings as MediaConduit's or the gateway's call them; what nobody knows goes to the provider as it is.
 *
 * @typedef {Record<string, unknown> & CallSettings & {temperature?: number, topK?: number, topP?: number, maxOutputTokens?: number,
 *   seed?: number, responseFormat?: unknown}} TransformOptions
 */

/**
 * What of the options is about the call, and no setting of the model.
 *
 * @typedef {object} CallSettings
 * @property {AbortSignal} [signal] ends it, at the provider too
 * @property {(progress: MediaProgress) => void} [onProgress]
 * @property {(text: string) => void} [onText] told a text as it comes
 * @property {boolean} [job] whether it goes on by itself when the connection is lost; films and models do
 * @property {MediaCapability} [capability] where a model could make several things of this
 * @property {string[]} [fallbacks] whom the gateway asks when this model fails: `provider/model`
 * @property {number} [timeoutS] how long it may take
 */

const OURSELVES = "rhetor"; // whose models are the gateway's routes
const MICROS = 1_000_000;
const CALL = ["signal", "onProgress", "onText", "job", "capability", "fallbacks", "timeoutS"];
const LONG = /-to-(?:video|3d)$/;

class ProviderNotFoundError extends TektonLLMError {
  /** @param {string} id @param {Iterable<string>} [known] */
  constructor(id, known = []) {
    const there = [...known].join(", ");
    super(`Provider '${id}' not found${there && `; there are ${there}`}`, { code: "not_found", provider: id });
    this.name = "ProviderNotFoundError";
  }
}

/** A provider that cannot be had: its plugin is refused, or it lacks what it needs. */
class ProviderCreationError extends TektonLLMError {
  /** @param {string} id @param {any} reason an error, or what it would say */
  constructor(id, reason) {
    const { message = reason, code = "unavailable", status } = reason;
    super(`Failed to create provider '${id}': ${message}`, { code, status, provider: id, cause: reason });
    this.name = "ProviderCreationError";
  }
}

/**
 * One of `/v1/models`; of a model that is not listed, `id` and `owned_by` are all there is.
 *
 * @param {any} said
 * @returns {ProviderModel}
 */
function readModel({ id, owned_by: provider, name, targets, free, tags = [], capabilities = [], ...said }) {
  const own = id.startsWith(`${provider}/`) ? id.slice(provider.length + 1) : id;
  const { max_input_tokens: maxInputSize, max_tokens: maxOutputSize } = said;
  return {
    id: own,
    provider,
    name: name ?? own,
    description: targets ? `a route to ${targets.join(", ")}` : "",
    capabilities: known(capabilities),
    parameters: { features: said.features ?? [], maxTokens: maxOutputSize },
    pricing: said.pricing && {
      inputCost: said.pricing.input_micros_per_million / MICROS,
      outputCost: said.pricing.output_micros_per_million / MICROS,
      imageCost: (said.pricing.micros_per_image ?? 0) / MICROS,
      currency: "USD",
    },
    limits: { maxInputSize, maxOutputSize },
    free,
    tags,
  };
}

/**
 * In our order, and only those that we know.
 *
 * @param {Iterable<string>} words
 */
function known(words) {
  const said = new Set(words);
  return ABLE.filter((one) => said.has(one));
}

/**
 * What is to be made of something of this kind. A text comes of it where it may.
 *
 * @param {string} kind "text", "image", "audio", "video", "ranking"; empty: nobody knows
 * @param {MediaCapability[][]} able what the model is known for; else what its provider is
 * @returns {MediaCapability}
 */
function capabilityFor(kind, able) {
  if (kind === "ranking") return "rerank";
  for (const words of able) {
    const found = words.find((one) => one.startsWith(`${kind}-to-`));
    if (found) return found;
    if (kind === "text" && words.includes("embeddings")) return "embeddings";
    if (words.length) return words.find((one) => !one.startsWith("text-")) ?? words[0]; // the gateway says what it lacks
  }
  return kind === "text" || !kind ? "text-to-text" : /** @type {MediaCapability} */ (`${kind}-to-text`);
}

/** @param {MediaCapability} capability @param {boolean | undefined} wanted */
function isJob(capability, wanted) {
  return wanted ?? LONG.test(capability);
}

/**
 * The fields of a request that its options say, and which of them are the model's settings.
 *
 * @param {TransformOptions} options
 */
function bodyOf(options) {
  const settings = Object.fromEntries(Object.entries(options).filter(([name]) => !CALL.includes(name)));
  return { options: settings, fallbacks: options.fallbacks, timeout_s: options.timeoutS };
}

/** @param {MediaCapability[]} capabilities @param {0 | 1} side what goes in, or what comes out */
function typesOf(capabilities, side) {
  const kinds = capabilities.flatMap((one) => (one.includes("-to-") ? one.split("-to-")[side] : []));
  return [...new Set(kinds)].map((kind) => (kind === "text" ? "text/plain" : kind === "3d" ? "model/*" : `${kind}/*`));
}

/** @param {string} mediaType */
function kindOf(mediaType) {
  return /^(text|image|audio|video)\b/.exec(mediaType)?.[0] ?? "";
}

/** @type {[number, string, string][]} where it stands, what, and what that is */
const MARKS = [
  [0, "\x89PNG", "image/png"],
  [0, "\xff\xd8\xff", "image/jpeg"],
  [0, "GIF8", "image/gif"],
  [8, "WEBP", "image/webp"],
  [8, "WAVE", "audio/wav"],
  [0, "ID3", "audio/mpeg"],
  [0, "OggS", "audio/ogg"],
  [4, "ftyp", "video/mp4"],
];

/**
 * What bytes are, by how they begin.
 *
 * @param {Uint8Array} bytes
 */
function sniffed(bytes) {
  const head = String.fromCharCode(...bytes.subarray(0, 12));
  return MARKS.find(([at, mark]) => head.startsWith(mark, at))?.[2] ?? "application/octet-stream";
}

/**
 * The names of an object's fields as they are written here.
 *
 * @param {Record<string, any>} said
 * @returns {any}
 */
function camelCased(said) {
  return Object.fromEntries(Object.entries(said).map(([name, value]) => [name.replace(/_(.)/g, (_, letter) => letter.toUpperCase()), value]));
}

/**
 * The query of a URL, without what nobody has said.
 *
 * @param {Record<string, string | number | undefined>} said
 */
function queryOf(said) {
  return `?${new URLSearchParams(Object.entries(said).filter(([, value]) => value !== undefined).map(([name, value]) => [name, `${value}`]))}`;
}

/** What came of a generation. */


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
class MediaAsset {
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
class MediaResult {
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
class Text {
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

/** What the gateway is asked about media: generations, jobs, and files. */


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

class MediaGateway {
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
class MediaJob {
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

/** A provider behind the gateway, and its models. */


/** @import {Given, MediaGateway, MediaInput, MediaJob} from "./media-gateway.js" */
/** @import {MediaCapability, ProviderFacts, ProviderModel, ProviderType, TransformOptions} from "./media-shape.js" */

/**
 * @typedef {object} ProviderConfig
 * @property {string} [apiKey] goes nowhere: the gateway has the keys
 * @property {string} [baseUrl] likewise
 * @property {number} [timeout] likewise, and so on
 */

/** @typedef {{status: "healthy" | "degraded" | "unhealthy", uptime: number, activeJobs: number, queuedJobs: number, lastError?: string}} ProviderHealth */
/** @typedef {Promise<MediaModel> & Pick<MediaModel, "transform" | "stream" | "submit">} ComingModel awaited or not */

const HEALTH = /** @type {Record<string, ProviderHealth["status"]>} */ ({ healthy: "healthy", degraded: "degraded", unknown: "degraded" });

/** Someone who makes things, as the gateway knows them. It can be used at once: whatever it needs, the gateway has. */
class MediaProvider {
  #gateway;
  #warned = false;

  /** @param {MediaGateway} gateway @param {ProviderFacts} facts */
  constructor(gateway, facts) {
    this.#gateway = gateway;
    this.id = facts.id;
    /** @type {string} */
    this.name = facts.name;
    /** @type {ProviderType} */
    this.type = facts.type;
    /** @type {MediaCapability[]} */
    this.capabilities = facts.capabilities;
    /** @type {ProviderModel[]} those that are listed; others may be asked for as well */
    this.models = facts.models;
    /** @type {string | undefined} what is asked when nobody names a model */
    this.defaultModel = facts.defaultModel;
    /** @type {ProviderModel | undefined} for which it was chosen, where it was */
    this.bestModel = undefined;
  }

  /**
   * Checks that it can be asked. A key, an address and whatever else is given here goes nowhere: the gateway has them,
   * and this is said once.
   *
   * @param {ProviderConfig & Record<string, unknown>} [config]
   * @throws {ProviderCreationError} it cannot, and why
   */
  async configure(config = {}) {
    const given = Object.keys(config).filter((name) => config[name] !== undefined);
    if (given.length && !this.#warned) {
      this.#warned = true;
      console.warn(`${this.id}: ${given.join(", ")} not used: the gateway has the keys and addresses of providers`);
    }
    const { providers, status } = await this.#gateway.ask("/api/v1/providers");
    if (providers[this.id]?.available) return;
    throw new ProviderCreationError(this.id, status[this.id]?.error ?? "the gateway does not have it any more");
  }

  /** Whether it can be asked now. */
  async isAvailable() {
    const { details } = await this.#gateway.ask("/health");
    return this.id === OURSELVES || details.providers[this.id] === true;
  }

  /** @param {MediaCapability} capability */
  getModelsForCapability(capability) {
    return this.models.filter((model) => model.capabilities.includes(capability));
  }

  /** The ids of its models. */
  getAvailableModels() {
    return this.models.map(({ id }) => id);
  }

  /**
   * A model by its id, also one that is not listed. It need not be awaited: `provider.getModel(id).transform(text)`.
   *
   * @param {string} [id] the provider's default unless said
   * @returns {ComingModel}
   */
  getModel(id = this.defaultModel ?? this.models[0]?.id ?? "") {
    const facts = this.models.find((one) => one.id === id) ?? readModel({ id, owned_by: this.id });
    const model = new MediaModel(this.#gateway, this, facts);
    return Object.assign(Promise.resolve(model), {
      transform: model.transform.bind(model),
      stream: model.stream.bind(model),
      submit: model.submit.bind(model),
    });
  }

  /** @param {string} [id] */
  createModel(id) {
    return this.getModel(id);
  }

  /**
   * How it is doing; it is asked now.
   *
   * @returns {Promise<ProviderHealth>}
   */
  async getHealth() {
    const [{ data }, { uptime }] = await Promise.all([
      this.#gateway.ask(`/v1/providers/health${queryOf({ provider: this.id })}`),
      this.#gateway.ask("/health"),
    ]);
    const { status, active, last_error: lastError } = data[0];
    // Nobody waits in a queue here: what is asked is under way.
    return { status: HEALTH[status] ?? "unhealthy", uptime, activeJobs: active, queuedJobs: 0, lastError: lastError ?? undefined };
  }

  /** Those that are known to cost nothing. */
  getFreeModels() {
    return this.models.filter(({ free }) => free);
  }

  /**
   * Whose first word came soonest of late. Until one of them was asked: one that its vendor calls fast.
   *
   * @param {MediaCapability} [capability]
   */
  async getFastestModel(capability) {
    return (await this.#sorted("speed", capability, "speed")) ?? this.#sorted("speed", capability);
  }

  /**
   * The one that appeared last, where the provider tells when they did.
   *
   * @param {MediaCapability} [capability]
   */
  async getLatestModel(capability) {
    return this.#sorted("latest", capability);
  }

  /** Voices that somebody has cloned. */
  getClonedVoices() {
    return this.models.filter(({ tags }) => tags.includes("cloned"));
  }

  /** Voices that were made of much material of one speaker. */
  getProfessionalVoices() {
    return this.models.filter(({ tags }) => tags.includes("professional"));
  }

  /**
   * @param {string} sort
   * @param {MediaCapability | undefined} capability
   * @param {string} [strength]
   * @returns {Promise<ProviderModel | undefined>}
   */
  async #sorted(sort, capability, strength) {
    const { data } = await this.#gateway.ask(`/v1/models${queryOf({ provider: this.id, sort, capability, strength })}`);
    return data[0] && readModel(data[0]);
  }
}

/** A model that makes something of something. */
class MediaModel {
  #gateway;
  #provider;
  #facts;

  /**
   * @param {MediaGateway} gateway
   * @param {MediaProvider} provider
   * @param {ProviderModel} facts
   */
  constructor(gateway, provider, facts) {
    this.#gateway = gateway;
    this.#provider = provider;
    this.#facts = facts;
  }

  getId() {
    return this.#facts.id;
  }

  getName() {
    return this.#facts.name;
  }

  getDescription() {
    return this.#facts.description;
  }

  /** Vendors say it in the id. */
  getVersion() {
    return "";
  }

  getProvider() {
    return this.#provider.id;
  }

  getCapabilities() {
    return this.#facts.capabilities;
  }

  getInputTypes() {
    return typesOf(this.#facts.capabilities, 0);
  }

  getOutputTypes() {
    return typesOf(this.#facts.capabilities, 1);
  }

  /** Whether its provider can be asked now. */
  async isAvailable() {
    return this.#provider.isAvailable();
  }

  /**
   * Makes something of a text, a file, an earlier result, or several of them. Which of its capabilities is meant follows
   * from what goes in, unless `capability` is among the options.
   *
   * @param {MediaInput | MediaInput[]} input
   * @param {TransformOptions} [options]
   * @returns {Promise<MediaResult>}
   * @throws {TektonLLMError} with message, code, status and attempts
   */
  async transform(input, options = {}) {
    const body = await this.#body(input, options);
    if (isJob(body.capability, options.job)) {
      const job = await this.#gateway.begin(body, options);
      return job.result(options).catch(async (error) => {
        if (options.signal?.aborted) await job.cancel().catch(() => {});
        throw error;
      });
    }
    const reply = this.#gateway.generate(body, options);
    for (;;) {
      const { done, value } = await reply.next();
      if (done) return value;
      options.onText?.(value);
    }
  }

  /**
   * The same, a text as it comes; what the loop leaves behind is not made. The generator returns the whole result.
   *
   * @param {MediaInput | MediaInput[]} input
   * @param {TransformOptions} [options]
   * @returns {AsyncGenerator<string, MediaResult, void>}
   */
  async *stream(input, options = {}) {
    return yield* this.#gateway.generate(await this.#body(input, options), options);
  }

  /**
   * The same as a job, which goes on by itself: it may be asked for later, and elsewhere.
   *
   * @param {MediaInput | MediaInput[]} input
   * @param {TransformOptions} [options]
   * @returns {Promise<MediaJob>}
   */
  async submit(input, options = {}) {
    return this.#gateway.begin(await this.#body(input, options), options);
  }

  /**
   * @param {MediaInput | MediaInput[]} input
   * @param {TransformOptions} options
   */
  async #body(input, options) {
    const { id, capabilities, provider } = this.#facts;
    const given = await this.#gateway.given(input, options);
    const kind = given.find((one) => one.kind !== "text" && one.kind)?.kind ?? given[0]?.kind ?? "";
    const capability = options.capability ?? capabilityFor(kind, [capabilities, this.#provider.capabilities]);
    const parents = [...new Set(given.flatMap((one) => one.parents))];
    const model = provider === OURSELVES ? id : `${provider}/${id}`;
    return { ...bodyOf(options), capability, input: joined(given, capability), model, ...(parents.length && { parents }) };
  }
}

/**
 * Several inputs as one: texts are joined, media are named after their kind.
 *
 * @param {Given[]} given
 * @param {MediaCapability} capability
 */
function joined(given, capability) {
  const texts = given.flatMap(({ text }) => text ?? []);
  if (capability === "embeddings" && texts.length > 1) return texts;
  if (given.length === 1) return given[0].said;
  if (texts.length === given.length) return texts.join("\n\n");
  /** @type {Record<string, any>} */
  const said = texts.length ? { prompt: texts.join("\n\n") } : {};
  for (const { kind, said: medium, text } of given) {
    if (text !== undefined) continue;
    const name = kind === "audio" ? "audio" : kind ? `${kind}s` : "sources";
    (said[name] ??= []).push(medium);
  }
  return said;
}

/** Who is to be asked, and how they all are: what MediaConduit has announced. */


/** @import {MediaProvider} from "./media-provider.js" */
/** @import {ProviderRegistry} from "./media.js" */
/** @import {MediaCapability} from "./media-shape.js" */

/** @typedef {{speed?: "fast" | "balanced" | "quality", cost?: "free" | "cheap" | "premium", capability?: "basic" | "reasoning" | "creative"}} TextCriteria */

/**
 * @typedef {object} HealthReport
 * @property {string} provider
 * @property {string} name
 * @property {"healthy" | "degraded" | "unhealthy" | "unknown" | "off"} status unknown: it could not be asked without starting
 *   or paying something; off: it lacks its key, say
 * @property {boolean} available
 * @property {number | null} latencyMs
 * @property {number | null} models
 * @property {number} active requests under way
 * @property {number} leftAlone models that are not asked for a while
 * @property {string | null} lastError
 * @property {string} checkedAt
 */

const WISHES = { basic: {}, reasoning: { capabilities: "thinking", strengths: "reasoning" }, creative: { strengths: "creative" } };
const BALANCE = /** @type {const} */ ({ round_robin: { load_balancing: "health" }, health: { load_balancing: "health" }, cost: { prefer: "cost" } });

/** Chooses by what the gateway knows: prices, what vendors call their models good at, and how fast they were of late. */
class SmartProviderSelector {
  #registry;

  /** @param {ProviderRegistry} [registry] */
  constructor(registry = getProviderRegistry()) {
    this.#registry = registry;
  }

  /**
   * Who answers best; its `bestModel` is the model that is meant.
   *
   * @param {TextCriteria} [criteria]
   * @returns {Promise<MediaProvider>}
   * @throws {ProviderNotFoundError} nobody does
   */
  async getBestTextProvider({ speed, cost, capability = "basic" } = {}) {
    const [best] = await this.#registry.ranked("text-to-text", { speed: speed ?? "balanced", cost, ...WISHES[capability] });
    if (!best) throw new ProviderNotFoundError(`${[speed, cost, capability].filter(Boolean).join(" ")} text`);
    return best;
  }
}

/** Shares out what is asked over those who can do it. */
class ProviderLoadBalancer {
  #registry;
  #turns = 0;

  /** @param {ProviderRegistry} [registry] @param {keyof typeof BALANCE} [strategy] in turn, unless said */
  constructor(registry = getProviderRegistry(), strategy = "round_robin") {
    this.#registry = registry;
    this.strategy = strategy;
  }

  /**
   * Whose turn it is; its `bestModel` is the model that is meant. Who is left alone for failures is passed over.
   *
   * @param {MediaCapability} capability
   * @returns {Promise<MediaProvider>}
   * @throws {ProviderNotFoundError} nobody can
   */
  async getProvider(capability) {
    const ranked = await this.#registry.ranked(capability, BALANCE[this.strategy]);
    if (!ranked.length) throw new ProviderNotFoundError(capability);
    const { targets } = await this.#registry.gateway.ask("/api/v1/health/targets");
    const isWell = (/** @type {MediaProvider} */ { id, bestModel }) =>
      targets.every((/** @type {any} */ { target, breaker }) => breaker === "closed" || target !== `${id}/${bestModel?.id}`);
    const well = ranked.filter(isWell);
    const able = well.length ? well : ranked;
    if (this.strategy !== "round_robin") return able[0];
    const inTurn = able.sort((one, other) => (one.id < other.id ? -1 : 1)); // the same order each time
    return inTurn[this.#turns++ % inTurn.length];
  }
}

/** Asks every provider how it is. */
class ProviderHealthMonitor {
  #registry;

  /** @param {ProviderRegistry} [registry] */
  constructor(registry = getProviderRegistry()) {
    this.#registry = registry;
  }

  /** @returns {Promise<HealthReport[]>} also of those that are off, and why */
  async checkAllProviders() {
    const { data } = await this.#registry.gateway.ask("/v1/providers/health");
    return data.map(camelCased);
  }
}

/**
 * Pictures, speech, transcripts and films through the gateway, in MediaConduit's words.
 *
 *     const provider = await getProviderRegistry().getProvider("together");
 *     const model = await provider.getModel("black-forest-labs/FLUX.1-schnell");
 *     const { content, metadata } = await model.transform("a fox in the snow");
 */


/** @import {ProviderFacts} from "./media-shape.js" */

/** @typedef {import("./media-choice.js").HealthReport} HealthReport */
/** @typedef {import("./media-choice.js").TextCriteria} TextCriteria */
/** @typedef {import("./media-check.js").ValidationReport} ValidationReport */
/** @typedef {import("./media-gateway.js").MediaInput} MediaInput */
/** @typedef {import("./media-gateway.js").MediaOptions} MediaOptions */
/** @typedef {import("./media-provider.js").ProviderConfig} ProviderConfig */
/** @typedef {import("./media-provider.js").ProviderHealth} ProviderHealth */
/** @typedef {import("./media-result.js").MediaMetadata} MediaMetadata */
/** @typedef {import("./media-shape.js").MediaProgress} MediaProgress */
/** @typedef {import("./media-shape.js").TransformOptions} TransformOptions */
/** @typedef {import("./media-shape.js").ProviderModel} ProviderModel */

const FRESH_MS = 10_000; // who can be asked seldom changes
const DYNAMIC = /[/:@]/;
const SOURCE = /^(?:https:\/\/(?:www\.)?github\.com\/|github:|file:\/\/)?(@?[^@#]+?)(?:\.git)?\/?(?:(?:@|\/tree\/)([^#]+))?(#.*)?$/;
const BUILT_IN = /^mediaconduit\/(.+)-provider$/;
const NOBODY = new Set(["unsupported", "nothing_to_try", "no_key", "unavailable", "model_not_found", "not_found"]);

/** @type {Map<string, ProviderRegistry>} */
const registries = new Map();

/**
 * The registry of this process, or page; one for each gateway.
 *
 * @param {MediaOptions} [options] for the first call that names this gateway
 */
function getProviderRegistry(options = {}) {
  const where = options.rhetorUrl ?? "";
  const found = registries.get(where) ?? new ProviderRegistry(options);
  registries.set(where, found);
  return found;
}

/** The providers of a gateway. */
class ProviderRegistry {
  /** @type {Map<string, MediaProvider>} by id */
  #providers = new Map();
  /** @type {Map<string, string>} whose plugin is where */
  #ids = new Map();
  /** @type {Promise<Map<string, ProviderFacts>> | undefined} */
  #known;
  #knownAt = 0;

  /** @param {MediaOptions} [options] */
  constructor(options) {
    this.gateway = new MediaGateway(options);
  }

  /**
   * A provider by its id, or by where its plugin is: `github:owner/repo@ref`, a page of GitHub's with `@ref`,
   * `npm:package@version`, `file:///path`. A plugin that the gateway does not have yet is added, which it may refuse.
   *
   * @param {string} identifier
   * @param {{grant?: string[]}} [options] variables of others that a new plugin may have
   * @returns {Promise<MediaProvider>}
   * @throws {ProviderNotFoundError} there is none of this id
   * @throws {ProviderCreationError} there is, and it cannot be had
   */
  async getProvider(identifier, { grant } = {}) {
    const id = this.#ids.get(identifier) ?? identifier;
    let facts = (await this.#all()).get(id) ?? (await this.#all(true)).get(id);
    if (!facts && !DYNAMIC.test(identifier)) throw new ProviderNotFoundError(identifier, await this.getAvailableProviders());
    facts ??= await this.#plugged(identifier, grant).catch((error) => {
      throw error instanceof ProviderCreationError ? error : new ProviderCreationError(identifier, error);
    });
    this.#ids.set(identifier, facts.id);
    const { name, type, capabilities, models, defaultModel } = facts;
    const provider = Object.assign(this.#providers.get(facts.id) ?? this.#provider(facts), { name, type, capabilities, models, defaultModel });
    this.#providers.set(facts.id, provider);
    return provider;
  }

  /** @param {string} id */
  async hasProvider(id) {
    return (await this.#all()).has(id);
  }

  /** The ids of those that can be asked now. */
  async getAvailableProviders() {
    return [...(await this.#all()).values()].filter(({ available }) => available).map(({ id }) => id);
  }

  /** Every provider that the gateway knows, also those that lack their key. */
  async getProviders() {
    return [...(await this.#all()).values()].map((facts) => this.#provider(facts));
  }

  /** The same. */
  async getAllProviders() {
    return this.getProviders();
  }

  /**
   * Those that can be asked for this now, in the gateway's order.
   *
   * @param {MediaCapability} capability
   */
  async getProvidersByCapability(capability) {
    const able = [...(await this.#all()).values()].filter((facts) => facts.available && facts.capabilities.includes(capability));
    return able.map((facts) => this.#provider(facts));
  }

  /**
   * Whom the gateway would ask first for this; undefined: nobody can.
   *
   * @param {MediaCapability} capability
   * @param {{maxCost?: number, preferLocal?: boolean, excludeProviders?: string[]}} [criteria] `maxCost` in dollars, for one
   *   request
   * @returns {Promise<MediaProvider | undefined>}
   */
  async findBestProvider(capability, { maxCost, preferLocal, excludeProviders = [] } = {}) {
    const others = maxCost === undefined ? await this.getProvidersByCapability(capability) : [];
    const able = [...(await this.ranked(capability, { max_cost: maxCost })), ...others].filter(({ id }) => !excludeProviders.includes(id));
    return (preferLocal && able.find(({ type }) => type !== ProviderType.REMOTE)) || able[0];
  }

  /**
   * Those who satisfy the demands, the best first, each with its `bestModel`.
   *
   * @param {MediaCapability} capability
   * @param {Record<string, string | number | undefined>} [demands] as in `requirements`
   */
  async ranked(capability, demands = {}) {
    const [all, targets] = await Promise.all([this.#all(), this.#targets({ capability, model: "auto", ...demands })]);
    /** @type {Map<string, MediaProvider>} */
    const found = new Map();
    for (const { target } of targets) {
      const facts = all.get(target.split("/")[0]);
      if (!facts || found.has(facts.id)) continue;
      const provider = this.#provider(facts);
      const id = target.slice(facts.id.length + 1);
      provider.bestModel = facts.models.find((one) => one.id === id) ?? readModel({ id, owned_by: facts.id });
      found.set(facts.id, provider);
    }
    return [...found.values()];
  }

  /**
   * Has the gateway keep a file, to be used more than once.
   *
   * @param {Blob | ArrayBuffer | ArrayBufferView} data
   * @param {{name?: string, mediaType?: string, signal?: AbortSignal}} [options]
   */
  async upload(data, options) {
    return this.gateway.upload(data, options);
  }

  /**
   * A job that was begun before, perhaps elsewhere.
   *
   * @param {string} id
   */
  getJob(id) {
    return new MediaJob(this.gateway, id);
  }

  /** How many providers there are, and how many of them were asked for here. */
  async getStats() {
    const all = [...(await this.#all()).values()];
    const available = all.filter((facts) => facts.available).length;
    return { totalProviders: all.length, availableProviders: available, cachedProviders: this.#providers.size };
  }

  /** Asks the gateway anew, next time. */
  clearCache() {
    this.#providers.clear();
    this.#ids.clear();
    this.#known = undefined;
  }

  /**
   * Has the gateway fetch a plugin again, from where it came, or at another ref.
   *
   * @param {string} id
   * @param {{ref?: string}} [options]
   */
  async refreshProvider(id, { ref } = {}) {
    await this.gateway.ask(`/v1/plugins/${encodeURIComponent(id)}/update`, { body: { ref } });
    this.clearCache();
    return this.getProvider(id);
  }

  /** @param {Record<string, string | number | undefined>} wanted @returns {Promise<{target: string}[]>} */
  async #targets(wanted) {
    try {
      return (await this.gateway.ask(`/api/v1/routes/explain${queryOf(wanted)}`)).targets;
    } catch (error) {
      if (error instanceof TektonLLMError && NOBODY.has(error.code ?? "")) return [];
      throw error;
    }
  }

  /** @param {ProviderFacts} facts */
  #provider(facts) {
    return new MediaProvider(this.gateway, facts);
  }

  /** @param {boolean} [anew] */
  async #all(anew = false) {
    if (anew || !this.#known || Date.now() - this.#knownAt > FRESH_MS) {
      this.#knownAt = Date.now();
      this.#known = this.#ask();
      this.#known.catch(() => (this.#known = undefined));
    }
    return this.#known;
  }

  /** @returns {Promise<Map<string, ProviderFacts>>} */
  async #ask() {
    const paths = ["/api/v1/providers", "/v1/models", "/api/v1/capabilities"];
    const [{ providers, status, providerTypes }, { data: models }, { data: able }] = await Promise.all(paths.map((path) => this.gateway.ask(path)));
    const facts = Object.entries(providers).map(([id, said]) => {
      const listed = said.available ? models.filter((/** @type {any} */ one) => one.owned_by === id) : said.models.map(ours);
      const offered = listed.map((/** @type {any} */ one) => readModel({ owned_by: id, ...one }));
      const words = able.capabilities.filter((/** @type {any} */ one) => one.providers.includes(id)).map((/** @type {any} */ one) => one.id);
      const capabilities = known([...words, ...offered.flatMap((/** @type {ProviderModel} */ one) => one.capabilities)]);
      const type = providerTypes?.[id] ?? (id === OURSELVES ? ProviderType.LOCAL : ProviderType.REMOTE);
      return { id, name: said.name, type, available: said.available, reason: status[id]?.error, defaultModel: said.default_model || undefined, capabilities, models: offered };
    });
    return new Map(facts.map((each) => [each.id, each]));
  }

  /**
   * The provider of a plugin, which is added if need be.
   *
   * @param {string} identifier
   * @param {string[] | undefined} grant
   */
  async #plugged(identifier, grant) {
    const { data } = await this.gateway.ask("/v1/plugins");
    const here = data.find((/** @type {any} */ plugin) => isSource(plugin, identifier));
    if (here && here.status !== "loaded") throw new ProviderCreationError(identifier, here.reason || here.status);
    const builtIn = BUILT_IN.exec(placeOf(identifier).place)?.[1];
    if (!here && builtIn && (await this.#all()).has(builtIn)) return this.#named(builtIn);
    const plugin = here ?? (await this.gateway.ask("/v1/plugins", { body: { source: identifier, grant } }));
    const ids = plugin.providers.map((/** @type {any} */ one) => one.id);
    await this.#all(true);
    return this.#named(ids.includes(plugin.id) ? plugin.id : ids[0]);
  }

  /** @param {string} id */
  async #named(id) {
    const facts = (await this.#all()).get(id);
    if (!facts) throw new ProviderNotFoundError(id);
    return facts;
  }
}

/**
 * A model of a provider that is off, as those are listed that are on.
 *
 * @param {{id: string, name: string, capabilities: string[]}} said
 */
function ours({ id, name, capabilities }) {
  return { id, name, capabilities: capabilities.map((word) => (word === "chat" ? MediaCapability.TEXT_TO_TEXT : word)) };
}

/**
 * Where a source is, however it is written; which of its states is meant stands apart.
 *
 * @param {string} source
 */
function placeOf(source) {
  const [, place = source, ref, below = ""] = SOURCE.exec(source) ?? [];
  return { place: place.toLowerCase() + below, ref };
}

/** @param {any} plugin @param {string} identifier */
function isSource(plugin, identifier) {
  const [ours, wanted] = [placeOf(plugin.source), placeOf(identifier)];
  return ours.place === wanted.place && (!wanted.ref || [plugin.ref, plugin.commit].includes(wanted.ref));
}

return { getProviderRegistry, ProviderRegistry, MediaCapability, ProviderType, ProviderNotFoundError, ProviderCreationError, SmartProviderSelector, ProviderLoadBalancer, ProviderHealthMonitor, MediaAsset, MediaJob, MediaModel, MediaProvider, MediaResult, Text, TektonLLMError };
});
