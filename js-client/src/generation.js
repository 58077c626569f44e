/** A streamed reply that survives the network: where it was, and how to come back there. */

import { Lost, TektonLLMError } from "./errors.js";
import { pauseMs } from "./patience.js";
import { ChunkReader } from "./protocol.js";
import { CannotOpen } from "./socket.js";

/** @import {Http} from "./http.js" */
/** @import {Patience} from "./patience.js" */
/** @import {Chunk} from "./protocol.js" */
/** @import {Socket} from "./socket.js" */

/** @typedef {"websocket" | "sse"} Way */
/** @typedef {{way: Way, generationId: string, eventId: string}} Place after which event of which generation; ids count on one way only */
/** @typedef {{said: any, place: Place | null}} Frame */

/**
 * A reply as it comes, over one connection.
 *
 * @typedef {object} Line
 * @property {Place | null} place where it begins, if that is known before any frame
 * @property {(patience: Patience) => Promise<Frame>} take the next frame; Lost when there will be none
 * @property {() => void} drop hear no more of it, without telling anybody
 * @property {() => boolean} cancel hear no more of it; whether that ends the generation
 */

const LARGEST_FRAME = 1 << 18; // characters; the gateway takes 1 MiB unless its operator says otherwise
const TRIES = 3; // for a reply of which nothing was heard: somebody waits to be told that there is no gateway

/** The ways to the gateway, and which of them works here. */
export class Ways {
  /**
   * @param {Http} http
   * @param {Socket | null} socket
   * @param {boolean} only the socket, and nothing else
   * @param {(...said: unknown[]) => void} note
   */
  constructor(http, socket, only, note) {
    this.http = http;
    this.socket = socket;
    this.only = only;
    this.note = note;
  }

  /**
   * WebSocket first. Where that cannot be opened while the same goes over HTTP, it is not tried again.
   *
   * @param {Record<string, unknown>} body
   * @param {Place | null} place
   * @param {Patience} patience
   * @returns {Promise<Line>}
   */
  async open(body, place, patience) {
    const large = !place && JSON.stringify(body).length > LARGEST_FRAME;
    const socket = large || place?.way === "sse" ? null : this.socket;
    if (socket) {
      try {
        return await socket.open(body, place, patience);
      } catch (error) {
        if (place || this.only || !(error instanceof CannotOpen)) throw error;
      }
    }
    const line = await this.http.open(body, place, patience);
    if (socket) {
      this.note("no WebSocket here, using server-sent events");
      this.socket = null;
    }
    return line;
  }
}

/**
 * The chunks of a reply. What goes wrong before the first is thrown, afterwards it is the last chunk. Whoever
 * leaves early ends the generation.
 *
 * @param {Ways} ways
 * @param {Record<string, unknown>} body
 * @param {Patience} patience
 * @returns {AsyncGenerator<Chunk, void, void>}
 */
export async function* generation(ways, body, patience) {
  const reader = new ChunkReader();
  const connection = new Connection(ways, body, patience);
  try {
    while (!reader.ended) yield await next(reader, connection, patience);
  } finally {
    connection.close(reader.ended);
  }
}

/**
 * @param {ChunkReader} reader
 * @param {Connection} connection
 * @param {Patience} patience
 */
async function next(reader, connection, patience) {
  const begun = reader.begun;
  try {
    const chunk = reader.read(await connection.take(begun));
    if (begun || chunk.error === null) return chunk;
    throw new TektonLLMError(chunk.error, chunk);
  } catch (error) {
    if (!begun || patience.caller?.aborted || !(error instanceof TektonLLMError)) throw error;
    return reader.breakOff(error);
  }
}

/** One generation's line to the gateway, made anew when it is lost. */
class Connection {
  /** @type {Line | null} */
  #line = null;
  /** @type {Place | null} */
  #place = null;
  #lostAt = 0;
  #losses = 0;
  #ways;
  #body;
  #patience;

  /**
   * @param {Ways} ways
   * @param {Record<string, unknown>} body
   * @param {Patience} patience
   */
  constructor(ways, body, patience) {
    this.#ways = ways;
    this.#body = body;
    this.#patience = patience;
  }

  /**
   * The next frame, however often the connection has to be made for it.
   *
   * @param {boolean} begun whether anything was heard
   */
  async take(begun) {
    for (;;) {
      try {
        this.#line ??= await this.#open();
        const { said, place } = await this.#line.take(this.#patience);
        this.#place = place ?? this.#place;
        this.#losses = 0;
        return said;
      } catch (error) {
        await this.#comeBack(/** @type {TektonLLMError} */ (error), begun);
      }
    }
  }

  /** @param {boolean} ended whether the reply has come to its end */
  close(ended) {
    if (ended) this.#line?.drop();
    else if (!this.#line?.cancel() && this.#place) this.#ways.http.end(this.#place.generationId);
  }

  async #open() {
    const line = await this.#ways.open(this.#body, this.#place, this.#patience);
    this.#place ??= line.place;
    return line;
  }

  /**
   * Waits a little, if what was lost can be found again.
   *
   * @param {TektonLLMError} error
   * @param {boolean} begun
   * @throws {TektonLLMError} it cannot
   */
  async #comeBack(error, begun) {
    const stopping = !begun && error?.code === "shutting_down"; // somebody else may listen there soon
    if (!(error instanceof Lost || stopping)) throw this.#losses && this.#place ? gone(error) : error;
    this.#line?.drop();
    this.#line = null;
    if (!this.#losses++) this.#lostAt = Date.now();
    const resumeS = Number(this.#body.resume_s ?? 0);
    const hopeless = this.#place
      ? Date.now() - this.#lostAt > resumeS * 1000 // the gateway has given it up by now
      : begun || this.#losses > TRIES;
    if (hopeless) throw error;
    this.#ways.note("connection lost, coming back", this.#place ?? "to ask again");
    await this.#patience.pause(pauseMs(this.#losses));
  }
}

/** @param {TektonLLMError} error */
function gone(error) {
  if (error.code !== "not_found" && error.status !== 404) return error;
  const message = "the connection was lost, and the gateway does not have this generation any more";
  return new TektonLLMError(message, { code: "generation_gone", status: error.status, cause: error });
}
