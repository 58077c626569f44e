/** The way over HTTP: requests, and streamed replies as server-sent events that can be left and found again. */

import { Calls } from "./calls.js";
import { TektonLLMError } from "./errors.js";
import { GENERATIONS_PATH, ID_HEADER, STREAM_PATH } from "./protocol.js";
import { parsed } from "./refusal.js";
import { EventStream } from "./sse.js";

/** @import {Frame, Line, Place} from "./generation.js" */
/** @import {Patience} from "./patience.js" */

// A caller that stops before the gateway has answered waits so long for the id of what is to be stopped. The
// gateway says something at least every 10 s unless its operator says otherwise.
const ID_WITHIN_MS = 15_000;

export class Http extends Calls {
  /**
   * Begins a streamed reply, or goes on after a place in one.
   *
   * @param {Record<string, unknown>} body
   * @param {Place | null} place
   * @param {Patience} patience
   * @returns {Promise<Line>}
   */
  async open(body, place, patience) {
    const giveUp = new AbortController();
    const asked = place
      ? this.send(`${GENERATIONS_PATH}${place.generationId}/events?dialect=tekton`, giveUp.signal, {
          headers: place.eventId ? { "last-event-id": place.eventId } : {},
        })
      : this.send(STREAM_PATH, giveUp.signal, { body });
    try {
      const response = await patience.during(asked);
      return new EventLine(response, giveUp, Boolean(body.resume_s));
    } catch (error) {
      if (patience.caller?.aborted && !place && body.resume_s) this.#endWhenKnown(asked, giveUp);
      else giveUp.abort();
      throw error;
    }
  }

  /**
   * Ends a generation that nobody wants any more, and its call to the provider.
   *
   * @param {string} generationId
   */
  end(generationId) {
    const init = { method: "DELETE", headers: this.headers(), keepalive: true };
    fetch(this.url + GENERATIONS_PATH + generationId, init).catch(() => {}); // it ends by itself soon
  }

  /**
   * @param {Promise<Response>} asked
   * @param {AbortController} giveUp
   */
  async #endWhenKnown(asked, giveUp) {
    const timer = setTimeout(() => giveUp.abort(), ID_WITHIN_MS);
    try {
      const id = (await asked).headers.get(ID_HEADER);
      if (id) this.end(id);
    } catch {
      // It was refused, or never answered: there is nothing to be ended.
    } finally {
      clearTimeout(timer);
      giveUp.abort();
    }
  }
}

/**
 * The frames of a reply as server-sent events.
 *
 * @implements {Line}
 */
class EventLine {
  #events;
  #giveUp;
  #place;

  /**
   * @param {Response} response
   * @param {AbortController} giveUp
   * @param {boolean} recorded
   */
  constructor(response, giveUp, recorded) {
    this.#events = new EventStream(response);
    this.#giveUp = giveUp;
    const generationId = response.headers.get(ID_HEADER);
    /** @type {Place | null} */
    this.#place = recorded && generationId ? { way: "sse", generationId, eventId: "" } : null;
  }

  /** Where it begins. */
  get place() {
    return this.#place;
  }

  /**
   * @param {Patience} patience
   * @returns {Promise<Frame>}
   */
  async take(patience) {
    return this.#frame(await this.#events.next(patience));
  }

  drop() {
    this.#giveUp.abort();
  }

  /** It is not the connection that ends a recorded generation. */
  cancel() {
    this.#giveUp.abort();
    return this.#place === null;
  }

  /**
   * @param {{id: string, data: string}} event
   * @returns {Frame}
   */
  #frame({ id, data }) {
    const said = data === "[DONE]" ? { done: true } : parsed(data);
    if (said === null) throw new TektonLLMError("the gateway's chunk cannot be read", { code: "protocol_error" });
    return { said, place: this.#place && id ? { ...this.#place, eventId: id } : this.#place };
  }
}
