/** A session's events as they come over one connection: server-sent events, or a WebSocket. */

import { Lost, TektonLLMError } from "./errors.js";
import { parsed } from "./refusal.js";
import { EventStream } from "./sse.js";
import { ticketOf } from "./ticket.js";

/** @import {Calls} from "./calls.js" */
/** @import {Patience} from "./patience.js" */

/**
 * @typedef {object} EventLine
 * @property {(patience: Patience) => Promise<any>} take the next event; Lost when there are no more
 * @property {() => void} drop hear no more of it
 */

const OPEN_WITHIN_MS = 3_000; // a proxy may swallow the upgrade; over HTTP we would have an answer by then
const LOOK_MS = 10_000; // a connection that says nothing for so long is asked whether it is still there
// What may wait for a slow reader, in characters. What does not fit stays in the log, and is fetched from there.
const MOST_WAITING = 1 << 20;

/** The ways to a session's events, and which of them works here. */
export class SessionWays {
  /**
   * @param {Calls} calls
   * @param {((path: string, protocols: string[] | undefined) => WebSocket) | null} make
   * @param {boolean} only the WebSocket, and nothing else
   */
  constructor(calls, make, only) {
    this.calls = calls;
    this.make = make;
    this.only = only;
  }

  /**
   * WebSocket first. Where that cannot be opened while the same goes over HTTP, it is not tried again.
   *
   * @param {string} path of the events, with the place after which they are wanted
   * @param {Patience} patience
   * @param {boolean} doubtful whether there may be nothing more, which is told over HTTP only
   * @returns {Promise<EventLine | null>} null: nothing more will happen
   */
  async open(path, patience, doubtful) {
    const { make } = this;
    /** @type {TektonLLMError | undefined} */
    let failed;
    if (make && !doubtful) {
      try {
        return await openSocket(make, path, await ticketOf(this.calls, patience), patience);
      } catch (error) {
        if (!(error instanceof TektonLLMError)) throw error;
        failed = error;
      }
    }
    const line = await openStream(this.calls, path, patience); // also where it must not be used: it tells what is wrong
    if (line && failed && this.only) {
      line.drop();
      throw failed;
    }
    if (line && failed) this.make = null;
    return line;
  }
}

/**
 * @param {Calls} calls
 * @param {string} path
 * @param {Patience} patience
 * @returns {Promise<EventLine | null>}
 */
async function openStream(calls, path, patience) {
  const giveUp = new AbortController();
  try {
    const headers = { accept: "text/event-stream" };
    const response = await patience.during(calls.send(path, giveUp.signal, { headers }));
    if (response.status === 204) return null;
    const events = new EventStream(response);
    return {
      take: async (waiting) => told((await events.next(waiting)).data),
      drop: () => giveUp.abort(),
    };
  } catch (error) {
    giveUp.abort();
    throw error;
  }
}

/** @param {string} data */
function told(data) {
  const said = parsed(data);
  if (typeof said?.seq !== "number") throw new TektonLLMError("the gateway's event cannot be read", { code: "protocol_error" });
  return said;
}

/**
 * @param {(path: string, protocols: string[] | undefined) => WebSocket} make
 * @param {string} path
 * @param {string[] | undefined} protocols
 * @param {Patience} patience
 */
async function openSocket(make, path, protocols, patience) {
  const socket = make(path, protocols);
  const line = new SocketLine(socket);
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const opening = new Promise((resolve, reject) => {
    timer = setTimeout(() => reject(new Lost()), OPEN_WITHIN_MS);
    socket.onopen = resolve;
    socket.onmessage = ({ data }) => line.hear(data);
    const onEnd = () => {
      line.lose();
      reject(new Lost());
    };
    socket.onerror = socket.onclose = onEnd; // Node 20 tells of a refused upgrade by an error only
  });
  try {
    await patience.during(opening);
    return line;
  } catch (error) {
    line.drop();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/**
 * A WebSocket cannot be made to wait; so when too much waits here, it is closed, and counts as lost once the rest
 * is read.
 *
 * @implements {EventLine}
 */
class SocketLine {
  /** @type {{event: any, size: number}[]} */
  #waiting = [];
  #size = 0;
  #over = false;
  #pinged = false;
  #wake = () => {};
  #looking;
  #socket;

  /** @param {WebSocket} socket */
  constructor(socket) {
    this.#socket = socket;
    this.#looking = setInterval(() => this.#look(), LOOK_MS);
  }

  /** @param {string} data */
  hear(data) {
    this.#pinged = false;
    const { type, event } = parsed(data) ?? {};
    if (type === "event" && !this.#over) {
      this.#waiting.push({ event, size: data.length });
      this.#size += data.length;
      if (this.#size > MOST_WAITING) this.drop();
    }
    this.#wake();
  }

  lose() {
    this.#over = true;
    clearInterval(this.#looking);
    this.#wake();
  }

  /** @param {Patience} patience */
  async take(patience) {
    while (!this.#waiting.length) {
      if (this.#over) throw new Lost();
      await patience.during(new Promise((resolve) => (this.#wake = () => resolve(undefined))));
    }
    const { event, size } = /** @type {{event: any, size: number}} */ (this.#waiting.shift());
    this.#size -= size;
    return event;
  }

  drop() {
    this.lose();
    this.#socket.close();
  }

  /** A network that is cut says nothing, so we ask; timers of hidden pages are late, so only silence after that counts. */
  #look() {
    if (this.#pinged) return this.drop();
    this.#pinged = true;
    if (this.#socket.readyState === 1) this.#socket.send('{"type":"ping"}');
  }
}
