/** A provider behind the gateway, and its models. */

import { MediaResult } from "./media-result.js";
import { ProviderCreationError, bodyOf, capabilityFor, isJob, OURSELVES, queryOf, readModel, typesOf } from "./media-shape.js";

/** @import {Given, MediaGateway, MediaInput, MediaJob} from "./media-gateway.js" */
/** @import {MediaCapability, ProviderFacts, ProviderModel, ProviderType, TransformOptions} from "./media-shape.js" */

/**
 * @typedef {object} ProviderConfig
 * @property {string} [apiKey] goes nowhere: the gateway has the keys
 * @property {string} [baseUrl] likewise
 * @property {number} [timeout] likewise, and so on
 */

/** @typedef {{status: "healthy" | "degraded" | "unhealthy", uptime: number, activeJobs: number, queuedJobs: number, lastError?: string}} ProviderHealth */
/** @typedef {Promise<MediaModel> & Pick<MediaModel, "transform" | "stream" | "submit">} ComingModel awaited or not */

const HEALTH = /** @type {Record<string, ProviderHealth["status"]>} */ ({ healthy: "healthy", degraded: "degraded", unknown: "degraded" });

/** Someone who makes things, as the gateway knows them. It can be used at once: whatever it needs, the gateway has. */
export class MediaProvider {
  #gateway;
  #warned = false;

  /** @param {MediaGateway} gateway @param {ProviderFacts} facts */
  constructor(gateway, facts) {
    this.#gateway = gateway;
    this.id = facts.id;
    /** @type {string} */
    this.name = facts.name;
    /** @type {ProviderType} */
    this.type = facts.type;
    /** @type {MediaCapability[]} */
    this.capabilities = facts.capabilities;
    /** @type {ProviderModel[]} those that are listed; others may be asked for as well */
    this.models = facts.models;
    /** @type {string | undefined} what is asked when nobody names a model */
    this.defaultModel = facts.defaultModel;
    /** @type {ProviderModel | undefined} for which it was chosen, where it was */
    this.bestModel = undefined;
  }

  /**
   * Checks that it can be asked. A key, an address and whatever else is given here goes nowhere: the gateway has them,
   * and this is said once.
   *
   * @param {ProviderConfig & Record<string, unknown>} [config]
   * @throws {ProviderCreationError} it cannot, and why
   */
  async configure(config = {}) {
    const given = Object.keys(config).filter((name) => config[name] !== undefined);
    if (given.length && !this.#warned) {
      this.#warned = true;
      console.warn(`${this.id}: ${given.join(", ")} not used: the gateway has the keys and addresses of providers`);
    }
    const { providers, status } = await this.#gateway.ask("/api/v1/providers");
    if (providers[this.id]?.available) return;
    throw new ProviderCreationError(this.id, status[this.id]?.error ?? "the gateway does not have it any more");
  }

  /** Whether it can be asked now. */
  async isAvailable() {
    const { details } = await this.#gateway.ask("/health");
    return this.id === OURSELVES || details.providers[this.id] === true;
  }

  /** @param {MediaCapability} capability */
  getModelsForCapability(capability) {
    return this.models.filter((model) => model.capabilities.includes(capability));
  }

  /** The ids of its models. */
  getAvailableModels() {
    return this.models.map(({ id }) => id);
  }

  /**
   * A model by its id, also one that is not listed. It need not be awaited: `provider.getModel(id).transform(text)`.
   *
   * @param {string} [id] the provider's default unless said
   * @returns {ComingModel}
   */
  getModel(id = this.defaultModel ?? this.models[0]?.id ?? "") {
    const facts = this.models.find((one) => one.id === id) ?? readModel({ id, owned_by: this.id });
    const model = new MediaModel(this.#gateway, this, facts);
    return Object.assign(Promise.resolve(model), {
      transform: model.transform.bind(model),
      stream: model.stream.bind(model),
      submit: model.submit.bind(model),
    });
  }

  /** @param {string} [id] */
  createModel(id) {
    return this.getModel(id);
  }

  /**
   * How it is doing; it is asked now.
   *
   * @returns {Promise<ProviderHealth>}
   */
  async getHealth() {
    const [{ data }, { uptime }] = await Promise.all([
      this.#gateway.ask(`/v1/providers/health${queryOf({ provider: this.id })}`),
      this.#gateway.ask("/health"),
    ]);
    const { status, active, last_error: lastError } = data[0];
    // Nobody waits in a queue here: what is asked is under way.
    return { status: HEALTH[status] ?? "unhealthy", uptime, activeJobs: active, queuedJobs: 0, lastError: lastError ?? undefined };
  }

  /** Those that are known to cost nothing. */
  getFreeModels() {
    return this.models.filter(({ free }) => free);
  }

  /**
   * Whose first word came soonest of late. Until one of them was asked: one that its vendor calls fast.
   *
   * @param {MediaCapability} [capability]
   */
  async getFastestModel(capability) {
    return (await this.#sorted("speed", capability, "speed")) ?? this.#sorted("speed", capability);
  }

  /**
   * The one that appeared last, where the provider tells when they did.
   *
   * @param {MediaCapability} [capability]
   */
  async getLatestModel(capability) {
    return this.#sorted("latest", capability);
  }

  /** Voices that somebody has cloned. */
  getClonedVoices() {
    return this.models.filter(({ tags }) => tags.includes("cloned"));
  }

  /** Voices that were made of much material of one speaker. */
  getProfessionalVoices() {
    return this.models.filter(({ tags }) => tags.includes("professional"));
  }

  /**
   * @param {string} sort
   * @param {MediaCapability | undefined} capability
   * @param {string} [strength]
   * @returns {Promise<ProviderModel | undefined>}
   */
  async #sorted(sort, capability, strength) {
    const { data } = await this.#gateway.ask(`/v1/models${queryOf({ provider: this.id, sort, capability, strength })}`);
    return data[0] && readModel(data[0]);
  }
}

/** A model that makes something of something. */
export class MediaModel {
  #gateway;
  #provider;
  #facts;

  /**
   * @param {MediaGateway} gateway
   * @param {MediaProvider} provider
   * @param {ProviderModel} facts
   */
  constructor(gateway, provider, facts) {
    this.#gateway = gateway;
    this.#provider = provider;
    this.#facts = facts;
  }

  getId() {
    return this.#facts.id;
  }

  getName() {
    return this.#facts.name;
  }

  getDescription() {
    return this.#facts.description;
  }

  /** Vendors say it in the id. */
  getVersion() {
    return "";
  }

  getProvider() {
    return this.#provider.id;
  }

  getCapabilities() {
    return this.#facts.capabilities;
  }

  getInputTypes() {
    return typesOf(this.#facts.capabilities, 0);
  }

  getOutputTypes() {
    return typesOf(this.#facts.capabilities, 1);
  }

  /** Whether its provider can be asked now. */
  async isAvailable() {
    return this.#provider.isAvailable();
  }

  /**
   * Makes something of a text, a file, an earlier result, or several of them. Which of its capabilities is meant follows
   * from what goes in, unless `capability` is among the options.
   *
   * @param {MediaInput | MediaInput[]} input
   * @param {TransformOptions} [options]
   * @returns {Promise<MediaResult>}
   * @throws {TektonLLMError} with message, code, status and attempts
   */
  async transform(input, options = {}) {
    const body = await this.#body(input, options);
    if (isJob(body.capability, options.job)) {
      const job = await this.#gateway.begin(body, options);
      return job.result(options).catch(async (error) => {
        if (options.signal?.aborted) await job.cancel().catch(() => {});
        throw error;
      });
    }
    const reply = this.#gateway.generate(body, options);
    for (;;) {
      const { done, value } = await reply.next();
      if (done) return value;
      options.onText?.(value);
    }
  }

  /**
   * The same, a text as it comes; what the loop leaves behind is not made. The generator returns the whole result.
   *
   * @param {MediaInput | MediaInput[]} input
   * @param {TransformOptions} [options]
   * @returns {AsyncGenerator<string, MediaResult, void>}
   */
  async *stream(input, options = {}) {
    return yield* this.#gateway.generate(await this.#body(input, options), options);
  }

  /**
   * The same as a job, which goes on by itself: it may be asked for later, and elsewhere.
   *
   * @param {MediaInput | MediaInput[]} input
   * @param {TransformOptions} [options]
   * @returns {Promise<MediaJob>}
   */
  async submit(input, options = {}) {
    return this.#gateway.begin(await this.#body(input, options), options);
  }

  /**
   * @param {MediaInput | MediaInput[]} input
   * @param {TransformOptions} options
   */
  async #body(input, options) {
    const { id, capabilities, provider } = this.#facts;
    const given = await this.#gateway.given(input, options);
    const kind = given.find((one) => one.kind !== "text" && one.kind)?.kind ?? given[0]?.kind ?? "";
    const capability = options.capability ?? capabilityFor(kind, [capabilities, this.#provider.capabilities]);
    const parents = [...new Set(given.flatMap((one) => one.parents))];
    const model = provider === OURSELVES ? id : `${provider}/${id}`;
    return { ...bodyOf(options), capability, input: joined(given, capability), model, ...(parents.length && { parents }) };
  }
}

/**
 * Several inputs as one: texts are joined, media are named after their kind.
 *
 * @param {Given[]} given
 * @param {MediaCapability} capability
 */
function joined(given, capability) {
  const texts = given.flatMap(({ text }) => text ?? []);
  if (capability === "embeddings" && texts.length > 1) return texts;
  if (given.length === 1) return given[0].said;
  if (texts.length === given.length) return texts.join("\n\n");
  /** @type {Record<string, any>} */
  const said = texts.length ? { prompt: texts.join("\n\n") } : {};
  for (const { kind, said: medium, text } of given) {
    if (text !== undefined) continue;
    const name = kind === "audio" ? "audio" : kind ? `${kind}s` : "sources";
    (said[name] ??= []).push(medium);
  }
  return said;
}
