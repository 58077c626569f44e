/** A session's events, one after the other, however often the connection has to be made for them. */

import { Lost, TektonLLMError } from "./errors.js";
import { pauseMs } from "./patience.js";
import { SESSIONS_PATH, readEvent } from "./session-shape.js";

/** @import {Patience} from "./patience.js" */
/** @import {EventLine, SessionWays} from "./session-lines.js" */

const STEADY_MS = 5_000; // a connection that held so long was a good one
const PASSING = new Set([429, 502, 503, 504]); // a gateway that is being started again, or a proxy before it

/** No event twice and none lost: their numbers tell. */
export class Following {
  /** @type {EventLine | null} */
  #line = null;
  /** Whether there may be nothing more, which only HTTP tells. */
  #doubtful = false;
  #heard = false;
  #over = false;
  #missing = false;
  #losses = 0;
  #lostAt = 0;
  #openedAt = 0;
  #ways;
  #id;
  #after;
  #patience;
  #reconnectS;
  #onConnection;

  /**
   * @param {SessionWays} ways
   * @param {string} id
   * @param {number} after
   * @param {Patience} patience
   * @param {number} reconnectS
   * @param {((connected: boolean) => void) | undefined} onConnection
   */
  constructor(ways, id, after, patience, reconnectS, onConnection) {
    this.#ways = ways;
    this.#id = id;
    this.#after = after;
    this.#patience = patience;
    this.#reconnectS = reconnectS;
    this.#onConnection = onConnection;
  }

  /** The next event; null when there will be none. */
  async next() {
    for (;;) {
      try {
        const line = (this.#line ??= await this.#open());
        if (!line) return null;
        const event = readEvent(await line.take(this.#patience));
        if (!this.#isNext(event.seq)) continue;
        this.#over = event.type === "status_change" && event.data.to === "terminated";
        return event;
      } catch (error) {
        await this.#comeBack(/** @type {TektonLLMError} */ (error));
      }
    }
  }

  close() {
    this.#line?.drop();
    this.#line = null;
  }

  async #open() {
    const path = `${SESSIONS_PATH}/${encodeURIComponent(this.#id)}/events?after=${this.#after}&follow=true`;
    const line = await this.#ways.open(path, this.#patience, this.#doubtful);
    this.#doubtful = this.#heard = false;
    this.#openedAt = Date.now();
    if (line) this.#onConnection?.(true);
    return line;
  }

  /** @param {number} seq */
  #isNext(seq) {
    if (seq <= this.#after) return false;
    if (seq > this.#after + 1) {
      if (this.#missing) throw new TektonLLMError(`event ${this.#after + 1} is missing`, { code: "protocol_error" });
      this.#missing = true;
      throw new Lost(); // the log has it
    }
    this.#after = seq;
    this.#heard = true;
    this.#missing = false;
    this.#losses = 0;
    return true;
  }

  /**
   * Waits a little, if another connection may do better.
   *
   * @param {TektonLLMError} error
   * @throws {TektonLLMError} it would not
   */
  async #comeBack(error) {
    const passing = error instanceof Lost || error.code === "timeout" || PASSING.has(error.status ?? 0);
    if (!passing || this.#patience.caller?.aborted) throw error;
    if (this.#line) this.#onLoss();
    if (!this.#losses++) this.#lostAt = Date.now();
    if (Date.now() - this.#lostAt > this.#reconnectS * 1000) throw error;
    if (!this.#over) await this.#patience.pause(Math.max(pauseMs(this.#losses), (error.retryAfterS ?? 0) * 1000));
    this.#over = false;
  }

  #onLoss() {
    if (Date.now() - this.#openedAt > STEADY_MS) this.#losses = 0;
    this.#doubtful = this.#over || !this.#heard;
    this.close();
    if (!this.#over) this.#onConnection?.(false);
  }
}
