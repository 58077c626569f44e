/** Calls of the gateway over HTTP. */

import { Lost, TektonLLMError } from "./errors.js";
import { refusal } from "./refusal.js";

/** @import {Patience} from "./patience.js" */

/**
 * @typedef {object} Call
 * @property {string} [method] GET, or POST where there is a body, unless said
 * @property {unknown} [body] sent as JSON
 * @property {Blob} [data] sent as it is, instead of a body
 * @property {Record<string, string>} [headers]
 */

export class Calls {
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
