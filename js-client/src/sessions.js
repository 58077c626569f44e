/**
 * Sessions: conversations with agents and models that the gateway keeps.
 *
 *     const sessions = new SessionsClient({ rhetorUrl: "http://localhost:8003" });
 *     const session = await sessions.createSession({ backend: "chat" });
 *     for await (const { type, content } of sessions.converse(session.id, "Hello")) …
 */

import { defaultUrl } from "./address.js";
import { Calls } from "./calls.js";
import { Lost, TektonLLMError } from "./errors.js";
import { Following } from "./following.js";
import { Patience, pauseMs } from "./patience.js";
import { SessionWays } from "./session-lines.js";
import { SESSIONS_PATH, answerOf, camel, endsTurn, readEvent, readSession, sessionBody, snake } from "./session-shape.js";
import { socketUrl } from "./ticket.js";

/** @typedef {import("./session-shape.js").Accepted} Accepted */
/** @typedef {import("./session-shape.js").Approval} Approval */
/** @typedef {import("./session-shape.js").Backend} Backend */
/** @typedef {import("./session-shape.js").Choice} Choice */
/** @typedef {import("./session-shape.js").EventData} EventData */
/** @typedef {import("./session-shape.js").EventFacts} EventFacts */
/** @typedef {import("./session-shape.js").EventPage} EventPage */
/** @typedef {import("./session-shape.js").NewSession} NewSession */
/** @typedef {import("./session-shape.js").Permissions} Permissions */
/** @typedef {import("./session-shape.js").Requirements} Requirements */
/** @typedef {import("./session-shape.js").Session} Session */
/** @typedef {import("./session-shape.js").SessionEvent} SessionEvent */
/** @typedef {import("./session-shape.js").SessionPage} SessionPage */
/** @typedef {import("./session-shape.js").SessionState} SessionState */
/** @typedef {import("./session-shape.js").SessionUsage} SessionUsage */
/** @typedef {import("./session-shape.js").SuspendedState} SuspendedState */

/**
 * @typedef {object} SessionsOptions
 * @property {string} [rhetorUrl] where the gateway is, a path prefix included; in a page "/api/llm", in Node
 *   RHETOR_URL or http://localhost:8003
 * @property {string | null} [authToken] for a gateway that wants one
 * @property {number} [timeout] seconds of silence after which the gateway counts as stuck
 * @property {"auto" | "websocket" | "sse"} [transport] how events come; "auto" is WebSocket where there is one and it
 *   can be opened, else server-sent events
 * @property {new (url: string, protocols?: string[]) => WebSocket} [WebSocket] for a Node without its own
 */

/** @typedef {{timeout?: number, signal?: AbortSignal}} CallOptions seconds of silence that are borne, and who may end the waiting; the turn goes on */

/**
 * @typedef {object} SendOptions
 * @property {string} [messageId] who sends again with the same one does not send twice; made here unless said
 * @property {boolean} [resume] first, where the session is suspended or failed
 * @property {Record<string, string>} [environment] with `resume`: variables for the agent
 * @property {number} [timeout]
 * @property {AbortSignal} [signal]
 */

/**
 * @typedef {object} StreamOptions
 * @property {number} [after] only events with greater numbers; 0, which is all of them, unless said
 * @property {"end" | "turn"} [until] the end of the session, or of the next turn that ends
 * @property {number} [reconnectS] for so many seconds a gateway that cannot be reached is tried again; 60 unless said
 * @property {(connected: boolean) => void} [onConnection] told when the connection is made, and when it is lost
 * @property {number} [timeout]
 * @property {AbortSignal} [signal]
 */

const SILENCE_S = 60; // the gateway says something at least every 10 s unless its operator says otherwise
const RECONNECT_S = 60;
const ASKED = 3; // times, what happens once however often it is asked
const ID_BYTES = 12;

export class SessionsClient {
  #calls;
  #ways;

  /** @param {SessionsOptions} [options] */
  constructor({
    rhetorUrl = defaultUrl(),
    authToken = null,
    timeout = SILENCE_S,
    transport = "auto",
    WebSocket = globalThis.WebSocket,
  } = {}) {
    this.rhetorUrl = rhetorUrl.replace(/\/+$/, "");
    this.authToken = authToken;
    this.timeout = timeout;
    if (transport === "websocket" && !WebSocket) throw new TypeError("no WebSocket here: pass one in the options");
    this.#calls = new Calls(this.rhetorUrl, () => this.authToken);
    /** @param {string} path @param {string[] | undefined} protocols */
    const make = (path, protocols) => new WebSocket(socketUrl(this.rhetorUrl + path), protocols);
    this.#ways = new SessionWays(this.#calls, WebSocket && transport !== "sse" ? make : null, transport === "websocket");
  }

  /**
   * Begins a session. Where the connection is lost meanwhile it is asked again, and one session comes of it.
   *
   * @param {NewSession} [session]
   * @param {CallOptions} [options]
   * @returns {Promise<Session>}
   * @throws {TektonLLMError} with message, code, status and provider
   */
  async createSession(session = {}, options = {}) {
    const headers = { "idempotency-key": newId("key") };
    return readSession(await this.#ask("", { body: sessionBody(session), headers }, options, ASKED));
  }

  /**
   * Begins a session with whom the gateway chooses; why is told in its `selection`.
   *
   * @param {string} message
   * @param {Requirements} [requirements]
   * @param {NewSession} [session] what else it begins with
   * @param {CallOptions} [options]
   * @returns {Promise<Session>}
   */
  async createSessionWithAutoSelection(message, requirements = {}, session = {}, options = {}) {
    return this.createSession({ ...session, message, requirements }, options);
  }

  /**
   * Who would be chosen, and why, without beginning anything.
   *
   * @param {Requirements} [requirements]
   * @returns {Promise<Choice>}
   */
  async chooseSession(requirements = {}) {
    return this.#ask("/choose", { body: snake(requirements) });
  }

  /**
   * @param {string} id
   * @returns {Promise<Session>}
   */
  async getSession(id) {
    return readSession(await this.#ask(at(id)));
  }

  /**
   * Those that changed last come first.
   *
   * @param {{state?: SessionState | SessionState[], backend?: string, limit?: number, offset?: number}} [wanted]
   * @returns {Promise<SessionPage>}
   */
  async listSessions(wanted = {}) {
    const { data, total, has_more: hasMore } = await this.#ask(`?${query(wanted)}`);
    return { sessions: data.map(readSession), total, hasMore };
  }

  /**
   * Begins a turn. When this returns, the message is in the session's log. Where the connection is lost meanwhile
   * it is sent again, and is one message all the same.
   *
   * @param {string} id
   * @param {string} message
   * @param {SendOptions} [options]
   * @returns {Promise<Accepted>}
   * @throws {TektonLLMError} "conflict", with the session's state, where that does not allow it
   */
  async send(id, message, { messageId = newId("msg"), resume, environment, ...options } = {}) {
    const body = snake({ message, messageId, resume, environment });
    const { session, ...accepted } = camel(await this.#ask(`${at(id)}/messages`, { body }, options, ASKED));
    return { ...accepted, session: readSession(session) };
  }

  /**
   * What has happened in a session, and what happens:
   *
   *     for await (const { seq, type, content, data } of sessions.stream(id)) …
   *
   * A lost connection is made again, also when the gateway was started again meanwhile: no event comes twice, and
   * none is left out. Leaving the loop leaves the session as it is.
   *
   * @param {string} id
   * @param {StreamOptions} [options]
   * @returns {AsyncGenerator<SessionEvent, void, void>}
   */
  async *stream(id, { after = 0, until = "end", reconnectS = RECONNECT_S, onConnection, ...options } = {}) {
    const following = new Following(this.#ways, id, after, this.#patience(options), reconnectS, onConnection);
    try {
      for (let event = await following.next(); event; event = await following.next()) {
        yield event;
        if (until === "turn" && endsTurn(event)) return;
      }
    } finally {
      following.close();
    }
  }

  /**
   * Sends a message, and tells what happens until its turn has ended.
   *
   * @param {string} id
   * @param {string} message
   * @param {SendOptions & StreamOptions} [options]
   * @returns {AsyncGenerator<SessionEvent, void, void>}
   */
  async *converse(id, message, options = {}) {
    const { seq } = await this.send(id, message, options);
    yield* this.stream(id, { ...options, after: seq, until: "turn" });
  }

  /**
   * A part of the log, as it is now.
   *
   * @param {string} id
   * @param {{after?: number, limit?: number} & CallOptions} [options]
   * @returns {Promise<EventPage>}
   */
  async events(id, { after, limit, ...options } = {}) {
    const page = await this.#ask(`${at(id)}/events?${query({ after, limit, follow: false })}`, {}, options);
    const { data, last_seq: lastSeq, state, ended } = page;
    return { events: data.map(readEvent), lastSeq, state, ended };
  }

  /**
   * Lets the agent do what it asked for.
   *
   * @param {string} id
   * @param {string} requestId
   * @param {{input?: Record<string, unknown>, always?: boolean}} [how] `input`: with this input instead; `always`: and
   *   the like of it for the rest of the session
   * @returns {Promise<Session>}
   */
  async approve(id, requestId, how = {}) {
    return this.#answer(id, requestId, { decision: "allow", ...how });
  }

  /**
   * @param {string} id
   * @param {string} requestId
   * @param {string} [message] what the agent is told
   * @returns {Promise<Session>}
   */
  async deny(id, requestId, message) {
    return this.#answer(id, requestId, { decision: "deny", message });
  }

  /**
   * Asks for the end of the turn, which comes soon.
   *
   * @param {string} id
   * @returns {Promise<Session>}
   */
  async interrupt(id) {
    return this.#post(id, "interrupt");
  }

  /**
   * Gives back whatever the session holds.
   *
   * @param {string} id
   * @returns {Promise<SuspendedState>} by which it can be resumed, today or by another process
   */
  async suspend(id) {
    return this.#ask(`${at(id)}/suspend`, { body: {} });
  }

  /**
   * @param {string} id
   * @param {{state?: SuspendedState, environment?: Record<string, string>}} [how]
   * @returns {Promise<Session>}
   */
  async resume(id, how = {}) {
    return this.#post(id, "resume", how);
  }

  /**
   * Ends it. Its log can be read on.
   *
   * @param {string} id
   * @param {string} [reason]
   * @returns {Promise<Session>}
   */
  async terminate(id, reason) {
    return readSession(await this.#ask(`${at(id)}?${query({ reason })}`, { method: "DELETE" }));
  }

  /**
   * Removes it, with its log and its files.
   *
   * @param {string} id
   * @returns {Promise<void>}
   */
  async forget(id) {
    await this.#ask(`${at(id)}?forget=true`, { method: "DELETE" });
  }

  /**
   * The conversation as a file's text.
   *
   * @param {string} id
   * @param {"json" | "txt" | "md"} [format]
   * @returns {Promise<string>}
   */
  async exportSession(id, format = "json") {
    return this.#calls.ask(`${SESSIONS_PATH}${at(id)}/export?${query({ format })}`, this.#patience({}));
  }

  /**
   * How many messages, turns and events there were, and what they cost.
   *
   * @param {string} id
   * @returns {Promise<Record<string, any>>}
   */
  async stats(id) {
    return this.#ask(`${at(id)}/stats`);
  }

  /**
   * Sums a chat up, so that the model is told less.
   *
   * @param {string} id
   * @returns {Promise<Session>}
   */
  async summarize(id) {
    return this.#post(id, "summarize");
  }

  /**
   * Has a chat's model forget what was said. Its log stays.
   *
   * @param {string} id
   * @returns {Promise<Session>}
   */
  async clearContext(id) {
    return readSession(await this.#ask(`${at(id)}/context`, { method: "DELETE" }));
  }

  /**
   * Forgets what nobody touched for so long.
   *
   * @param {number} maxAgeS
   * @returns {Promise<{total: number, byBackend: Record<string, number>}>}
   */
  async cleanup(maxAgeS) {
    return camel(await this.#ask(`/cleanup?${query({ maxAgeS })}`, { body: {} }));
  }

  /**
   * With whom sessions can be had, and how they are.
   *
   * @returns {Promise<Backend[]>}
   */
  async backends() {
    return (await this.#ask("/backends")).data.map(camel);
  }

  /**
   * @param {string} id
   * @param {string} requestId
   * @param {Record<string, unknown>} verdict
   */
  async #answer(id, requestId, verdict) {
    return this.#post(id, `approvals/${encodeURIComponent(requestId)}`, verdict);
  }

  /**
   * @param {string} id
   * @param {string} what
   * @param {Record<string, unknown>} [how]
   */
  async #post(id, what, how = {}) {
    return readSession(await this.#ask(`${at(id)}/${what}`, { body: snake(how) }));
  }

  /**
   * @param {string} path below the sessions
   * @param {import("./calls.js").Call} [call]
   * @param {CallOptions} [options]
   * @param {number} [tries] for what happens once, however often it is asked
   */
  async #ask(path, call, options = {}, tries = 1) {
    const patience = this.#patience(options);
    for (let losses = 1; ; losses++) {
      try {
        return answerOf(await this.#calls.ask(SESSIONS_PATH + path, patience, call));
      } catch (error) {
        const passing = error instanceof Lost || (error instanceof TektonLLMError && error.code === "shutting_down");
        if (!passing || losses >= tries) throw error;
      }
      await patience.pause(pauseMs(losses));
    }
  }

  /** @param {CallOptions} options */
  #patience({ timeout = this.timeout, signal }) {
    return new Patience(timeout, signal);
  }
}

/** @param {string} id */
function at(id) {
  return `/${encodeURIComponent(id)}`;
}

/** @param {Record<string, unknown>} parameters */
function query(parameters) {
  return new URLSearchParams(Object.entries(snake(parameters)).map(([name, value]) => [name, String(value)])).toString();
}

/** @param {string} kind */
function newId(kind) {
  const bytes = crypto.getRandomValues(new Uint8Array(ID_BYTES)); // randomUUID is for secure pages only
  return `${kind}_${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

export { TektonLLMError };
