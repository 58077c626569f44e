/** Waiting that has an end. */

import { TektonLLMError } from "./errors.js";

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 4_000;

/**
 * How long to wait before a connection is made again that was lost so often.
 *
 * @param {number} losses
 */
export function pauseMs(losses) {
  return Math.min(FIRST_PAUSE_MS * 2 ** (losses - 1), LONGEST_PAUSE_MS);
}

/** How long to wait for the next sign of life, and who else may end the waiting. */
export class Patience {
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
