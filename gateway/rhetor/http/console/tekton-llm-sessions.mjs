// tekton-llm-client: written by js-client/build.js from js-client/src; change it there.
/** Where the gateway is. */

function defaultUrl() {
  if (typeof window !== "undefined") return "/api/llm";
  return globalThis.process?.env.RHETOR_URL || "http://localhost:8003";
}

/** @typedef {{target: string, outcome: string, ms: number, how?: string}} Attempt whom the gateway asked, and how it went */

/**
 * What the gateway, or the way to it, refused. `message` is for people, in the gateway's own words where
 * it answered; `code` is stable: the gateway's, or one of "unreachable", "timeout", "protocol_error",
 * "generation_gone" and "not_json".
 */
class TektonLLMError extends Error {
  /**
   * @param {string} message
   * @param {{code?: string | null, status?: number | null, provider?: string | null, state?: string | null,
   *   requestId?: string | null, attempts?: Attempt[], retryAfterS?: number | null, cause?: unknown}} [about]
   */
  constructor(message, about = {}) {
    const { code, status, provider, state, requestId, attempts, retryAfterS, cause } = about;
    super(message, { cause });
    this.name = "TektonLLMError";
    this.code = code ?? null;
    /** The HTTP status; null when there was no answer, or none over HTTP. */
    this.status = status ?? null;
    /** Who failed, where it was not the gateway itself: a provider, or a session's backend. */
    this.provider = provider ?? null;
    /** The state of a session, which did not allow what was asked. */
    this.state = state ?? null;
    /** Under what name the gateway's log knows the request. */
    this.requestId = requestId ?? null;
    /** Whom the gateway asked before it gave up. */
    this.attempts = attempts ?? [];
    /** When it may be worth to ask again, where the gateway says so. */
    this.retryAfterS = retryAfterS ?? null;
  }
}

/** The connection is gone; whoever knows where the reply was may come back. */
class Lost extends TektonLLMError {
  /** @param {string} [message] @param {unknown} [cause] */
  constructor(message = "the gateway cannot be reached, or went away", cause) {
    super(message, { code: "unreachable", cause });
  }
}

/** What the gateway says when it refuses: read, and thrown. */


/** @import {Attempt} from "./errors.js" */

/**
 * The exception for an error reply.
 *
 * @param {number} status
 * @param {Headers} headers
 * @param {string} text
 */
function refusal(status, headers, text) {
  const reply = parsed(text) ?? {};
  // Where nothing is served, another dialect answers: its `error` is an object.
  const said = [reply.error, reply.error?.message, reply.detail, text.slice(0, 200)];
  const message = said.find((one) => typeof one === "string" && one !== "");
  const code = reply.code ?? reply.error?.code;
  return new TektonLLMError(message ?? `HTTP ${status} without a message`, {
    status,
    code: typeof code === "string" ? code : null,
    provider: reply.provider ?? null,
    state: reply.state ?? null,
    requestId: headers.get("x-request-id") ?? reply.request_id ?? null,
    attempts: attemptsOf(headers.get("x-rhetor-attempts") ?? ""),
    retryAfterS: Number(headers.get("retry-after")) || null,
  });
}

/**
 * @param {string} header such as "lab/small;connect_failed;2ms, offline/echo;ok;1ms"
 * @returns {Attempt[]}
 */
function attemptsOf(header) {
  const asked = header.split(", ").filter(Boolean);
  return asked.map((one) => {
    const [target, outcome, ms, how] = one.split(";");
    return { target, outcome, ms: parseInt(ms), ...(how && { how }) };
  });
}

/**
 * @param {string} text
 * @returns {any} an object, or null if the text is anything else
 */
function parsed(text) {
  try {
    const value = JSON.parse(text);
    return typeof value === "object" && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

/** Waiting that has an end. */


const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 4_000;

/**
 * How long to wait before a connection is made again that was lost so often.
 *
 * @param {number} losses
 */
function pauseMs(losses) {
  return Math.min(FIRST_PAUSE_MS * 2 ** (losses - 1), LONGEST_PAUSE_MS);
}

/** How long to wait for the next sign of life, and who else may end the waiting. */
class Patience {
  /**
   * @param {number} silenceS
   * @param {AbortSignal | undefined} caller
   */
  constructor(silenceS, caller) {
    this.silenceS = silenceS;
    this.caller = caller;
  }

  /**
   * Waits for one sign of life.
   *
   * @template T
   * @param {Promise<T>} sign
   * @param {number} [silenceS] Infinity: however long it takes
   * @returns {Promise<T>}
   * @throws {TektonLLMError} there was none; if the caller gave up, the caller's reason is thrown as it is
   */
  async during(sign, silenceS = this.silenceS) {
    const { caller } = this;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    let onAbort = () => {};
    const end = new Promise((_, reject) => {
      const message = `the gateway said nothing for ${silenceS} s`;
      const giveUp = () => reject(new TektonLLMError(message, { code: "timeout" }));
      if (silenceS < Infinity) timer = setTimeout(giveUp, silenceS * 1000);
      onAbort = () => reject(caller?.reason);
      if (caller?.aborted) onAbort();
      caller?.addEventListener("abort", onAbort);
    });
    try {
      return await Promise.race([sign, /** @type {Promise<never>} */ (end)]);
    } finally {
      clearTimeout(timer);
      caller?.removeEventListener("abort", onAbort);
    }
  }

  /**
   * Waits for so long, or until the network is back; a caller that gives up ends it.
   *
   * @param {number} ms
   */
  async pause(ms) {
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    let wake = () => {};
    const over = new Promise((resolve) => {
      wake = () => resolve(undefined);
      timer = setTimeout(wake, ms);
      globalThis.addEventListener?.("online", wake);
    });
    try {
      await this.during(over, Infinity); // nobody is asked, so nobody is silent
    } finally {
      clearTimeout(timer);
      globalThis.removeEventListener?.("online", wake);
    }
  }
}

/** Server-sent events: text in any pieces → what was sent. */


/** @import {Patience} from "./patience.js" */

/** @typedef {{id: string, name: string, data: string}} ServerEvent */

/** The gateway writes one line of data for each event, as its last; comments and other fields say nothing to us. */
class EventReader {
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
class EventStream {
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

/** Calls of the gateway over HTTP. */


/** @import {Patience} from "./patience.js" */

/**
 * @typedef {object} Call
 * @property {string} [method] GET, or POST where there is a body, unless said
 * @property {unknown} [body] sent as JSON
 * @property {Blob} [data] sent as it is, instead of a body
 * @property {Record<string, string>} [headers]
 */

class Calls {
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
   * @param {Patience} patience
   * @param {Call} [call]
   * @throws {TektonLLMError} refused, or not reached; then what was asked is given up
   */
  async ask(path, patience, call) {
    const giveUp = new AbortController();
    try {
      const response = await patience.during(this.send(path, giveUp.signal, call));
      return await patience.during(textOf(response));
    } finally {
      giveUp.abort();
    }
  }

  /**
   * An answer of which nothing was read yet.
   *
   * @param {string} path
   * @param {AbortSignal} signal
   * @param {Call} [call]
   * @throws {TektonLLMError} refused, or not reached
   */
  async send(path, signal, { body, data, method = body === undefined && !data ? "GET" : "POST", headers } = {}) {
    const json = body !== undefined && { "content-type": "application/json" };
    const init = { method, signal, headers: { ...this.headers(), ...json, ...headers }, body: json ? JSON.stringify(body) : data };
    const response = await fetch(this.url + path, init).catch((error) => {
      throw new Lost(undefined, error);
    });
    if (response.ok) return response;
    throw refusal(response.status, response.headers, await textOf(response));
  }

  /** @returns {Record<string, string>} */
  headers() {
    const token = this.token();
    return token ? { authorization: `Bearer ${token}` } : {};
  }
}

/** @param {Response} response */
function textOf(response) {
  return response.text().catch((error) => {
    throw new Lost(undefined, error);
  });
}

/** What it takes to open a WebSocket to the gateway. */


/** @import {Calls} from "./calls.js" */
/** @import {Patience} from "./patience.js" */

const TICKET_PATH = "/api/v1/ws-ticket";

/** @param {string} url */
function socketUrl(url) {
  return new URL(url, globalThis.location?.href).href.replace(/^http/, "ws");
}

/**
 * What a WebSocket says who it is with: a page cannot send headers there, and a URL is no place for a secret.
 *
 * @param {Calls} calls
 * @param {Patience} patience
 * @returns {Promise<string[] | undefined>}
 * @throws {TektonLLMError} there are no tickets here
 */
async function ticketOf(calls, patience) {
  if (!calls.token()) return undefined;
  const ticket = JSON.parse(await calls.ask(TICKET_PATH, patience, { body: {} }));
  if (!Array.isArray(ticket.protocols)) throw new Lost("this gateway has no tickets for WebSockets");
  return ticket.protocols;
}

/** What client and gateway say to each other about sessions, without any I/O. */


/** @typedef {"initializing" | "active" | "idle" | "waiting_input" | "suspended" | "terminated" | "failed"} SessionState */

/** @typedef {"ask" | "accept_edits" | "plan" | "deny"} Permissions what happens when an agent wants to use a tool */

/**
 * What a session begins with; all of it may be left out.
 *
 * @typedef {object} NewSession
 * @property {string} [backend] who converses: "chat", "claude_code", …; unless said, as the requirements say
 * @property {string} [model]
 * @property {string | {text: string, messageId?: string}} [message] the first one: its turn begins at once
 * @property {string} [title]
 * @property {string} [system] the system prompt
 * @property {string} [directory] where an agent works; unless said, in a folder of the session's own
 * @property {number} [maxTurns] how often an agent may call its model for one message
 * @property {number} [timeoutS] how long one turn may take
 * @property {number} [temperature]
 * @property {number} [maxTokens]
 * @property {Permissions} [permissions]
 * @property {Record<string, string>} [environment] further variables for an agent; they are not stored
 * @property {Record<string, unknown>} [metadata] kept, and told again
 * @property {Requirements} [requirements] leave the choice of backend and model to the gateway
 */

/**
 * What is demanded of a backend and its model.
 *
 * @typedef {object} Requirements
 * @property {string} [model] "auto", or left out: any
 * @property {string[]} [capabilities] such as "tools", "file_operations", "streaming"
 * @property {boolean} [loadBalancing] whether those with fewer sessions come first; true unless said
 * @property {boolean} [costOptimization] whether the cheaper comes first
 * @property {number} [maxTokens] how long an answer may become
 */

/** @typedef {{backend: string, model: string, reasons: string[], dropped: unknown}} Choice */

/**
 * @typedef {object} Session
 * @property {string} id
 * @property {string} backend
 * @property {SessionState} state
 * @property {number} turn how many messages were sent
 * @property {number} lastSeq the number of its last event
 * @property {string} createdAt
 * @property {string} updatedAt
 * @property {string | null} title
 * @property {string | null} model
 * @property {string | null} system
 * @property {string | null} directory where it began to work
 * @property {string | null} currentDirectory where it works now
 * @property {Permissions | null} permissions
 * @property {number | null} maxTurns
 * @property {number | null} timeoutS
 * @property {number | null} temperature
 * @property {number | null} maxTokens
 * @property {Approval[]} waitingFor what the agent asks, and nobody has answered yet
 * @property {SessionUsage} usage
 * @property {Record<string, unknown> | null} selection why this backend and this model, where the gateway chose
 * @property {Record<string, unknown>} metadata
 */

/** @typedef {{requestId: string, tool: string, input: Record<string, unknown>, always?: boolean}} Approval */

/**
 * What all model calls of a session were booked with.
 *
 * @typedef {object} SessionUsage
 * @property {number} calls
 * @property {number} inputTokens
 * @property {number} outputTokens
 * @property {number | null} costMicros millionths of a dollar; null where the price of a call is not known
 */

/**
 * What happens in a session, by its type: what stands in `data`.
 *
 * @typedef {object} EventData
 * @property {Record<string, any>} system the backend says something about itself, in its own words
 * @property {{messageId: string}} user what the caller said
 * @property {{messageId: string}} assistant the next piece of an answer; all of a turn, joined, are its text
 * @property {{messageId: string}} thinking the next piece of what the model thinks
 * @property {{id: string, name: string, input: Record<string, any>}} tool_use an agent uses a tool
 * @property {{id: string, name?: string, isError: boolean}} tool_result what came of it
 * @property {Approval} approval_request an agent asks whether it may; the content is the question
 * @property {{requestId: string, decision: "allow" | "deny" | "withdrawn", message?: string, by?: string}} approval_resolved
 * @property {{path: string, kind: "create" | "edit" | "delete", toolId?: string}} file_change
 * @property {{directory: string, before?: string}} directory_change
 * @property {{generationId: string, model: string, servedBy: string, inputTokens: number, outputTokens: number,
 *   costMicros: number | null, outcome: string, totalMs: number}} usage a model call was booked
 * @property {{code: string, origin?: string}} error the content is the message
 * @property {{from: SessionState | null, to: SessionState, reason: string}} status_change a turn ends with one
 */

/** @typedef {{seq: number, turn: number, content: string, at: string, sessionId: string}} EventFacts events are numbered from 1 on, without gaps */

/** @typedef {{[T in keyof EventData]: EventFacts & {type: T, data: EventData[T]}}[keyof EventData]} SessionEvent */

/**
 * Part of a session's log.
 *
 * @typedef {object} EventPage
 * @property {SessionEvent[]} events
 * @property {number} lastSeq
 * @property {SessionState} state
 * @property {boolean} ended whether nothing follows, ever
 */

/** @typedef {{sessions: Session[], total: number, hasMore: boolean}} SessionPage */

/** @typedef {{session: Session, messageId: string, seq: number, again: boolean}} Accepted the turn's events follow the number `seq`; `again`: it was taken before */

/** @typedef {Record<string, unknown> & {version: number, session_id: string}} SuspendedState in the gateway's own words, to be kept as it is */

/**
 * @typedef {object} Backend
 * @property {string} name
 * @property {string[]} abilities
 * @property {string[]} models empty: any
 * @property {string} defaultModel
 * @property {number} maxSessions
 * @property {number} live
 * @property {boolean} healthy
 * @property {string | null} version
 * @property {string | null} binary
 * @property {string | null} error what is wrong, and what to do
 */

const SESSIONS_PATH = "/v1/sessions";

const IN_TURN = new Set(["initializing", "active", "waiting_input"]);

/**
 * Whether a turn has ended with this event.
 *
 * @param {SessionEvent} event
 */
function endsTurn({ type, data }) {
  return type === "status_change" && IN_TURN.has(data.from ?? "") && !IN_TURN.has(data.to);
}

/**
 * A session as the gateway tells it → as ours.
 *
 * @param {any} row
 * @returns {Session}
 */
function readSession(row) {
  const { waiting_for: waiting, usage, ...rest } = row;
  return { ...camel(rest), waitingFor: (waiting ?? []).map(camel), usage: camel(usage ?? NOTHING_USED) };
}

const NOTHING_USED = { calls: 0, input_tokens: 0, output_tokens: 0, cost_micros: 0 };

/**
 * @param {any} said
 * @returns {SessionEvent}
 */
function readEvent(said) {
  const event = camel(said);
  return event.type === "system" ? event : { ...event, data: camel(event.data ?? {}) };
}

/**
 * The body for a new session.
 *
 * @param {NewSession} session
 */
function sessionBody({ message, requirements, ...session }) {
  return {
    ...snake(session),
    ...(message !== undefined && { message: typeof message === "string" ? message : snake(message) }),
    ...(requirements && { requirements: snake(requirements) }),
  };
}

/**
 * @param {string} text
 * @returns {any}
 * @throws {TektonLLMError} it is no object
 */
function answerOf(text) {
  const answer = parsed(text);
  if (answer === null) throw new TektonLLMError("the gateway's answer cannot be read", { code: "protocol_error" });
  return answer;
}

/**
 * The same with its names as ours are; what is inside of its values stays as it is.
 *
 * @param {any} object
 * @returns {any}
 */
function camel(object) {
  return renamed(object, (name) => name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase()));
}

/**
 * The same with its names as the gateway's are, without what is undefined or null.
 *
 * @param {any} object
 * @returns {Record<string, unknown>}
 */
function snake(object) {
  const said = Object.fromEntries(Object.entries(object).filter(([, value]) => value != null));
  return renamed(said, (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`));
}

/**
 * @param {Record<string, unknown>} object
 * @param {(name: string) => string} how
 */
function renamed(object, how) {
  return Object.fromEntries(Object.entries(object).map(([name, value]) => [how(name), value]));
}

/** A session's events as they come over one connection: server-sent events, or a WebSocket. */


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
class SessionWays {
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

/** A session's events, one after the other, however often the connection has to be made for them. */


/** @import {Patience} from "./patience.js" */
/** @import {EventLine, SessionWays} from "./session-lines.js" */

const STEADY_MS = 5_000; // a connection that held so long was a good one
const PASSING = new Set([429, 502, 503, 504]); // a gateway that is being started again, or a proxy before it

/** No event twice and none lost: their numbers tell. */
class Following {
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

/**
 * Sessions: conversations with agents and models that the gateway keeps.
 *
 *     const sessions = new SessionsClient({ rhetorUrl: "http://localhost:8003" });
 *     const session = await sessions.createSession({ backend: "chat" });
 *     for await (const { type, content } of sessions.converse(session.id, "Hello")) …
 */


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

class SessionsClient {
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

export { SessionsClient, TektonLLMError };
