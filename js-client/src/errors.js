/** @typedef {{target: string, outcome: string, ms: number, how?: string}} Attempt whom the gateway asked, and how it went */

/**
 * What the gateway, or the way to it, refused. `message` is for people, in the gateway's own words where
 * it answered; `code` is stable: the gateway's, or one of "unreachable", "timeout", "protocol_error",
 * "generation_gone" and "not_json".
 */
export class TektonLLMError extends Error {
  /**
   * @param {string} message
   * @param {{code?: string | null, status?: number | null, requestId?: string | null, attempts?: Attempt[],
   *   retryAfterS?: number | null, cause?: unknown}} [about]
   */
  constructor(message, { code = null, status = null, requestId = null, attempts = [], retryAfterS = null, cause } = {}) {
    super(message, { cause });
    this.name = "TektonLLMError";
    this.code = code;
    /** The HTTP status; null when there was no answer, or none over HTTP. */
    this.status = status;
    /** Under what name the gateway's log knows the request. */
    this.requestId = requestId;
    /** Whom the gateway asked before it gave up. */
    this.attempts = attempts;
    /** When it may be worth to ask again, where the gateway says so. */
    this.retryAfterS = retryAfterS;
  }
}

/** The connection is gone; whoever knows where the reply was may come back. */
export class Lost extends TektonLLMError {
  /** @param {string} [message] @param {unknown} [cause] */
  constructor(message = "the gateway cannot be reached, or went away", cause) {
    super(message, { code: "unreachable", cause });
  }
}
