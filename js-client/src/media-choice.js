/** Who is to be asked, and how they all are: what MediaConduit has announced. */

import { ProviderNotFoundError, camelCased } from "./media-shape.js";
import { getProviderRegistry } from "./media.js";

/** @import {MediaProvider} from "./media-provider.js" */
/** @import {ProviderRegistry} from "./media.js" */
/** @import {MediaCapability} from "./media-shape.js" */

/** @typedef {{speed?: "fast" | "balanced" | "quality", cost?: "free" | "cheap" | "premium", capability?: "basic" | "reasoning" | "creative"}} TextCriteria */

/**
 * @typedef {object} HealthReport
 * @property {string} provider
 * @property {string} name
 * @property {"healthy" | "degraded" | "unhealthy" | "unknown" | "off"} status unknown: it could not be asked without starting
 *   or paying something; off: it lacks its key, say
 * @property {boolean} available
 * @property {number | null} latencyMs
 * @property {number | null} models
 * @property {number} active requests under way
 * @property {number} leftAlone models that are not asked for a while
 * @property {string | null} lastError
 * @property {string} checkedAt
 */

const WISHES = { basic: {}, reasoning: { capabilities: "thinking", strengths: "reasoning" }, creative: { strengths: "creative" } };
const BALANCE = /** @type {const} */ ({ round_robin: { load_balancing: "health" }, health: { load_balancing: "health" }, cost: { prefer: "cost" } });

/** Chooses by what the gateway knows: prices, what vendors call their models good at, and how fast they were of late. */
export class SmartProviderSelector {
  #registry;

  /** @param {ProviderRegistry} [registry] */
  constructor(registry = getProviderRegistry()) {
    this.#registry = registry;
  }

  /**
   * Who answers best; its `bestModel` is the model that is meant.
   *
   * @param {TextCriteria} [criteria]
   * @returns {Promise<MediaProvider>}
   * @throws {ProviderNotFoundError} nobody does
   */
  async getBestTextProvider({ speed, cost, capability = "basic" } = {}) {
    const [best] = await this.#registry.ranked("text-to-text", { speed: speed ?? "balanced", cost, ...WISHES[capability] });
    if (!best) throw new ProviderNotFoundError(`${[speed, cost, capability].filter(Boolean).join(" ")} text`);
    return best;
  }
}

/** Shares out what is asked over those who can do it. */
export class ProviderLoadBalancer {
  #registry;
  #turns = 0;

  /** @param {ProviderRegistry} [registry] @param {keyof typeof BALANCE} [strategy] in turn, unless said */
  constructor(registry = getProviderRegistry(), strategy = "round_robin") {
    this.#registry = registry;
    this.strategy = strategy;
  }

  /**
   * Whose turn it is; its `bestModel` is the model that is meant. Who is left alone for failures is passed over.
   *
   * @param {MediaCapability} capability
   * @returns {Promise<MediaProvider>}
   * @throws {ProviderNotFoundError} nobody can
   */
  async getProvider(capability) {
    const ranked = await this.#registry.ranked(capability, BALANCE[this.strategy]);
    if (!ranked.length) throw new ProviderNotFoundError(capability);
    const { targets } = await this.#registry.gateway.ask("/api/v1/health/targets");
    const isWell = (/** @type {MediaProvider} */ { id, bestModel }) =>
      targets.every((/** @type {any} */ { target, breaker }) => breaker === "closed" || target !== `${id}/${bestModel?.id}`);
    const well = ranked.filter(isWell);
    const able = well.length ? well : ranked;
    if (this.strategy !== "round_robin") return able[0];
    const inTurn = able.sort((one, other) => (one.id < other.id ? -1 : 1)); // the same order each time
    return inTurn[this.#turns++ % inTurn.length];
  }
}

/** Asks every provider how it is. */
export class ProviderHealthMonitor {
  #registry;

  /** @param {ProviderRegistry} [registry] */
  constructor(registry = getProviderRegistry()) {
    this.#registry = registry;
  }

  /** @returns {Promise<HealthReport[]>} also of those that are off, and why */
  async checkAllProviders() {
    const { data } = await this.#registry.gateway.ask("/v1/providers/health");
    return data.map(camelCased);
  }
}
