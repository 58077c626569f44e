/** Whether a provider works here, from its loading to its errors: for who moves, and not for pages. */

import { TektonLLMError } from "./errors.js";
import { getProviderRegistry } from "./media.js";

/** @import {MediaProvider} from "./media-provider.js" */
/** @import {ProviderRegistry} from "./media.js" */
/** @import {MediaCapability} from "./media-shape.js" */

/**
 * @typedef {object} ValidationReport
 * @property {string} identifier
 * @property {string | null} provider
 * @property {boolean} valid
 * @property {{name: "loading" | "available" | "models" | "generation" | "errors", ok: boolean, detail: string, ms: number}[]} checks
 * @property {string[]} errors
 */

/** Tries a provider from its loading to its errors. */
export class MigrationValidator {
  #registry;

  /** @param {ProviderRegistry} [registry] */
  constructor(registry = getProviderRegistry()) {
    this.#registry = registry;
  }

  /**
   * @param {string} identifier an id, or where its plugin is
   * @param {{generate?: boolean, capability?: MediaCapability, input?: any, signal?: AbortSignal}} [options] `generate: false`
   *   asks for nothing that costs
   * @returns {Promise<ValidationReport>} what went wrong is in it, and not thrown
   */
  async validateProvider(identifier, { generate = true, capability, input = "Say hello.", signal } = {}) {
    /** @type {ValidationReport} */
    const report = { identifier, provider: null, valid: false, checks: [], errors: [] };
    /** @type {any} */
    let provider;
    /** @type {[ValidationReport["checks"][0]["name"], () => string | Promise<string>][]} each tells what was seen */
    const steps = [
      ["loading", async () => (provider = await this.#registry.getProvider(identifier)).name],
      ["available", async () => (await provider.configure(), "it can be asked")],
      ["models", () => listed(provider)],
      ["generation", () => made(provider, capability, input, signal)],
      ["errors", () => refused(provider, input, signal)],
    ];
    for (const [name, look] of generate ? steps : steps.slice(0, 3)) {
      const began = Date.now();
      /** @type {[boolean, string]} */
      const [ok, detail] = await Promise.resolve().then(look).then((seen) => [true, seen], ({ message }) => [false, message]);
      report.checks.push({ name, ok, detail, ms: Date.now() - began });
      if (!ok) report.errors.push(`${name}: ${detail}`);
      if (!provider) break;
    }
    report.provider = provider?.id ?? null;
    report.valid = !report.errors.length;
    return report;
  }
}

/** @param {MediaProvider} provider */
function listed({ models, capabilities }) {
  if (!models.length) throw new TektonLLMError("it lists none");
  return `${models.length}, for ${capabilities.join(", ")}`;
}

/**
 * @param {MediaProvider} provider
 * @param {MediaCapability | undefined} wanted
 * @param {any} input
 * @param {AbortSignal | undefined} signal
 */
async function made(provider, wanted, input, signal) {
  const capability = wanted ?? provider.capabilities.find((one) => one.startsWith("text-to-")) ?? provider.capabilities[0];
  const able = provider.getModelsForCapability(capability);
  const model = able.find(({ id }) => id === provider.defaultModel) ?? able[0];
  const { content, embeddings, metadata } = await provider.getModel(model?.id).transform(input, { capability, signal });
  if (!content && !embeddings.length) throw new TektonLLMError("nothing came of it");
  return `${capability} by ${metadata.model}`;
}

/** @param {MediaProvider} provider @param {any} input @param {AbortSignal | undefined} signal */
async function refused(provider, input, signal) {
  const code = await provider
    .getModel("there/is-no-such-model")
    .transform(input, { signal })
    .then(() => null, (error) => error.code);
  if (!code) throw new TektonLLMError("a model that is not there has answered");
  return `a model that is not there: ${code}`;
}
