/**
 * Pictures, speech, transcripts and films through the gateway, in MediaConduit's words.
 *
 *     const provider = await getProviderRegistry().getProvider("together");
 *     const model = await provider.getModel("black-forest-labs/FLUX.1-schnell");
 *     const { content, metadata } = await model.transform("a fox in the snow");
 */

import { TektonLLMError } from "./errors.js";
import { MigrationValidator } from "./media-check.js";
import { ProviderHealthMonitor, ProviderLoadBalancer, SmartProviderSelector } from "./media-choice.js";
import { MediaGateway, MediaJob } from "./media-gateway.js";
import { MediaModel, MediaProvider } from "./media-provider.js";
import { MediaAsset, MediaResult, Text } from "./media-result.js";
import { MediaCapability, OURSELVES, ProviderCreationError, ProviderNotFoundError, ProviderType, known, queryOf, readModel } from "./media-shape.js";

/** @import {ProviderFacts} from "./media-shape.js" */

/** @typedef {import("./media-choice.js").HealthReport} HealthReport */
/** @typedef {import("./media-choice.js").TextCriteria} TextCriteria */
/** @typedef {import("./media-check.js").ValidationReport} ValidationReport */
/** @typedef {import("./media-gateway.js").MediaInput} MediaInput */
/** @typedef {import("./media-gateway.js").MediaOptions} MediaOptions */
/** @typedef {import("./media-provider.js").ProviderConfig} ProviderConfig */
/** @typedef {import("./media-provider.js").ProviderHealth} ProviderHealth */
/** @typedef {import("./media-result.js").MediaMetadata} MediaMetadata */
/** @typedef {import("./media-shape.js").MediaProgress} MediaProgress */
/** @typedef {import("./media-shape.js").TransformOptions} TransformOptions */
/** @typedef {import("./media-shape.js").ProviderModel} ProviderModel */

const FRESH_MS = 10_000; // who can be asked seldom changes
const DYNAMIC = /[/:@]/;
const SOURCE = /^(?:https:\/\/(?:www\.)?github\.com\/|github:|file:\/\/)?(@?[^@#]+?)(?:\.git)?\/?(?:(?:@|\/tree\/)([^#]+))?(#.*)?$/;
const BUILT_IN = /^mediaconduit\/(.+)-provider$/;
const NOBODY = new Set(["unsupported", "nothing_to_try", "no_key", "unavailable", "model_not_found", "not_found"]);

/** @type {Map<string, ProviderRegistry>} */
const registries = new Map();

/**
 * The registry of this process, or page; one for each gateway.
 *
 * @param {MediaOptions} [options] for the first call that names this gateway
 */
export function getProviderRegistry(options = {}) {
  const where = options.rhetorUrl ?? "";
  const found = registries.get(where) ?? new ProviderRegistry(options);
  registries.set(where, found);
  return found;
}

/** The providers of a gateway. */
export class ProviderRegistry {
  /** @type {Map<string, MediaProvider>} by id */
  #providers = new Map();
  /** @type {Map<string, string>} whose plugin is where */
  #ids = new Map();
  /** @type {Promise<Map<string, ProviderFacts>> | undefined} */
  #known;
  #knownAt = 0;

  /** @param {MediaOptions} [options] */
  constructor(options) {
    this.gateway = new MediaGateway(options);
  }

  /**
   * A provider by its id, or by where its plugin is: `github:owner/repo@ref`, a page of GitHub's with `@ref`,
   * `npm:package@version`, `file:///path`. A plugin that the gateway does not have yet is added, which it may refuse.
   *
   * @param {string} identifier
   * @param {{grant?: string[]}} [options] variables of others that a new plugin may have
   * @returns {Promise<MediaProvider>}
   * @throws {ProviderNotFoundError} there is none of this id
   * @throws {ProviderCreationError} there is, and it cannot be had
   */
  async getProvider(identifier, { grant } = {}) {
    const id = this.#ids.get(identifier) ?? identifier;
    let facts = (await this.#all()).get(id) ?? (await this.#all(true)).get(id);
    if (!facts && !DYNAMIC.test(identifier)) throw new ProviderNotFoundError(identifier, await this.getAvailableProviders());
    facts ??= await this.#plugged(identifier, grant).catch((error) => {
      throw error instanceof ProviderCreationError ? error : new ProviderCreationError(identifier, error);
    });
    this.#ids.set(identifier, facts.id);
    const { name, type, capabilities, models, defaultModel } = facts;
    const provider = Object.assign(this.#providers.get(facts.id) ?? this.#provider(facts), { name, type, capabilities, models, defaultModel });
    this.#providers.set(facts.id, provider);
    return provider;
  }

  /** @param {string} id */
  async hasProvider(id) {
    return (await this.#all()).has(id);
  }

  /** The ids of those that can be asked now. */
  async getAvailableProviders() {
    return [...(await this.#all()).values()].filter(({ available }) => available).map(({ id }) => id);
  }

  /** Every provider that the gateway knows, also those that lack their key. */
  async getProviders() {
    return [...(await this.#all()).values()].map((facts) => this.#provider(facts));
  }

  /** The same. */
  async getAllProviders() {
    return this.getProviders();
  }

  /**
   * Those that can be asked for this now, in the gateway's order.
   *
   * @param {MediaCapability} capability
   */
  async getProvidersByCapability(capability) {
    const able = [...(await this.#all()).values()].filter((facts) => facts.available && facts.capabilities.includes(capability));
    return able.map((facts) => this.#provider(facts));
  }

  /**
   * Whom the gateway would ask first for this; undefined: nobody can.
   *
   * @param {MediaCapability} capability
   * @param {{maxCost?: number, preferLocal?: boolean, excludeProviders?: string[]}} [criteria] `maxCost` in dollars, for one
   *   request
   * @returns {Promise<MediaProvider | undefined>}
   */
  async findBestProvider(capability, { maxCost, preferLocal, excludeProviders = [] } = {}) {
    const others = maxCost === undefined ? await this.getProvidersByCapability(capability) : [];
    const able = [...(await this.ranked(capability, { max_cost: maxCost })), ...others].filter(({ id }) => !excludeProviders.includes(id));
    return (preferLocal && able.find(({ type }) => type !== ProviderType.REMOTE)) || able[0];
  }

  /**
   * Those who satisfy the demands, the best first, each with its `bestModel`.
   *
   * @param {MediaCapability} capability
   * @param {Record<string, string | number | undefined>} [demands] as in `requirements`
   */
  async ranked(capability, demands = {}) {
    const [all, targets] = await Promise.all([this.#all(), this.#targets({ capability, model: "auto", ...demands })]);
    /** @type {Map<string, MediaProvider>} */
    const found = new Map();
    for (const { target } of targets) {
      const facts = all.get(target.split("/")[0]);
      if (!facts || found.has(facts.id)) continue;
      const provider = this.#provider(facts);
      const id = target.slice(facts.id.length + 1);
      provider.bestModel = facts.models.find((one) => one.id === id) ?? readModel({ id, owned_by: facts.id });
      found.set(facts.id, provider);
    }
    return [...found.values()];
  }

  /**
   * Has the gateway keep a file, to be used more than once.
   *
   * @param {Blob | ArrayBuffer | ArrayBufferView} data
   * @param {{name?: string, mediaType?: string, signal?: AbortSignal}} [options]
   */
  async upload(data, options) {
    return this.gateway.upload(data, options);
  }

  /**
   * A job that was begun before, perhaps elsewhere.
   *
   * @param {string} id
   */
  getJob(id) {
    return new MediaJob(this.gateway, id);
  }

  /** How many providers there are, and how many of them were asked for here. */
  async getStats() {
    const all = [...(await this.#all()).values()];
    const available = all.filter((facts) => facts.available).length;
    return { totalProviders: all.length, availableProviders: available, cachedProviders: this.#providers.size };
  }

  /** Asks the gateway anew, next time. */
  clearCache() {
    this.#providers.clear();
    this.#ids.clear();
    this.#known = undefined;
  }

  /**
   * Has the gateway fetch a plugin again, from where it came, or at another ref.
   *
   * @param {string} id
   * @param {{ref?: string}} [options]
   */
  async refreshProvider(id, { ref } = {}) {
    await this.gateway.ask(`/v1/plugins/${encodeURIComponent(id)}/update`, { body: { ref } });
    this.clearCache();
    return this.getProvider(id);
  }

  /** @param {Record<string, string | number | undefined>} wanted @returns {Promise<{target: string}[]>} */
  async #targets(wanted) {
    try {
      return (await this.gateway.ask(`/api/v1/routes/explain${queryOf(wanted)}`)).targets;
    } catch (error) {
      if (error instanceof TektonLLMError && NOBODY.has(error.code ?? "")) return [];
      throw error;
    }
  }

  /** @param {ProviderFacts} facts */
  #provider(facts) {
    return new MediaProvider(this.gateway, facts);
  }

  /** @param {boolean} [anew] */
  async #all(anew = false) {
    if (anew || !this.#known || Date.now() - this.#knownAt > FRESH_MS) {
      this.#knownAt = Date.now();
      this.#known = this.#ask();
      this.#known.catch(() => (this.#known = undefined));
    }
    return this.#known;
  }

  /** @returns {Promise<Map<string, ProviderFacts>>} */
  async #ask() {
    const paths = ["/api/v1/providers", "/v1/models", "/api/v1/capabilities"];
    const [{ providers, status, providerTypes }, { data: models }, { data: able }] = await Promise.all(paths.map((path) => this.gateway.ask(path)));
    const facts = Object.entries(providers).map(([id, said]) => {
      const listed = said.available ? models.filter((/** @type {any} */ one) => one.owned_by === id) : said.models.map(ours);
      const offered = listed.map((/** @type {any} */ one) => readModel({ owned_by: id, ...one }));
      const words = able.capabilities.filter((/** @type {any} */ one) => one.providers.includes(id)).map((/** @type {any} */ one) => one.id);
      const capabilities = known([...words, ...offered.flatMap((/** @type {ProviderModel} */ one) => one.capabilities)]);
      const type = providerTypes?.[id] ?? (id === OURSELVES ? ProviderType.LOCAL : ProviderType.REMOTE);
      return { id, name: said.name, type, available: said.available, reason: status[id]?.error, defaultModel: said.default_model || undefined, capabilities, models: offered };
    });
    return new Map(facts.map((each) => [each.id, each]));
  }

  /**
   * The provider of a plugin, which is added if need be.
   *
   * @param {string} identifier
   * @param {string[] | undefined} grant
   */
  async #plugged(identifier, grant) {
    const { data } = await this.gateway.ask("/v1/plugins");
    const here = data.find((/** @type {any} */ plugin) => isSource(plugin, identifier));
    if (here && here.status !== "loaded") throw new ProviderCreationError(identifier, here.reason || here.status);
    const builtIn = BUILT_IN.exec(placeOf(identifier).place)?.[1];
    if (!here && builtIn && (await this.#all()).has(builtIn)) return this.#named(builtIn);
    const plugin = here ?? (await this.gateway.ask("/v1/plugins", { body: { source: identifier, grant } }));
    const ids = plugin.providers.map((/** @type {any} */ one) => one.id);
    await this.#all(true);
    return this.#named(ids.includes(plugin.id) ? plugin.id : ids[0]);
  }

  /** @param {string} id */
  async #named(id) {
    const facts = (await this.#all()).get(id);
    if (!facts) throw new ProviderNotFoundError(id);
    return facts;
  }
}

/**
 * A model of a provider that is off, as those are listed that are on.
 *
 * @param {{id: string, name: string, capabilities: string[]}} said
 */
function ours({ id, name, capabilities }) {
  return { id, name, capabilities: capabilities.map((word) => (word === "chat" ? MediaCapability.TEXT_TO_TEXT : word)) };
}

/**
 * Where a source is, however it is written; which of its states is meant stands apart.
 *
 * @param {string} source
 */
function placeOf(source) {
  const [, place = source, ref, below = ""] = SOURCE.exec(source) ?? [];
  return { place: place.toLowerCase() + below, ref };
}

/** @param {any} plugin @param {string} identifier */
function isSource(plugin, identifier) {
  const [ours, wanted] = [placeOf(plugin.source), placeOf(identifier)];
  return ours.place === wanted.place && (!wanted.ref || [plugin.ref, plugin.commit].includes(wanted.ref));
}

export {
  MediaAsset,
  MediaCapability,
  MediaJob,
  MediaModel,
  MediaProvider,
  MediaResult,
  MigrationValidator,
  ProviderCreationError,
  ProviderHealthMonitor,
  ProviderLoadBalancer,
  ProviderNotFoundError,
  ProviderType,
  SmartProviderSelector,
  TektonLLMError,
  Text,
};
