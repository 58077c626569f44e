export { TektonLLMClient } from "./client.js";
export { TektonLLMError } from "./errors.js";

/** @typedef {import("./client.js").Callbacks} Callbacks */
/** @typedef {import("./client.js").ClientOptions} ClientOptions */
/** @typedef {import("./errors.js").Attempt} Attempt */
/** @typedef {import("./protocol.js").AvailableProviders} AvailableProviders */
/** @typedef {import("./protocol.js").Chunk} Chunk */
/** @typedef {import("./protocol.js").CompletionResponse} CompletionResponse */
/** @typedef {import("./protocol.js").Message} Message */
/** @typedef {import("./protocol.js").RequestOptions} RequestOptions */
/** @typedef {import("./protocol.js").ToolCall} ToolCall */
/** @typedef {import("./protocol.js").Usage} Usage */
