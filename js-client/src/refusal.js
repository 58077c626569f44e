/** What the gateway says when it refuses: read, and thrown. */

import { TektonLLMError } from "./errors.js";

/** @import {Attempt} from "./errors.js" */

/**
 * The exception for an error reply.
 *
 * @param {number} status
 * @param {Headers} headers
 * @param {string} text
 */
export function refusal(status, headers, text) {
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
export function parsed(text) {
  try {
    const value = JSON.parse(text);
    return typeof value === "object" && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}
