/** What every SDK is asked to do, and what it must get: the script that test_sdks.py gives to the upstream. */

export const GATEWAY_URL = process.env.GATEWAY_URL;

/** A model of the upstream's; its name says how it behaves, up to a slash. */
export const model = (behaviour) => `${process.env.GATEWAY_PROVIDER}/${behaviour}`;

/** A `fetch` for an SDK, and what it was asked for. */
export function counted() {
  const asked = [];
  return { asked, fetch: (url, init) => (asked.push(url), fetch(url, init)) };
}

export const GREETING = "Hello from the upstream.";
export const WEATHER = { Paris: "sunny", Oslo: "snow" };
export const FORECAST = "Sunny in Paris, snow in Oslo.";
export const SEEN = "A single pixel.";
export const USAGE = { input: 11, output: 7 };

/** The smallest PNG there is. */
export const PIXEL =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
