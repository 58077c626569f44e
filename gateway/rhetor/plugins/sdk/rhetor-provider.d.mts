// Types of `rhetor-provider.mjs`, for authors who write TypeScript or let their editor check JavaScript.

export const PROTOCOL: 1;
export const SDK: string;

export interface Media {
  /** Empty where only its address is known. */
  mediaType?: string;
  data?: Uint8Array;
  name?: string;
  /** Where it lies, if it did not come along. */
  url?: string;
}

export type Capability =
  | "text-to-text" | "embeddings" | "count-tokens" | "rerank" | "text-to-image" | "image-to-image"
  | "image-to-text" | "text-to-video" | "image-to-video" | "video-to-video" | "video-to-image"
  | "video-to-audio" | "text-to-audio" | "audio-to-text" | "audio-to-audio" | "text-to-3d" | "image-to-3d";

export type Part =
  | { type: "text"; text: string }
  | { type: "image"; source: Media; detail?: string }
  | { type: "audio"; source: Media }
  | { type: "file"; source: Media; name?: string }
  | { type: "tool_use"; id: string; name: string; arguments: string }
  | { type: "tool_result"; tool_use_id: string; parts: Part[]; is_error?: boolean }
  | { type: "thinking"; text: string; signature?: string }
  | { type: "refusal"; text: string };

export interface Message {
  role: "system" | "user" | "assistant" | "tool";
  parts: Part[];
  name?: string;
  /** Its texts, joined. */
  text: string;
}

export class Request {
  readonly id: string;
  readonly capability: Capability;
  readonly model: string;
  readonly stream: boolean;
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
  readonly input: Record<string, any>;
  readonly media: Media[];
  readonly messages: Message[];
  /** What it is about: what the user said last, the prompt, the text to speak, or the query. */
  readonly text: string;
  option<T = any>(name: string, otherwise?: T): T;
}

export interface Counts {
  input_tokens?: number;
  output_tokens?: number;
  cache_read_tokens?: number;
  cache_write_tokens?: number;
  reasoning_tokens?: number;
  characters?: number;
  audio_ms?: number;
  images?: number;
  video_ms?: number;
  estimated?: boolean;
}

export type FinishReason = "stop" | "stop_sequence" | "length" | "tool_use" | "refusal" | "pause" | "other";

export type Event =
  | string
  | { event: "text"; text: string }
  | { event: "thinking"; text: string; signature?: string }
  | { event: "refusal"; text: string }
  | { event: "tool_use"; name: string; arguments: object | string; id?: string }
  | { event: "medium"; media_type: string; data?: Uint8Array; prompt?: string }
  | { event: "data"; data: Uint8Array }
  | { event: "link"; url: string; media_type?: string; prompt?: string }
  | {
      event: "timed"; kind: "segment" | "word"; text: string; start_s: number; end_s: number;
      speaker?: string; confidence?: number;
    }
  | { event: "spoken"; language?: string; duration_s?: number }
  | { event: "ranked"; index: number; score: number }
  | { event: "vector"; values: number[] }
  | { event: "progress"; fraction?: number; note?: string }
  | ({ event: "usage" } & Counts)
  | { event: "finished"; reason?: FinishReason };

export function text(said: string): Event;
export function thinking(said: string, signature?: string): Event;
export function refusal(said: string): Event;
export function toolUse(name: string, args?: object | string, id?: string): Event;
export function medium(mediaType: string, bytes?: Uint8Array, prompt?: string): Event;
export function data(bytes: Uint8Array): Event;
export function link(url: string, mediaType?: string, prompt?: string): Event;
export function timed(
  said: string, startS: number, endS: number,
  options?: { kind?: "segment" | "word"; speaker?: string; confidence?: number },
): Event;
export function spoken(language?: string, durationS?: number): Event;
export function ranked(index: number, score: number): Event;
export function vector(values: Iterable<number>): Event;
export function progress(fraction?: number, note?: string): Event;
export function usage(counts: Counts): Event;
export function finished(reason?: FinishReason): Event;

export type Code =
  | "invalid_request" | "model_not_found" | "unsupported" | "request_too_large" | "context_length_exceeded"
  | "content_policy_violation" | "upstream_authentication" | "upstream_billing" | "rate_limited"
  | "overloaded" | "unavailable" | "upstream_error";

export class Failure extends Error {
  constructor(message: string, code?: Code, retryAfterS?: number);
  readonly code: Code;
  readonly retryAfterS?: number;
}

export interface Model {
  id: string;
  name?: string;
  capabilities?: Capability[];
  context_tokens?: number;
  max_output_tokens?: number;
}

export type Events = AsyncIterable<Event> | Iterable<Event>;

export class Provider {
  start(): Promise<void> | void;
  stream?(request: Request): Events | Promise<Events>;
  generate?(request: Request): Event | Events | Promise<Event | Events | void>;
  testConnection(): Promise<string | void> | string | void;
  models(): Promise<(Model | string)[]> | (Model | string)[];
}

/** Serve the gateway until it hangs up; for a main file that is started by itself. */
export function run(provider: Provider): Promise<void>;
