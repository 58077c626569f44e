/** @typedef {{target: string, outcome: string, ms: number, how?: string}} Attempt whom the gateway asked, and how it went */

/**
 * What the gateway, or the way to it, refused. `message` is for people, in the gateway's own words where
 * it answered; `code` is stable: the gateway's, or one of "unreachable", "timeout", "protocol_error",
 * "generation_gone" and "not_json".
 */
export class TektonLLMError extends Error {
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
export class Lost extends TektonLLMError {
  /** @param {string} [message] @param {unknown} [cause] */
  constructor(message = "the gateway cannot be reached, or went away", cause) {
    super(message, { code: "unreachable", cause });
  }
}
