/** What client and gateway say to each other about sessions, without any I/O. */

import { TektonLLMError } from "./errors.js";
import { parsed } from "./refusal.js";

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

export const SESSIONS_PATH = "/v1/sessions";

const IN_TURN = new Set(["initializing", "active", "waiting_input"]);

/**
 * Whether a turn has ended with this event.
 *
 * @param {SessionEvent} event
 */
export function endsTurn({ type, data }) {
  return type === "status_change" && IN_TURN.has(data.from ?? "") && !IN_TURN.has(data.to);
}

/**
 * A session as the gateway tells it → as ours.
 *
 * @param {any} row
 * @returns {Session}
 */
export function readSession(row) {
  const { waiting_for: waiting, usage, ...rest } = row;
  return { ...camel(rest), waitingFor: (waiting ?? []).map(camel), usage: camel(usage ?? NOTHING_USED) };
}

const NOTHING_USED = { calls: 0, input_tokens: 0, output_tokens: 0, cost_micros: 0 };

/**
 * @param {any} said
 * @returns {SessionEvent}
 */
export function readEvent(said) {
  const event = camel(said);
  return event.type === "system" ? event : { ...event, data: camel(event.data ?? {}) };
}

/**
 * The body for a new session.
 *
 * @param {NewSession} session
 */
export function sessionBody({ message, requirements, ...session }) {
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
export function answerOf(text) {
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
export function camel(object) {
  return renamed(object, (name) => name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase()));
}

/**
 * The same with its names as the gateway's are, without what is undefined or null.
 *
 * @param {any} object
 * @returns {Record<string, unknown>}
 */
export function snake(object) {
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
