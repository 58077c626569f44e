/** What npm packs, installed by somebody else. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

const HERE = fileURLToPath(new URL("..", import.meta.url));
const TSC = join(HERE, "node_modules/.bin/tsc");
const NAMES = "TektonLLMClient, TektonLLMError";

let project;
let packed;

const run = (command, args, cwd = project) => execFileSync(command, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
const node = (name, code) => {
  writeFileSync(join(project, name), code);
  return run("node", [name]).trim();
};

before(() => {
  project = mkdtempSync(join(tmpdir(), "somebody-"));
  [packed] = JSON.parse(run("npm", ["pack", "--json", "--silent", "--pack-destination", project], HERE));
  writeFileSync(join(project, "package.json"), '{"private": true}');
  run("npm", ["install", "--offline", "--no-audit", "--no-fund", "--loglevel=error", join(project, packed.filename)]);
});
after(() => rmSync(project, { recursive: true }));

test("the package has what it names, and neither tests nor tools", () => {
  const paths = packed.files.map(({ path }) => path);
  for (const path of ["src/index.js", "dist/types/index.d.ts", "dist/cjs/index.js", "dist/cjs/index.d.ts", "dist/tekton-llm-client.min.js", "LICENSE", "README.md"])
    assert.ok(paths.includes(path), path);
  assert.deepEqual(paths.filter((path) => !/^(src|dist)\/|^(LICENSE|README\.md|package\.json)$/.test(path)), []);
});

test("it is an ES module", () => {
  const code = `import { ${NAMES} } from "tekton-llm-client";
    import { TektonLLMClient as Athena } from "tekton-llm-client/compat";
    import "tekton-llm-client/chat";
    import { SessionsClient } from "tekton-llm-client/sessions";
    console.log(new TektonLLMClient({ rhetorUrl: "http://x" }).componentId, new Athena("pages").componentId, TektonLLMError.name);
    console.log(new SessionsClient({ rhetorUrl: "http://x/" }).rhetorUrl);`;
  assert.equal(node("a.mjs", code), "browser-client pages TektonLLMError\nhttp://x");
});

test("it is a CommonJS module, by name and as it was", () => {
  const code = `const Client = require("tekton-llm-client");
    const { ${NAMES} } = Client;
    const Athena = require("tekton-llm-client/compat").TektonLLMClient;
    const { SessionsClient } = require("tekton-llm-client/sessions");
    console.log(Client === TektonLLMClient, new Client().componentId, new Athena("pages").componentId, TektonLLMError.name);
    console.log(new SessionsClient({ rhetorUrl: "http://x/" }).rhetorUrl);`;
  assert.equal(node("b.cjs", code), "true browser-client pages TektonLLMError\nhttp://x");
});

for (const name of ["c.mts", "d.cts"]) {
  test(`its types are there for ${name}, and strict`, () => {
    const code = `import { ${NAMES}, type Chunk, type RequestOptions } from "tekton-llm-client";
      import { TektonLLMClient as Athena } from "tekton-llm-client/compat";
      import { SessionsClient, type Session, type SessionEvent } from "tekton-llm-client/sessions";
      export async function converse(sessions: SessionsClient): Promise<string | undefined> {
        const session: Session = await sessions.createSession({ backend: "claude_code", permissions: "ask", maxTurns: 3 });
        for await (const event of sessions.converse(session.id, "hi")) {
          const one: SessionEvent = event;
          if (event.type === "approval_request") await sessions.approve(session.id, event.data.requestId, { always: true });
          if (event.type === "tool_use") return event.data.name + one.content;
          // @ts-expect-error
          if (event.type === "usage") return event.data.requestId;
        }
        // @ts-expect-error
        await sessions.createSession({ permissions: "whatever" });
        return session.usage.costMicros?.toString();
      }
      export async function ask(client: TektonLLMClient, options: RequestOptions): Promise<string> {
        for await (const chunk of client.stream("q", options)) { const one: Chunk = chunk; if (one.error) break; }
        const { city } = await client.generateObject<{ city: string }>("where?", { type: "object" });
        const reply = await client.generateText("q");
        const tokens: number | undefined = reply.usage?.promptTokens;
        await new Athena("pages", { baseUrl: "http://x" }).streamText("q", ({ content }) => content.length);
        // @ts-expect-error
        await client.generateText("q", { temperature: "hot" });
        return city + tokens + new TektonLLMError("m").code;
      }`;
    writeFileSync(join(project, name), code);
    run(TSC, ["--noEmit", "--strict", "--module", "node16", "--target", "es2022", "--lib", "es2023,dom,esnext.disposable", name]);
  });
}
