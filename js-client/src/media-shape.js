/** What media and those who make them are called, without any I/O. */

import { TektonLLMError } from "./errors.js";

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
export const MediaCapability = /** @type {any} */ (Object.fromEntries(ABLE.map((word) => [word.toUpperCase().replace(/-/g, "_"), word])));

/** Where a provider runs: on the gateway's machine, elsewhere, or in a container that the gateway starts. */
export const ProviderType = /** @type {const} */ ({ LOCAL: "local", REMOTE: "remote", DOCKER: "docker" });

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

export const OURSELVES = "rhetor"; // whose models are the gateway's routes
const MICROS = 1_000_000;
const CALL = ["signal", "onProgress", "onText", "job", "capability", "fallbacks", "timeoutS"];
const LONG = /-to-(?:video|3d)$/;

export class ProviderNotFoundError extends TektonLLMError {
  /** @param {string} id @param {Iterable<string>} [known] */
  constructor(id, known = []) {
    const there = [...known].join(", ");
    super(`Provider '${id}' not found${there && `; there are ${there}`}`, { code: "not_found", provider: id });
    this.name = "ProviderNotFoundError";
  }
}

/** A provider that cannot be had: its plugin is refused, or it lacks what it needs. */
export class ProviderCreationError extends TektonLLMError {
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
export function readModel({ id, owned_by: provider, name, targets, free, tags = [], capabilities = [], ...said }) {
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
export function known(words) {
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
export function capabilityFor(kind, able) {
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
export function isJob(capability, wanted) {
  return wanted ?? LONG.test(capability);
}

/**
 * The fields of a request that its options say, and which of them are the model's settings.
 *
 * @param {TransformOptions} options
 */
export function bodyOf(options) {
  const settings = Object.fromEntries(Object.entries(options).filter(([name]) => !CALL.includes(name)));
  return { options: settings, fallbacks: options.fallbacks, timeout_s: options.timeoutS };
}

/** @param {MediaCapability[]} capabilities @param {0 | 1} side what goes in, or what comes out */
export function typesOf(capabilities, side) {
  const kinds = capabilities.flatMap((one) => (one.includes("-to-") ? one.split("-to-")[side] : []));
  return [...new Set(kinds)].map((kind) => (kind === "text" ? "text/plain" : kind === "3d" ? "model/*" : `${kind}/*`));
}

/** @param {string} mediaType */
export function kindOf(mediaType) {
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
export function sniffed(bytes) {
  const head = String.fromCharCode(...bytes.subarray(0, 12));
  return MARKS.find(([at, mark]) => head.startsWith(mark, at))?.[2] ?? "application/octet-stream";
}

/**
 * The names of an object's fields as they are written here.
 *
 * @param {Record<string, any>} said
 * @returns {any}
 */
export function camelCased(said) {
  return Object.fromEntries(Object.entries(said).map(([name, value]) => [name.replace(/_(.)/g, (_, letter) => letter.toUpperCase()), value]));
}

/**
 * The query of a URL, without what nobody has said.
 *
 * @param {Record<string, string | number | undefined>} said
 */
export function queryOf(said) {
  return `?${new URLSearchParams(Object.entries(said).filter(([, value]) => value !== undefined).map(([name, value]) => [name, `${value}`]))}`;
}
