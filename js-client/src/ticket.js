/** What it takes to open a WebSocket to the gateway. */

import { Lost } from "./errors.js";

/** @import {Calls} from "./calls.js" */
/** @import {Patience} from "./patience.js" */

const TICKET_PATH = "/api/v1/ws-ticket";

/** @param {string} url */
export function socketUrl(url) {
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
export async function ticketOf(calls, patience) {
  if (!calls.token()) return undefined;
  const ticket = JSON.parse(await calls.ask(TICKET_PATH, patience, { body: {} }));
  if (!Array.isArray(ticket.protocols)) throw new Lost("this gateway has no tickets for WebSockets");
  return ticket.protocols;
}
