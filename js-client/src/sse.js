/** Server-sent events: text in any pieces → what was sent. */

import { Lost } from "./errors.js";

/** @import {Patience} from "./patience.js" */

/** @typedef {{id: string, name: string, data: string}} ServerEvent */

/** The gateway writes one line of data for each event, as its last; comments and other fields say nothing to us. */
export class EventReader {
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
export class EventStream {
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
