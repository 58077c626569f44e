/**
 * Writes the modules of src/ as files that need no other: what the gateway serves (node build.js), or what the
 * package has besides src/ (node build.js package).
 *
 * No bundler: it joins the modules in order and takes away the lines that import and export. Of these it knows
 * only the plain forms, and stops at any other. The files keep their comments, since pages are debugged with
 * what they load; on the way they are compressed.
 */

import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const CLIENT = ["address", "errors", "refusal", "patience", "sse", "calls", "ticket", "protocol", "socket", "generation", "http", "client"]; // each before those that import it
const SESSIONS = ["address", "errors", "refusal", "patience", "sse", "calls", "ticket", "session-shape", "session-lines", "following", "sessions"];
const MEDIA = ["address", "errors", "refusal", "patience", "sse", "calls", "media-shape", "media-result", "media-gateway", "media-provider", "media-choice", "media"];
const MEDIA_NAMES = "getProviderRegistry, ProviderRegistry, MediaCapability, ProviderType, ProviderNotFoundError, ProviderCreationError, SmartProviderSelector, ProviderLoadBalancer, ProviderHealthMonitor, MediaAsset, MediaJob, MediaModel, MediaProvider, MediaResult, Text, TektonLLMError";
const NOTE = "written by js-client/build.js from js-client/src; change it there.";
const SERVED = "../gateway/rhetor/http/console/";

/** Each file, and what is in it. */
export const FILES = {
  [`${SERVED}tekton-llm-client.js`]: script,
  [`${SERVED}tekton-llm-client.mjs`]: module,
  [`${SERVED}rhetor-chat.js`]: element,
  [`${SERVED}tekton-llm-sessions.js`]: sessionsScript,
  [`${SERVED}tekton-llm-sessions.mjs`]: sessionsModule,
  [`${SERVED}tekton-llm-media.js`]: mediaScript,
  [`${SERVED}tekton-llm-media.mjs`]: mediaModule,
};

/** Those of the package: its folder `cjs` says that its files are CommonJS. */
export const PACKAGED = {
  "dist/tekton-llm-client.js": script,
  "dist/tekton-llm-client.min.js": async () => shrunk(script()),
  "dist/rhetor-chat.js": element,
  "dist/rhetor-chat.min.js": async () => shrunk(element()),
  "dist/tekton-llm-sessions.js": sessionsScript,
  "dist/tekton-llm-sessions.min.js": async () => shrunk(sessionsScript()),
  "dist/tekton-llm-media.js": mediaScript,
  "dist/tekton-llm-media.min.js": async () => shrunk(mediaScript()),
  "dist/cjs/index.js": script,
  "dist/cjs/athena.js": athena,
  "dist/cjs/sessions.js": sessionsScript,
  "dist/cjs/media.js": media,
  "dist/cjs/package.json": () => '{ "type": "commonjs" }\n',
};

/** Sets `window.TektonLLMClient`, or is a CommonJS or AMD module. */
export function script() {
  return umd("TektonLLMClient", CLIENT, "Object.assign(TektonLLMClient, { TektonLLMClient, TektonLLMError })");
}

/** The same as an ES module. */
export function module() {
  return esModule(CLIENT, "TektonLLMClient, TektonLLMError");
}

/** Sets `window.SessionsClient`, or is a CommonJS or AMD module. */
export function sessionsScript() {
  return umd("SessionsClient", SESSIONS, "Object.assign(SessionsClient, { SessionsClient, TektonLLMError })");
}

/** The same as an ES module. */
export function sessionsModule() {
  return esModule(SESSIONS, "SessionsClient, TektonLLMError");
}

/** Sets `window.TektonMedia`, or is a CommonJS or AMD module. */
export function mediaScript() {
  return umd("TektonMedia", MEDIA, `{ ${MEDIA_NAMES} }`);
}

/** The same as an ES module. */
export function mediaModule() {
  return esModule(MEDIA, MEDIA_NAMES);
}

/** Defines `<rhetor-chat>`; has the client in it, and is as good with type="module" as without. */
export function element() {
  return umd("RhetorChat", [...CLIENT, "chat-style", "chat"], "RhetorChat");
}

function athena() {
  return umd("AthenaClient", [...CLIENT, "athena"], "{ TektonLLMClient: AthenaClient, TektonLLMError }");
}

/** With what pages do without. */
function media() {
  return umd("TektonMedia", [...MEDIA, "media-check"], `{ ${MEDIA_NAMES}, MigrationValidator }`);
}

/**
 * @param {string[]} modules
 * @param {string} names that it exports
 */
function esModule(modules, names) {
  return `// tekton-llm-client: ${NOTE}\n${joined(modules)}\nexport { ${names} };\n`;
}

/**
 * @param {string} name of the global, where there are no modules
 * @param {string[]} modules
 * @param {string} value of the whole
 */
function umd(name, modules, value) {
  return `// tekton-llm-client: ${NOTE}
(function (root, factory) {
  if (typeof module === "object" && module.exports) module.exports = factory();
  else if (typeof define === "function" && define.amd) define([], factory);
  else root.${name} = factory();
})(typeof self === "undefined" ? this : self, function () {
"use strict";
${joined(modules)}
return ${value};
});
`;
}

/** @param {string} text */
export async function shrunk(text) {
  const { transform } = await import("esbuild"); // only those who pack need it
  return (await transform(text, { minify: true, target: "es2022", legalComments: "none" })).code;
}

/** @param {string[]} modules */
function joined(modules) {
  return modules.map(body).join("\n");
}

/** @param {string} name */
function body(name) {
  const source = readFileSync(new URL(`src/${name}.js`, import.meta.url), "utf8")
    .replace(/^import \{[^}]*\} from "\.\/[a-z-]+\.js";\n/gm, "")
    .replace(/^export \{[^}]*\};\n/gm, "")
    .replace(/^export (?=(?:const|class|function|async function\*?) )/gm, "");
  const other = /^(?:import|export)\b.*/m.exec(source);
  if (other) throw new Error(`src/${name}.js: build.js does not know this form: ${other[0]}`);
  return source.trim() + "\n";
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const packing = process.argv[2] === "package";
  if (packing) rmSync(new URL("dist", import.meta.url), { recursive: true, force: true }); // what is not made any more
  const files = packing ? PACKAGED : FILES;
  for (const [path, text] of Object.entries(files)) {
    const url = new URL(path, import.meta.url);
    mkdirSync(new URL(".", url), { recursive: true });
    writeFileSync(url, await text());
  }
}
