/** The way over HTTP: requests, and streamed replies as server-sent events that can be left and found again. */

import { Lost, TektonLLMError } from "./errors.js";
import { GENERATIONS_PATH, ID_HEADER, STREAM_PATH, parsed, refusal } from "./protocol.js";
import { EventReader } from "./sse.js";

/** @import {Frame, Line, Place} from "./generation.js" */
/** @import {Patience} from "./patience.js" */

// A caller that stops before the gateway has answered waits so long for the id of what is to be stopped. The
// gateway says something at least every 10 s unless its operator says otherwise.
const ID_WITHIN_MS = 15_000;

export class Http {
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
   * @param {Record<string, unknown> | undefined} body without one it is a GET
   * @param {Patience} patience
   * @throws {TektonLLMError} refused, or not reached; then what was asked is given up
   */
  async ask(path, body, patience) {
    const giveUp = new AbortController();
    try {
      const response = await patience.during(this.#send(path, body, giveUp.signal));
      return await patience.during(textOf(response));
    } finally {
      giveUp.abort();
    }
  }

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
      ? this.#send(`${GENERATIONS_PATH}${place.generationId}/events?dialect=tekton`, undefined, giveUp.signal, place.eventId)
      : this.#send(STREAM_PATH, body, giveUp.signal);
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
    const init = { method: "DELETE", headers: this.#headers(), keepalive: true };
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

  /**
   * @param {string} path
   * @param {Record<string, unknown> | undefined} body
   * @param {AbortSignal} signal
   * @param {string} [lastEventId]
   */
  async #send(path, body, signal, lastEventId) {
    const headers = this.#headers();
    if (body) headers["content-type"] = "application/json";
    if (lastEventId) headers["last-event-id"] = lastEventId;
    const method = body ? "POST" : "GET";
    const init = { method, headers, signal, body: body && JSON.stringify(body) };
    const response = await fetch(this.url + path, init).catch((error) => {
      throw new Lost(undefined, error);
    });
    if (response.ok) return response;
    throw refusal(response.status, response.headers, await textOf(response));
  }

  /** @returns {Record<string, string>} */
  #headers() {
    const token = this.token();
    return token ? { authorization: `Bearer ${token}` } : {};
  }
}

/**
 * The frames of a reply as server-sent events. The body is read when a frame is asked for, so a reader that is
 * slow makes the gateway wait.
 *
 * @implements {Line}
 */
class EventLine {
  #events = new EventReader();
  #utf8 = new TextDecoder();
  /** @type {Frame[]} */
  #frames = [];
  #body;
  #giveUp;
  #place;

  /**
   * @param {Response} response
   * @param {AbortController} giveUp
   * @param {boolean} recorded
   */
  constructor(response, giveUp, recorded) {
    this.#body = response.body?.getReader();
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
    for (;;) {
      const frame = this.#frames.shift();
      if (frame) return frame;
      const read = await patience.during(this.#read());
      if (read.done) throw new Lost("the gateway closed the connection in the middle of its reply");
      this.#frames = this.#events.feed(this.#utf8.decode(read.value, { stream: true })).map((event) => this.#frame(event));
    }
  }

  drop() {
    this.#giveUp.abort();
  }

  /** It is not the connection that ends a recorded generation. */
  cancel() {
    this.#giveUp.abort();
    return this.#place === null;
  }

  /** @returns {Promise<{done: boolean, value?: Uint8Array<ArrayBuffer>}>} */
  async #read() {
    if (!this.#body) return { done: true };
    return this.#body.read().catch((error) => {
      throw new Lost(undefined, error);
    });
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

/** @param {Response} response */
function textOf(response) {
  return response.text().catch((error) => {
    throw new Lost(undefined, error);
  });
}
