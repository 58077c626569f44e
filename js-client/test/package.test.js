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
    import { MigrationValidator, getProviderRegistry } from "tekton-llm-client/media";
    if (getProviderRegistry() !== getProviderRegistry() || !new MigrationValidator()) throw new Error("media");
    console.log(new TektonLLMClient({ rhetorUrl: "http://x" }).componentId, new Athena("pages").componentId, TektonLLMError.name);
    console.log(new SessionsClient({ rhetorUrl: "http://x/" }).rhetorUrl);`;
  assert.equal(node("a.mjs", code), "browser-client pages TektonLLMError\nhttp://x");
});

test("it is a CommonJS module, by name and as it was", () => {
  const code = `const Client = require("tekton-llm-client");
    const { ${NAMES} } = Client;
    const Athena = require("tekton-llm-client/compat").TektonLLMClient;
    const { SessionsClient } = require("tekton-llm-client/sessions");
    const { MigrationValidator, getProviderRegistry } = require("tekton-llm-client/media");
    if (getProviderRegistry() !== getProviderRegistry() || !new MigrationValidator()) throw new Error("media");
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

for (const name of ["e.mts", "f.cts"]) {
  test(`MediaConduit's samples compile as they are written, but for where they import from: ${name}`, () => {
    const code = `import {
        MediaCapability, MigrationValidator, ProviderHealthMonitor, ProviderLoadBalancer, ProviderNotFoundError, ProviderCreationError, ProviderType,
        SmartProviderSelector, Text, getProviderRegistry,
        type HealthReport, type MediaProvider, type ProviderModel, type TransformOptions, type ValidationReport,
      } from "tekton-llm-client/media";
      declare const process: { env: Record<string, string | undefined> };

      async function testExistingProvider() {
        const registry = getProviderRegistry();
        const provider = await registry.getProvider('https://github.com/MediaConduit/together-provider');
        console.log('loaded:', provider.name);
        await provider.configure({ apiKey: process.env.TOGETHER_API_KEY });
        const model = await provider.getModel('meta-llama/Llama-3.2-3B-Instruct-Turbo');
        console.log('ready:', model.getId());
        const result = await model.transform("Write a haiku about AI");
        console.log('Generated:', result.content);
        console.log('Metadata:', result.metadata?.generation_prompt);
      }
      testExistingProvider().catch(console.error);

      export async function unawaited(text: Text): Promise<string> {
        const provider = await getProviderRegistry().getProvider('https://github.com/MediaConduit/cowsay-provider');
        return (await provider.getModel('cowsay-default').transform(text)).content;
      }

      export async function chained(): Promise<number | undefined> {
        const provider: MediaProvider = await getProviderRegistry().getProvider('openrouter');
        const capability: MediaCapability = MediaCapability.TEXT_TO_IMAGE;
        const drawing: ProviderModel[] = provider.getModelsForCapability(capability);
        const options: TransformOptions = { temperature: 0.2, topK: 3, maxOutputTokens: 100, size: "1024x1024" };
        const model = await provider.createModel(drawing[0].id);
        const image = await model.transform(Text.fromString("a fox", "en"), options);
        const caption = await model.transform([image, "what is it?"], { onProgress: ({ fraction }) => console.log(fraction?.toFixed(1)), signal: AbortSignal.timeout(9) });
        for await (const text of model.stream(caption)) console.log(text.length);
        const { status, lastError } = await provider.getHealth();
        if (status === "unhealthy" || provider.type === ProviderType.DOCKER) console.log(lastError?.length);
        const free: ProviderModel[] = [...provider.getFreeModels(), ...provider.getClonedVoices(), ...provider.getProfessionalVoices()];
        const fastest: ProviderModel | undefined = (await provider.getFastestModel()) ?? (await provider.getLatestModel());
        // @ts-expect-error
        provider.getModelsForCapability("text-to-smell");
        // @ts-expect-error
        await model.transform("x", { temperature: "hot" });
        return free[0]?.pricing?.inputCost ?? fastest?.limits.maxInputSize ?? undefined;
      }

      export async function chosen(): Promise<MediaProvider | undefined> {
        const registry = getProviderRegistry({ rhetorUrl: "http://localhost:8003" });
        const reports: HealthReport[] = await new ProviderHealthMonitor(registry).checkAllProviders();
        const all = await Promise.all((await registry.getAllProviders()).map(p => p.getHealth()));
        const report: ValidationReport = await new MigrationValidator(registry).validateProvider("github:somebody/thing@v1");
        const smart: MediaProvider = await new SmartProviderSelector(registry).getBestTextProvider({ speed: 'fast', cost: 'free', capability: 'reasoning' });
        const shared = await new ProviderLoadBalancer(registry, "health").getProvider(MediaCapability.TEXT_TO_AUDIO);
        const { totalProviders, cachedProviders } = await registry.getStats();
        try {
          return (await registry.findBestProvider(MediaCapability.TEXT_TO_3D, { maxCost: 0.5, preferLocal: true, excludeProviders: [smart.id, shared.id] }));
        } catch (error) {
          if (error instanceof ProviderNotFoundError || error instanceof ProviderCreationError) console.log(error.code, reports.length + all.length + totalProviders + cachedProviders, report.valid);
          throw error;
        }
      }`;
    writeFileSync(join(project, name), code);
    run(TSC, ["--noEmit", "--strict", "--module", "node16", "--target", "es2022", "--lib", "es2023,dom,dom.iterable,esnext.disposable", name]);
  });
}
