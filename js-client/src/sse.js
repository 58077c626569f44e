/** Server-sent events: text in any pieces → what was sent. */

/** @typedef {{id: string, data: string}} ServerEvent */

/** The gateway writes one line of data for each event; comments and other fields say nothing to us. */
export class EventReader {
  #rest = "";
  #id = "";

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
      else if (line.startsWith("data:")) events.push({ id: this.#id, data: line.slice(5).trim() });
    }
    return events;
  }
}
