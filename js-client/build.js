/**
 * Writes the modules of src/ as one classic script that sets `window.TektonLLMClient` (or module.exports, or an
 * AMD module): node build.js FILE…
 *
 * No bundler: it joins the modules in order and takes away the lines that import and export. Of these it knows
 * only the plain forms, and stops at any other.
 */

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

const MODULES = ["errors.js", "protocol.js", "client.js"]; // each before those that import it

const HEAD = `// tekton-llm-client: written by js-client/build.js from js-client/src; change it there.
(function (root, factory) {
  if (typeof module === "object" && module.exports) module.exports = factory();
  else if (typeof define === "function" && define.amd) define([], factory);
  else root.TektonLLMClient = factory();
})(typeof self === "undefined" ? this : self, function () {
"use strict";
`;

const TAIL = `
TektonLLMClient.TektonLLMError = TektonLLMError;
return TektonLLMClient;
});
`;

export function script() {
  return HEAD + MODULES.map(body).join("\n") + TAIL;
}

/** @param {string} name */
function body(name) {
  const source = readFileSync(new URL(`src/${name}`, import.meta.url), "utf8")
    .replace(/^import \{[^}]*\} from "\.\/[a-z]+\.js";\n/gm, "")
    .replace(/^export (?=(?:const|class|function) )/gm, "");
  const other = /^(?:import|export)\b.*/m.exec(source);
  if (other) throw new Error(`src/${name}: build.js does not know this form: ${other[0]}`);
  return source.trim() + "\n";
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const file of process.argv.slice(2)) {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, script());
  }
}
