/** The way over WebSocket: one connection for all requests of a client, opened when it is needed. */

import { Lost, TektonLLMError } from "./errors.js";
import { parsed } from "./refusal.js";

/** @import {Frame, Line, Place} from "./generation.js" */
/** @import {Patience} from "./patience.js" */

const OPEN_WITHIN_MS = 3_000; // a proxy may swallow the upgrade; over HTTP we would have an answer by then
const LOOK_MS = 10_000; // a connection that says nothing for so long is asked whether it is still there
// What may wait for a slow reader, in characters. Longer than nearly all replies, and little for a page.
const MOST_WAITING = 1 << 20;
// In Node an open connection keeps the process alive, so there it ends with its last request.
const IDLE_MS = typeof document === "undefined" ? 0 : 30_000;

/** The connection could not be opened: over HTTP it may go. */
export class CannotOpen extends Lost {}

export class Socket {
  /** @type {Map<string, FrameLine>} */
  #lines = new Map();
  /** @type {Promise<WebSocket> | null} */
  #opening = null;
  /** @type {WebSocket | null} */
  #socket = null;
  #requests = 0;
  #pinged = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #idle;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #looking;
  #make;
  #protocols;
  #componentId;
  #lookMs;

  /**
   * @param {(protocols: string[] | undefined) => WebSocket} make
   * @param {() => Promise<string[] | undefined>} protocols asked for anew for each connection
   * @param {string} componentId
   * @param {number} [lookMs]
   */
  constructor(make, protocols, componentId, lookMs = LOOK_MS) {
    this.#make = make;
    this.#protocols = protocols;
    this.#componentId = componentId;
    this.#lookMs = lookMs;
  }

  /**
   * Begins a streamed reply, or goes on after a place in one.
   *
   * @param {Record<string, unknown>} body
   * @param {Place | null} place
   * @param {Patience} patience
   * @returns {Promise<Line>}
   * @throws {CannotOpen}
   */
  async open(body, place, patience) {
    const socket = await patience.during(this.#connected());
    const requestId = `${this.#componentId}_${++this.#requests}`;
    const line = new FrameLine((cancelled) => this.#leave(socket, requestId, cancelled));
    this.#lines.set(requestId, line);
    clearTimeout(this.#idle);
    this.#looking ??= setInterval(() => this.#look(socket), this.#lookMs);
    const resume = place && { generation_id: place.generationId, last_event_id: place.eventId };
    socket.send(
      JSON.stringify({ type: resume ? "RESUME" : "CHAT_STREAM", request_id: requestId, ...(resume ?? body) }),
    );
    return line;
  }

  close() {
    const socket = this.#socket;
    if (socket) this.#lose(socket);
    socket?.close();
  }

  #connected() {
    this.#opening ??= this.#dial();
    return this.#opening;
  }

  async #dial() {
    try {
      const protocols = await this.#protocols();
      return await new Promise((resolve, reject) => {
        const socket = this.#make(protocols);
        const onEnd = () => {
          clearTimeout(timer);
          reject(new CannotOpen());
          this.#lose(socket);
        };
        const timer = setTimeout(() => {
          onEnd();
          socket.close();
        }, OPEN_WITHIN_MS);
        socket.onopen = () => {
          clearTimeout(timer);
          socket.send(JSON.stringify({ type: "REGISTER", component_id: this.#componentId, capabilities: ["chat", "stream"] }));
          this.#socket = socket;
          resolve(socket);
        };
        socket.onmessage = ({ data }) => this.#hear(data);
        socket.onerror = socket.onclose = onEnd; // Node 20 tells of a refused upgrade by an error only
      });
    } catch (error) {
      this.#opening = null;
      throw error instanceof CannotOpen ? error : new CannotOpen(undefined, error);
    }
  }

  /** @param {string} data */
  #hear(data) {
    this.#pinged = false;
    const said = parsed(data);
    if (said?.type === "PING") this.#socket?.send('{"type":"PONG"}');
    this.#lines.get(said?.request_id)?.put(said, data.length);
  }

  /**
   * A network that is cut says nothing, so we ask. Timers of hidden pages are late: only what was asked and not
   * answered counts.
   *
   * @param {WebSocket} socket
   */
  #look(socket) {
    if (this.#pinged) {
      this.#lose(socket);
      socket.close();
    } else {
      this.#pinged = true;
      socket.send('{"type":"PING"}');
    }
  }

  /** @param {WebSocket} socket */
  #lose(socket) {
    if (this.#socket !== socket) return;
    this.#socket = this.#opening = null;
    this.#rest();
    const lost = [...this.#lines.values()];
    this.#lines.clear();
    for (const line of lost) line.lose();
  }

  /**
   * @param {WebSocket} socket
   * @param {string} requestId
   * @param {boolean} cancelled
   * @returns {boolean} whether the gateway is told so
   */
  #leave(socket, requestId, cancelled) {
    const told = cancelled && this.#socket === socket;
    if (told) socket.send(JSON.stringify({ type: "CANCEL", request_id: requestId }));
    if (this.#lines.delete(requestId) && !this.#lines.size) {
      this.#rest();
      this.#idle = setTimeout(() => this.close(), IDLE_MS);
    }
    return told;
  }

  #rest() {
    clearTimeout(this.#idle);
    clearInterval(this.#looking);
    this.#looking = undefined;
    this.#pinged = false;
  }
}

/**
 * The frames of one reply. A WebSocket cannot be made to wait; so when too much waits here, what comes then is
 * left to the gateway's recording, and the line counts as lost once the rest is read.
 *
 * @implements {Line}
 */
class FrameLine {
  /** @type {{said: any, size: number}[]} */
  #waiting = [];
  #size = 0;
  #over = false;
  #wake = () => {};
  #leave;

  /** @type {Place | null} */
  place = null;

  /** @param {(cancelled: boolean) => boolean} leave */
  constructor(leave) {
    this.#leave = leave;
  }

  /** @param {any} said @param {number} size */
  put(said, size) {
    if (this.#over) return;
    this.#waiting.push({ said, size });
    this.#size += size;
    if (this.#size > MOST_WAITING) this.lose();
    this.#wake();
  }

  lose() {
    this.#over = true;
    this.#wake();
  }

  /**
   * @param {Patience} patience
   * @returns {Promise<Frame>}
   */
  async take(patience) {
    while (!this.#waiting.length) {
      if (this.#over) throw new Lost();
      await patience.during(new Promise((resolve) => (this.#wake = () => resolve(undefined))));
    }
    const { said, size } = /** @type {{said: any, size: number}} */ (this.#waiting.shift());
    this.#size -= size;
    if (said.type === "ERROR") throw new TektonLLMError(said.error, { code: said.code });
    return { said, place: placeOf(said) };
  }

  drop() {
    this.#leave(false);
  }

  cancel() {
    return this.#leave(true);
  }
}

/**
 * @param {any} said
 * @returns {Place | null}
 */
function placeOf({ generation_id: generationId, event_id: eventId }) {
  return eventId ? { way: "websocket", generationId, eventId } : null;
}
