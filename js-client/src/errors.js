/**
 * What the gateway, or the way to it, refused. `message` is for people, in the gateway's own words where
 * it answered; `code` is stable: the gateway's, or one of "unreachable", "timeout" and "protocol_error".
 */
export class TektonLLMError extends Error {
  /**
   * @param {string} message
   * @param {{code?: string | null, status?: number | null, requestId?: string | null, cause?: unknown}} [about]
   */
  constructor(message, { code = null, status = null, requestId = null, cause } = {}) {
    super(message, { cause });
    this.name = "TektonLLMError";
    this.code = code;
    /** The HTTP status; null when there was no answer. */
    this.status = status;
    /** Under what name the gateway's log knows the request. */
    this.requestId = requestId;
  }
}
